//! WAV headers as telephone systems write them, put right before symphonia sees them.
//!
//! Recorders that stream, or that were stopped, leave lengths of 0 or of all ones; some write G.711 formats of 16 bytes or
//! PCM formats with bytes to spare; long recordings are RF64 (EBU Tech 3306). Symphonia refuses these, or reads them to a
//! wrong end. So the header is read here, and a plain one stands in for it: format, data, and as many bytes as there are.

use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// Lengths from here on are what streaming writers put for "not known" (ffmpeg: all ones; sox: a little under 2 GiB).
const UNKNOWN: u64 = 0x7fff_f000;
/// Bytes of a format chunk that can mean anything.
const MAX_FORMAT: u64 = 4096;
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// A source with its WAV header put right, and how much more than it has its header promises, as a factor. Other sources
/// come back as they are, with 1.
pub(crate) fn repaired(mut source: Box<dyn MediaSource>) -> io::Result<(Box<dyn MediaSource>, f64)> {
    let Some(total) = source.byte_len().filter(|_| source.is_seekable()) else {
        return Ok((source, 1.0));
    };
    let header = match parse(&mut *source, total) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => None,
        header => header?,
    };
    source.rewind()?;
    let Some(Header { format, start, promised }) = header else {
        return Ok((source, 1.0));
    };
    let length = promised.min(total - start);
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    head.extend((format.len() as u32).to_le_bytes());
    head.extend(format);
    head.extend(b"data");
    head.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    let missing = if length == 0 { 1.0 } else { promised as f64 / length as f64 };
    Ok((Box::new(Spliced { head, source, start, length, position: 0 }), missing))
}

struct Header {
    /// The format chunk, put right.
    format: Vec<u8>,
    /// Where the samples start.
    start: u64,
    /// Bytes of samples that the header promises; what is there where it does not know.
    promised: u64,
}

fn parse(source: &mut dyn MediaSource, total: u64) -> io::Result<Option<Header>> {
    let [form, riff_length, kind] = words(source)?;
    if !matches!(&form, b"RIFF" | b"RF64" | b"BW64") || &kind != b"WAVE" {
        return Ok(None);
    }
    let riff_end = 8 + u64::from(u32::from_le_bytes(riff_length));
    let (mut position, mut format, mut long) = (12, None, None);
    while position + 8 <= total {
        source.seek(SeekFrom::Start(position))?;
        let [name, length] = words(source)?;
        let length = u64::from(u32::from_le_bytes(length));
        let start = position + 8;
        match &name {
            b"fmt " if (16..=MAX_FORMAT).contains(&length) => {
                let mut bytes = vec![0; length as usize];
                source.read_exact(&mut bytes)?;
                format = Some(plain_format(bytes));
            }
            b"ds64" => {
                let [_, _, low, high] = words(source)?;
                long = Some(u64::from(u32::from_le_bytes(high)) << 32 | u64::from(u32::from_le_bytes(low)));
            }
            b"data" => {
                let there = total - start;
                let promised = match long {
                    Some(long) if length == u64::from(u32::MAX) => long,
                    _ => length,
                };
                // A length of 0 is a placeholder where the header says that nothing follows, and something does.
                let unknown = promised >= UNKNOWN && promised > there || promised == 0 && riff_end <= start;
                let promised = if unknown { there } else { promised };
                return Ok(format.map(|format| Header { format, start, promised }));
            }
            _ => {}
        }
        position = start + length + length % 2;
    }
    Ok(None)
}

fn words<const N: usize>(source: &mut dyn MediaSource) -> io::Result<[[u8; 4]; N]> {
    let mut words = [[0; 4]; N];
    for word in &mut words {
        source.read_exact(word)?;
    }
    Ok(words)
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
        EXTENSIBLE => bytes.truncate(40),
        _ => {}
    }
    bytes
}

/// A head of our own before a stretch of a source.
struct Spliced {
    head: Vec<u8>,
    source: Box<dyn MediaSource>,
    start: u64,
    length: u64,
    position: u64,
}

impl Read for Spliced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = self.head.len() as u64;
        let read = if self.position < head {
            (&self.head[self.position as usize..]).read(buffer)?
        } else {
            let within = self.position - head;
            self.source.seek(SeekFrom::Start(self.start + within))?;
            let left = self.length.saturating_sub(within).min(buffer.len() as u64);
            self.source.read(&mut buffer[..left as usize])?
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Spliced {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.head.len() as u64 + self.length;
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
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
        Some(self.head.len() as u64 + self.length)
    }
}
