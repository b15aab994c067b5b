//! The header of a file put right before symphonia sees it.
//!
//! Symphonia takes a header at its word, and refuses a file for what says nothing about its sound: a tag, a picture, a cue
//! sheet, a length that was never written. So headers of the containers whose sound lies in one stretch are read here, and a
//! plain one stands in for each; what stands before a file is passed over. What needs no help comes back as it is.

use crate::{
    aiff, caf,
    container::{Container, LOOKED_AT, container_of},
    flac,
    pieces::{Piece, Shared, Spliced, bytes_at},
    quick_time, sync, tags, wave,
};
use std::io::{self, Seek as _};
use symphonia::{
    core::{
        errors::Error,
        formats::{FormatOptions, FormatReader, probe::Hint},
        io::{MediaSource, MediaSourceStream},
        meta::MetadataOptions,
    },
    default::formats::IsoMp4Reader,
};

/// Files put together with `cat` that are read as one.
const MAX_JOINED: usize = 10_000;
/// Bytes before a file that are searched for its beginning.
const MAX_BEFORE: u64 = 1 << 24;
/// Bytes of one read of the search, and how many of them are read again with the next: several of the longest frames.
const BLOCK: usize = 1 << 18;
const OVERLAP: usize = 1 << 13;

/// What a header says of the sound behind it, and where that lies.
pub(crate) struct Header {
    /// As `calls.container` spells it.
    pub container: &'static str,
    /// The codec, where its tag is one that symphonia does not know.
    pub codec: Option<&'static str>,
    /// What the header says of the format; two files with equal ones can be read as one.
    pub format: Vec<u8>,
    /// A plain header of that format before so many bytes of sound.
    pub compose: fn(&[u8], u64) -> Vec<u8>,
    /// Where the sound lies.
    pub pieces: Vec<Piece>,
    /// Bytes of one frame or block of it.
    pub block: u64,
    /// Bytes of sound that the header promises; what is there where it does not know.
    pub promised: u64,
    /// Whether it promises fewer than there are.
    pub untrue: bool,
    pub channels: usize,
    /// Where another file of the same container begins.
    pub next: Option<u64>,
}

/// A source whose header is right.
#[allow(clippy::struct_excessive_bools)] // each is another answer
pub(crate) struct Repaired {
    pub source: Box<dyn MediaSource>,
    /// How much more than it has its header promises, as a factor.
    pub missing: f64,
    /// Whether its header promises less than it has.
    pub untrue: bool,
    /// Such as `wav`, `rf64` or `w64`; none where symphonia is to say.
    pub container: Option<&'static str>,
    /// The codec, where its tag is one that symphonia does not know.
    pub codec: Option<&'static str>,
    /// Channels of the widest of the files that it is made of; 0 where symphonia is to say.
    pub channels: usize,
    /// What follows in the same file and is of another format: a file again.
    pub following: Option<Box<dyn MediaSource>>,
    /// Whether its header is one that is known, and nothing is behind it.
    pub is_empty: bool,
    /// Whether nothing in it looks like sound.
    pub is_unknown: bool,
    /// Whether it is MP4 whose first atom is not the one that symphonia looks for.
    is_quick_time: bool,
}

impl Repaired {
    fn new(source: Box<dyn MediaSource>) -> Self {
        Self {
            source,
            missing: 1.0,
            untrue: false,
            container: None,
            codec: None,
            channels: 0,
            following: None,
            is_empty: false,
            is_unknown: false,
            is_quick_time: false,
        }
    }

    /// Symphonia's reader of the source.
    pub fn reader(
        &self,
        stream: MediaSourceStream<'static>,
        metadata: MetadataOptions,
    ) -> Result<Box<dyn FormatReader>, Error> {
        if self.is_quick_time {
            return Ok(Box::new(IsoMp4Reader::try_new(stream, FormatOptions::default())?));
        }
        symphonia::default::get_probe().probe(&Hint::new(), stream, FormatOptions::default(), metadata)
    }
}

/// The container of a file, and where it begins: behind tags, and behind what stands before its signature.
pub(crate) fn look(source: &mut dyn MediaSource, total: u64) -> io::Result<(u64, Option<Container>)> {
    let base = tags::end(source, total)?;
    let container = container_of(&bytes_at(source, base, LOOKED_AT)?);
    if container.is_some() {
        return Ok((base, container));
    }
    // Frames of MPEG have no signature; of what has one, whatever was put before it is passed over.
    let (mut position, end) = (base, total.min(base + MAX_BEFORE));
    while position < end {
        let block = bytes_at(source, position, BLOCK)?;
        let more = position + (block.len() as u64) < total;
        let frames = sync::find(&block, more);
        let signature = (position == base).then(|| signature(&block)).flatten();
        match (frames, signature) {
            (Some(frames), Some((at, container))) if at < frames => return Ok((position + at as u64, Some(container))),
            (Some(frames), _) => return Ok((position + frames as u64, Some(sync::CONTAINER))),
            (None, Some((at, container))) => return Ok((position + at as u64, Some(container))),
            (None, None) => position += block.len().saturating_sub(OVERLAP).max(1) as u64,
        }
    }
    Ok((base, None))
}

/// The first unmistakable signature in these bytes.
fn signature(bytes: &[u8]) -> Option<(usize, Container)> {
    let form = |at: usize, form: &[u8], kinds: &[&[u8]]| {
        bytes[at..].starts_with(form)
            && bytes.get(at + 8..).is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)))
    };
    let at = (1..bytes.len().saturating_sub(12)).find(|&at| match bytes[at] {
        b'R' => form(at, b"RIFF", &[b"WAVE", b"AVI "]) || form(at, b"RF64", &[b"WAVE"]),
        b'F' => form(at, b"FORM", &[b"AIFF", b"AIFC"]),
        b'O' => bytes[at..].starts_with(b"OggS\0\x02"),
        b'f' => bytes[at..].starts_with(b"fLaC\0\0\0\x22"),
        b'c' => bytes[at..].starts_with(b"caff\0\x01\0\0"),
        0x1a => bytes[at..].starts_with(b"\x1a\x45\xdf\xa3") && bytes[at..].len() > 40,
        0 => bytes[at + 1..].starts_with(b"\0\0") && bytes[at + 4..].starts_with(b"ftyp"),
        _ => false,
    })?;
    Some((at, container_of(&bytes[at..bytes.len().min(at + LOOKED_AT)])?))
}

/// Puts a source's header right, if it needs that.
pub(crate) fn repaired(mut source: Box<dyn MediaSource>) -> io::Result<Repaired> {
    let Some(total) = source.byte_len().filter(|_| source.is_seekable()) else {
        return Ok(Repaired::new(source));
    };
    let (base, container) = look(&mut *source, total)?;
    let parse = match container.map(|container| container.name) {
        Some("wav" | "w64") => wave::parse,
        Some("aiff") => aiff::parse,
        Some("caf") => caf::parse,
        Some("au") => caf::parse_au,
        name => {
            let pieces = match name {
                Some("flac") => flac::pieces(&mut *source, base, total)?,
                Some("mp4") => quick_time::pieces(&mut *source, base, total)?,
                _ => None,
            };
            return other(source, base, total, container, pieces);
        }
    };
    let Some(first) = parse(&mut *source, base, total)? else {
        return other(source, base, total, container, None);
    };
    let (mut pieces, mut promised, mut untrue, mut channels) =
        (first.pieces, first.promised, first.untrue, first.channels);
    // Where the next file begins, and where the first of another format did.
    let (mut next, mut following) = (first.next, None);
    for _ in 0..MAX_JOINED {
        let Some(at) = next else { break };
        let Some(part) = parse(&mut *source, at, total)? else { break };
        channels = channels.max(part.channels);
        next = part.next;
        if following.is_none() && part.format == first.format {
            trim(&mut pieces, first.block);
            pieces.extend(part.pieces);
            (promised, untrue) = (promised + part.promised, untrue || part.untrue);
        } else {
            following.get_or_insert(at);
        }
    }
    let shared = Shared::new(source);
    let length = length(&pieces);
    pieces.insert(0, Piece::Bytes((first.compose)(&first.format, length)));
    let mut repaired = Repaired::new(Box::new(Spliced::new(&shared, pieces)));
    repaired.missing = if length == 0 { 1.0 } else { (promised as f64 / length as f64).max(1.0) };
    (repaired.untrue, repaired.container, repaired.codec) = (untrue, Some(first.container), first.codec);
    (repaired.channels, repaired.is_empty) = (channels, length == 0 && following.is_none());
    repaired.following =
        following.map(|at| Box::new(Spliced::new(&shared, [Piece::Stretch(at, total - at)])) as Box<dyn MediaSource>);
    Ok(repaired)
}

/// A source that is not put together anew, but perhaps begins later.
fn other(
    mut source: Box<dyn MediaSource>,
    base: u64,
    total: u64,
    container: Option<Container>,
    pieces: Option<Vec<Piece>>,
) -> io::Result<Repaired> {
    // The probe looks for `ftyp` near the start.
    let is_quick_time = pieces.is_some() && container.is_some_and(|container| container.name == "mp4");
    let mut repaired = match pieces {
        Some(pieces) => Repaired::new(Box::new(Spliced::new(&Shared::new(source), pieces))),
        None if base > 0 => {
            Repaired::new(Box::new(Spliced::new(&Shared::new(source), [Piece::Stretch(base, total - base)])))
        }
        None => {
            source.rewind()?;
            Repaired::new(source)
        }
    };
    (repaired.is_unknown, repaired.is_quick_time) = (container.is_none(), is_quick_time);
    Ok(repaired)
}

fn length(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::length).sum()
}

/// Leaves out the part of a frame at the end, so that what follows begins with a frame.
fn trim(pieces: &mut [Piece], block: u64) {
    let over = length(pieces) % block.max(1);
    if let Some(Piece::Stretch(_, length)) = pieces.last_mut() {
        *length = length.saturating_sub(over);
    }
}
