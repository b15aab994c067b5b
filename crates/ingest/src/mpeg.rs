//! Headers of MPEG audio frames (ISO/IEC 11172-3, 13818-3) and of ADTS (ISO/IEC 13818-7), and what encoders write into the
//! first frame.

use symphonia::core::codecs::audio::{AudioCodecId, well_known as id};

/// Bytes of the longest frame: ADTS counts them in 13 bits.
pub(crate) const MAX_FRAME: usize = 8191;
/// Bytes that a header may need.
pub(crate) const HEADER: usize = 7;
/// Samples that every decoder of Layer III is late by; encoders do not count them in the delay that they write.
const DECODER_DELAY: u64 = 529;
/// Bit rates in kbit/s by index, MPEG 1 Layer I, II, III, then MPEG 2 Layer I, and II and III.
const KILOBITS: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Rates of ADTS in Hz by index.
const ADTS_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// One frame, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Bits that tell one stream's kind from another's: version, layer, profile.
    kind: u16,
    pub codec: AudioCodecId,
    /// Bytes in all.
    pub length: usize,
    /// Bytes before what the decoder takes.
    pub head: usize,
    /// Samples a channel.
    pub samples: u64,
    pub rate: u32,
    /// 0 where the header does not say.
    pub channels: usize,
    has_crc: bool,
}

impl Frame {
    /// Reads the header at the start of these bytes; none where there is none. Of ADTS frames with several blocks nothing is
    /// known here that could decode them.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER || bytes[0] != 0xff || bytes[1] & 0xe0 != 0xe0 {
            return None;
        }
        let layer = bytes[1] >> 1 & 3;
        if layer == 0 { Self::parse_adts(bytes) } else { Self::parse_mpeg(bytes, layer) }
    }

    fn parse_mpeg(bytes: &[u8], layer: u8) -> Option<Self> {
        let version = bytes[1] >> 3 & 3; // 0: 2.5, 2: 2, 3: 1
        let (bits, rate) = (usize::from(bytes[2] >> 4), bytes[2] >> 2 & 3);
        if version == 1 || bits == 0 || bits == 15 || rate == 3 {
            return None;
        }
        let first = version == 3;
        let shift = [2, 0, 1, 0][usize::from(version)];
        let rate = [44_100, 48_000, 32_000][usize::from(rate)] >> shift;
        let table = match (first, layer) {
            (true, layer) => usize::from(3 - layer),
            (false, 3) => 3,
            (false, _) => 4,
        };
        let (bit_rate, padding) = (KILOBITS[table][bits] * 1000, u32::from(bytes[2] >> 1 & 1));
        let channels = if bytes[3] >> 6 == 3 { 1 } else { 2 };
        let (codec, length, samples) = match (layer, first) {
            (3, _) => (id::CODEC_ID_MP1, (12 * bit_rate / rate + padding) * 4, 384),
            (2, _) => (id::CODEC_ID_MP2, 144 * bit_rate / rate + padding, 1152),
            (_, true) => (id::CODEC_ID_MP3, 144 * bit_rate / rate + padding, 1152),
            (_, false) => (id::CODEC_ID_MP3, 72 * bit_rate / rate + padding, 576),
        };
        if layer == 2 && !is_allowed_in_layer_two(bit_rate, channels) {
            return None;
        }
        Some(Self {
            kind: u16::from(bytes[1] >> 1 & 15),
            codec,
            length: length as usize,
            head: 0,
            samples,
            rate,
            channels,
            has_crc: bytes[1] & 1 == 0,
        })
    }

    fn parse_adts(bytes: &[u8]) -> Option<Self> {
        let (profile, rate) = (bytes[2] >> 6, usize::from(bytes[2] >> 2 & 15));
        let channels = usize::from((bytes[2] & 1) << 2 | bytes[3] >> 6);
        let length = usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5] >> 5);
        let (has_crc, blocks) = (bytes[1] & 1 == 0, bytes[6] & 3);
        let head = if has_crc { 9 } else { 7 };
        if bytes[1] & 0x10 == 0 || length <= head || blocks > 0 {
            return None;
        }
        Some(Self {
            kind: 0x100 | u16::from(profile),
            codec: id::CODEC_ID_AAC,
            length,
            head,
            samples: 1024,
            rate: *ADTS_RATES.get(rate)?,
            channels: if channels == 7 { 8 } else { channels },
            has_crc,
        })
    }

    /// Whether a frame is of the same kind and rate: channels may change from one to the next.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.rate) == (other.kind, other.rate)
    }

    /// Whether one decoder can decode both.
    pub fn goes_on(&self, other: &Self) -> bool {
        self.is_like(other) && self.channels == other.channels
    }

    /// What the encoder says of the whole stream, where this frame, whose bytes are given, holds that instead of sound.
    pub fn tag(&self, bytes: &[u8]) -> Option<Tag> {
        if self.codec != id::CODEC_ID_MP3 {
            return None;
        }
        let side = match (self.samples == 1152, self.channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            _ => 9,
        };
        let after_crc = if self.has_crc { 6 } else { 4 };
        let empty = |to: usize| bytes.get(after_crc..to).is_some_and(|side| side.iter().all(|&b| b == 0));
        if empty(4 + side) && matches!(bytes.get(4 + side..8 + side), Some(b"Xing" | b"Info")) {
            return Some(self.xing(&bytes[8 + side..]));
        }
        if empty(36) && bytes.get(36..40) == Some(b"VBRI") {
            let frames = bytes.get(50..54).map(|b| u64::from(number(b)));
            return Some(Tag { frames: frames.map(|frames| frames * self.samples), delay: 0, padding: 0 });
        }
        None
    }

    /// The tag from its flags on.
    fn xing(&self, bytes: &[u8]) -> Tag {
        let flags = bytes.get(..4).map_or(0, number);
        let mut at = 4;
        let mut frames = None;
        for (flag, length) in [(1, 4), (2, 4), (4, 100), (8, 4)] {
            if flags & flag != 0 {
                if flag == 1 {
                    frames = bytes.get(at..at + 4).map(|b| u64::from(number(b)) * self.samples);
                }
                at += length;
            }
        }
        // The name of the encoder takes 9 bytes, settings 12, and then come two numbers of 12 bits.
        let (mut delay, mut padding) = (0, 0);
        let known = |name: &[u8]| [&b"LAME"[..], b"Lavf", b"Lavc"].contains(&name);
        if let Some(&[a, b, c]) = bytes.get(at + 21..at + 24).filter(|_| known(&bytes[at..at + 4])) {
            let trim = u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c);
            (delay, padding) = ((trim >> 12) + DECODER_DELAY, (trim & 0xfff).saturating_sub(DECODER_DELAY));
        }
        Tag { frames, delay, padding }
    }
}

/// What an encoder writes about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Samples of all frames but this one.
    pub frames: Option<u64>,
    /// Samples before and after the sound.
    pub delay: u64,
    pub padding: u64,
}

/// Layer II allows no high rates for one channel and no low ones for two.
fn is_allowed_in_layer_two(bit_rate: u32, channels: usize) -> bool {
    match bit_rate / 1000 {
        224 | 256 | 320 | 384 => channels == 2,
        32 | 48 | 56 | 80 => channels == 1,
        _ => true,
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |n, &b| n << 8 | u32::from(b))
}

/// Bytes of the tag for players that these bytes begin with: ID3v2, ID3v1, APE, Lyrics3; none where they begin with none. The
/// last two are told by their start; `left` is how many bytes the file still has.
pub(crate) fn tag_length(bytes: &[u8], left: Option<u64>) -> Option<u64> {
    if bytes.starts_with(b"ID3") {
        return id3_length(bytes);
    }
    if bytes.starts_with(b"APETAGEX") {
        // The size counts what follows a header of 32 bytes; of a footer, which stands alone here, nothing follows.
        let field = |at: usize| bytes.get(at..at + 4).map(|b| b.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)));
        let is_header = field(20)? & 1 << 29 != 0;
        return Some(if is_header { 32 + field(12)? } else { 32 });
    }
    // These three letters are found in sound, too, but hardly where the tag must stand.
    (bytes.starts_with(b"TAG") && left.is_none_or(|left| left == 128 || bytes.len() > 127 && ends_well(&bytes[128..])))
        .then_some(128)
}

fn ends_well(after: &[u8]) -> bool {
    Frame::parse(after).is_some() || after.starts_with(b"ID3") || after.starts_with(b"APETAGEX")
}

/// Bytes of an ID3v2 tag.
pub(crate) fn id3_length(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..10).filter(|b| b.starts_with(b"ID3") && b[3] < 0xff && b[4] < 0xff)?;
    let size = header[6..].iter().try_fold(0, |n, &b| (b < 0x80).then_some(n << 7 | u64::from(b)))?;
    Some(10 + size + if header[5] & 0x10 != 0 { 10 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers() {
        let frame = Frame::parse(&[0xff, 0xfb, 0x90, 0x64, 0, 0, 0]).unwrap();
        assert_eq!((frame.length, frame.samples, frame.rate, frame.channels), (417, 1152, 44_100, 2));
        let frame = Frame::parse(&[0xff, 0xe3, 0x18, 0xc4, 0, 0, 0]).unwrap();
        assert_eq!((frame.length, frame.samples, frame.rate, frame.channels), (72, 576, 8000, 1));
        let frame = Frame::parse(&[0xff, 0xf1, 0x50, 0x80, 0x2d, 0x7f, 0xfc]).unwrap();
        assert_eq!((frame.length, frame.samples, frame.rate, frame.channels), (363, 1024, 44_100, 2));
        for bad in [[0xff, 0xeb, 0x90, 0], [0xff, 0xfb, 0xf0, 0], [0xff, 0xfb, 0x0c, 0], [0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Frame::parse(&[&bad[..], &[0; 3]].concat()), None, "{bad:?}");
        }
    }

    #[test]
    fn what_lame_says() {
        let mut bytes = vec![0xff, 0xfb, 0x90, 0x64];
        bytes.extend([0; 32]);
        bytes.extend(b"Info\0\0\0\x0f\0\0\x01\0");
        bytes.extend([0; 108]);
        bytes.extend(b"LAME3.100");
        bytes.extend([0; 12]);
        bytes.extend([0x24, 0x05, 0x00]); // 576 and 1280
        bytes.resize(417, 0);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(frame.tag(&bytes), Some(Tag { frames: Some(256 * 1152), delay: 576 + 529, padding: 1280 - 529 }));
        bytes[20] = 1; // sound in the frame
        assert_eq!(frame.tag(&bytes), None);
    }

    #[test]
    fn tags() {
        assert_eq!(tag_length(b"ID3\x04\0\0\0\0\x02\x01rest", None), Some(10 + 257));
        assert_eq!(tag_length(b"ID3\x04\0\x10\0\0\0\x01", None), Some(21));
        assert_eq!(tag_length(b"ID3\x04\0\0\xff\0\0\0", None), None);
        assert_eq!(tag_length(&[&b"TAG"[..], &[b' '; 125]].concat(), Some(128)), Some(128));
        assert_eq!(tag_length(&[&b"TAG"[..], &[b' '; 425]].concat(), Some(428)), None);
        let mut ape = b"APETAGEX".to_vec();
        ape.extend([0xd0, 7, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xa0]);
        assert_eq!(tag_length(&ape, None), Some(132));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(frame) = Frame::parse(&bytes) {
                prop_assert!(frame.length > frame.head && frame.length <= MAX_FRAME && frame.rate > 0);
                let _ = frame.tag(&bytes);
            }
            let _ = tag_length(&bytes, Some(bytes.len() as u64));
        }

        #[test]
        fn any_tag(version in prop::sample::select(vec![0xfbu8, 0xf3, 0xe3, 0xfa]), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for name in [&b"Xing"[..], b"Info"] {
                for side in [9, 17, 32] {
                    let whole = [&[0xff, version, 0x90, 0xc4][..], &vec![0; side], name, &bytes].concat();
                    if let Some(frame) = Frame::parse(&whole) {
                        let _ = frame.tag(&whole);
                    }
                }
            }
        }
    }
}
