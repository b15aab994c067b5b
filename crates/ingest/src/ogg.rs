//! Opus and Vorbis in Ogg (RFC 3533, RFC 7845, the Vorbis I specification), link after link.
//!
//! Pages say where their last frame ends. That is believed where it makes sense: muxers have been met that count at half the
//! rate, or not at all, and then the packets say how long the sound is.

use crate::{
    opus::{self, Head},
    pages::{Page, Pages},
    stream::{Coded, End, Next, Part, Place, Stretch, Survey},
    window::Window,
};
use std::{collections::BTreeMap, io};
use symphonia::core::{
    audio::{Channels, layouts},
    codecs::audio::{AudioCodecParameters, well_known as id},
    packet::Packet,
    units::{Duration, Timestamp},
};

/// Bytes of the longest packet: headers of Vorbis reach some ten thousand, and pictures are among them.
const MAX_PACKET: usize = 1 << 24;
/// Streams of one link that are looked at.
const MAX_STREAMS: usize = 64;
/// A page's place differs from what its packets say by no more than this many frames where both are right.
const CLOSE: i64 = 960;

/// An Ogg file.
pub(crate) struct Ogg {
    pages: Pages,
    /// Which audio stream of each link is read.
    track: usize,
    /// Audio streams of the first link.
    pub track_count: usize,
    /// First pages of a link that were read in a row.
    heads: Vec<(u32, Vec<u8>)>,
    link: Option<Link>,
    /// Links begun.
    links: usize,
    /// Of each link, whether its places are to be believed.
    believed: Vec<bool>,
    /// A page that was read to see what follows the one before.
    ahead: Option<Page>,
}

/// The stream that is read of the link that is read.
struct Link {
    serial: u32,
    is_opus: bool,
    /// The headers so far, and how many packets of them are still to come.
    headers: Vec<u8>,
    missing: usize,
    /// What came of a packet that goes on.
    partial: Vec<u8>,
    sequence: Option<u32>,
    /// Where the last page ended.
    granule: i64,
}

/// What a page's places say beside its packets, over a link.
#[derive(Default)]
struct Trust {
    last: Option<i64>,
    /// Pages whose place fits, is too early, and is too late; of the last, how many by the same share of their length.
    fit: usize,
    early: usize,
    late: usize,
    share: Option<i64>,
    same: usize,
}

impl Ogg {
    /// Reads audio stream `track`; gives the window back where a link is not for us.
    pub fn open(window: Window, track: usize) -> Result<Self, Window> {
        let mut ogg = Self {
            pages: Pages::new(window),
            track,
            track_count: 0,
            heads: Vec::new(),
            link: None,
            links: 0,
            believed: Vec::new(),
            ahead: None,
        };
        let start = ogg.pages.position();
        let mut heads: Vec<Vec<u8>> = Vec::new();
        while let Some(page) = ogg.pages.next().filter(|page| page.first && heads.len() < MAX_STREAMS) {
            heads.push(page.body);
        }
        ogg.track_count = heads.iter().filter(|head| is_ours(head)).count();
        if ogg.track_count == 0 || heads.iter().any(|head| is_foreign(head)) || ogg.pages.go_to(start).is_err() {
            return Err(ogg.pages.into_window());
        }
        Ok(ogg)
    }

    /// Looks through the file for its widest part and for links whose places make no sense, and goes back to its start.
    pub fn survey(&mut self) -> io::Result<Survey> {
        let start = self.pages.position();
        let mut survey = Survey::default();
        let mut trust: BTreeMap<usize, Trust> = BTreeMap::new();
        loop {
            match self.next() {
                Next::End(_) => break,
                Next::Part(part) => {
                    let channels = part.codec.channels.as_ref().map_or(0, Channels::count);
                    survey.channels = survey.channels.max(channels);
                    if channels > 2 || channels == 0 {
                        let name = if part.codec.codec == id::CODEC_ID_OPUS { "opus" } else { "vorbis" };
                        survey.unread = Some(format!("{name} of several streams or {channels} channels"));
                    }
                }
                Next::Stretch(stretch) => {
                    // Of Vorbis only the decoder knows how long a packet is.
                    let frames: u64 = stretch.packets.iter().map(|coded| coded.frames).sum();
                    if let Place::Ends { granule, last: false, .. } = stretch.place {
                        trust.entry(self.links).or_default().note(granule, frames as i64);
                    }
                }
            }
        }
        self.believed = (0..=self.links).map(|link| trust.get(&link).is_none_or(Trust::is_earned)).collect();
        self.pages.go_to(start)?;
        (self.link, self.links, self.ahead) = (None, 0, None);
        self.heads.clear();
        Ok(survey)
    }

    /// The packets of the next page of the stream, or the part that it begins.
    pub fn next(&mut self) -> Next {
        loop {
            let Some(page) = self.ahead.take().or_else(|| self.pages.next()) else {
                let (cut, why) = (self.pages.cut, self.pages.trouble());
                return Next::End(End { cut, why });
            };
            if page.first {
                self.link = None;
                if self.heads.len() < MAX_STREAMS {
                    self.heads.push((page.serial, page.body));
                }
                continue;
            }
            if !self.heads.is_empty() {
                self.start_link();
            }
            if self.link.as_ref().is_some_and(|link| link.serial == page.serial)
                && let Some(next) = self.read(&page)
            {
                return next;
            }
        }
    }

    /// The link whose first pages were read.
    fn start_link(&mut self) {
        self.links += 1;
        let mut ours = self.heads.drain(..).filter(|(_, head)| is_ours(head)).collect::<Vec<_>>();
        if ours.is_empty() {
            return;
        }
        let (serial, headers) = ours.swap_remove(self.track.min(ours.len() - 1));
        let is_opus = headers.starts_with(b"Opus");
        let missing = if is_opus { 1 } else { 2 };
        self.link = Some(Link { serial, is_opus, headers, missing, partial: Vec::new(), sequence: None, granule: 0 });
    }

    fn read(&mut self, page: &Page) -> Option<Next> {
        let link = self.link.as_mut()?;
        // Writers that do not count their pages leave the same number on all.
        let skipped = link.sequence.is_some_and(|last| page.sequence > last.wrapping_add(1));
        link.sequence = Some(page.sequence);
        let (last, granule, spoiled) = (page.last, page.granule, page.spoiled);
        let packets = link.packets(page, skipped);
        let mut coded = Vec::new();
        let mut part = None;
        for data in packets {
            if link.missing > 0 {
                if let Some(begun) = link.header(&data) {
                    part = Some(begun);
                    if !link.is_opus || data.starts_with(b"OpusTags") {
                        continue;
                    }
                } else {
                    continue;
                }
            }
            // An empty packet stands for one that was not sent.
            if !data.is_empty() {
                let frames = if link.is_opus { opus::frames(&data) } else { 0 };
                let packet = Packet::new(0, Timestamp::new(0), Duration::new(frames), data);
                coded.push(Coded { packet, frames });
            }
        }
        if let Some(part) = part {
            // Sound on the page of the headers is against the rules, and rare; it is short.
            return Some(Next::Part(Box::new(part)));
        }
        if coded.is_empty() || link.missing > 0 {
            return None;
        }
        let before = link.granule;
        let believed = self.believed.get(self.links).copied().unwrap_or(true)
            && granule > 0
            && granule >= before
            && !self.is_passing(granule);
        if let Some(link) = self.link.as_mut().filter(|_| believed) {
            link.granule = granule;
        }
        let lost = skipped || spoiled > 0;
        let place = if believed { Place::Ends { granule, last, lost } } else { Place::Next { lost_s: 0.0 } };
        Some(Next::Stretch(Stretch { packets: coded, place, garbage: spoiled > 0 && !skipped }))
    }

    /// Whether the next page of the stream is before this place: then the place is a slip.
    fn is_passing(&mut self, granule: i64) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.pages.next();
        }
        let serial = self.link.as_ref().map(|link| link.serial);
        self.ahead.as_ref().is_some_and(|page| {
            Some(page.serial) == serial && !page.first && page.granule > 0 && page.granule < granule
        })
    }
}

impl Link {
    /// The packets that end on a page.
    fn packets(&mut self, page: &Page, skipped: bool) -> Vec<Vec<u8>> {
        let mut partial = std::mem::take(&mut self.partial);
        // Without its beginning or its end a packet is none.
        let mut broken = page.continued && (skipped || partial.is_empty());
        if !page.continued {
            partial.clear();
        }
        let mut packets = Vec::new();
        let mut at = 0;
        for &length in &page.lacing {
            let next = at + usize::from(length);
            if partial.len() < MAX_PACKET {
                partial.extend(&page.body[at..next]);
            }
            at = next;
            if length < 255 {
                let packet = std::mem::take(&mut partial);
                if !std::mem::take(&mut broken) {
                    packets.push(packet);
                }
            }
        }
        if !broken {
            self.partial = partial;
        }
        packets
    }

    /// Takes a packet of the headers; gives the part when they are complete.
    fn header(&mut self, data: &[u8]) -> Option<Part> {
        let mut codec = AudioCodecParameters::new();
        if self.is_opus {
            self.missing = 0;
            let head = Head::parse(&self.headers)?;
            codec.for_codec(id::CODEC_ID_OPUS).with_sample_rate(opus::RATE).with_extra_data(head.for_decoder);
            with_channels(&mut codec, if head.streams == 1 { head.channels } else { 0 });
            return Some(Part { codec, skip: head.pre_skip, promised: None, padding: 0, gain: head.gain });
        }
        self.missing -= 1;
        if data.first() == Some(&5) {
            self.headers.extend(data);
            self.missing = 0;
        }
        if self.missing > 0 {
            return None;
        }
        let number = |at: usize| self.headers[at..at + 4].iter().rev().fold(0, |n, &b| n << 8 | u32::from(b));
        codec.for_codec(id::CODEC_ID_VORBIS).with_sample_rate(number(12));
        with_channels(&mut codec, usize::from(self.headers[11]));
        codec.with_extra_data(self.headers.clone().into());
        Some(Part { codec, skip: 0, promised: None, padding: 0, gain: 1.0 })
    }
}

impl Trust {
    fn note(&mut self, granule: i64, frames: i64) {
        let Some(last) = self.last.replace(granule) else { return };
        let passed = granule.saturating_sub(last);
        if frames == 0 || (passed - frames).abs() <= CLOSE {
            self.fit += 1;
        } else if passed < frames {
            self.early += 1;
        } else {
            self.late += 1;
            let share = passed.saturating_mul(100) / frames;
            self.same += usize::from(*self.share.get_or_insert(share) == share);
        }
    }

    /// Whether pages are where their packets say, but for pauses.
    fn is_earned(&self) -> bool {
        let other_clock = self.late > self.fit && self.same * 10 >= self.late * 9 && self.late > 1;
        self.early <= self.fit && !other_clock
    }
}

fn with_channels(codec: &mut AudioCodecParameters, channels: usize) {
    match channels {
        1 => codec.with_channels(layouts::CHANNEL_LAYOUT_MONO),
        2 => codec.with_channels(layouts::CHANNEL_LAYOUT_STEREO),
        _ => codec,
    };
}

/// Whether a stream's first packet is of a codec that is read here.
fn is_ours(head: &[u8]) -> bool {
    head.starts_with(b"OpusHead") && head.len() >= 19 || head.starts_with(b"\x01vorbis") && head.len() >= 30
}

/// Whether it is of another audio codec.
fn is_foreign(head: &[u8]) -> bool {
    [&b"\x7fFLAC"[..], b"fLaC", b"Speex   "].iter().any(|name| head.starts_with(name))
}
