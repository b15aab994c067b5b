//! What symphonia's readers of containers give: WAV, AIFF, CAF, FLAC, MP4, Matroska, and Ogg with FLAC.

use crate::{
    headers::{Repaired, repaired},
    opus::{self, Head},
    packets::{Refusal, no_such_track, unreadable_header},
    stream::{Coded, End, Next, Part, Place, Stretch},
};
use std::io;
use symphonia::core::{
    codecs::{CodecParameters, audio::well_known as id},
    common::Limit,
    errors::Error,
    formats::{FormatReader, Track, TrackType},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    packet::Packet,
    units::Duration,
};

/// Packets of other tracks on end before a file is taken to have no more of this one.
const MAX_BARREN_PACKETS: usize = 1_000_000;
/// Errors on end after which a container is given up.
const MAX_ERRORS: usize = 100;
/// Seconds by which a time stamp may differ from what is expected before the next one is asked: a slip of one packet is no pause.
const MIN_JUMP_S: f64 = 1.0;

/// Seconds that time stamps may go beyond what the header says of the whole: a spoiled one would bring hours of silence.
const BEYOND_S: f64 = 5.0;

/// An audio track, through symphonia.
pub(crate) struct Format {
    reader: Box<dyn FormatReader>,
    pub container: &'static str,
    pub track: u32,
    track_index: usize,
    pub track_count: usize,
    /// Seconds a tick of the track's time stamps.
    pub tick_s: f64,
    /// The part that comes first; none once it was given.
    first: Option<Box<Part>>,
    /// Seconds that the header promises.
    pub promised_s: Option<f64>,
    /// Seconds that the header says the longest track has.
    whole_s: Option<f64>,
    /// The first stamp of the track.
    first_stamp: Option<i64>,
    /// Earliest time stamp of a packet of another track, in seconds.
    others_s: Option<f64>,
    /// The last stamp and length of a packet of the track, in ticks.
    last: Option<(i64, i64)>,
    /// A packet that was read to see what follows the one before.
    ahead: Option<Packet>,
    end: Option<End>,
    /// What follows in the same file and is of another format.
    following: Option<Box<dyn MediaSource>>,
    /// Whether the file is known to end early.
    pub cut: bool,
}

impl Format {
    /// Finds the audio track of that number, from 0.
    pub fn open(mut header: Repaired, track_index: usize) -> Result<Self, Refusal> {
        let source = std::mem::replace(&mut header.source, Box::new(io::Cursor::new(Vec::new())));
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        // Pictures in tags are of no use here.
        let metadata = MetadataOptions::default().limit_visual_bytes(Limit::Maximum(0));
        let reader = header.reader(stream, metadata).map_err(|e| unreadable_header(&e, header.codec))?;
        let tracks: Vec<&Track> = audio_tracks(&*reader).collect();
        let track_count = tracks.len();
        let track = match tracks.get(track_index) {
            Some(track) => *track,
            None if tracks.is_empty() => return Err(Refusal::Unread("no audio track that is known".into())),
            None => return Err(Refusal::Final(no_such_track(track_index, track_count))),
        };
        let container = match (header.container, reader.format_info().short_name) {
            (Some(container), _) => container,
            (None, "wave") => "wav",
            (None, "isomp4") => "mp4",
            (None, other) => other,
        };
        let part = part_of(track).ok_or_else(|| Refusal::Unread("an unknown codec".into()))?;
        Ok(Self {
            container,
            track: track.id,
            track_index,
            track_count,
            tick_s: track.time_base.map_or(0.0, f64::from),
            promised_s: promised_seconds(container, track),
            whole_s: whole_seconds(&*reader).or_else(|| promised_seconds(container, track)),
            first_stamp: None,
            first: Some(Box::new(part)),
            reader,
            others_s: None,
            last: None,
            ahead: None,
            end: None,
            following: header.following,
            cut: false,
        })
    }

    /// Whether silence may be left out of the file: then a step in the time stamps is a pause, and no damage.
    pub fn has_pauses(&self) -> bool {
        matches!(self.container, "matroska" | "mp4")
    }

    /// Seconds that the track begins after another, by a stamp of its first frame that is heard. MP4 says it in its edit lists.
    pub fn late_s(&self, first: i64) -> f64 {
        let first = first as f64 * self.tick_s;
        self.others_s.filter(|_| self.container == "matroska").map_or(0.0, |others| (first - others).max(0.0))
    }

    /// The next packet of the track, or the part that it begins.
    pub fn next(&mut self) -> Next {
        if let Some(part) = self.first.take() {
            return Next::Part(part);
        }
        let packet = match self.ahead.take() {
            Some(packet) => packet,
            None => match self.packet() {
                Ok(packet) => packet,
                Err(next) => return next,
            },
        };
        let stamp = packet.pts.get().saturating_add(packet.trim_start.get() as i64);
        let frames = (packet.dur.get() as f64 * self.tick_s * f64::from(self.rate())) as u64;
        self.first_stamp.get_or_insert(stamp);
        let place = if self.is_slip(stamp) { Place::Next { lost_s: 0.0 } } else { Place::Starts { stamp } };
        if place != (Place::Next { lost_s: 0.0 }) {
            self.last = Some((stamp, packet.dur.get() as i64));
        }
        Next::Stretch(Stretch { packets: vec![Coded { packet, frames }], place, garbage: false })
    }

    fn rate(&self) -> u32 {
        let track = audio_tracks(&*self.reader).nth(self.track_index);
        match track.and_then(|track| track.codec_params.as_ref()) {
            Some(CodecParameters::Audio(codec)) => codec.sample_rate.unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the stamp is far from where it should be, and the next is not: then it is wrong.
    fn is_slip(&mut self, stamp: i64) -> bool {
        let Some((last, length)) = self.last else { return false };
        let jump = stamp.saturating_sub(last).saturating_sub(length) as f64 * self.tick_s;
        if jump.abs() < MIN_JUMP_S {
            return false;
        }
        if self.ahead.is_none() {
            match self.packet() {
                Ok(packet) => self.ahead = Some(packet),
                Err(_) => return jump < 0.0,
            }
        }
        let first = self.first_stamp.unwrap_or_default();
        let at_s = stamp.saturating_sub(first) as f64 * self.tick_s;
        if self.whole_s.is_some_and(|whole| whole > 0.0 && at_s > whole + BEYOND_S) {
            return true;
        }
        let next = self.ahead.as_ref().map_or(stamp, |packet| packet.pts.get());
        let back = (next.saturating_sub(last)) as f64 * self.tick_s;
        next < stamp || jump < 0.0 && back > 0.0
    }

    /// The next packet of the track; else the part that follows, or the end.
    fn packet(&mut self) -> Result<Packet, Next> {
        if let Some(end) = &self.end {
            return Err(Next::End(end.clone()));
        }
        let (mut errors, mut barren) = (0, 0);
        let end = loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(packet),
                Ok(Some(packet)) => {
                    barren += 1;
                    self.hear_of(&packet);
                    if barren > MAX_BARREN_PACKETS {
                        break End::default();
                    }
                }
                Ok(None) => break End::default(),
                Err(Error::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    // Others end so, too, when all is well.
                    break End { cut: self.has_pauses(), why: None };
                }
                Err(Error::ResetRequired) => {
                    let track = audio_tracks(&*self.reader).nth(self.track_index);
                    let Some((track, part)) = track.and_then(|track| Some((track, part_of(track)?))) else {
                        break End { cut: true, why: Some("its audio track ends half way".into()) };
                    };
                    (self.track, self.last, self.first_stamp) = (track.id, None, None);
                    return Err(Next::Part(Box::new(part)));
                }
                // Readers that find their way again do so at the next call.
                Err(Error::DecodeError(_)) if errors < MAX_ERRORS => errors += 1,
                Err(e) => break End { cut: true, why: Some(e.to_string()) },
            }
        };
        if let Some(part) = self.follow() {
            return Err(Next::Part(part));
        }
        let end = End { cut: end.cut || self.cut, ..end };
        self.end = Some(end.clone());
        Err(Next::End(end))
    }

    /// Goes on with the file that follows in this one.
    fn follow(&mut self) -> Option<Box<Part>> {
        let header = repaired(self.following.take()?).ok()?;
        let missing = header.missing;
        let mut next = Self::open(header, 0).ok()?;
        let mut part = next.first.take()?;
        let promised = next.promised_s.map(|seconds| seconds * missing * f64::from(next.rate()));
        part.promised = promised.map(|frames| frames as u64);
        (next.container, next.track_count) = (self.container, self.track_count);
        *self = next;
        Some(part)
    }

    /// Notes when another track begins, until this one has.
    fn hear_of(&mut self, packet: &Packet) {
        if self.last.is_some() {
            return;
        }
        let mut tracks = self.reader.tracks().iter();
        let base = tracks.find(|track| track.id == packet.track_id).and_then(|track| track.time_base);
        if let Some(base) = base {
            let at = packet.pts.get() as f64 * f64::from(base);
            self.others_s = Some(self.others_s.map_or(at, |others| others.min(at)));
        }
    }
}

fn audio_tracks(reader: &dyn FormatReader) -> impl Iterator<Item = &Track> {
    reader.tracks().iter().filter(|track| track.track_type() == Some(TrackType::Audio))
}

fn part_of(track: &Track) -> Option<Part> {
    let Some(CodecParameters::Audio(codec)) = &track.codec_params else { return None };
    let mut codec = codec.clone();
    let (mut skip, mut gain) = (0, 1.0);
    if codec.codec == id::CODEC_ID_OPUS {
        // Matroska gives the rate before encoding, for which libopus would decode with another filter.
        codec.sample_rate = Some(opus::RATE);
        if let Some(head) = codec.extra_data.as_deref().and_then(Head::parse) {
            (skip, gain) = (head.pre_skip, head.gain);
            codec.extra_data = Some(head.for_decoder);
        }
    }
    Some(Part { codec, skip, promised: None, padding: 0, gain })
}

/// Seconds that the header says of the file as a whole.
fn whole_seconds(reader: &dyn FormatReader) -> Option<f64> {
    let info = reader.media_info();
    Some(info.duration?.get() as f64 * f64::from(info.time_base?))
}

/// Seconds that the header says there are. Ogg and Matroska headers do not say.
fn promised_seconds(container: &str, track: &Track) -> Option<f64> {
    if matches!(container, "ogg" | "matroska") {
        return None;
    }
    // Fragments have 0 there.
    let ticks = track.duration.map(Duration::get).or(track.num_frames).filter(|&ticks| ticks > 0)?;
    Some(ticks as f64 * f64::from(track.time_base?))
}
