//! MP4 files that end within their sound.
//!
//! Symphonia takes an atom that is longer than the file for none, and so gives nothing of a file whose index comes first and
//! whose sound was cut off. Such a file is made to look as long as it says.

use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// Atoms looked at before a file is taken to be whole.
const MAX_ATOMS: usize = 10_000;

/// The source, as long as its last atom says. Its position is left anywhere.
pub(crate) fn as_long_as_told(mut source: Box<dyn MediaSource>, total: u64) -> Box<dyn MediaSource> {
    match told(&mut *source, total) {
        Ok(Some(length)) => Box::new(Told { source, length }),
        _ => source,
    }
}

/// Where the sound's atom ends, if that is behind the end of the file.
fn told(source: &mut dyn MediaSource, total: u64) -> io::Result<Option<u64>> {
    let mut position = 0;
    for _ in 0..MAX_ATOMS {
        if position + 16 > total {
            break;
        }
        source.seek(SeekFrom::Start(position))?;
        let mut header = [0; 16];
        source.read_exact(&mut header)?;
        let short = header[..4].iter().fold(0, |n, &b| n << 8 | u64::from(b));
        let length = match short {
            // To the end of the file.
            0 => break,
            1 => header[8..].iter().fold(0, |n, &b| n << 8 | u64::from(b)),
            short => short,
        };
        let next = position.saturating_add(length.max(8));
        if next > total {
            return Ok((&header[4..8] == b"mdat").then_some(next));
        }
        position = next;
    }
    Ok(None)
}

/// A source that says it is longer than it is.
struct Told {
    source: Box<dyn MediaSource>,
    length: u64,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}

impl Seek for Told {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::End(offset) => {
                let target = self.length.checked_add_signed(offset);
                self.source.seek(SeekFrom::Start(target.ok_or(io::ErrorKind::InvalidInput)?))
            }
            other => self.source.seek(other),
        }
    }
}

impl MediaSource for Told {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn an_atom_that_is_cut_off() {
        let file = |length: u32| {
            let mut file = b"\0\0\0\x10ftypM4A \0\0\0\0".to_vec();
            file.extend(length.to_be_bytes());
            file.extend(b"mdat");
            file.extend([1; 100]);
            file
        };
        for (length, want) in [(108, 124), (80, 124), (500, 516), (0, 124)] {
            let file = file(length);
            let mut source = as_long_as_told(Box::new(Cursor::new(file.clone())), file.len() as u64);
            assert_eq!(source.byte_len(), Some(want), "{length}");
            assert_eq!(source.seek(SeekFrom::End(0)).unwrap(), want);
            source.rewind().unwrap();
            let mut read = Vec::new();
            source.read_to_end(&mut read).unwrap();
            assert_eq!(read, file);
        }
    }
}
