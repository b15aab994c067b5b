//! Matroska and WebM files that end before their segment does (RFC 9559).
//!
//! Symphonia looks for the index where the header says it is, and gives nothing of a file that ends before that; so such a file
//! is read forward only.

use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

const SEGMENT: u64 = 0x1853_8067;
const EBML: u64 = 0x1a45_dfa3;

/// Whether the segment says that it is longer than the file. Recorders that stream do not say how long it is. The source's
/// position is left anywhere.
pub(crate) fn is_cut_off<R: Read + Seek + ?Sized>(source: &mut R, total: u64) -> io::Result<bool> {
    source.rewind()?;
    let (name, _) = number(source, true)?;
    let (length, _) = number(source, false)?;
    if name != EBML {
        return Ok(false);
    }
    let start = source.stream_position()?.saturating_add(length);
    source.seek(SeekFrom::Start(start))?;
    let (name, _) = number(source, true)?;
    let (length, is_known) = number(source, false)?;
    Ok(name == SEGMENT && is_known && source.stream_position()?.saturating_add(length) > total)
}

/// A source that is read forward only.
pub(crate) struct Forward(pub Box<dyn MediaSource>);

impl Read for Forward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Forward {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl MediaSource for Forward {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

/// A number of 1 to 8 bytes, whose first set bit says how many; with that bit where it is a name. Second, whether it is one: all
/// ones say that a length is not known.
fn number<R: Read + ?Sized>(source: &mut R, is_name: bool) -> io::Result<(u64, bool)> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes[..1])?;
    let length = bytes[0].leading_zeros() as usize + 1;
    if length > 8 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    source.read_exact(&mut bytes[1..length])?;
    let value = bytes[..length].iter().fold(0, |n, &b| n << 8 | u64::from(b));
    let mask = (1 << (7 * length)) - 1;
    Ok((if is_name { value } else { value & mask }, value & mask != mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn segments_and_their_lengths() {
        let file = |size: &[u8], rest: usize| {
            let mut file = b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67".to_vec();
            file.extend(size);
            file.extend(vec![0; rest]);
            file
        };
        let long = [0x01, 0, 0, 0, 0, 0, 0, 100];
        let unknown = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for (size, rest, want) in
            [(&long[..], 100, false), (&long, 99, true), (&unknown, 5, false), (&[0xff], 5, false), (&[0x8a], 9, true)]
        {
            let file = file(size, rest);
            let total = file.len() as u64;
            assert_eq!(is_cut_off(&mut Cursor::new(file), total).unwrap(), want, "{size:?} {rest}");
        }
        assert!(is_cut_off(&mut Cursor::new(b"\0\0"), 2).is_err());
    }
}
