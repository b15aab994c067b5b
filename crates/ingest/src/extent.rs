//! How many bytes of sound a file holds, whatever its header says.
//!
//! A recorder that is stopped leaves the length that it last wrote, or none; one that was cut off promises more than there is;
//! beyond 4 GiB a length of 32 bits starts anew. What follows the promised end decides: another part of the file (a chunk, a
//! tag, a second file), nothing, more sound, or rubbish.

use crate::{pieces::bytes_at, sniff::is_text};
use std::io;
use symphonia::core::io::MediaSource;

/// Fewer bytes than this behind the promised end are no sound that was forgotten.
const MIN_FORGOTTEN: u64 = 256;
/// Sound is looked for in so many windows of so many bytes, spread over what follows.
const WINDOWS: u64 = 64;
const WINDOW: usize = 4096;
/// Samples of sound resemble their neighbours by at least this much; those of other data do not. Speech at 8 kHz has 0.7 to
/// 0.9, text and compressed data about 0.
const LEAST_RESEMBLANCE: f64 = 0.3;
/// Bytes that are searched for the beginning of another file.
const MAX_SEARCHED: u64 = 1 << 30;
/// Bytes at the end in which notes are looked for.
const MAX_NOTES: u64 = 1 << 16;
/// Bytes of one read of the search.
const BLOCK: usize = 1 << 16;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Whole numbers of so many bytes.
    Int {
        bytes: usize,
        big: bool,
        signed: bool,
    },
    Float {
        bytes: usize,
        big: bool,
    },
    MuLaw,
    ALaw,
    /// Blocks that cannot be looked into.
    Blocks,
}

/// How the sound of a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub coding: Coding,
    pub channels: usize,
    /// Bytes of a sample of every channel, or of a block.
    pub block: u64,
}

/// Where the sound of a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes that are there.
    pub length: u64,
    /// Bytes that the header promises; those that are there where it does not know.
    pub promised: u64,
    /// Whether the header says fewer than there are.
    pub untrue: bool,
}

/// Finds the beginning of another file between two places.
type NextFile<'a> = &'a dyn Fn(&mut dyn MediaSource, u64, u64) -> io::Result<Option<u64>>;

/// Where the sound that begins at `start` ends. `promised` is none where the header does not know; `is_part` tells whether
/// something else of the file begins at a place, or the file ends there; `next_file` finds the beginning of another file
/// between two places.
pub(crate) fn extent(
    source: &mut dyn MediaSource,
    layout: Option<Layout>,
    start: u64,
    promised: Option<u64>,
    total: u64,
    is_part: &dyn Fn(&mut dyn MediaSource, u64) -> io::Result<bool>,
    next_file: NextFile,
) -> io::Result<Extent> {
    let there = total - start;
    let up_to_next = |source: &mut dyn MediaSource, from: u64| {
        Ok::<u64, io::Error>(next_file(source, from, total)?.unwrap_or(total) - start)
    };
    let Some(promised) = promised else {
        let length = up_to_next(source, start)?;
        return Ok(Extent { length, promised: length, untrue: false });
    };
    if promised > there {
        let length = up_to_next(source, start)?;
        return Ok(Extent { length, promised, untrue: false });
    }
    let as_promised = Extent { length: promised, promised, untrue: false };
    if is_part(source, start + promised)? {
        return Ok(as_promised);
    }
    // A length of 32 bits has started anew at 4 GiB.
    for wraps in (1..=(there - promised) >> 32).rev() {
        let length = promised + (wraps << 32);
        if is_part(source, start + length)? {
            return Ok(Extent { length, promised: length, untrue: true });
        }
    }
    let Some(layout) = layout else { return Ok(as_promised) };
    let from = start + promised.next_multiple_of(layout.block.max(1));
    if total.saturating_sub(from) >= MIN_FORGOTTEN && continues(source, layout, from, total)? {
        let length = up_to_next(source, from)?;
        return Ok(Extent { length, promised: length, untrue: true });
    }
    Ok(as_promised)
}

/// Whether what lies between two places is sound of this layout.
fn continues(source: &mut dyn MediaSource, layout: Layout, from: u64, to: u64) -> io::Result<bool> {
    if is_text(&bytes_at(source, from, WINDOW.min((to - from) as usize))?) {
        return Ok(false);
    }
    let Some(size) = layout.coding.sample_bytes() else { return Ok(to - from >= 4 * layout.block) };
    let (mut alike, mut energy) = (0.0, 0.0);
    let step = ((to - from) / WINDOWS).max(WINDOW as u64).next_multiple_of(layout.block.max(1));
    for window in (from..to).step_by(step as usize) {
        let bytes = bytes_at(source, window, WINDOW.min((to - window) as usize))?;
        let samples: Vec<f64> = bytes.chunks_exact(size).map(|sample| layout.coding.value(sample)).collect();
        for channel in 0..layout.channels {
            let mut samples: Vec<f64> = samples.iter().skip(channel).step_by(layout.channels).copied().collect();
            let mean = samples.iter().sum::<f64>() / samples.len().max(1) as f64;
            for sample in &mut samples {
                *sample -= mean;
            }
            energy += samples.iter().map(|sample| sample * sample).sum::<f64>();
            alike += samples.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        }
    }
    Ok(energy > 0.0 && alike >= LEAST_RESEMBLANCE * energy)
}

impl Coding {
    /// Bytes of one sample; none of blocks.
    pub fn sample_bytes(self) -> Option<usize> {
        match self {
            Self::Int { bytes, .. } | Self::Float { bytes, .. } => Some(bytes),
            Self::MuLaw | Self::ALaw => Some(1),
            Self::Blocks => None,
        }
    }

    /// What the bytes of one sample say, in whatever unit.
    fn value(self, sample: &[u8]) -> f64 {
        // The most significant byte first.
        let byte = |at: usize, big: bool| if big { sample[at] } else { sample[sample.len() - 1 - at] };
        match self {
            Self::Int { bytes, big, signed } => {
                let high = if signed { f64::from(byte(0, big).cast_signed()) } else { f64::from(byte(0, big)) };
                let low = if bytes > 1 { f64::from(byte(1, big)) } else { 0.0 };
                high * 256.0 + low
            }
            Self::Float { bytes, big } => {
                let mut ordered = [0; 8];
                (0..bytes.min(8)).for_each(|at| ordered[at] = byte(at, big));
                let value = match bytes {
                    4 => f64::from(f32::from_be_bytes([ordered[0], ordered[1], ordered[2], ordered[3]])),
                    _ => f64::from_be_bytes(ordered),
                };
                // Other data read as floating point is mostly far outside.
                if value.is_finite() { value.clamp(-8.0, 8.0) } else { 8.0 }
            }
            // Both: a sign, a segment, four bits within it.
            Self::MuLaw => g711(!sample[0], 33.0, 0.0),
            Self::ALaw => g711(sample[0] ^ 0x55, 16.0, 1.0),
            Self::Blocks => 0.0,
        }
    }
}

/// G.711 in coarse strokes: enough to tell sound from other data.
fn g711(code: u8, offset: f64, sign: f64) -> f64 {
    let magnitude = (offset + f64::from(code & 15) * 2.0) * f64::from(1u32 << (code >> 4 & 7)) - offset;
    // Mu-law has its sign bit set where A-law has it cleared.
    if (f64::from(code >> 7) - sign).abs() < 0.5 { magnitude } else { -magnitude }
}

/// Where, between two places, a file begins whose first bytes are `form`, four of a length, and one of `kinds`.
pub(crate) fn find_file(
    source: &mut dyn MediaSource,
    from: u64,
    to: u64,
    form: [u8; 4],
    kinds: &[[u8; 4]],
) -> io::Result<Option<u64>> {
    const HEAD: usize = 12;
    let to = to.min(from.saturating_add(MAX_SEARCHED));
    let mut position = from;
    while position + HEAD as u64 <= to {
        let block = bytes_at(source, position, BLOCK.min((to - position) as usize))?;
        if block.len() < HEAD {
            break;
        }
        let mut at = 0;
        while let Some(next) = block[at..=block.len() - HEAD].iter().position(|&byte| byte == form[0]) {
            at += next;
            if block[at..].starts_with(&form) && kinds.iter().any(|kind| block[at + 8..].starts_with(kind)) {
                return Ok(Some(position + at as u64));
            }
            at += 1;
        }
        position += (block.len() - HEAD + 1) as u64;
    }
    Ok(None)
}

/// Where, in what lies between two places, chunks begin that reach to its end: some writers put notes behind sound whose length
/// they do not know. `length_of` says how long a chunk of a known name is, header and all; of unknown ones nothing.
pub(crate) fn find_chunks(
    source: &mut dyn MediaSource,
    from: u64,
    to: u64,
    length_of: &dyn Fn(&[u8]) -> Option<u64>,
) -> io::Result<Option<u64>> {
    let from = from.max(to.saturating_sub(MAX_NOTES));
    let bytes = bytes_at(source, from, (to - from) as usize)?;
    let leads_to_the_end = |mut at: usize| {
        while at < bytes.len() {
            let Some(length) = length_of(&bytes[at..]) else { return false };
            let next = at as u64 + length;
            // The byte that makes a chunk even is often left out at the end.
            match (bytes.len() as u64).checked_sub(next) {
                Some(0 | 1) => return true,
                None => return next == bytes.len() as u64 + 1,
                Some(_) => at = (next + length % 2) as usize,
            }
        }
        true
    };
    Ok((0..bytes.len())
        .find(|&at| length_of(&bytes[at..]).is_some() && leads_to_the_end(at))
        .map(|at| from + at as u64))
}

/// Whether tags stand at a place, which some programs put behind any file.
pub(crate) fn is_tag(start: &[u8]) -> bool {
    [&b"ID3"[..], b"TAG", b"APETAGEX", b"LYRICS"].iter().any(|tag| start.starts_with(tag))
}

/// Whether four bytes can name a chunk.
pub(crate) fn can_be_name(name: &[u8]) -> bool {
    name.len() == 4
        && name[0] != b' '
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b" _-.+#(c)".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const HERE: u64 = 100;

    fn speech(count: usize) -> Vec<i16> {
        let tone = |i: usize, hertz: f64| (std::f64::consts::TAU * hertz * i as f64 / 8000.0).sin();
        (0..count).map(|i| ((tone(i, 190.0) + 0.5 * tone(i, 900.0) + 0.2 * tone(i, 2400.0)) * 3000.0) as i16).collect()
    }

    fn noise(count: usize) -> Vec<u8> {
        let mut state = 0x1234_5678_9abc_def1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn of(rest: &[u8], coding: Coding, block: u64) -> Extent {
        let mut source = Cursor::new([&[0; HERE as usize][..], rest].concat());
        let total = HERE + rest.len() as u64;
        let layout = Some(Layout { coding, channels: 1, block });
        extent(&mut source, layout, 0, Some(HERE), total, &|_, at| Ok(at == total), &|_, _, _| Ok(None)).unwrap()
    }

    #[test]
    fn sound_behind_the_end_is_told_from_other_data() {
        let samples = speech(4000);
        let little: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let big: Vec<u8> = samples.iter().flat_map(|s| s.to_be_bytes()).collect();
        let floats: Vec<u8> = samples.iter().flat_map(|&s| (f32::from(s) / 32768.0).to_le_bytes()).collect();
        let bytes: Vec<u8> = samples.iter().map(|s| (s / 256 + 128) as u8).collect();
        let text: Vec<u8> = "Calls of the 3rd; who was asked, and why? No answer: 0171-555.\n".repeat(80).into_bytes();
        let int = |bytes, big| Coding::Int { bytes, big, signed: bytes > 1 };
        let sounds = [
            (&little, int(2, false), 2),
            (&big, int(2, true), 2),
            (&floats, Coding::Float { bytes: 4, big: false }, 4),
            (&bytes, int(1, false), 1),
        ];
        for (sound, coding, block) in sounds {
            let length = HERE + sound.len() as u64;
            assert_eq!(of(sound, coding, block), Extent { length, promised: length, untrue: true }, "{coding:?}");
            for other in [&noise(8000), &text, &vec![0; 8000]] {
                assert_eq!(
                    of(other, coding, block),
                    Extent { length: HERE, promised: HERE, untrue: false },
                    "{coding:?}"
                );
            }
        }
        for coding in [Coding::MuLaw, Coding::ALaw] {
            for other in [&noise(8000), &text, &vec![0xd5; 8000]] {
                assert!(!of(other, coding, 1).untrue, "{coding:?}");
            }
        }
    }

    #[test]
    fn names_of_chunks() {
        for name in [b"data", b"fmt ", b"LIST", b"id3 ", b"_PMX", b"Cr8r", b"(c) "] {
            assert!(can_be_name(name));
        }
        for name in [&b"\0dat"[..], b" dat", b"a\xff\x10b", b"abc"] {
            assert!(!can_be_name(name));
        }
    }

    #[test]
    fn another_file_is_found() {
        let mut bytes = noise(200_000);
        bytes[131_060..131_072].copy_from_slice(b"RIFFabcdWAVE");
        let mut source = Cursor::new(bytes);
        let mut find = |from| find_file(&mut source, from, 200_000, *b"RIFF", &[*b"WAVE"]).unwrap();
        assert_eq!((find(0), find(131_060), find(131_061)), (Some(131_060), Some(131_060), None));
    }
}
