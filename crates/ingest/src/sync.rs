//! Where frames of MPEG audio (layers I to III, and AAC in ADTS) begin: the formats without a signature.
//!
//! A frame starts with eleven bits that are set; one in two thousand places of anything does, and UTF-16 text more often. So
//! a frame counts only if others follow it where its header says, of the same layer, version and rate.

use crate::container::Container;

/// Frames in a row that make sound of bytes.
const IN_A_ROW: usize = 4;

/// Bytes in which [`begins`] finds enough of the longest frames.
pub(crate) const ENOUGH: usize = 8192;

/// What is made of such frames.
pub(crate) const CONTAINER: Container = Container { name: "mp3", demuxer: "mp3", native: true, knows_length: false };

/// What a frame's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// Bytes of the frame with its header.
    length: usize,
    /// Version, layer and rate, which stay the same throughout.
    kind: (u8, u8, u8),
}

/// Kilobits a second by the header's four bits: MPEG-1 layers I, II and III, then MPEG-2 and 2.5 layer I, and II and III.
const BITS: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// ISO/IEC 11172-3, 2.4.1.3; free formats are left out, for they do not say where the next frame is.
fn header(bytes: &[u8]) -> Option<Header> {
    let &[0xff, b, c, d, ..] = bytes else { return None };
    if b & 0xf6 == 0xf0 {
        return adts(b, c, d, bytes);
    }
    if b & 0xe0 != 0xe0 {
        return None;
    }
    let (version, layer, bits, rate) = (b >> 3 & 3, b >> 1 & 3, usize::from(c >> 4), c >> 2 & 3);
    if version == 1 || layer == 0 || bits == 0 || bits == 15 || rate == 3 {
        return None;
    }
    let first = version == 3;
    let hertz = [44_100, 48_000, 32_000][usize::from(rate)] >> [2, 0, 1, 0][usize::from(version)];
    // The layer is written backwards: 3 is I, 2 is II, 1 is III.
    let table = match (first, layer) {
        (true, layer) => 3 - usize::from(layer),
        (false, 3) => 3,
        (false, _) => 4,
    };
    let (bits, padding) = (usize::from(BITS[table][bits]) * 1000, usize::from(c >> 1 & 1));
    let length = match layer {
        3 => (12 * bits / hertz + padding) * 4,
        1 if !first => 72 * bits / hertz + padding,
        _ => 144 * bits / hertz + padding,
    };
    (length > 4).then_some(Header { length, kind: (version, layer, rate) })
}

/// ISO/IEC 13818-7, 6.2: AAC, whose layer is 0.
fn adts(b: u8, c: u8, d: u8, bytes: &[u8]) -> Option<Header> {
    let rate = c >> 2 & 15;
    let length = usize::from(d & 3) << 11 | usize::from(*bytes.get(4)?) << 3 | usize::from(bytes.get(5)? >> 5);
    // Version and whether there is a checksum; object type and rate.
    (rate < 13 && length > 7).then_some(Header { length, kind: (b, c >> 2, u8::MAX) })
}

/// Where the first of several frames in a row begins. Bytes that end earlier must end with a frame, or within one of which
/// enough came before; if `more` follows them, two frames that reach to the end are enough.
pub(crate) fn find(bytes: &[u8], more: bool) -> Option<usize> {
    (0..bytes.len().saturating_sub(3)).find(|&at| bytes[at] == 0xff && is_sound(&bytes[at..], more))
}

/// Whether frames begin with the first byte.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    is_sound(bytes, true)
}

fn is_sound(bytes: &[u8], more: bool) -> bool {
    let Some(first) = header(bytes) else { return false };
    let (mut at, mut count) = (first.length, 1);
    while count < IN_A_ROW {
        match bytes.get(at..) {
            // The end of all there is.
            None | Some([]) => return count >= 2 && (more || at == bytes.len()) || count >= 3,
            Some(rest) if rest.len() < 6 => return count >= 2,
            Some(rest) => match header(rest) {
                Some(next) if next.kind == first.kind => at += next.length,
                _ => return false,
            },
        }
        count += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_frames() {
        let length = |b, c| header(&[0xff, b, c, 0]).map(|h| h.length);
        assert_eq!(length(0xfb, 0x90), Some(417)); // MPEG-1 III, 128 kbit/s, 44.1 kHz
        assert_eq!(length(0xfb, 0x92), Some(418)); // padded
        assert_eq!(length(0xf3, 0x44), Some(96)); // MPEG-2 III, 32 kbit/s, 24 kHz
        assert_eq!(length(0xe3, 0x48), Some(288)); // MPEG-2.5 III, 32 kbit/s, 8 kHz
        assert_eq!(length(0xfd, 0x84), Some(384)); // MPEG-1 II, 128 kbit/s, 48 kHz
        assert_eq!(length(0xff, 0x48), Some(192)); // MPEG-1 I, 128 kbit/s, 32 kHz
        assert_eq!(length(0xfb, 0xf0), None);
        assert_eq!(header(&[0xff, 0xf1, 0x50, 0x40, 0x10, 0x1f, 0xfc]).map(|h| h.length), Some(128)); // ADTS
    }

    #[test]
    fn frames_behind_something_else() {
        let mut frame = vec![0x22; 96];
        frame[..4].copy_from_slice(&[0xff, 0xf3, 0x44, 0xc0]);
        let sound = frame.repeat(6);
        assert_eq!(find(&sound, false), Some(0));
        assert_eq!(find(&[b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), sound.clone()].concat(), false), Some(19));
        assert_eq!(find(&frame.repeat(2), false), Some(0));
        assert_eq!(find(&frame, false), None);
        // Text in UTF-16 with its mark.
        let text: Vec<u8> = "\u{feff}a comment in a tag".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(find(&text.repeat(40), true), None);
    }
}
