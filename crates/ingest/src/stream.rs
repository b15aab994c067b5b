//! What the readers of containers hand to the decoder: parts, packets and their places.
//!
//! A recording is one or several parts, one after another: the links of a chained Ogg, files that were put together, a change
//! of rate or channels. Each part has a codec, a rate and a clock of its own.

use crate::{format::Format, frames::Frames, ogg::Ogg};
use symphonia::core::{codecs::audio::AudioCodecParameters, packet::Packet};

/// A stream of packets that are decoded one after another.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub codec: AudioCodecParameters,
    /// Frames at its start that are the encoder's delay.
    pub skip: u64,
    /// Frames that its header promises, delay and padding counted.
    pub promised: Option<u64>,
    /// Frames of them at the end that are padding.
    pub padding: u64,
    /// What its samples are multiplied with.
    pub gain: f32,
}

/// Packets that belong together: their place is known of all or of none.
pub(crate) struct Stretch {
    pub packets: Vec<Coded>,
    pub place: Place,
    /// Whether bytes before them are no sound, and stand for none.
    pub garbage: bool,
}

/// One packet.
pub(crate) struct Coded {
    pub packet: Packet,
    /// Frames that it should give; 0 where that is not known.
    pub frames: u64,
}

/// Where packets stand in their part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// Directly after those before, but for what was lost there, in seconds.
    Next { lost_s: f64 },
    /// The first frame has this time stamp, in ticks from anywhere.
    Starts { stamp: i64 },
    /// The last frame ends at this frame of the stream, counted from anywhere.
    Ends {
        granule: i64,
        /// Whether these are the last of their part: what exceeds their place is padding.
        last: bool,
        /// Whether something between these and those before is known to be lost.
        lost: bool,
    },
}

/// What comes next.
pub(crate) enum Next {
    Part(Box<Part>),
    Stretch(Stretch),
    End(End),
}

/// How a file ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    /// Within a packet.
    pub cut: bool,
    /// Why it could not be read on.
    pub why: Option<String>,
}

/// What was seen of a recording before it is decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Channels of its widest part.
    pub channels: usize,
    /// A part that has no decoder here.
    pub unread: Option<String>,
}

/// Who reads the container.
pub(crate) enum Stream {
    Frames(Box<Frames>),
    Ogg(Box<Ogg>),
    Format(Box<Format>),
}

impl Stream {
    pub fn next(&mut self) -> Next {
        match self {
            Self::Frames(frames) => frames.next(),
            Self::Ogg(ogg) => ogg.next(),
            Self::Format(format) => format.next(),
        }
    }
}
