//! Tags that stand before a file: ID3v2 before anything, and APE's.

use crate::{container::container_of, pieces::bytes_at, sync};
use std::io;
use symphonia::core::io::MediaSource;

/// Tags on end; more are no tags.
const MAX_TAGS: usize = 100;
/// Bytes of an ID3v2 tag's header, and of an APE tag's.
const ID3: u64 = 10;
const APE: u64 = 32;
/// Zeros between a tag and what follows that are passed over.
const MAX_ZEROS: usize = 1 << 16;

/// Where the last tag before the file ends; 0 where there is none.
pub(crate) fn end(source: &mut dyn MediaSource, total: u64) -> io::Result<u64> {
    let mut position = 0;
    for _ in 0..MAX_TAGS {
        let head = bytes_at(source, position, APE as usize)?;
        let Some(next) = next(source, &head, position, total)? else { break };
        position = next;
    }
    if position > 0 {
        // Some writers do not count all of their padding.
        let after = bytes_at(source, position, MAX_ZEROS)?;
        let zeros = after.iter().take_while(|&&byte| byte == 0).count();
        if zeros > 0 && zeros < after.len() && is_file(&after[zeros..]) && !is_file(&after) {
            position += zeros as u64;
        }
    }
    Ok(position)
}

/// Where the tag with this header ends; none where there is no tag, or its length cannot be right.
fn next(source: &mut dyn MediaSource, head: &[u8], position: u64, total: u64) -> io::Result<Option<u64>> {
    if head.starts_with(b"APETAGEX") && head.len() as u64 == APE {
        let length = u64::from(u32::from_le_bytes([head[12], head[13], head[14], head[15]]));
        let end = position + APE + length;
        return Ok((end < total).then_some(end));
    }
    let &[b'I', b'D', b'3', version, _, flags, a, b, c, d, ..] = head else { return Ok(None) };
    if !(2..=4).contains(&version) {
        return Ok(None);
    }
    let bytes = [a, b, c, d];
    let footer = if version == 4 && flags & 0x10 != 0 { ID3 } else { 0 };
    // Seven bits a byte; some writers take eight.
    let seven = bytes.iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7f));
    let eight = u64::from(u32::from_be_bytes(bytes));
    let ends = [seven, eight].map(|length| position + ID3 + length + footer);
    let mut is_right = |end: u64| Ok::<bool, io::Error>(end < total && is_file(&bytes_at(source, end, sync::ENOUGH)?));
    Ok(if is_right(ends[0])? || !is_right(ends[1])? {
        // With nothing known behind it: the frames are searched for from there on, if that is within the file.
        (ends[0] < total).then_some(ends[0])
    } else {
        Some(ends[1])
    })
}

/// Whether something that is known begins here.
fn is_file(start: &[u8]) -> bool {
    start.starts_with(b"ID3") || start.starts_with(b"APETAGEX") || container_of(start).is_some() || sync::begins(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn tag(length: usize) -> Vec<u8> {
        let size = [21, 14, 7, 0].map(|shift| (length >> shift & 0x7f) as u8);
        [b"ID3\x03\0\0".to_vec(), size.to_vec(), vec![0x55; length]].concat()
    }

    fn end_of(bytes: Vec<u8>) -> u64 {
        let total = bytes.len() as u64;
        end(&mut Cursor::new(bytes), total).unwrap()
    }

    #[test]
    fn tags_before_a_file() {
        let flac = b"fLaC\0\0\0\x22 and so on".to_vec();
        assert_eq!(end_of(flac.clone()), 0);
        for length in [0, 1, 300, 70_000, 2_100_000] {
            assert_eq!(end_of([tag(length), flac.clone()].concat()), 10 + length as u64);
        }
        assert_eq!(end_of([tag(200), tag(3000), flac.clone()].concat()), 3220);
        // Padding that is not counted.
        assert_eq!(end_of([tag(200), vec![0; 77], flac.clone()].concat()), 287);
        // Eight bits a byte.
        let mut wrong = tag(300);
        wrong[6..10].copy_from_slice(&300u32.to_be_bytes());
        assert_eq!(end_of([wrong, flac.clone()].concat()), 310);
        // A tag that says that it is longer than the file.
        let mut long = tag(300);
        long[6] = 0x7f;
        assert_eq!(end_of([long, flac].concat()), 0);
    }
}
