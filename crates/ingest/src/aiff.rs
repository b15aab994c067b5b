//! AIFF and AIFF-C headers read as they are meant: lengths that were never written, or reach beyond the end, or are stale;
//! and chunks that say nothing about the sound.

use crate::{
    extent::{Coding, Layout, can_be_name, extent, find_chunks, find_file, is_tag},
    headers::Header,
    pieces::{Piece, bytes_at},
};
use std::io;
use symphonia::core::io::MediaSource;

/// Bytes of a description that can mean anything.
const MAX_COMMON: u64 = 1024;
/// Chunks looked at before a file is taken to have no sound.
const MAX_CHUNKS: usize = 10_000;
/// Lengths from here on are what streaming writers put for "not known".
const UNKNOWN: u64 = 0x7fff_f000;
const KINDS: [[u8; 4]; 2] = [*b"AIFF", *b"AIFC"];
/// What has one of these names is a chunk, whatever its length.
const KNOWN: [[u8; 4]; 15] = [
    *b"COMM", *b"SSND", *b"FVER", *b"MARK", *b"INST", *b"COMT", *b"NAME", *b"AUTH", *b"ANNO", *b"(c) ", *b"APPL",
    *b"ID3 ", *b"MIDI", *b"AESD", *b"PEAK",
];

/// What the AIFF file that begins at `base` holds; none where it is none, or does not say how its sound is written.
pub(crate) fn parse(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Header>> {
    let head = bytes_at(source, base, 12)?;
    if !is_form(&head) {
        return Ok(None);
    }
    let kind = head[8..].to_vec();
    let (mut position, mut odd, mut common, mut sound, mut next) = (base + 12, false, None, None, None);
    for _ in 0..MAX_CHUNKS {
        position = place(source, position, odd)?;
        let head = bytes_at(source, position, 16)?;
        let Some((name, length)) = head.first_chunk::<4>().zip(head.get(4..).and_then(<[u8]>::first_chunk)) else {
            break;
        };
        if is_form(&head) {
            next = Some(position);
            break;
        }
        let (start, length) = (position + 8, u64::from(u32::from_be_bytes(*length)));
        match name {
            b"COMM" if (18..=MAX_COMMON).contains(&length) && common.is_none() => {
                common = Some(bytes_at(source, start, length as usize)?).filter(|bytes| bytes.len() as u64 == length);
            }
            b"SSND" if sound.is_none() => {
                // Offset and size of blocks; the samples begin behind the offset.
                let offset = head
                    .get(8..)
                    .and_then(<[u8]>::first_chunk)
                    .map_or(0, |&offset| u64::from(u32::from_be_bytes(offset)));
                let from = (start + 8 + offset).min(total);
                let unknown =
                    length >= UNKNOWN && length > total - from || length < 8 && !is_part(source, from, total)?;
                let promised = (!unknown).then(|| length.saturating_sub(8 + offset));
                let layout = common.as_deref().map(|common| layout(&kind, common));
                let part = |source: &mut dyn MediaSource, at| is_part(source, at, total);
                let next_file = |source: &mut dyn MediaSource, from, to| {
                    if let Some(found) = find_file(source, from, to, *b"FORM", &KINDS)? {
                        return Ok(Some(found));
                    }
                    find_chunks(source, from, to, &|bytes| {
                        let (name, length) =
                            bytes.first_chunk::<4>().zip(bytes.get(4..).and_then(<[u8]>::first_chunk))?;
                        KNOWN.contains(name).then(|| 8 + u64::from(u32::from_be_bytes(*length)))
                    })
                };
                let extent = extent(source, layout, from, promised, total, &part, &next_file)?;
                sound = Some((from, extent));
                (position, odd) = (from + extent.length, extent.length % 2 == 1);
                continue;
            }
            _ if !KNOWN.contains(name) && !can_be_name(name) => break,
            _ => {}
        }
        if start + length > total {
            break;
        }
        (position, odd) = (start + length, length % 2 == 1);
    }
    let Some((common, (from, extent))) = common.zip(sound) else { return Ok(None) };
    let Layout { block, channels, .. } = layout(&kind, &common);
    Ok(Some(Header {
        container: "aiff",
        codec: None,
        // All of the description but the number of frames, which two files need not have in common.
        format: [&kind, &common[..2], &[0; 4], &common[6..]].concat(),
        compose,
        pieces: vec![Piece::Stretch(from, extent.length)],
        block,
        promised: extent.promised,
        untrue: extent.untrue,
        channels,
        next,
    }))
}

fn compose(format: &[u8], length: u64) -> Vec<u8> {
    let (kind, common) = format.split_at(4);
    let pad: &[u8] = if common.len() % 2 == 1 { &[0] } else { &[] };
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let chunks = 4 + 8 + (common.len() + pad.len()) as u64 + 16;
    let sizes = [number(chunks + length), number(common.len() as u64), number(length + 8)];
    [b"FORM", &sizes[0][..], kind, b"COMM", &sizes[1], common, pad, b"SSND", &sizes[2], &[0; 8]].concat()
}

fn is_form(head: &[u8]) -> bool {
    head.starts_with(b"FORM") && KINDS.iter().any(|kind| head.get(8..12) == Some(kind))
}

/// Where the chunk begins that should begin at `position`, or one byte on after a chunk of odd length.
fn place(source: &mut dyn MediaSource, position: u64, odd: bool) -> io::Result<u64> {
    if !odd {
        return Ok(position);
    }
    let mut known = |position: u64| {
        let head = bytes_at(source, position, 12)?;
        Ok::<bool, io::Error>(is_form(&head) || head.first_chunk().is_some_and(|name| KNOWN.contains(name)))
    };
    // Some writers forget the byte that makes a chunk even.
    Ok(if !known(position + 1)? && known(position)? { position } else { position + 1 })
}

/// Whether samples can end there: at the end of the file, or where a chunk, a tag or another file begins.
fn is_part(source: &mut dyn MediaSource, at: u64, total: u64) -> io::Result<bool> {
    if at + 1 >= total {
        return Ok(true);
    }
    for at in [at, at + 1] {
        let head = bytes_at(source, at, 12)?;
        let Some((name, length)) = head.first_chunk::<4>().zip(head.get(4..).and_then(<[u8]>::first_chunk)) else {
            continue;
        };
        let fits = at + 8 + u64::from(u32::from_be_bytes(*length)) <= total + 1;
        if is_form(&head) || is_tag(&head) || KNOWN.contains(name) || can_be_name(name) && fits {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How the samples of a description are laid out.
fn layout(kind: &[u8], common: &[u8]) -> Layout {
    let channels = usize::from(u16::from_be_bytes([common[0], common[1]])).max(1);
    let bytes = usize::from(u16::from_be_bytes([common[6], common[7]]).div_ceil(8)).max(1);
    let compression = common.get(18..22).filter(|_| kind == b"AIFC").map(<[u8]>::to_ascii_lowercase);
    let int = |bytes, big| Coding::Int { bytes, big, signed: true };
    let coding = match compression.as_deref() {
        None | Some(b"none" | b"twos" | b"in24" | b"in32") if bytes <= 8 => int(bytes, true),
        Some(b"sowt" | b"23ni") if bytes <= 8 => int(bytes, false),
        Some(b"raw ") => Coding::Int { bytes: 1, big: true, signed: false },
        Some(b"fl32") => Coding::Float { bytes: 4, big: true },
        Some(b"fl64") => Coding::Float { bytes: 8, big: true },
        Some(b"ulaw") => Coding::MuLaw,
        Some(b"alaw") => Coding::ALaw,
        _ => Coding::Blocks,
    };
    // Blocks of QuickTime's IMA ADPCM: 34 bytes a channel.
    let block = coding.sample_bytes().map_or(34, |bytes| bytes) * channels;
    Layout { coding, channels, block: block as u64 }
}
