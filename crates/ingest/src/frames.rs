//! MP2, MP3 and ADTS: frames one after another, without a container.
//!
//! Such files are put together, cut, and have pieces of other things before, between and behind their frames. So the frames are
//! found here: one is believed where it stands right behind another of its kind, or where others follow it. What an encoder
//! writes into a first frame (Xing, LAME, VBRI) says where a part begins, and how much of it is delay and padding.

use crate::{
    mpeg::{Frame, HEADER, MAX_FRAME, Tag, id3_length, tag_length},
    stream::{Coded, End, Next, Part, Place, Stretch, Survey},
    window::Window,
};
use std::io;
use symphonia::core::{
    audio::layouts,
    codecs::audio::{AudioCodecId, AudioCodecParameters, well_known as id},
    packet::Packet,
    units::{Duration, Timestamp},
};

/// Bytes in which a frame, two that confirm it and the header of the next fit.
const LOOK: usize = 3 * MAX_FRAME + 64;
/// Bytes before the first frame that are looked through, tags not counted.
const MAX_LEAD: u64 = 1 << 20;
/// A file up to this length is looked through before it is decoded; it was read for its hash just now. Of a longer one, which a
/// bucket would have to send again, as many places are looked at as give no more than twice as many bytes.
const SURVEYED: u64 = 32 << 20;
const PLACES: u64 = 64;

/// A file of frames.
pub(crate) struct Frames {
    window: Window,
    /// The last frame of the part that is read; none before it has one.
    last: Option<Frame>,
    /// Whether the window stands where a frame is due: at the start, behind a frame or a tag.
    due: bool,
    /// Of the part: bytes and samples of its frames, and how many samples it should have.
    bytes: u64,
    samples: u64,
    promised: Option<u64>,
    first: AudioCodecId,
}

/// What stands at the window.
enum Found {
    Frame(Frame),
    /// Bytes that hold a tag for players.
    Tag(u64),
    /// Neither, for so many bytes.
    Garbage(u64),
    End {
        cut: bool,
    },
}

impl Frames {
    /// Finds the first frames; gives the window back where there are none.
    pub fn find(window: Window) -> Result<Self, Window> {
        let first = id::CODEC_ID_MP3;
        let mut frames = Self { window, last: None, due: true, bytes: 0, samples: 0, promised: None, first };
        let mut lead = 0;
        while lead < MAX_LEAD {
            match frames.look() {
                Found::Frame(frame) if frames.window.go_to(0).is_ok() => {
                    frames.first = frame.codec;
                    return Ok(frames);
                }
                Found::Frame(_) | Found::End { .. } => break,
                Found::Tag(length) => frames.window.skip(length),
                Found::Garbage(length) => {
                    lead += length;
                    frames.window.skip(length);
                }
            }
        }
        Err(frames.window)
    }

    /// What the container is called.
    pub fn name(&self) -> &'static str {
        match self.first {
            id::CODEC_ID_AAC => "aac",
            id::CODEC_ID_MP1 => "mp1",
            id::CODEC_ID_MP2 => "mp2",
            _ => "mp3",
        }
    }

    /// Looks through the file for its widest part, and goes back to its start.
    pub fn survey(&mut self) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let mut note = |frame: &Frame| {
            survey.channels = survey.channels.max(frame.channels);
            if frame.codec == id::CODEC_ID_AAC && !(1..=2).contains(&frame.channels) {
                survey.unread = Some(format!("aac of {} channels", frame.channels));
            }
        };
        match self.window.length().filter(|&length| length > SURVEYED) {
            Some(length) => {
                for place in 0..PLACES {
                    self.window.go_to(length / PLACES * place)?;
                    (self.last, self.due) = (None, false);
                    // Tags and garbage first, then a frame.
                    for _ in 0..4 {
                        match self.look() {
                            Found::Frame(frame) => {
                                note(&frame);
                                break;
                            }
                            Found::Tag(length) | Found::Garbage(length) => self.window.skip(length),
                            Found::End { .. } => break,
                        }
                    }
                }
            }
            None => loop {
                match self.look() {
                    Found::Frame(frame) => {
                        note(&frame);
                        self.window.skip(frame.length as u64);
                        (self.last, self.due) = (Some(frame), true);
                    }
                    Found::Tag(length) => {
                        self.window.skip(length);
                        self.due = true;
                    }
                    Found::Garbage(length) => {
                        self.window.skip(length);
                        self.due = false;
                    }
                    Found::End { .. } => break,
                }
            },
        }
        self.window.go_to(0)?;
        (self.last, self.due) = (None, true);
        Ok(survey)
    }

    /// The next frame, or the part that it begins.
    pub fn next(&mut self) -> Next {
        let (mut garbage, mut tagged) = (0, false);
        loop {
            match self.look() {
                Found::End { cut } => return Next::End(End { cut, why: self.window.trouble().map(str::to_owned) }),
                Found::Tag(length) => {
                    self.window.skip(length);
                    (self.due, tagged) = (true, true);
                }
                Found::Garbage(length) => {
                    self.window.skip(length);
                    (self.due, garbage) = (false, garbage + length);
                }
                Found::Frame(frame) => {
                    if let Some(tag) = frame.tag(&self.window.peek(frame.length)[..frame.length]) {
                        self.window.skip(frame.length as u64);
                        return self.begin(frame, Some(tag));
                    }
                    if !self.last.is_some_and(|last| last.goes_on(&frame)) {
                        return self.begin(frame, None);
                    }
                    return Next::Stretch(self.take(frame, garbage, tagged));
                }
            }
        }
    }

    /// Starts a part with this frame.
    fn begin(&mut self, frame: Frame, tag: Option<Tag>) -> Next {
        (self.last, self.due) = (Some(frame), true);
        (self.bytes, self.samples) = (0, 0);
        let tag = tag.unwrap_or(Tag { frames: None, delay: 0, padding: 0 });
        self.promised = tag.frames;
        let mut codec = AudioCodecParameters::new();
        codec.for_codec(frame.codec).with_sample_rate(frame.rate);
        match frame.channels {
            1 => codec.with_channels(layouts::CHANNEL_LAYOUT_MONO),
            2 => codec.with_channels(layouts::CHANNEL_LAYOUT_STEREO),
            _ => &mut codec,
        };
        let Tag { frames: promised, delay: skip, padding } = tag;
        Next::Part(Box::new(Part { codec, skip, promised, padding, gain: 1.0 }))
    }

    fn take(&mut self, frame: Frame, garbage: u64, tagged: bool) -> Stretch {
        let data = self.window.peek(frame.length)[frame.head..frame.length].to_vec();
        self.window.skip(frame.length as u64);
        let lost = self.lost(garbage, tagged);
        self.bytes += frame.length as u64;
        self.samples += frame.samples + lost;
        (self.last, self.due) = (Some(frame), true);
        let packet = Packet::new(0, Timestamp::new(0), Duration::new(frame.samples), data);
        Stretch {
            packets: vec![Coded { packet, frames: frame.samples }],
            place: Place::Next { lost_s: lost as f64 / f64::from(frame.rate) },
            garbage: garbage > 0 && lost == 0,
        }
    }

    /// Samples that so many bytes stood for before they were spoiled: as many whole frames as they are long. None before the
    /// first frame, beside a tag, and after a part that is complete: something else was put there.
    fn lost(&self, garbage: u64, tagged: bool) -> u64 {
        let Some(last) = self.last.filter(|_| self.samples > 0 && !tagged) else { return 0 };
        if self.promised.is_some_and(|promised| self.samples >= promised) {
            return 0;
        }
        let frames = self.samples / last.samples;
        (garbage * frames + self.bytes / 2).checked_div(self.bytes).unwrap_or(0) * last.samples
    }

    /// What stands at the window. What is no frame is told up to where there may be one.
    fn look(&mut self) -> Found {
        let (last, due) = (self.last, self.due);
        if due
            && let Some(last) = last
            && let bytes = self.window.peek(MAX_FRAME)
            && let Some(frame) = Frame::parse(bytes).filter(|frame| last.goes_on(frame))
        {
            return if frame.length <= bytes.len() { Found::Frame(frame) } else { Found::End { cut: true } };
        }
        let left = self.window.length().map(|length| length.saturating_sub(self.window.position()));
        self.window.peek(2 * LOOK);
        let ended = self.window.ended();
        let bytes = self.window.peek(0);
        if bytes.is_empty() {
            return Found::End { cut: false };
        }
        if ended && due && last.is_some() && bytes.len() < HEADER && bytes[0] == 0xff {
            return Found::End { cut: true };
        }
        if let Some(frame) = Frame::parse(bytes).filter(|&frame| is_confirmed(bytes, frame, last, ended, due)) {
            return if frame.length <= bytes.len() { Found::Frame(frame) } else { Found::End { cut: true } };
        }
        if let Some(length) = tag_length(bytes, left) {
            return Found::Tag(length);
        }
        // Whatever begins before this can be confirmed by what is held.
        let reach = if ended { bytes.len() } else { bytes.len() - LOOK };
        let is_start = |at: usize| match bytes[at] {
            0xff => {
                Frame::parse(&bytes[at..]).is_some_and(|frame| is_confirmed(&bytes[at..], frame, last, ended, false))
            }
            b'I' => id3_length(&bytes[at..]).is_some(),
            b'A' => bytes[at..].starts_with(b"APETAGEX"),
            b'T' => left == Some(at as u64 + 128) && bytes[at..].starts_with(b"TAG"),
            _ => false,
        };
        Found::Garbage((1..reach).find(|&at| is_start(at)).unwrap_or(reach) as u64)
    }
}

/// Whether what looks like a frame at the start of the bytes is one, by what follows it: one more where it goes on with the
/// last one, else two. Where a frame must stand (`due`), the file may end before that.
fn is_confirmed(bytes: &[u8], frame: Frame, last: Option<Frame>, ended: bool, due: bool) -> bool {
    let wanted = if last.is_some_and(|last| last.goes_on(&frame)) { 1 } else { 2 };
    let (mut at, mut seen) = (frame.length, 0);
    while seen < wanted {
        let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 10) else {
            // The end is as good as a frame, but not for what stands anywhere and is cut off.
            return ended && (due || seen > 0 || at == bytes.len() && last.is_some());
        };
        match Frame::parse(rest) {
            Some(next) if next.is_like(&frame) => at += next.length,
            _ => return (due || seen > 0) && tag_length(rest, None).is_some(),
        }
        seen += 1;
    }
    true
}
