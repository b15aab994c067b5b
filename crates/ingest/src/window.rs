//! A source that is read forward through a buffer which can be looked into.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use symphonia::core::io::MediaSource;

/// Bytes that are asked for at once.
const CHUNK: usize = 1 << 16;
/// What is to be skipped beyond this is not read but sought over: pictures in tags, not what stands between two packets.
const SEEK_FROM: u64 = 1 << 18;

/// A source and the bytes that lie ahead in it.
pub(crate) struct Window {
    source: Box<dyn MediaSource>,
    buffer: Vec<u8>,
    /// Where in the buffer the next byte is.
    at: usize,
    /// Where in the source the next byte is.
    position: u64,
    ended: bool,
    trouble: Option<String>,
}

impl Window {
    pub fn new(source: Box<dyn MediaSource>) -> Self {
        Self { source, buffer: Vec::new(), at: 0, position: 0, ended: false, trouble: None }
    }

    /// The next bytes: at least `count` of them but at the source's end.
    pub fn peek(&mut self, count: usize) -> &[u8] {
        if self.buffer.len() - self.at < count && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.fill(count.max(CHUNK));
        }
        &self.buffer[self.at..]
    }

    /// Reads until the buffer has that many bytes. A source that cannot be read on ends there.
    fn fill(&mut self, count: usize) {
        let mut length = self.buffer.len();
        self.buffer.resize(count, 0);
        while length < count {
            match self.source.read(&mut self.buffer[length..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => length += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.trouble = Some(e.to_string());
                    self.ended = true;
                    break;
                }
            }
        }
        self.buffer.truncate(length);
    }

    /// Whether the source ends with the bytes that were peeked at last.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Passes over that many bytes.
    pub fn skip(&mut self, count: u64) {
        let held = (self.buffer.len() - self.at) as u64;
        self.position += count;
        if count <= held {
            self.at += count as usize;
            return;
        }
        let mut left = count - held;
        self.buffer.clear();
        self.at = 0;
        if left >= SEEK_FROM && !self.ended && self.source.seek(SeekFrom::Start(self.position)).is_ok() {
            return;
        }
        while left > 0 && !self.ended {
            self.fill(CHUNK);
            let step = left.min(self.buffer.len() as u64);
            self.buffer.drain(..step as usize);
            left -= step;
        }
    }

    /// Where in the source the next byte is.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Length of the source, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.source.byte_len()
    }

    /// Goes to a place in the source.
    pub fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(position))?;
        self.buffer.clear();
        (self.at, self.position, self.ended, self.trouble) = (0, position, false, None);
        Ok(())
    }

    /// What the source said when it could not be read on.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The source at its start.
    pub fn into_source(mut self) -> io::Result<Box<dyn MediaSource>> {
        self.source.rewind()?;
        Ok(self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn bytes_are_those_of_the_source() {
        let bytes: Vec<u8> = (0..700_000u32).map(|i| (i % 251) as u8).collect();
        let mut window = Window::new(Box::new(Cursor::new(bytes.clone())));
        let mut at = 0;
        for (look, step) in [(10, 3), (100_000, 70_000), (5, 300_000), (70_000, 60_000), (1, 1)] {
            let peeked = window.peek(look);
            assert!(peeked.len() >= look);
            assert_eq!(peeked, &bytes[at..at + peeked.len()]);
            window.skip(step);
            at += step as usize;
            assert_eq!(window.position(), at as u64);
        }
        assert_eq!(window.peek(1_000_000), &bytes[at..]);
        assert!(window.ended());
        window.skip(10_000_000);
        assert!(window.peek(1).is_empty());
        window.go_to(5).unwrap();
        assert_eq!(window.peek(3)[..3], bytes[5..8]);
    }
}
