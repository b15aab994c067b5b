//! FLAC of which only what matters to the sound is read: its description and its frames.
//!
//! Tags, pictures, cue sheets and seek tables may be odd or damaged; a player needs none of them (RFC 9639, 8).

use crate::pieces::{Piece, bytes_at};
use std::io;
use symphonia::core::io::MediaSource;

/// Bytes of the stream's description.
const STREAM_INFO: u64 = 34;
/// Blocks of metadata; more are damage.
const MAX_BLOCKS: usize = 1000;
/// Bytes that are searched for the first frame where the blocks do not lead to it, and bytes of one read.
const MAX_SEARCHED: u64 = 1 << 24;
const BLOCK: usize = 1 << 16;
/// The longest header of a frame.
const MAX_HEADER: usize = 16;

/// The file that begins at `base` with its description and its frames alone; none where it has no description.
pub(crate) fn pieces(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Vec<Piece>>> {
    let mut position = base + 4;
    let mut info = None;
    for _ in 0..MAX_BLOCKS {
        let head = bytes_at(source, position, 4)?;
        let &[kind, a, b, c] = &head[..] else { break };
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        // The description comes first; where it says another length it is read in its own.
        if kind.trailing_zeros() >= 7 && info.is_none() {
            let bytes = bytes_at(source, position + 4, STREAM_INFO as usize)?;
            info = (bytes.len() as u64 == STREAM_INFO).then_some((bytes, position + 4 + STREAM_INFO));
        }
        position += 4 + length;
        if kind & 0x80 != 0 || position >= total {
            break;
        }
    }
    let Some((info, after)) = info else { return Ok(None) };
    let first = bytes_at(source, position.min(total), MAX_HEADER)?;
    let frames = if is_frame(&first) { Some(position) } else { find_frame(source, after, total)? };
    let Some(frames) = frames else { return Ok(None) };
    let head = [b"fLaC\x80\0\0\x22", &info[..]].concat();
    Ok(Some(vec![Piece::Bytes(head), Piece::Stretch(frames, total - frames)]))
}

fn find_frame(source: &mut dyn MediaSource, from: u64, total: u64) -> io::Result<Option<u64>> {
    let (mut position, end) = (from, total.min(from + MAX_SEARCHED));
    while position < end {
        let block = bytes_at(source, position, BLOCK)?;
        if let Some(at) = (0..block.len()).find(|&at| block[at] == 0xff && is_frame(&block[at..])) {
            return Ok(Some(position + at as u64));
        }
        position += block.len().saturating_sub(MAX_HEADER).max(1) as u64;
    }
    Ok(None)
}

/// Whether a frame's header begins here: its fixed bits and its checksum (RFC 9639, 9.1).
fn is_frame(bytes: &[u8]) -> bool {
    let &[0xff, 0xf8 | 0xf9, sizes, kinds, number, ..] = bytes else { return false };
    let (size, rate) = (sizes >> 4, sizes & 15);
    if size == 0 || rate == 15 || kinds >> 4 > 10 || kinds & 1 == 1 || kinds >> 1 & 7 == 3 {
        return false;
    }
    // The number is written as UTF-8 writes a character, in up to seven bytes.
    let number = match number.leading_ones() {
        0 => 1,
        ones @ 2..=7 => ones as usize,
        _ => return false,
    };
    let more =
        usize::from(size == 6) + 2 * usize::from(size == 7) + usize::from(rate == 12) + 2 * usize::from(rate > 12);
    let length = 4 + number + more;
    bytes.get(length).is_some_and(|&checksum| crc_8(&bytes[..length]) == checksum)
}

fn crc_8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 7 }))
}
