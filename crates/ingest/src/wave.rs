//! WAV headers as telephone systems write them, read as they are meant.
//!
//! Recorders that stream, or that were stopped, leave lengths of 0, of all ones, or of a moment long past; some write G.711
//! formats of 16 bytes or PCM formats with bytes to spare, or forget the byte that makes a chunk even; long recordings are
//! RF64 (EBU Tech 3306) or Sony's Wave64, or have lengths that started anew at 4 GiB; parts of a call are put together with
//! `cat`. Symphonia refuses these, or reads them to a wrong end. So the header is read here, and a plain one stands in for it:
//! format, data, and as many bytes as there are.

use crate::{
    extent::{Coding, Extent, Layout, can_be_name, extent, find_chunks, find_file, is_tag},
    headers::Header,
    pieces::{Piece, bytes_at},
};
use std::io;
use symphonia::core::io::MediaSource;

/// Lengths from here on are what streaming writers put for "not known" (ffmpeg: all ones; sox: a little under 2 GiB).
const UNKNOWN: u64 = 0x7fff_f000;
/// The same in the 64 bits of RF64 and Wave64.
const UNKNOWN_64: u64 = 1 << 62;
/// Bytes of a format chunk that can mean anything.
const MAX_FORMAT: u64 = 4096;
/// Chunks looked at before a file is taken to have no sound.
const MAX_CHUNKS: usize = 10_000;
/// Bytes in which the samples are looked for where the chunks before them do not lead there.
const MAX_LOST: usize = 1 << 20;
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;
/// What follows `riff` in Wave64's first identifier, and what follows the other names in theirs.
const W64_RIFF: [u8; 12] = *b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
const W64_TAIL: [u8; 12] = *b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
/// Chunks that are met in WAV files: what has one of these names is one, whatever its length.
const KNOWN: [[u8; 4]; 21] = [
    *b"fmt ", *b"data", *b"LIST", *b"fact", *b"ds64", *b"bext", *b"cue ", *b"smpl", *b"inst", *b"iXML", *b"JUNK",
    *b"junk", *b"PAD ", *b"FLLR", *b"id3 ", *b"ID3 ", *b"PEAK", *b"_PMX", *b"afsp", *b"cart", *b"DISP",
];
/// First bytes of the forms that hold WAV chunks.
const FORMS: [[u8; 4]; 3] = [*b"RIFF", *b"RF64", *b"BW64"];

/// What the WAV file that begins at `base` holds; none where it is none.
pub(crate) fn parse(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Header>> {
    let head = bytes_at(source, base, 16)?;
    if head.starts_with(b"riff") && head[4..] == W64_RIFF {
        return parse_w64(source, base, total);
    }
    if !is_form(&head) {
        return Ok(None);
    }
    let container = if head.starts_with(b"RIFF") { "wav" } else { "rf64" };
    let mut found = Found::new(container);
    let (mut position, mut odd, mut long) = (base + 12, false, None);
    for _ in 0..MAX_CHUNKS {
        position = place(source, position, odd)?;
        let head = bytes_at(source, position, 12)?;
        let (Some(name), Some(length)) = (head.first_chunk::<4>(), head.get(4..).and_then(<[u8]>::first_chunk)) else {
            break;
        };
        if is_form(&head) {
            found.next = Some(position);
            break;
        }
        let (start, length) = (position + 8, u64::from(u32::from_le_bytes(*length)));
        match name {
            b"fmt " if (16..=MAX_FORMAT).contains(&length) && found.format.is_none() => {
                found.format = read_format(source, start, length)?;
            }
            b"ds64" => long = bytes_at(source, start + 8, 8)?.first_chunk().map(|&bytes| u64::from_le_bytes(bytes)),
            b"data" => {
                let (length, unknown) = match long {
                    Some(long) if length == u64::from(u32::MAX) => (long, long == 0 || long >= UNKNOWN_64),
                    _ => (length, length >= UNKNOWN && length > total - start),
                };
                let unknown = unknown || length == 0 && !is_part(source, start, total)?;
                let extent = found.take(source, start, (!unknown).then_some(length), total)?;
                (position, odd) = (start + extent.length, extent.length % 2 == 1);
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
    if found.pieces.is_empty() && found.format.is_some() && found.next.is_none() {
        // The chunks do not lead to the samples.
        let lost = bytes_at(source, position, MAX_LOST)?;
        if let Some(at) = lost.windows(4).position(|name| name == b"data") {
            let start = position + at as u64 + 8;
            let length =
                lost.get(at + 4..).and_then(<[u8]>::first_chunk).map_or(0, |&l| u64::from(u32::from_le_bytes(l)));
            if start < total {
                found.take(source, start, (length > 0 && length < UNKNOWN).then_some(length), total)?;
                found.untrue = true;
            }
        }
    }
    Ok(found.finish())
}

/// What was found of a file so far.
struct Found {
    container: &'static str,
    format: Option<Vec<u8>>,
    pieces: Vec<Piece>,
    promised: u64,
    untrue: bool,
    next: Option<u64>,
}

impl Found {
    fn new(container: &'static str) -> Self {
        Self { container, format: None, pieces: Vec::new(), promised: 0, untrue: false, next: None }
    }

    /// Takes the samples that start there.
    fn take(
        &mut self,
        source: &mut dyn MediaSource,
        start: u64,
        promised: Option<u64>,
        total: u64,
    ) -> io::Result<Extent> {
        let layout = self.format.as_deref().map(layout);
        let next_file = |source: &mut dyn MediaSource, from, to| {
            for form in FORMS {
                if let Some(found) = find_file(source, from, to, form, &[*b"WAVE"])? {
                    return Ok(Some(found));
                }
            }
            find_chunks(source, from, to, &|bytes| {
                let (name, length) = bytes.first_chunk::<4>().zip(bytes.get(4..).and_then(<[u8]>::first_chunk))?;
                (name != b"data" && KNOWN.contains(name)).then(|| 8 + u64::from(u32::from_le_bytes(*length)))
            })
        };
        let part = |source: &mut dyn MediaSource, at| is_part(source, at, total);
        let extent = extent(source, layout, start, promised, total, &part, &next_file)?;
        self.pieces.push(Piece::Stretch(start, extent.length));
        self.promised += extent.promised;
        self.untrue |= extent.untrue;
        Ok(extent)
    }

    fn finish(self) -> Option<Header> {
        let format = self.format.filter(|_| !self.pieces.is_empty())?;
        let (codec, Layout { block, channels, .. }) = (unread_codec(&format), layout(&format));
        Some(Header {
            container: self.container,
            codec,
            format,
            compose,
            pieces: self.pieces,
            block,
            promised: self.promised,
            untrue: self.untrue,
            channels,
            next: self.next,
        })
    }
}

/// A plain header: format, data, and all ones for a length that does not fit.
fn compose(format: &[u8], length: u64) -> Vec<u8> {
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    head.extend((format.len() as u32).to_le_bytes());
    head.extend(format);
    head.extend(b"data");
    head.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    head
}

fn is_form(head: &[u8]) -> bool {
    FORMS.iter().any(|form| head.starts_with(form)) && head.get(8..12) == Some(b"WAVE")
}

/// Where the chunk begins that should begin at `position`: some writers leave out the byte that makes a chunk of odd length
/// even, and some add one that is not needed. The names tell.
fn place(source: &mut dyn MediaSource, position: u64, odd: bool) -> io::Result<u64> {
    // Known, possible, neither.
    let mut rank = |position: u64| {
        let head = bytes_at(source, position, 12)?;
        let known = is_form(&head) || head.first_chunk().is_some_and(|name| KNOWN.contains(name));
        let possible = head.get(..4).is_some_and(can_be_name);
        Ok::<u8, io::Error>(if known { 2 } else { u8::from(possible) })
    };
    let (by_rule, other) = if odd { (position + 1, position) } else { (position, position + 1) };
    let (first, second) = (rank(by_rule)?, rank(other)?);
    // Without a gap that the rule asks for, a name that is possible is enough; a gap that it does not ask for is rarer.
    let instead = second > first && (odd || second == 2);
    Ok(if instead { other } else { by_rule })
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
        let fits = at + 8 + u64::from(u32::from_le_bytes(*length)) <= total + 1;
        if is_form(&head) || is_tag(&head) || KNOWN.contains(name) || can_be_name(name) && fits {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Wave64: names of 16 bytes, lengths of 64 bits that count the chunk's header, chunks at multiples of 8.
fn parse_w64(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Header>> {
    let (mut position, mut found) = (base + 40, Found::new("w64"));
    for _ in 0..MAX_CHUNKS {
        let head = bytes_at(source, position, 24)?;
        let Some((name, length)) = head.first_chunk::<4>().zip(head.get(16..).and_then(<[u8]>::first_chunk)) else {
            break;
        };
        let length = u64::from_le_bytes(*length);
        if name == b"riff" && head[4..16] == W64_RIFF {
            found.next = Some(position);
            break;
        }
        let (start, body) = (position + 24, length.saturating_sub(24));
        match name {
            _ if head[4..16] != W64_TAIL => {}
            b"fmt " if (16..=MAX_FORMAT).contains(&body) && found.format.is_none() => {
                found.format = read_format(source, start, body)?;
            }
            b"data" => {
                // A recorder that was stopped leaves the length of nothing, or of all that there could be.
                let unknown = body == 0 || body >= UNKNOWN_64;
                let layout = found.format.as_deref().map(layout);
                let part = |source: &mut dyn MediaSource, at: u64| {
                    let aligned = base + (at - base).next_multiple_of(8);
                    let head = bytes_at(source, aligned, 16)?;
                    Ok(aligned >= total
                        || is_tag(&head)
                        || head.get(4..) == Some(&W64_TAIL)
                        || head.get(4..) == Some(&W64_RIFF))
                };
                let known = (!unknown).then_some(body);
                let extent = extent(source, layout, start, known, total, &part, &|_, _, _| Ok(None))?;
                found.pieces.push(Piece::Stretch(start, extent.length));
                found.promised += extent.promised;
                found.untrue |= extent.untrue;
                position = base + (start + extent.length - base).next_multiple_of(8);
                continue;
            }
            _ => {}
        }
        // Aligned, and always forward.
        let Some(next) =
            (position - base).checked_add(length.max(24)).and_then(|next| next.checked_next_multiple_of(8))
        else {
            break;
        };
        position = base.saturating_add(next);
        if position >= total {
            break;
        }
    }
    Ok(found.finish())
}

fn read_format(source: &mut dyn MediaSource, start: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    let bytes = bytes_at(source, start, length as usize)?;
    Ok((bytes.len() as u64 == length).then(|| plain_format(bytes)))
}

/// How the samples of a format chunk are laid out.
fn layout(format: &[u8]) -> Layout {
    let word = |at: usize| format.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |&bytes| u16::from_le_bytes(bytes));
    let (mut tag, channels, align, bits) = (word(0), usize::from(word(2)).max(1), u64::from(word(12)), word(14));
    if tag == EXTENSIBLE {
        tag = word(24);
    }
    let bytes = usize::from(bits.div_ceil(8)).max(1);
    let coding = match tag {
        PCM if bytes <= 8 => Coding::Int { bytes, big: false, signed: bytes > 1 },
        FLOAT if bytes == 4 || bytes == 8 => Coding::Float { bytes, big: false },
        A_LAW => Coding::ALaw,
        MU_LAW => Coding::MuLaw,
        _ => Coding::Blocks,
    };
    let block = coding.sample_bytes().map_or(align.max(1), |bytes| (bytes * channels) as u64);
    Layout { coding, channels, block }
}

/// Names of format tags that telephone systems use and symphonia does not read.
fn unread_codec(format: &[u8]) -> Option<&'static str> {
    Some(match u16::from_le_bytes([format[0], format[1]]) {
        0x14 | 0x111 => "g723_1",
        0x22 => "truespeech",
        0x28f | 0x64 => "g722",
        0x31 => "gsm_ms",
        0x40 | 0x45 | 0x85 => "g726",
        0x50 => "mp2",
        0x55 => "mp3",
        0x57 => "amr_nb",
        0x58 => "amr_wb",
        0x83 | 0x133 => "g729",
        0x160..=0x163 => "wma",
        0xff | 0x1600 | 0x1602 => "aac",
        0xa109 => "speex",
        _ => return None,
    })
}

/// The format chunk in the length that its tag asks for.
fn plain_format(mut bytes: Vec<u8>) -> Vec<u8> {
    match u16::from_le_bytes([bytes[0], bytes[1]]) {
        PCM | FLOAT => bytes.truncate(16),
        A_LAW | MU_LAW => {
            bytes.truncate(16);
            // Eight bits a sample, and no extension.
            bytes[14..].copy_from_slice(&8u16.to_le_bytes());
            bytes.extend(0u16.to_le_bytes());
        }
        // Symphonia reads G.711 in its short form alone.
        EXTENSIBLE
            if bytes.get(24..26).is_some_and(|tag| [A_LAW, MU_LAW].map(u16::to_le_bytes).iter().any(|t| t == tag)) =>
        {
            bytes.copy_within(24..26, 0);
            return plain_format(bytes);
        }
        EXTENSIBLE => bytes.truncate(40),
        _ => {}
    }
    bytes
}
