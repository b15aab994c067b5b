//! A file put together from stretches of another and bytes of our own: a header that is right before sound that is there.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use symphonia::core::io::MediaSource;

/// A source that several readers share; each has a position of its own and seeks before it reads.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Box<dyn MediaSource>>>);

impl Shared {
    pub fn new(source: Box<dyn MediaSource>) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }

    /// The source, while nobody else reads it. Its position is anywhere.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn MediaSource>> {
        // A reader that panicked left nothing behind but a position.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the file that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of the source, from and how many.
    Stretch(u64, u64),
}

impl Piece {
    /// Bytes of it.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stretch(_, length) => *length,
        }
    }
}

/// Pieces, one after the other, as one source.
pub(crate) struct Spliced {
    source: Shared,
    /// Each with the place where it begins; none is empty.
    pieces: Vec<(u64, Piece)>,
    length: u64,
    position: u64,
}

impl Spliced {
    pub fn new(source: &Shared, parts: impl IntoIterator<Item = Piece>) -> Self {
        let (mut pieces, mut length) = (Vec::new(), 0);
        for piece in parts.into_iter().filter(|piece| piece.length() > 0) {
            let next = length + piece.length();
            pieces.push((length, piece));
            length = next;
        }
        Self { source: source.clone(), pieces, length, position: 0 }
    }
}

impl Read for Spliced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let after = self.pieces.partition_point(|(start, _)| *start <= self.position);
        let Some((start, piece)) = after.checked_sub(1).map(|at| &self.pieces[at]) else { return Ok(0) };
        let within = self.position - start;
        let left = piece.length().saturating_sub(within).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..left];
        let read = match piece {
            _ if left == 0 => 0,
            Piece::Bytes(bytes) => (&bytes[within as usize..]).read(buffer)?,
            Piece::Stretch(from, _) => {
                let mut source = self.source.lock();
                source.seek(SeekFrom::Start(from + within))?;
                source.read(buffer)?
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Spliced {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl MediaSource for Spliced {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

/// Up to `count` bytes from `position` on; fewer at the end.
pub(crate) fn bytes_at(source: &mut dyn MediaSource, position: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.seek(SeekFrom::Start(position))?;
    source.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn pieces_are_one_file() {
        let source = Shared::new(Box::new(Cursor::new(b"0123456789".to_vec())));
        let pieces = [
            Piece::Bytes(b"ab".to_vec()),
            Piece::Stretch(7, 3),
            Piece::Stretch(3, 0),
            Piece::Stretch(1, 2),
            Piece::Stretch(9, 5),
        ];
        let mut spliced = Spliced::new(&source, pieces);
        let mut all = String::new();
        spliced.read_to_string(&mut all).unwrap();
        // The last stretch reaches beyond the end of the source.
        assert_eq!((all.as_str(), spliced.byte_len()), ("ab789129", Some(12)));
        for at in 0..8 {
            spliced.seek(SeekFrom::Start(at)).unwrap();
            let mut rest = String::new();
            spliced.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, all[at as usize..], "{at}");
        }
        assert_eq!(spliced.seek(SeekFrom::End(-12)).unwrap(), 0);
        spliced.seek(SeekFrom::Start(1 << 40)).unwrap();
        assert_eq!(spliced.read(&mut [0; 4]).unwrap(), 0);
    }
}
