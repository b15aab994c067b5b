//! What Opus packets and headers say (RFC 6716, RFC 7845).

/// Opus is decoded at this rate, whatever it was made from.
pub(crate) const RATE: u32 = 48_000;

/// The identification header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub channels: usize,
    /// Frames to be dropped at the start, whatever packets they span.
    pub pre_skip: u64,
    /// What every sample is multiplied with.
    pub gain: f32,
    /// Streams that are coded apart; one is what libopus decodes.
    pub streams: usize,
    /// The header for the decoder, which would drop no more than the first packet: without the frames to be dropped.
    pub for_decoder: Box<[u8]>,
}

impl Head {
    /// Reads a header as it stands in Ogg and Matroska, or the fields of MP4's atom under the same name, which count the other
    /// way round and say so by their version.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 19 || !bytes.starts_with(b"OpusHead") {
            return None;
        }
        let number = |at: usize| {
            let pair = [bytes[at], bytes[at + 1]];
            if bytes[8] == 0 { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let gain_db = f32::from(number(16).cast_signed()) / 256.0;
        let mut for_decoder = bytes.to_vec();
        for_decoder[10..12].fill(0);
        Some(Self {
            channels: usize::from(bytes[9]),
            pre_skip: u64::from(number(10)),
            gain: if gain_db == 0.0 { 1.0 } else { 10f32.powf(gain_db / 20.0) },
            streams: if bytes[18] == 0 { 1 } else { bytes.get(19).map_or(1, |&n| usize::from(n)) },
            for_decoder: for_decoder.into(),
        })
    }
}

/// Frames at 48 kHz that a packet holds, by its first two bytes; 0 of one that is none.
pub(crate) fn frames(packet: &[u8]) -> u64 {
    let Some(&toc) = packet.first() else { return 0 };
    let tens = match toc >> 3 {
        // In units of 2.5 ms, which are 120 frames.
        config @ 0..12 => [4, 8, 16, 24][usize::from(config % 4)],
        config @ 12..16 => [4, 8][usize::from(config % 2)],
        config => [1, 2, 4, 8][usize::from(config % 4)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |&b| u64::from(b & 63)),
    };
    let frames = count * tens * 120;
    // 120 ms are the most that a packet may hold.
    if frames <= 5760 { frames } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let ogg = b"OpusHead\x01\x02\x00\x0f\x80\xbb\0\0\x00\x9c\0";
        let head = Head::parse(ogg).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.streams), (2, 3840, 1));
        assert!((20.0 * head.gain.log10() + 100.0).abs() < 1e-3, "{}", head.gain);
        assert_eq!(head.for_decoder[10..12], [0, 0]);
        let mp4 = b"OpusHead\x00\x01\x01\x38\0\0\xbb\x80\x03\x00\0";
        let head = Head::parse(mp4).unwrap();
        assert_eq!((head.channels, head.pre_skip), (1, 312));
        assert!((20.0 * head.gain.log10() - 3.0).abs() < 1e-3);
        assert_eq!(Head::parse(&ogg[..18]), None);
    }

    #[test]
    fn lengths_of_packets() {
        // SILK 20 ms, hybrid 10 ms twice, CELT 2.5 ms, three of 20 ms, nothing, too much.
        let packets: [(&[u8], u64); 6] =
            [(&[0x08], 960), (&[0x61], 960), (&[0x80], 120), (&[0xfb, 3], 2880), (&[], 0), (&[0x1b, 63], 0)];
        for (packet, want) in packets {
            assert_eq!(frames(packet), want, "{packet:?}");
        }
    }
}
