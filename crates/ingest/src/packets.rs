//! One audio track of one file, part after part, as samples.
//!
//! What readers of containers leave to their user is decided here: where packets stand in time, what stands for those that are
//! lost, and what of a part is its encoder's delay and padding. Nothing of it refuses a recording that gives any sound;
//! [`Damages`] says what is wrong with it.

use crate::{
    container::{LOOKED_AT, container_of},
    damage::{Damages, Kind},
    edits::{Edit, Heard, edits},
    format::Format,
    frames::Frames,
    headers::{Repaired, repaired},
    mpeg::id3_length,
    ogg::Ogg,
    samples::{Failed, Piece, Samples},
    stream::{Coded, End, Next, Part, Place, Stream, Stretch, Survey},
    window::Window,
};
use std::io::{self, Seek as _};
use symphonia::core::{errors::Error, io::MediaSource};

/// Rates in Hz that a recording of people talking can have; others come from broken headers.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;
/// More channels than any conference recorder writes; more come from broken headers.
const MAX_CHANNELS: usize = 32;
/// A step in the time line from this many seconds on is filled with silence, so that the channels and the clock stay right;
/// below it, it is the rounding of the container's time stamps.
const MIN_HOLE_S: f64 = 0.02;
/// Time stamps that run behind by this many seconds have begun anew.
const MAX_BEHIND_S: f64 = 1.0;
/// Longer gaps are clocks that were set, or headers that lie.
const MAX_GAP_S: f64 = (MAX_HOURS * 3600) as f64;
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
    part: Under,
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

/// The part that is read.
#[derive(Default)]
struct Under {
    /// 0 until a packet was decoded.
    rate: u32,
    channels: usize,
    /// Frames decoded, silence for what is missing counted.
    position: u64,
    /// The first frame that is heard.
    skip: u64,
    /// Frames that the header promises, for as long as that may be true, how many of them are padding, and what may be that.
    promised: Option<u64>,
    declared: Option<u64>,
    padding: u64,
    tail: Vec<Vec<f32>>,
    /// Time stamp, or frame of the stream, at which its position is 0.
    origin: Option<i64>,
    /// Frames given out.
    given: u64,
    /// Frames of the longest packet.
    longest: u64,
    /// Frames lost before the first good packet.
    lost: u64,
}

impl Under {
    fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.rate.max(1))
    }

    fn frames(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.rate)).round() as u64
    }
}

impl Packets {
    /// Finds the audio track of that number, from 0, and decodes its first packet, which alone says for certain what rate
    /// and channels it has.
    pub fn open(source: Box<dyn MediaSource>, track_index: usize) -> Result<Self, Refusal> {
        let unreadable = |e: io::Error| format!("cannot be read: {e}");
        let header = repaired(source).map_err(unreadable)?;
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
            part: Under::default(),
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
            match (self.hear(planes), &mut self.heard) {
                (Some(planes), Some(heard)) => heard.push(start, planes),
                (Some(planes), None) => return Ok(Some(self.piece(planes))),
                (None, _) => {}
            }
        }
    }

    fn piece(&self, planes: Vec<Vec<f32>>) -> Piece {
        Piece { rate: self.part.rate, planes }
    }

    /// Cuts off what is not to be heard of the next frames of the part.
    fn hear(&mut self, mut planes: Vec<Vec<f32>>) -> Option<Vec<Vec<f32>>> {
        let part = &mut self.part;
        let start = part.position;
        part.position += planes[0].len() as u64;
        // What may be padding waits until the part has ended, or goes on against what its header says.
        let mut to = u64::MAX;
        if let Some(promised) = part.promised.filter(|_| part.padding > 0) {
            let sound = promised - part.padding;
            if part.position > promised {
                let tail = std::mem::take(&mut part.tail);
                for (plane, mut tail) in planes.iter_mut().zip(tail) {
                    tail.append(plane);
                    *plane = tail;
                }
                (part.promised, part.padding) = (None, 0);
            } else if part.position > sound {
                let keep = sound.saturating_sub(start) as usize;
                part.tail.resize(planes.len(), Vec::new());
                for (tail, plane) in part.tail.iter_mut().zip(&planes) {
                    tail.extend(&plane[keep.min(plane.len())..]);
                }
                to = to.min(sound);
            }
        }
        let start = part.position - planes[0].len() as u64;
        let (from, to) = (part.skip.max(start), to.min(part.position));
        if from >= to {
            return None;
        }
        for plane in &mut planes {
            plane.truncate((to - start) as usize);
            plane.drain(..(from - start) as usize);
        }
        part.given += to - from;
        Some(planes)
    }

    /// Decodes up to the next packets that give samples; false at the end.
    fn advance(&mut self) -> Result<bool, Refusal> {
        loop {
            match self.stream.next() {
                Next::Part(part) => self.begin(*part)?,
                Next::Stretch(stretch) => {
                    if self.take(stretch)? {
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
        let place = match &self.heard {
            Some(heard) => heard.place(self.part.position),
            None => self.part.position.saturating_sub(self.part.skip),
        };
        self.before_s + self.part.seconds(place)
    }

    fn begin(&mut self, part: Part) -> Result<(), Refusal> {
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
        let Part { skip, promised, padding, .. } = part;
        self.part = Under { skip, promised, declared: promised, padding, ..Under::default() };
        Ok(())
    }

    /// Says what is missing of the part that ends here, or goes on beyond what its header says.
    fn end_part(&mut self) {
        let part = &self.part;
        if part.rate > 0
            && let Some(declared) = part.declared
        {
            let tolerance = part.frames(END_TOLERANCE_S).max(2 * part.longest);
            if part.position + tolerance < declared {
                let missing = part.seconds(declared - part.position.max(part.skip));
                self.damages.note(Kind::CutOff, self.now_s(), missing);
                self.cut_off = true;
            } else if declared + tolerance < part.position {
                self.damages.note(Kind::Header, self.before_s, 0.0);
            }
        }
        self.before_s += self.part.seconds(self.part.given);
        self.part = Under::default();
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
    fn take(&mut self, stretch: Stretch) -> Result<bool, Refusal> {
        let failing = self.failing > 0;
        let planes = self.decode(&stretch.packets)?;
        let Some(length) = planes.first().map(Vec::len).filter(|&length| length > 0) else { return Ok(false) };
        if stretch.garbage {
            self.damages.note(Kind::Garbage, self.now_s(), 0.0);
        }
        let (mut planes, length) = (planes, length as u64);
        let (hole, is_damage) = match stretch.place {
            Place::Next { lost_s } => (self.part.frames(lost_s.min(MAX_GAP_S)) as i64, true),
            Place::Starts { stamp } => {
                let pauses = matches!(&self.stream, Stream::Format(format) if format.has_pauses());
                (self.hole_before(stamp), failing || !pauses)
            }
            Place::Ends { granule, last, lost } => (self.hole_before_page(granule, length, last), lost || failing),
        };
        self.silence = match u64::try_from(hole) {
            // Padding of the last page.
            Err(_) => {
                planes.iter_mut().for_each(|plane| plane.truncate(length.saturating_add_signed(hole) as usize));
                0
            }
            Ok(hole) if hole < self.part.frames(MIN_HOLE_S) => 0,
            Ok(hole) => {
                if is_damage {
                    self.damages.note(Kind::Lost, self.now_s(), self.part.seconds(hole));
                }
                hole
            }
        };
        self.held = Some(planes);
        Ok(true)
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
                let lost = std::mem::take(&mut self.part.lost);
                if lost > 0 {
                    self.lose(lost, &mut planes);
                }
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
        let frames = frames.min(self.part.frames(MAX_GAP_S));
        let at_s = self.now_s() + self.part.seconds(planes.first().map_or(0, Vec::len) as u64);
        self.damages.note(Kind::Lost, at_s, self.part.seconds(frames));
        planes.resize(self.part.channels, Vec::new());
        for plane in planes {
            plane.resize(plane.len() + frames as usize, 0.0);
        }
    }

    /// Frames between what was decoded and a packet that has this time stamp.
    fn hole_before(&mut self, stamp: i64) -> i64 {
        let Stream::Format(format) = &self.stream else { return 0 };
        let (tick_s, part) = (format.tick_s, &mut self.part);
        let passed = (part.seconds(part.position) / tick_s) as i64;
        if part.origin.is_none() && self.before_s == 0.0 && part.position == 0 {
            let late_s = format.late_s(stamp.saturating_add((part.seconds(part.skip) / tick_s) as i64));
            if (MIN_HOLE_S..MAX_GAP_S).contains(&late_s) {
                self.late_s += late_s;
            }
        }
        let origin = *part.origin.get_or_insert(stamp.saturating_sub(passed));
        let hole_s = stamp.saturating_sub(origin) as f64 * tick_s - part.seconds(part.position);
        if !hole_s.is_finite() {
            return 0;
        }
        if !(-MAX_BEHIND_S..MAX_GAP_S).contains(&hole_s) {
            part.origin = Some(stamp.saturating_sub(passed));
            return 0;
        }
        part.frames(hole_s.max(0.0)) as i64
    }

    /// Frames between what was decoded and a page of so many frames that ends at this place; negative where it is the last
    /// and as much of it is padding.
    fn hole_before_page(&mut self, granule: i64, length: u64, last: bool) -> i64 {
        let part = &mut self.part;
        let end = (part.position + length) as i64;
        // A stream that is one page counts from 0, and what exceeds its place is padding; others may be cut out of a longer one.
        let single = last && part.origin.is_none() && granule < end;
        let origin = *part.origin.get_or_insert(if single { 0 } else { granule.saturating_sub(end) });
        let hole = granule.saturating_sub(origin).saturating_sub(end);
        let behind = hole < -(part.frames(MAX_BEHIND_S) as i64) && !last;
        if behind || hole > part.frames(MAX_GAP_S) as i64 {
            part.origin = Some(granule.saturating_sub(end));
            return 0;
        }
        if last && hole > -(length as i64) { hole } else { hole.max(0) }
    }
}

/// The reader of a file, what it has seen of it, and the edit that MP4 makes of the track.
fn find(mut header: Repaired, track: usize) -> Result<(Stream, Survey, Option<Edit>), Refusal> {
    let unreadable = |e: io::Error| format!("cannot be read: {e}");
    if header.container.is_none() && header.source.is_seekable() {
        let is_unknown = header.is_unknown;
        let source = std::mem::replace(&mut header.source, Box::new(io::Cursor::new(Vec::new())));
        let mut window = Window::new(source);
        while let Some(length) = id3_length(window.peek(10)) {
            window.skip(length);
        }
        let found = match container_of(window.peek(LOOKED_AT)).map(|container| container.name) {
            Some("ogg") => Ogg::open(window, track).map(|ogg| Stream::Ogg(Box::new(ogg))),
            None | Some("aac" | "mp1" | "mp2" | "mp3") => {
                Frames::find(window).map(|frames| Stream::Frames(Box::new(frames)))
            }
            Some(_) => Err(window),
        };
        match found {
            Ok(mut stream) => {
                let survey = match &mut stream {
                    Stream::Frames(frames) => frames.survey(),
                    Stream::Ogg(ogg) => ogg.survey(),
                    Stream::Format(_) => Ok(Survey::default()),
                };
                return Ok((stream, survey.map_err(unreadable)?, None));
            }
            Err(_) if is_unknown => return Err(NO_AUDIO.into()),
            Err(window) => header.source = window.into_source().map_err(unreadable)?,
        }
    }
    let edits = match header.source.byte_len() {
        Some(total) if header.source.is_seekable() => {
            // A file that is cut within its edit lists has none; symphonia says what is wrong with it.
            let edits = edits(&mut header.source, total).unwrap_or_default();
            header.source.rewind().map_err(unreadable)?;
            edits
        }
        _ => Vec::new(),
    };
    let format = Format::open(header, track)?;
    let edit = edits.into_iter().find(|(track, _)| *track == format.track).map(|(_, edit)| edit);
    Ok((Stream::Format(Box::new(format)), Survey::default(), edit))
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
