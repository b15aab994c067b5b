//! WAV headers as telephone systems write them, put right before symphonia sees them.
//!
//! Recorders that stream, or that were stopped, leave lengths of 0 or of all ones; some write G.711 formats of 16 bytes or
//! PCM formats with bytes to spare; long recordings are RF64 (EBU Tech 3306) or Sony's Wave64. Symphonia refuses these, or
//! reads them to a wrong end. So the header is read here, and a plain one stands in for it: format, data, and as many bytes
//! as there are.

use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// Lengths from here on are what streaming writers put for "not known" (ffmpeg: all ones; sox: a little under 2 GiB).
const UNKNOWN: u64 = 0x7fff_f000;
/// The same in the 64 bits of Wave64.
const UNKNOWN_64: u64 = 1 << 62;
/// Bytes of a format chunk that can mean anything.
const MAX_FORMAT: u64 = 4096;
/// Chunks looked at before a file is taken to have no sound.
const MAX_CHUNKS: usize = 10_000;
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;
/// What follows `riff` in Wave64's first identifier, and what follows the other names in theirs.
const W64_RIFF: [u8; 12] = *b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
const W64_TAIL: [u8; 12] = *b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";

/// A source with its WAV header put right.
pub(crate) struct Repaired {
    pub source: Box<dyn MediaSource>,
    /// How much more than it has its header promises, as a factor.
    pub missing: f64,
    /// `wav`, `rf64` or `w64`; none where the source is something else and comes back as it is.
    pub container: Option<&'static str>,
    /// The codec, where its tag is one that symphonia does not know.
    pub codec: Option<&'static str>,
}

pub(crate) fn repaired(mut source: Box<dyn MediaSource>) -> io::Result<Repaired> {
    let as_it_is = |source| Ok(Repaired { source, missing: 1.0, container: None, codec: None });
    let Some(total) = source.byte_len().filter(|_| source.is_seekable()) else {
        return as_it_is(source);
    };
    let header = match parse(&mut *source, total) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => None,
        header => header?,
    };
    source.rewind()?;
    let Some(Header { container, format, start, promised }) = header else {
        return as_it_is(source);
    };
    let codec = unread_codec(&format);
    let length = promised.min(total - start);
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    head.extend((format.len() as u32).to_le_bytes());
    head.extend(format);
    head.extend(b"data");
    head.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    let missing = if length == 0 { 1.0 } else { promised as f64 / length as f64 };
    let source = Box::new(Spliced { head, source, start, length, position: 0 });
    Ok(Repaired { source, missing, container: Some(container), codec })
}

struct Header {
    container: &'static str,
    /// The format chunk, put right.
    format: Vec<u8>,
    /// Where the samples start.
    start: u64,
    /// Bytes of samples that the header promises; what is there where it does not know.
    promised: u64,
}

fn parse(source: &mut dyn MediaSource, total: u64) -> io::Result<Option<Header>> {
    let [form, riff_length, kind] = words(source)?;
    let container = match &form {
        b"RIFF" => "wav",
        b"RF64" | b"BW64" => "rf64",
        b"riff" if [riff_length, kind].concat() == W64_RIFF[..8] => return parse_w64(source, total),
        _ => return Ok(None),
    };
    if &kind != b"WAVE" {
        return Ok(None);
    }
    let riff_end = 8 + u64::from(u32::from_le_bytes(riff_length));
    let (mut position, mut format, mut long) = (12, None, None);
    for _ in 0..MAX_CHUNKS {
        if position + 8 > total {
            break;
        }
        source.seek(SeekFrom::Start(position))?;
        let [name, length] = words(source)?;
        let length = u64::from(u32::from_le_bytes(length));
        let start = position + 8;
        match &name {
            b"fmt " if (16..=MAX_FORMAT).contains(&length) => format = Some(read_format(source, length)?),
            b"ds64" => {
                let [_, _, low, high] = words(source)?;
                long = Some(u64::from(u32::from_le_bytes(high)) << 32 | u64::from(u32::from_le_bytes(low)));
            }
            b"data" => {
                let there = total - start;
                let (promised, unknown) = match long {
                    Some(long) if length == u64::from(u32::MAX) => (long, long == 0 || long >= UNKNOWN_64),
                    // A length of 0 is a placeholder where the header says that nothing follows, and something does.
                    _ => (length, length >= UNKNOWN && length > there || length == 0 && riff_end <= start),
                };
                let promised = if unknown { there } else { promised };
                return Ok(format.map(|format| Header { container, format, start, promised }));
            }
            _ => {}
        }
        position = start + length + length % 2;
    }
    Ok(None)
}

/// Wave64: names of 16 bytes, lengths of 64 bits that count the chunk's header, chunks at multiples of 8.
fn parse_w64(source: &mut dyn MediaSource, total: u64) -> io::Result<Option<Header>> {
    let (mut position, mut format) = (40, None);
    for _ in 0..MAX_CHUNKS {
        if position + 24 > total {
            break;
        }
        source.seek(SeekFrom::Start(position))?;
        let [name, a, b, c, low, high] = words(source)?;
        let length = u64::from(u32::from_le_bytes(high)) << 32 | u64::from(u32::from_le_bytes(low));
        let (start, body) = (position + 24, length.saturating_sub(24));
        match &name {
            _ if [a, b, c].concat() != W64_TAIL => {}
            b"fmt " if (16..=MAX_FORMAT).contains(&body) => format = Some(read_format(source, body)?),
            b"data" => {
                // A recorder that was stopped leaves the length of nothing, or of all that there could be.
                let there = total - start;
                let promised = if body == 0 || body >= UNKNOWN_64 { there } else { body };
                return Ok(format.map(|format| Header { container: "w64", format, start, promised }));
            }
            _ => {}
        }
        // Aligned, and always forward.
        position = position.saturating_add(length.max(24)).saturating_add(7) & !7;
        if position >= total {
            break;
        }
    }
    Ok(None)
}

fn read_format(source: &mut dyn MediaSource, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    source.read_exact(&mut bytes)?;
    Ok(plain_format(bytes))
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
