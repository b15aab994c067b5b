//! CAF headers read as they are meant, and AU ones, for which CAF's stand in.
//!
//! Apple's recorders leave the length of the data at -1 while they record (Core Audio Format Specification 1.0). AU (`.snd`)
//! has samples with the most significant byte first, which of all that symphonia reads CAF can hold in every width.

use crate::{
    extent::{Coding, Layout, can_be_name, extent},
    headers::Header,
    pieces::{Piece, bytes_at},
};
use std::io;
use symphonia::core::io::MediaSource;

/// Chunks looked at before a file is taken to have no sound.
const MAX_CHUNKS: usize = 10_000;
/// Bytes of the description.
const DESCRIPTION: u64 = 32;
/// Bytes of a chunk that is kept: the table of a day's packets has less.
const MAX_KEPT: i64 = 1 << 26;
/// Samples are floating point; the least significant byte comes first.
const IS_FLOAT: u32 = 1;
const IS_LITTLE: u32 = 2;

/// What the CAF file that begins at `base` holds; none where it is none, or symphonia must make of it what it can.
pub(crate) fn parse(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Header>> {
    let (mut position, mut description, mut kept, mut data) = (base + 8, None, Vec::new(), None);
    for _ in 0..MAX_CHUNKS {
        let Some((name, length)) = chunk(source, position)? else { break };
        let start = position + 12;
        match &name {
            b"desc" if length >= DESCRIPTION as i64 && description.is_none() => {
                description = Some(bytes_at(source, start, DESCRIPTION as usize)?);
            }
            // How packets of varying length are cut, and what their decoder needs.
            b"pakt" | b"kuki" if (1..=MAX_KEPT).contains(&length) => {
                let bytes = bytes_at(source, start, length as usize)?;
                if bytes.len() as i64 == length {
                    kept.extend([&name[..], &length.to_be_bytes(), &bytes].concat());
                }
            }
            b"data" if data.is_none() => {
                // The number of edits comes before the samples.
                let from = (start + 4).min(total);
                let unknown = length < 0 || length < 4 && !is_part(source, from, total)?;
                let promised = (!unknown).then(|| length as u64 - 4.min(length as u64));
                let layout = description.as_deref().and_then(layout);
                let part = |source: &mut dyn MediaSource, at| is_part(source, at, total);
                let extent = extent(source, layout, from, promised, total, &part, &|_, _, _| Ok(None))?;
                data = Some((from, extent));
                position = from + extent.length;
                continue;
            }
            _ if !can_be_name(&name) => break,
            _ => {}
        }
        match u64::try_from(length).ok().and_then(|length| start.checked_add(length)).filter(|&next| next <= total) {
            Some(next) => position = next,
            None => break,
        }
    }
    let Some((description, (from, extent))) = description.filter(|d| d.len() as u64 == DESCRIPTION).zip(data) else {
        return Ok(None);
    };
    let varies = word(&description, 16) == 0 || word(&description, 20) == 0;
    if varies && !kept.windows(4).any(|name| name == b"pakt") {
        return Ok(None);
    }
    let block = layout(&description).map_or(1, |layout| layout.block);
    Ok(Some(header("caf", description, &kept, from, extent.length, extent.promised, extent.untrue, block)))
}

#[allow(clippy::too_many_arguments)] // a header's fields
fn header(
    container: &'static str,
    description: Vec<u8>,
    kept: &[u8],
    from: u64,
    length: u64,
    promised: u64,
    untrue: bool,
    block: u64,
) -> Header {
    let format = [description, kept.to_vec()].concat();
    let pieces = vec![Piece::Stretch(from, length)];
    Header { container, codec: None, format, compose, pieces, block, promised, untrue, channels: 0, next: None }
}

fn compose(format: &[u8], length: u64) -> Vec<u8> {
    let (description, kept) = format.split_at(DESCRIPTION as usize);
    let sizes = [DESCRIPTION, length + 4].map(u64::to_be_bytes);
    [b"caff\0\x01\0\0desc", &sizes[0][..], description, kept, b"data", &sizes[1], &[0; 4]].concat()
}

fn chunk(source: &mut dyn MediaSource, position: u64) -> io::Result<Option<([u8; 4], i64)>> {
    let head = bytes_at(source, position, 12)?;
    let name = head.first_chunk().copied();
    Ok(name.zip(head.get(4..).and_then(<[u8]>::first_chunk).map(|&length| i64::from_be_bytes(length))))
}

/// Whether samples can end there: at the end of the file, or where a chunk begins.
fn is_part(source: &mut dyn MediaSource, at: u64, total: u64) -> io::Result<bool> {
    let chunk = chunk(source, at)?;
    let fits = |length: i64| u64::try_from(length).is_ok_and(|length| length <= total - at);
    Ok(at >= total || chunk.is_some_and(|(name, length)| can_be_name(&name) && fits(length)))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |&bytes| u32::from_be_bytes(bytes))
}

/// How the samples of a description are laid out; none where packets vary.
fn layout(description: &[u8]) -> Option<Layout> {
    let (kind, flags) = (description.get(8..12)?, word(description, 12));
    let (block, channels, bits) = (word(description, 16), word(description, 24), word(description, 28));
    let (bytes, big) = (bits.div_ceil(8) as usize, flags & IS_LITTLE == 0);
    let coding = match kind {
        b"lpcm" if flags & IS_FLOAT != 0 && (bytes == 4 || bytes == 8) => Coding::Float { bytes, big },
        b"lpcm" if (1..=8).contains(&bytes) => Coding::Int { bytes, big, signed: true },
        b"ulaw" => Coding::MuLaw,
        b"alaw" => Coding::ALaw,
        _ => Coding::Blocks,
    };
    let channels = (channels as usize).clamp(1, 1024);
    let block = coding.sample_bytes().map_or(u64::from(block), |bytes| (bytes * channels) as u64);
    (block > 0).then_some(Layout { coding, channels, block })
}

/// What the AU file that begins at `base` holds; none where its codec is none of those that CAF has too.
pub(crate) fn parse_au(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Header>> {
    let head = bytes_at(source, base, 24)?;
    if head.len() < 24 || !head.starts_with(b".snd") {
        return Ok(None);
    }
    let [offset, length, encoding, rate, channels] = [4, 8, 12, 16, 20].map(|at| word(&head, at));
    let (kind, flags, bytes) = match encoding {
        1 => (b"ulaw", 0, 1),
        2 => (b"lpcm", 0, 1),
        3 => (b"lpcm", 0, 2),
        4 => (b"lpcm", 0, 3),
        5 => (b"lpcm", 0, 4),
        6 => (b"lpcm", IS_FLOAT, 4),
        7 => (b"lpcm", IS_FLOAT, 8),
        27 => (b"alaw", 0, 1),
        _ => return Ok(None),
    };
    let frame = channels.saturating_mul(bytes);
    if frame == 0 {
        return Ok(None);
    }
    let mut description = f64::from(rate).to_be_bytes().to_vec();
    description.extend(kind);
    description.extend([flags, frame, 1, channels, bytes * 8].iter().flat_map(|word| word.to_be_bytes()));
    let from = (base + u64::from(offset).max(24)).min(total);
    // All ones where the length is not known, and nothing where it was never written.
    let promised = (length != u32::MAX && length != 0).then_some(u64::from(length));
    let part = |_: &mut dyn MediaSource, at| Ok(at >= total);
    let extent = extent(source, layout(&description), from, promised, total, &part, &|_, _, _| Ok(None))?;
    Ok(Some(header("au", description, &[], from, extent.length, extent.promised, extent.untrue, u64::from(frame))))
}
