//! One audio track of one file, part after part, as samples.
//!
//! What readers of containers leave to their user is decided here: where packets stand in time, what stands for those that are
//! lost, and what of a part is its encoder's delay and padding. Nothing of it refuses a recording that gives any sound;
//! [`Damages`] says what is wrong with it.

use crate::{
    damage::{Damages, Kind},
    edits::Heard,
    find::find,
    headers::repaired,
    samples::{Failed, Piece, Samples},
    stream::{Coded, End, Next, Part, Place, Stream, Stretch},
    timeline::{Ending, MAX_GAP_S, Timeline},
};
use std::io;
use symphonia::core::{errors::Error, io::MediaSource};

/// Rates in Hz that a recording of people talking can have; others come from broken headers.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;
/// More channels than any conference recorder writes; more come from broken headers.
const MAX_CHANNELS: usize = 32;
/// A step in the time line from this many seconds on is filled with silence, so that the channels and the clock stay right;
/// below it, it is the rounding of the container's time stamps.
const MIN_HOLE_S: f64 = 0.02;
/// No packet holds more; what a damaged one says beyond that is shown by the place of the next.
const MAX_PACKET_S: f64 = 10.0;

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
    /// Rate before resampling, in Hz; of the first part where there are several.
    pub sample_rate_hz: u32,
    /// Channels of the track that is read; of its widest part where there are several.
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
    /// Nobody else could give what is asked for; why.
    Final(String),
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
    stream: Stream,
    pub info: AudioInfo,
    /// What is missing or wrong, up to here.
    pub damages: Damages,
    /// The decoder of the part that is read; none where it has none.
    samples: Option<Samples>,
    part: Timeline,
    /// What of it is heard, by the edit list.
    heard: Option<Heard>,
    /// Seconds of silence before the first sound, until they were given.
    late_s: f64,
    /// Seconds given out of what came before this part.
    before_s: f64,
    /// Frames of silence, and samples after them, that were decoded and not yet given out.
    silence: u64,
    held: Option<Vec<Vec<f32>>>,
    good: usize,
    damaged: usize,
    /// Damaged packets since the last good one.
    failing: usize,
    ended: bool,
    /// Whether the end of the last part is missing.
    cut_off: bool,
    /// Why the container could not be read on.
    why: Option<String>,
}

impl Packets {
    /// Finds the audio track of that number, from 0, and decodes its first packet, which alone says for certain what rate
    /// and channels it has.
    pub fn open(source: Box<dyn MediaSource>, track_index: usize) -> Result<Self, Refusal> {
        let unreadable = |e: io::Error| format!("cannot be read: {e}");
        let header = repaired(source).map_err(unreadable)?;
        if header.is_empty {
            // Ffmpeg would take notes for sound.
            return Err(Refusal::Final("holds no sound (0 samples)".into()));
        }
        let (missing, untrue, widest) = (header.missing, header.untrue, header.channels);
        let (stream, survey, edit) = find(header, track_index)?;
        if let Some(what) = survey.unread {
            return Err(Refusal::Unread(what));
        }
        let (container, track_count, promised_s) = match &stream {
            Stream::Frames(frames) => (frames.name(), 1, None),
            Stream::Ogg(ogg) => ("ogg", ogg.track_count, None),
            Stream::Format(format) => (format.container, format.track_count, format.promised_s),
        };
        if track_index >= track_count {
            return Err(Refusal::Final(no_such_track(track_index, track_count)));
        }
        let info = AudioInfo {
            container: container.to_owned(),
            codec: String::new(),
            sample_rate_hz: 0,
            channel_count: survey.channels.max(widest),
            track_count,
            decoder: "symphonia".into(),
        };
        let mut packets = Self {
            stream,
            info,
            damages: Damages::default(),
            samples: None,
            part: Timeline::default(),
            heard: None,
            late_s: 0.0,
            before_s: 0.0,
            silence: 0,
            held: None,
            good: 0,
            damaged: 0,
            failing: 0,
            ended: false,
            cut_off: false,
            why: None,
        };
        if !packets.advance()? {
            return Err(Refusal::Bad(match (packets.damaged, packets.why) {
                (_, Some(why)) => format!("cannot be read ({why}); copy the recording again"),
                (0, None) => "holds no sound (0 samples)".into(),
                (damaged, None) => format!("all its {damaged} packets are damaged; copy the recording again"),
            }));
        }
        let part = &mut packets.part;
        packets.info.sample_rate_hz = part.rate;
        packets.info.channel_count = packets.info.channel_count.max(part.channels);
        if let Some(promised_s) = promised_s {
            part.declared = Some(part.frames(promised_s * missing));
        }
        if let Some(edit) = edit {
            // It says what an encoder's delay is, too.
            part.skip = 0;
            packets.heard = Some(Heard::of(&edit, part.rate));
        }
        if untrue {
            packets.damages.note(Kind::Header, 0.0, 0.0);
        }
        Ok(packets)
    }

    /// The next frames that are heard; none at the end.
    pub fn next(&mut self) -> Result<Option<Piece>, String> {
        loop {
            if let Some(planes) = self.heard.as_mut().and_then(|heard| heard.pop(u64::from(self.part.rate))) {
                return Ok(Some(self.piece(planes)));
            }
            if self.late_s > 0.0 {
                let seconds = self.late_s.min(1.0);
                self.late_s -= seconds;
                self.before_s += seconds;
                let frames = self.part.frames(seconds) as usize;
                return Ok(Some(self.piece(vec![vec![0.0; frames]; self.part.channels])));
            }
            let planes = if self.held.is_some() && self.silence > 0 {
                let frames = self.silence.min(u64::from(self.part.rate));
                self.silence -= frames;
                vec![vec![0.0; frames as usize]; self.part.channels]
            } else if let Some(planes) = self.held.take() {
                planes
            } else if self.ended {
                return Ok(None);
            } else {
                // What has no decoder half way is damage, which was noted.
                let _ = self.advance();
                continue;
            };
            let start = self.part.position;
            match (self.part.hear(planes), &mut self.heard) {
                (Some(planes), Some(heard)) => heard.push(start, planes),
                (Some(planes), None) => return Ok(Some(self.piece(planes))),
                (None, _) => {}
            }
        }
    }

    fn piece(&self, planes: Vec<Vec<f32>>) -> Piece {
        Piece { rate: self.part.rate, planes }
    }

    /// Decodes up to the next packets that give samples; false at the end.
    fn advance(&mut self) -> Result<bool, Refusal> {
        loop {
            match self.stream.next() {
                Next::Part(part) => self.begin(&part)?,
                Next::Stretch(stretch) => {
                    if self.take(&stretch)? {
                        return Ok(true);
                    }
                }
                Next::End(end) => {
                    self.finish(end);
                    return Ok(false);
                }
            }
        }
    }

    /// Seconds of the call up to what is decoded next.
    fn now_s(&self) -> f64 {
        self.before_s
            + match &self.heard {
                Some(heard) => self.part.seconds(heard.place(self.part.position)),
                None => self.part.now_s(),
            }
    }

    fn begin(&mut self, part: &Part) -> Result<(), Refusal> {
        self.end_part();
        self.samples = match Samples::new(&part.codec, part.gain) {
            Ok(samples) => Some(samples),
            Err(refusal) if self.good == 0 => return Err(refusal),
            Err(_) => {
                self.damages.note(Kind::Lost, self.now_s(), 0.0);
                None
            }
        };
        if let Some(samples) = self.samples.as_ref().filter(|_| self.info.codec.is_empty()) {
            self.info.codec = samples.codec().to_owned();
        }
        self.part = Timeline::new(part.skip, part.promised, part.padding);
        Ok(())
    }

    /// Says what is missing of the part that ends here, or goes on beyond what its header says.
    fn end_part(&mut self) {
        match self.part.ending() {
            Ending::AsTold => {}
            Ending::Early(missing_s) => {
                self.damages.note(Kind::CutOff, self.now_s(), missing_s);
                self.cut_off = true;
            }
            Ending::Late => self.damages.note(Kind::Header, self.before_s, 0.0),
        }
        self.before_s += self.part.given_s();
        self.part = Timeline::default();
    }

    fn finish(&mut self, end: End) {
        self.cut_off = false;
        let now_s = self.now_s();
        self.end_part();
        if (end.cut || end.why.is_some()) && !self.cut_off {
            self.damages.note(Kind::CutOff, now_s, 0.0);
        }
        (self.ended, self.why) = (true, end.why);
    }

    /// Decodes packets and finds their place; false where they give nothing.
    fn take(&mut self, stretch: &Stretch) -> Result<bool, Refusal> {
        let failing = self.failing > 0;
        let planes = self.decode(&stretch.packets)?;
        let Some(length) = planes.first().map(Vec::len).filter(|&length| length > 0) else { return Ok(false) };
        if stretch.garbage {
            self.damages.note(Kind::Garbage, self.now_s(), 0.0);
        }
        let (mut planes, length) = (planes, length as u64);
        let (hole, is_damage) = match stretch.place {
            Place::Next { lost_s } => (self.part.frames(lost_s.min(MAX_GAP_S)), true),
            Place::Starts { stamp } => {
                let pauses = matches!(&self.stream, Stream::Format(format) if format.has_pauses());
                (self.hole_before(stamp), failing || !pauses)
            }
            Place::Ends { granule, last, lost } => {
                let hole = self.part.hole_before_page(granule, length, last);
                // What is beyond the end of the last page is padding.
                let heard = length.saturating_add_signed(hole.min(0)) as usize;
                for plane in &mut planes {
                    plane.truncate(heard);
                }
                (u64::try_from(hole).unwrap_or(0), lost || failing)
            }
        };
        let hole = if hole < self.part.frames(MIN_HOLE_S) { 0 } else { hole };
        let lost = std::mem::take(&mut self.part.lost);
        for (frames, is_damage) in [(lost, true), (hole, is_damage)] {
            if frames > 0 && is_damage {
                self.damages.note(Kind::Lost, self.now_s(), self.part.seconds(frames));
            }
        }
        self.silence = lost + hole;
        self.held = Some(planes);
        Ok(true)
    }

    /// Frames between what was decoded and a packet that has this time stamp.
    fn hole_before(&mut self, stamp: i64) -> u64 {
        let Stream::Format(format) = &self.stream else { return 0 };
        let part = &mut self.part;
        if part.is_new() && self.before_s == 0.0 {
            let skipped = (part.seconds(part.skip) / format.tick_s) as i64;
            let late_s = format.late_s(stamp.saturating_add(skipped));
            if (MIN_HOLE_S..MAX_GAP_S).contains(&late_s) {
                self.late_s += late_s;
            }
        }
        part.hole_before(stamp, format.tick_s)
    }

    /// The samples of packets; silence for those that are damaged.
    fn decode(&mut self, packets: &[Coded]) -> Result<Vec<Vec<f32>>, Refusal> {
        let mut planes: Vec<Vec<f32>> = Vec::new();
        for coded in packets {
            let Some(samples) = &mut self.samples else { break };
            let piece = match samples.decode(&coded.packet) {
                Ok(piece) => piece,
                Err(Failed::Unread(what)) if self.good == 0 => return Err(Refusal::Unread(what)),
                Err(_) => {
                    (self.damaged, self.failing) = (self.damaged + 1, self.failing + 1);
                    self.lose(coded.frames, &mut planes);
                    continue;
                }
            };
            let Some(length) = piece.planes.first().map(Vec::len).filter(|&length| length > 0) else { continue };
            if (piece.rate, piece.planes.len()) != (self.part.rate, self.part.channels) {
                if self.part.rate > 0 {
                    // A change that no header announces is a part of its own.
                    self.end_part();
                    planes.clear();
                }
                (self.part.rate, self.part.channels) = (piece.rate, piece.planes.len());
            }
            (self.good, self.failing) = (self.good + 1, 0);
            self.part.longest = self.part.longest.max(length as u64);
            if planes.is_empty() {
                planes = piece.planes;
            } else {
                planes.iter_mut().zip(piece.planes).for_each(|(all, plane)| all.extend(plane));
            }
        }
        Ok(planes)
    }

    /// Puts silence where a packet of so many frames is damaged.
    fn lose(&mut self, frames: u64, planes: &mut Vec<Vec<f32>>) {
        if self.part.rate == 0 {
            self.part.lost += frames;
            return;
        }
        let frames = frames.min(self.part.frames(MAX_PACKET_S));
        let at_s = self.now_s() + self.part.seconds(planes.first().map_or(0, Vec::len) as u64);
        self.damages.note(Kind::Lost, at_s, self.part.seconds(frames));
        planes.resize(self.part.channels, Vec::new());
        for plane in planes {
            plane.resize(plane.len() + frames as usize, 0.0);
        }
    }
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
pub(crate) fn unreadable_header(error: &Error, codec: Option<&str>) -> Refusal {
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
