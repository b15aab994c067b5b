//! A recording as samples at 16 kHz.

use crate::{
    IngestError,
    container::Container,
    damage::{Damages, Kind},
    ffmpeg::{Ffmpeg, Unread},
    headers,
    level::Clipping,
    packets::{AudioInfo, CONVERT, MAX_HOURS, Packets, Refusal, too_long},
    resample::Resampler,
    samples::Piece,
    source::Source,
};
use schema::{Damage, SAMPLE_RATE};
use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use symphonia::core::io::MediaSource;

/// Samples a channel in one block: 10 s.
pub const BLOCK_SAMPLES: usize = 10 * SAMPLE_RATE;

/// Decodes and resamples a recording block by block; memory is bounded by a block, not by the recording.
///
/// Symphonia decodes what it can, an installed ffmpeg the rest; the file's first bytes decide, not its name. What can be
/// decoded is given, however much is missing: silence stands for it, so that times stay right, and [`Decoder::damage`] tells
/// of it. Delay and padding that an encoder added are cut off where they are known (MP3 with a LAME header, Vorbis, Opus, edit
/// lists of MP4). Numbers that are not finite become 0, and all are clamped to -1..1.
///
/// A recording may have several parts, one after another, each with a rate and channels of its own: files that were put
/// together, links of a chained Ogg. It has as many channels as the widest. A part of fewer is heard on the first ones alone,
/// for its words are not to be heard twice.
pub struct Decoder {
    path: PathBuf,
    frames: Frames,
    /// A channel each.
    clipping: Vec<Clipping>,
    /// Rate of the part that is read, frames of it that were taken at that rate, and samples given of those before it.
    rate: u32,
    taken: u64,
    before: u64,
    /// None at 16 kHz.
    resampler: Option<Resampler>,
    /// Resampled and not yet given out, a vector a channel.
    ready: Vec<Vec<f32>>,
    /// Channels of those who may not be heard.
    withheld: Vec<usize>,
    /// Parts that were not heard because of that.
    passed_over: Damages,
    ended: bool,
}

/// Who decodes.
enum Frames {
    Symphonia(Box<Packets>),
    Ffmpeg(Box<Ffmpeg>),
}

impl Frames {
    fn next(&mut self) -> Result<Option<Piece>, String> {
        match self {
            Self::Symphonia(packets) => packets.next(),
            Self::Ffmpeg(child) => {
                let rate = child.info.sample_rate_hz;
                Ok(child.next()?.map(|planes| Piece { rate, planes }))
            }
        }
    }

    fn info(&self) -> &AudioInfo {
        match self {
            Self::Symphonia(packets) => &packets.info,
            Self::Ffmpeg(child) => &child.info,
        }
    }

    fn damages(&self) -> &Damages {
        match self {
            Self::Symphonia(packets) => &packets.damages,
            Self::Ffmpeg(child) => &child.damages,
        }
    }
}

impl Decoder {
    /// Opens a file's first audio track. What it is decides its content, not its name.
    pub fn open(path: &Path) -> Result<Self, IngestError> {
        Self::of_source(path, Source::File(open_file(path)?), 0)
    }

    /// Reads audio track `track`, from 0, of an open recording; `path` is its name in errors.
    pub(crate) fn of_source(path: &Path, source: Source, track: usize) -> Result<Self, IngestError> {
        let again = source
            .again()
            .map_err(|e| IngestError::Recording { path: path.to_owned(), reason: format!("cannot be read: {e}") })?;
        Self::read(path, Box::new(source), track, || again.into_file())
    }

    /// Reads audio track `track`, from 0, of a source; `as_file` gives the same bytes as a file, should ffmpeg have to read
    /// them.
    pub(crate) fn read(
        path: &Path,
        mut source: Box<dyn MediaSource>,
        track: usize,
        as_file: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, IngestError> {
        let opened = contain(|| {
            let container = look(&mut *source).map_err(|e| format!("cannot be read: {e}"))?;
            let frames = frames(source, container, track, as_file)?;
            let resampler = Resampler::new(frames.info().sample_rate_hz, frames.info().channel_count)?;
            Ok((frames, resampler))
        });
        let (frames, resampler) = opened.map_err(|reason| IngestError::Recording { path: path.to_owned(), reason })?;
        let (rate, channels) = (frames.info().sample_rate_hz, frames.info().channel_count);
        Ok(Self {
            path: path.to_owned(),
            frames,
            clipping: vec![Clipping::default(); channels],
            rate,
            taken: 0,
            before: 0,
            resampler,
            ready: vec![Vec::new(); channels],
            withheld: Vec::new(),
            passed_over: Damages::default(),
            ended: false,
        })
    }

    /// Leaves channels silent from here on: codecs pack channels together, so what a packet holds of these is wiped before
    /// anything else sees it. A part that has not all the recording's channels is wiped as a whole: who is on which of its
    /// channels, nobody knows.
    pub(crate) fn withhold(&mut self, channels: &[usize]) {
        self.withheld = channels.to_vec();
    }

    /// What the recording is.
    pub fn info(&self) -> &AudioInfo {
        self.frames.info()
    }

    /// What is missing or wrong, up to here.
    pub fn damage(&self) -> Vec<Damage> {
        let mut rows = self.frames.damages().rows();
        rows.extend(self.passed_over.rows());
        rows.sort_by_key(|row| row.at_ms);
        rows
    }

    /// Length of what was decoded so far; the recording's once there are no more blocks.
    pub fn duration_ms(&self) -> i64 {
        let (rate, ours) = (u64::from(self.rate), SAMPLE_RATE as u64);
        (((self.before * rate + self.taken * ours) * 1000 + rate * ours / 2) / (rate * ours)) as i64
    }

    /// The next samples, a vector a channel and all of one length: [`BLOCK_SAMPLES`], in the last block fewer. None at the
    /// end and after an error.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, IngestError> {
        let filled = contain(|| self.fill());
        if let Err(reason) = filled {
            self.ended = true;
            self.ready.iter_mut().for_each(Vec::clear);
            return Err(IngestError::Recording { path: self.path.clone(), reason });
        }
        if self.ready[0].is_empty() {
            return Ok(None);
        }
        let length = self.ready[0].len().min(BLOCK_SAMPLES);
        let block = self.ready.iter_mut().map(|ready| {
            // Room for the next block at once, instead of as it grows.
            let mut rest = Vec::with_capacity(BLOCK_SAMPLES + BLOCK_SAMPLES / 8);
            rest.extend(ready.drain(length..));
            let mut samples = std::mem::replace(ready, rest);
            for sample in &mut samples {
                *sample = sample.clamp(-1.0, 1.0);
            }
            samples
        });
        Ok(Some(block.collect()))
    }

    /// Whether enough peaks of a channel were cut to be heard.
    pub(crate) fn is_clipped(&self, channel: usize) -> bool {
        self.clipping[channel].is_clipped()
    }

    /// Decodes until a block is ready or the recording ends.
    fn fill(&mut self) -> Result<(), String> {
        while !self.ended && self.ready[0].len() < BLOCK_SAMPLES {
            let Some(Piece { rate, mut planes }) = self.frames.next()? else {
                self.ended = true;
                self.end_part()?;
                let damages = self.damage().len();
                if damages > 0 {
                    log::warn!("{}: {damages} entries in its list of damage", self.path.display());
                }
                break;
            };
            if rate != self.rate {
                self.end_part()?;
                let old = u64::from(self.rate);
                self.before += (self.taken * SAMPLE_RATE as u64 + old / 2) / old;
                (self.rate, self.taken) = (rate, 0);
                self.resampler = Resampler::new(rate, self.ready.len())?;
            }
            self.fit(&mut planes);
            for &channel in &self.withheld {
                planes[channel].fill(0.0);
            }
            for (clipping, plane) in self.clipping.iter_mut().zip(&planes) {
                clipping.count(plane);
            }
            self.taken += planes[0].len() as u64;
            match &mut self.resampler {
                Some(resampler) => resampler.push(&planes, &mut self.ready)?,
                None => {
                    for (ready, plane) in self.ready.iter_mut().zip(&planes) {
                        ready.extend_from_slice(plane);
                    }
                }
            }
            if self.duration_ms() > (MAX_HOURS * 3_600_000) as i64 {
                return Err(too_long());
            }
        }
        Ok(())
    }

    /// Flushes the resampler of a part that is over.
    fn end_part(&mut self) -> Result<(), String> {
        if let Some(mut resampler) = self.resampler.take() {
            resampler.finish(&mut self.ready)?;
        }
        Ok(())
    }

    /// Gives a part of other channels those of the recording.
    fn fit(&mut self, planes: &mut Vec<Vec<f32>>) {
        let (channels, has, length) = (self.ready.len(), planes.len(), planes[0].len());
        if has == channels {
            return;
        }
        if !self.withheld.is_empty() {
            let at_s = self.duration_ms() as f64 / 1000.0;
            self.passed_over.note(Kind::Withheld, at_s, length as f64 / f64::from(self.rate));
            for plane in planes.iter_mut() {
                plane.fill(0.0);
            }
        } else if has > channels {
            // Such a part was not foreseen, in a file too long to be looked through: all of it on one channel, which the
            // others, who have their places, are not.
            let (first, rest) = planes.split_at_mut(1);
            for (i, sample) in first[0].iter_mut().enumerate() {
                *sample = rest.iter().fold(*sample, |sum, plane| sum + plane[i]) / has as f32;
            }
            for plane in &mut planes[1..] {
                plane.fill(0.0);
            }
        }
        planes.resize(channels, vec![0.0; length]);
    }
}

/// The container that the bytes name; the source is left at its start.
fn look(source: &mut dyn MediaSource) -> io::Result<Option<Container>> {
    let Some(total) = source.byte_len().filter(|_| source.is_seekable()) else { return Ok(None) };
    let (_, container) = headers::look(source, total)?;
    source.rewind()?;
    Ok(container)
}

/// Who reads the source: symphonia, or where it refuses, for whatever reason, an installed ffmpeg. If both refuse, both are
/// heard. Where no signature says what it is, ffmpeg is not asked: it would guess, too.
fn frames(
    source: Box<dyn MediaSource>,
    container: Option<Container>,
    track: usize,
    as_file: impl FnOnce() -> io::Result<File>,
) -> Result<Frames, String> {
    if source.byte_len() == Some(0) {
        return Err("is empty (0 bytes); copy the recording again".into());
    }
    let (what, refused) = match container.filter(|container| !container.native) {
        Some(container) => (container.name.to_owned(), None),
        // A decoder that panics is one that refuses.
        None => match contain(|| Ok(Packets::open(source, track))).unwrap_or_else(|why| Err(Refusal::Bad(why))) {
            Ok(packets) => return Ok(Frames::Symphonia(Box::new(packets))),
            Err(Refusal::Final(reason)) => return Err(reason),
            Err(Refusal::Bad(reason)) => (String::new(), Some(reason)),
            Err(Refusal::Unread(what)) => {
                let refused = format!("holds {what}, which is not read here");
                (what, Some(refused))
            }
        },
    };
    let Some(container) = container else {
        return Err(refused.unwrap_or_else(|| format!("holds {what}, which is not read; {CONVERT}")));
    };
    let file = as_file().map_err(|e| format!("cannot be read: {e}"))?;
    match (Ffmpeg::open(file, container, track, &what), refused) {
        (Ok(child), _) => Ok(Frames::Ffmpeg(Box::new(child))),
        // Of what is damaged the first reason counts; what needs ffmpeg is told to.
        (Err(Unread::Missing(_)), Some(reason)) if what.is_empty() => Err(reason),
        (Err(Unread::Failed(why)), Some(reason)) if why != reason => Err(format!("{reason}; and it {why}")),
        (Err(Unread::Missing(why) | Unread::Failed(why)), _) => Err(why),
    }
}

/// Opens what is a plain file. Pipes and devices are not opened at all: they may have no end.
pub(crate) fn open_file(path: &Path) -> Result<File, IngestError> {
    let failed = |reason| IngestError::Recording { path: path.to_owned(), reason };
    let why = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read; give this user the right to".to_owned(),
        _ => e.to_string(),
    };
    let metadata = std::fs::metadata(path).map_err(|e| failed(why(e)))?;
    if metadata.is_dir() {
        return Err(failed("is a folder, not a recording".into()));
    }
    if !metadata.is_file() {
        return Err(failed("is a pipe or device, not a file; write the recording to a file first".into()));
    }
    File::open(path).map_err(|e| failed(why(e)))
}

/// Runs foreign decoders over foreign bytes: a panic in them is a file that cannot be read, not our end.
fn contain<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err("the decoder fails on it; the file may be damaged, or convert it to WAV or FLAC".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};

    /// A WAV file of any length that is nowhere: 8 kHz mu-law stereo, its bytes made as they are read.
    struct Endless {
        length: u64,
        position: u64,
    }

    impl Endless {
        fn seconds(seconds: u64) -> Self {
            Self { length: 58 + seconds * 16_000, position: 0 }
        }

        fn header(&self) -> Vec<u8> {
            let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt \x12\0\0\0\x07\0\x02\0".to_vec();
            header.extend(8000u32.to_le_bytes());
            header.extend(16_000u32.to_le_bytes());
            header.extend(b"\x02\0\x08\0\0\0fact\x04\0\0\0\0\0\0\0data");
            header.extend((self.length as u32 - 58).to_le_bytes());
            header
        }
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let header = self.header();
            let count = buffer.len().min(self.length.saturating_sub(self.position) as usize);
            for (byte, at) in buffer[..count].iter_mut().zip(self.position..) {
                *byte = header.get(at as usize).copied().unwrap_or((at % 251) as u8);
            }
            self.position += count as u64;
            Ok(count)
        }
    }

    impl Seek for Endless {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.position = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(at) => self.length.saturating_add_signed(at),
                SeekFrom::Current(at) => self.position.saturating_add_signed(at),
            };
            Ok(self.position)
        }
    }

    impl MediaSource for Endless {
        fn is_seekable(&self) -> bool {
            true
        }

        fn byte_len(&self) -> Option<u64> {
            Some(self.length)
        }
    }

    #[test]
    fn memory_is_bounded_by_a_block() {
        let source = Box::new(Endless::seconds(1500));
        let mut decoder = Decoder::read(Path::new("long.wav"), source, 0, tempfile::tempfile).unwrap();
        let (mut samples, mut held) = (0, 0);
        while let Some(block) = decoder.next_block().unwrap() {
            assert!(block.iter().all(|c| c.len() <= BLOCK_SAMPLES));
            samples += block[0].len();
            held = held.max(decoder.ready.iter().map(Vec::capacity).sum::<usize>());
        }
        assert_eq!(samples, 1500 * SAMPLE_RATE);
        assert_eq!(decoder.duration_ms(), 1500 * 1000);
        // Two channels of a block, and a vector's room to grow.
        assert!(held <= 2 * 2 * BLOCK_SAMPLES, "{held} samples were held");
    }
}
