//! One audio track of one file, packet by packet, through symphonia.
//!
//! Symphonia finds the container and the codec in the bytes. What it leaves to its user is decided here: which track is
//! read, what a damaged packet costs, and whether a file ends before it should.

use crate::{
    codecs::{codec_name, registry},
    edits::edits,
    wave,
};
use std::io::{self, Seek as _};
use symphonia::core::{
    codecs::{
        CodecParameters,
        audio::{AudioDecoder, AudioDecoderOptions, well_known as codecs},
    },
    common::Limit,
    errors::Error,
    formats::{FormatOptions, FormatReader, Track, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    packet::Packet,
    units::{Duration, Timestamp},
};

/// Rates in Hz that a recording of people talking can have; others come from broken headers.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;
/// More channels than any conference recorder writes; more come from broken headers.
const MAX_CHANNELS: usize = 32;
/// A hole in the time line from this many seconds on is filled with silence, so that the channels and the clock stay
/// right; below it, it is the rounding of the container's time stamps.
const MIN_HOLE_S: f64 = 0.02;
/// Share of a recording that may be holes left by damaged packets. More, and what is left is no recording of the call.
const MAX_HOLES: f64 = 0.05;
/// Holes of this many seconds in all are put up with before their share is looked at on the way.
const HOLES_ALLOWED_S: f64 = 60.0;
/// Packets that yield nothing (damaged, or of other tracks) before a file that yields nothing else is given up.
const MAX_BARREN_PACKETS: usize = 1_000_000;
/// Damaged packets after which a file that is mostly damaged is given up.
const MAX_DAMAGED_PACKETS: usize = 1_000;
/// Opus is decoded at this rate, whatever it was made from (RFC 7845).
const OPUS_RATE: u32 = 48_000;
/// A file may end this many seconds, or two packets, before what its header promises: headers round, encoders pad.
const END_TOLERANCE_S: f64 = 0.1;

pub(crate) const CONVERT: &str = "convert it to WAV or FLAC";

/// No call lasts longer; what does is a header that lies, or a small file that unfolds without end.
pub(crate) const MAX_HOURS: u64 = 24;

pub(crate) fn too_long() -> String {
    format!("is longer than {MAX_HOURS} hours; cut it into its calls")
}

/// The reason where the bytes are of no format that is known.
pub(crate) const NO_AUDIO: &str = "no audio is found in it (WAV, W64, AIFF, CAF, FLAC, MP3, AAC, Ogg, MP4, Matroska, AVI, ASF, \
                                   AMR and a few more are known); convert it to WAV or FLAC";

/// What a recording is, as found in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// Container, such as wav.
    pub container: String,
    /// Codec, such as pcm_mulaw.
    pub codec: String,
    /// Rate before resampling, in Hz.
    pub sample_rate_hz: u32,
    /// Channels of the track that is read.
    pub channel_count: usize,
    /// Audio tracks in the file.
    pub track_count: usize,
    /// What decodes it: symphonia, or ffmpeg and its version.
    pub decoder: String,
}

/// Why a recording is not read here.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is damaged, or no recording; why, and the way out.
    Bad(String),
    /// Symphonia does not read what is in it; its name.
    Unread(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Bad(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Bad(reason.into())
    }
}

/// The track's decoded packets.
pub(crate) struct Packets {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    /// Of G.711, what each byte stands for.
    table: Option<Box<[f32; 256]>>,
    track: u32,
    /// Which of the audio tracks that is, from 0.
    track_index: usize,
    pub info: AudioInfo,
    /// Seconds a tick of the track's time stamps.
    tick_s: f64,
    /// Frames that the header promises.
    promised: Option<u64>,
    /// Time stamp of the first frame, once there is one.
    origin: Option<i64>,
    /// Frames decoded, silence for what is missing counted.
    position: u64,
    /// The frames that are heard, from and to; the others are the encoder's delay and padding.
    heard: (u64, Option<u64>),
    /// Frames given out.
    given: u64,
    /// Frames of the longest packet.
    longest: u64,
    good: usize,
    damaged: usize,
    /// Frames of silence that stand for what is missing.
    holes: u64,
    /// The next packet's samples.
    held: Option<Vec<Vec<f32>>>,
    /// Frames of silence before them.
    silence: u64,
    /// Why the container could not be read on.
    broken: Option<String>,
}

impl Packets {
    /// Finds the audio track of that number, from 0, and decodes its first packet, which alone says for certain what rate
    /// and channels it has.
    pub fn open(source: Box<dyn MediaSource>, track_index: usize) -> Result<Self, Refusal> {
        let unreadable = |e: io::Error| format!("cannot be read: {e}");
        let mut header = wave::repaired(source).map_err(unreadable)?;
        let edits = match header.source.byte_len() {
            Some(total) if header.source.is_seekable() => {
                // A file that is cut within its edit lists has none; symphonia says what is wrong with it.
                let edits = edits(&mut header.source, total).unwrap_or_default();
                header.source.rewind().map_err(unreadable)?;
                edits
            }
            _ => Vec::new(),
        };
        let stream = MediaSourceStream::new(header.source, MediaSourceStreamOptions::default());
        // Pictures in tags are of no use here.
        let metadata = MetadataOptions::default().limit_visual_bytes(Limit::Maximum(0));
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), metadata)
            .map_err(|e| unreadable_header(&e, header.codec))?;
        let tracks: Vec<&Track> = audio_tracks(&*format).collect();
        let track_count = tracks.len();
        let track = match tracks.get(track_index) {
            Some(track) => *track,
            None if tracks.is_empty() => return Err(Refusal::Unread("no audio track that is known".into())),
            None => return Err(no_such_track(track_index, track_count).into()),
        };
        let container = match (header.container, format.format_info().short_name) {
            (Some(container), _) => container,
            (None, "wave") => "wav",
            (None, "isomp4") => "mp4",
            (None, other) => other,
        };
        let promised_s = promised_seconds(container, track);
        let mut decoder = make_decoder(track, container)?;
        let table = table_of(&mut *decoder);
        let codec = decoder.codec_info().short_name.to_owned();
        let mut packets = Self {
            track: track.id,
            track_index,
            tick_s: track.time_base.map_or(0.0, f64::from),
            info: AudioInfo {
                container: container.to_owned(),
                codec,
                sample_rate_hz: 0,
                channel_count: 0,
                track_count,
                decoder: "symphonia".into(),
            },
            format,
            decoder,
            table,
            promised: None,
            origin: None,
            position: 0,
            heard: (0, None),
            given: 0,
            longest: 0,
            good: 0,
            damaged: 0,
            holes: 0,
            held: None,
            silence: 0,
            broken: None,
        };
        packets.held = packets.advance()?;
        if packets.held.is_none() {
            return Err(Refusal::Bad(match (packets.damaged, packets.broken) {
                (_, Some(why)) => format!("cannot be read ({why}); copy the recording again"),
                (0, None) => "holds no sound (0 samples)".into(),
                (damaged, None) => format!("all its {damaged} packets are damaged; copy the recording again"),
            }));
        }
        let rate = packets.info.sample_rate_hz;
        if promised_s.is_some_and(|s| s * header.missing > (MAX_HOURS * 3600) as f64) {
            return Err(too_long().into());
        }
        packets.promised = promised_s.map(|s| (s * header.missing * f64::from(rate)).round() as u64);
        if let Some((_, edit)) = edits.iter().find(|(track, _)| *track == packets.track) {
            packets.heard = edit.frames(rate, promised_s);
        }
        Ok(packets)
    }

    /// The next frames that are heard, a vector a channel; none at the end.
    pub fn next(&mut self) -> Result<Option<Vec<Vec<f32>>>, String> {
        loop {
            let start = self.position;
            let Some(mut planes) = self.next_decoded()? else { return Ok(None) };
            let (from, to) = (self.heard.0.max(start), self.heard.1.unwrap_or(u64::MAX).min(self.position));
            if from < to {
                for plane in &mut planes {
                    plane.truncate((to - start) as usize);
                    plane.drain(..(from - start) as usize);
                }
                self.given += to - from;
                return Ok(Some(planes));
            }
        }
    }

    /// Frames given out so far.
    pub fn given(&self) -> u64 {
        self.given
    }

    fn next_decoded(&mut self) -> Result<Option<Vec<Vec<f32>>>, String> {
        if self.held.is_none() {
            self.held = self.advance().map_err(|refusal| match refusal {
                Refusal::Bad(reason) => reason,
                Refusal::Unread(what) => format!("holds {what} half way, which is not read; {CONVERT}"),
            })?;
        }
        let planes = if self.held.is_some() && self.silence > 0 {
            let frames = self.silence.min(u64::from(self.info.sample_rate_hz));
            self.silence -= frames;
            Some(vec![vec![0.0; frames as usize]; self.info.channel_count])
        } else {
            self.held.take()
        };
        match &planes {
            Some(planes) => self.position += planes[0].len() as u64,
            None => self.check_end()?,
        }
        Ok(planes)
    }

    /// Packets that could not be decoded so far.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.info.sample_rate_hz.max(1))
    }

    /// Decodes up to the next packet that yields samples; none at the end.
    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Refusal> {
        for _ in 0..MAX_BARREN_PACKETS {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => packet,
                Ok(Some(_)) => continue,
                Ok(None) => return Ok(None),
                Err(Error::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(Error::ResetRequired) => {
                    let track = audio_tracks(&*self.format).nth(self.track_index);
                    let track = track.ok_or("its audio track ends half way")?;
                    self.decoder = make_decoder(track, &self.info.container)?;
                    self.table = None;
                    (self.track, self.origin) = (track.id, None);
                    continue;
                }
                Err(e) => {
                    self.broken = Some(e.to_string());
                    return Ok(None);
                }
            };
            let planes = if let Some(table) = self.table.as_deref().filter(|_| self.good > 0) {
                // A fifth of the time that a WAV file takes is saved beside symphonia's call a sample and the copy.
                let planes = spread(table, &packet.data, self.info.channel_count);
                if planes[0].is_empty() {
                    continue;
                }
                planes
            } else {
                let buffer = match self.decoder.decode(&packet) {
                    Ok(buffer) if buffer.frames() == 0 => continue,
                    Ok(buffer) => buffer,
                    Err(Error::DecodeError(_) | Error::IoError(_) | Error::ResetRequired) => {
                        self.damage()?;
                        continue;
                    }
                    Err(Error::Unsupported(what)) => {
                        return Err(Refusal::Unread(format!("{} ({what})", self.info.codec)));
                    }
                    Err(e) => return Err(format!("cannot be decoded ({e}); {CONVERT}").into()),
                };
                let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
                if self.good == 0 {
                    check_shape(rate, channels)?;
                    (self.info.sample_rate_hz, self.info.channel_count) = (rate, channels);
                } else if (rate, channels) != (self.info.sample_rate_hz, self.info.channel_count) {
                    self.damage()?;
                    continue;
                }
                let mut planes: Vec<Vec<f32>> = Vec::new();
                buffer.copy_to_vecs_planar(&mut planes);
                // Floating point can hold anything, and one infinity would spoil a block of the resampler's output.
                for sample in planes.iter_mut().flatten() {
                    *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
                }
                planes
            };
            self.good += 1;
            self.longest = self.longest.max(planes[0].len() as u64);
            self.find_hole(&packet)?;
            return Ok(Some(planes));
        }
        Err(format!("{MAX_BARREN_PACKETS} packets on end hold no sound; {CONVERT}").into())
    }

    fn damage(&mut self) -> Result<(), String> {
        self.damaged += 1;
        if self.damaged > MAX_DAMAGED_PACKETS && self.damaged > self.good {
            let (damaged, all) = (self.damaged, self.damaged + self.good);
            return Err(format!("{damaged} of its first {all} packets are damaged; copy the recording again"));
        }
        Ok(())
    }

    /// Compares the packet's time stamp with what was decoded; what is missing becomes silence.
    fn find_hole(&mut self, packet: &Packet) -> Result<(), String> {
        let stamp = packet.pts.get().saturating_add(packet.trim_start.get() as i64);
        let rate = f64::from(self.info.sample_rate_hz);
        // After a reset the time stamps start anew.
        let passed = (self.seconds(self.position) / self.tick_s) as i64;
        let origin = *self.origin.get_or_insert(stamp.saturating_sub(passed));
        let hole = stamp.saturating_sub(origin) as f64 * self.tick_s * rate - self.position as f64;
        if !hole.is_finite() || hole < MIN_HOLE_S * rate {
            return Ok(());
        }
        self.silence = hole.round() as u64;
        self.holes = self.holes.saturating_add(self.silence);
        let (holes, end) = (self.seconds(self.holes), self.seconds(self.position.saturating_add(self.silence)));
        if holes > HOLES_ALLOWED_S && holes > end * MAX_HOLES {
            let from = self.seconds(self.position);
            return Err(format!("its time stamps jump from {from:.1} s to {end:.1} s; copy the recording again"));
        }
        Ok(())
    }

    /// Whether what was read is the whole recording.
    fn check_end(&self) -> Result<(), String> {
        let read = self.seconds(self.position);
        let tolerance = (END_TOLERANCE_S * f64::from(self.info.sample_rate_hz)) as u64;
        if let Some(promised) = self.promised {
            if self.position + tolerance.max(2 * self.longest) < promised {
                let promised = self.seconds(promised);
                return Err(format!(
                    "ends after {read:.1} s of the {promised:.1} s that its header promises; copy the recording again"
                ));
            }
        } else if let Some(why) = &self.broken {
            return Err(format!("cannot be read after {read:.1} s ({why}); copy the recording again"));
        }
        let packets = self.good + self.damaged;
        let share = (self.holes as f64 / self.position as f64).max(self.damaged as f64 / packets as f64);
        if share > MAX_HOLES {
            return Err(format!(
                "{:.0} % of its sound is damaged or missing ({} of {packets} packets, {:.1} of {read:.1} s); copy the \
                 recording again",
                share * 100.0,
                self.damaged,
                self.seconds(self.holes)
            ));
        }
        Ok(())
    }
}

fn audio_tracks(format: &dyn FormatReader) -> impl Iterator<Item = &Track> {
    format.tracks().iter().filter(|track| track.track_type() == Some(TrackType::Audio))
}

/// The reason where the call list asks for a track that is not there.
pub(crate) fn no_such_track(index: usize, count: usize) -> String {
    let has = if count == 1 { "1 audio track (0)".to_owned() } else { format!("{count} audio tracks, from 0") };
    format!("has no audio track {index}, but {has}; correct the call list")
}

/// Whether rate and channels are those of a recording.
pub(crate) fn check_shape(rate: u32, channels: usize) -> Result<(), String> {
    if !RATES.contains(&rate) {
        let (low, high) = (RATES.start(), RATES.end());
        return Err(format!("has a sample rate of {rate} Hz; rates from {low} to {high} Hz can be read"));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(format!("has {channels} channels; up to {MAX_CHANNELS} can be read"));
    }
    Ok(())
}

/// Why the header cannot be read; `codec` is what a WAV header names and symphonia does not read.
fn unreadable_header(error: &Error, codec: Option<&str>) -> Refusal {
    match (error, codec) {
        (Error::Unsupported(_), Some(codec)) => Refusal::Unread(codec.into()),
        (Error::Unsupported(what), None) if what.starts_with("core (probe)") => NO_AUDIO.into(),
        (Error::Unsupported(what), None) => Refusal::Unread((*what).into()),
        (Error::IoError(e), _) if e.kind() == io::ErrorKind::UnexpectedEof => {
            "ends within its header; copy the recording again".into()
        }
        (Error::IoError(e), _) => format!("cannot be read: {e}").into(),
        (e, _) => format!("its header makes no sense ({e}); copy the recording again, or {CONVERT}").into(),
    }
}

/// Whether symphonia guesses the track's length from its first packets instead of reading it: raw MP3 and AAC streams
/// without the header that LAME introduced.
fn is_length_guessed(container: &str, track: &Track) -> bool {
    matches!(container, "mp1" | "mp2" | "mp3" | "aac") && track.delay.is_none()
}

/// Seconds that the header says there are. Ogg and Matroska headers do not say.
fn promised_seconds(container: &str, track: &Track) -> Option<f64> {
    if matches!(container, "ogg" | "matroska") || is_length_guessed(container, track) {
        return None;
    }
    let ticks = track.duration.map(Duration::get).or(track.num_frames)?;
    Some(ticks as f64 * f64::from(track.time_base?))
}

/// What the bytes of G.711 stand for, by the decoder itself; none of another codec, in which a sample is not a byte.
fn table_of(decoder: &mut dyn AudioDecoder) -> Option<Box<[f32; 256]>> {
    let parameters = decoder.codec_params();
    if !matches!(parameters.codec, codecs::CODEC_ID_PCM_ALAW | codecs::CODEC_ID_PCM_MULAW) {
        return None;
    }
    let channels = parameters.channels.as_ref()?.count();
    let bytes: Vec<u8> = (0..=u8::MAX).flat_map(|byte| std::iter::repeat_n(byte, channels)).collect();
    let buffer = decoder.decode(&Packet::new(0, Timestamp::new(0), Duration::new(256), bytes)).ok()?;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    buffer.copy_to_vecs_planar(&mut planes);
    planes.swap_remove(0).into_boxed_slice().try_into().ok()
}

/// The samples of a packet of G.711, a vector a channel; a frame that is cut short is left out.
fn spread(table: &[f32; 256], data: &[u8], channels: usize) -> Vec<Vec<f32>> {
    let frames = data.len() / channels;
    let plane =
        |channel| data[channel..].iter().step_by(channels).take(frames).map(|&b| table[usize::from(b)]).collect();
    (0..channels).map(|channel| if frames == 0 { Vec::new() } else { plane(channel) }).collect()
}

fn make_decoder(track: &Track, container: &str) -> Result<Box<dyn AudioDecoder>, Refusal> {
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(Refusal::Unread("an unknown codec".into()));
    };
    let mut parameters = parameters.clone();
    // Before symphonia makes room for them; where the header says 0, the first packet will tell.
    let rate = parameters.sample_rate.filter(|&rate| rate > 0).unwrap_or(*RATES.start());
    let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count().max(1));
    check_shape(rate, channels)?;
    match parameters.codec {
        // Containers give the bits that come out, or the one byte that goes in; the decoder takes the former only.
        codecs::CODEC_ID_PCM_ALAW | codecs::CODEC_ID_PCM_MULAW => {
            (parameters.bits_per_sample, parameters.bits_per_coded_sample) = (None, None);
        }
        // Matroska gives the rate before encoding, for which libopus would decode with another filter.
        codecs::CODEC_ID_OPUS => parameters.sample_rate = Some(OPUS_RATE),
        // Symphonia 0.6 makes noise of four channels at 44.1 and 48 kHz.
        codecs::CODEC_ID_VORBIS if channels > 2 => {
            return Err(Refusal::Unread(format!("vorbis of {channels} channels")));
        }
        _ => {}
    }
    // Beyond a guessed length symphonia would cut sound off as padding.
    let options = AudioDecoderOptions::default().gapless(!is_length_guessed(container, track));
    registry().make_audio_decoder(&parameters, &options).map_err(|e| match e {
        Error::Unsupported(what) if what.starts_with("core (codec)") => Refusal::Unread(codec_name(parameters.codec)),
        Error::Unsupported(what) => Refusal::Unread(format!("{} ({what})", codec_name(parameters.codec))),
        e => format!("its codec cannot be set up ({e}); {CONVERT}").into(),
    })
}
