//! MP4 and QuickTime files that have no `ftyp`: recordings of before there was one, and segments of streams.
//!
//! Symphonia reads no file without that atom. It may stand anywhere, and what the others say of places in the file stays true
//! only if it stands at the end.

use crate::pieces::{Piece, bytes_at};
use std::io;
use symphonia::core::io::MediaSource;

/// Atoms looked at; streams of an hour have thousands.
const MAX_ATOMS: usize = 1_000_000;
const FTYP: &[u8; 16] = b"\0\0\0\x10ftypqt  \0\0\0\0";

/// The file that begins at `base`, with `ftyp` at its end if it has none; an atom that is cut off ends where the file does.
/// None where nothing is to be changed.
pub(crate) fn pieces(source: &mut dyn MediaSource, base: u64, total: u64) -> io::Result<Option<Vec<Piece>>> {
    let mut position = base;
    for _ in 0..MAX_ATOMS {
        let head = bytes_at(source, position, 16)?;
        let Some((size, name)) = head.first_chunk::<4>().zip(head.get(4..8)) else { break };
        if name == b"ftyp" {
            return Ok(None);
        }
        let size = u64::from(u32::from_be_bytes(*size));
        let long = head.get(8..).and_then(<[u8]>::first_chunk).map(|&size| u64::from_be_bytes(size));
        let (header, length) = match (size, long) {
            (0, _) => (8, u64::MAX),
            (1, Some(long)) => (16, long),
            (size, _) => (8, size),
        };
        if length < header || total - position < header {
            break;
        }
        match position.checked_add(length).filter(|&end| end <= total) {
            Some(end) => position = end,
            None => return Ok(up_to_the_end(base, position, header, name, total)),
        }
    }
    Ok(Some(vec![Piece::Stretch(base, position - base), Piece::Bytes(FTYP.to_vec())]))
}

/// The same where the last atom reaches beyond the end.
fn up_to_the_end(base: u64, last: u64, header: u64, name: &[u8], total: u64) -> Option<Vec<Piece>> {
    let length = total - last;
    let size = if header == 16 {
        [&1u32.to_be_bytes(), name, &length.to_be_bytes()].concat()
    } else {
        [&u32::try_from(length).ok()?.to_be_bytes(), name].concat()
    };
    Some(vec![
        Piece::Stretch(base, last - base),
        Piece::Bytes(size),
        Piece::Stretch(last + header, length - header),
        Piece::Bytes(FTYP.to_vec()),
    ])
}
