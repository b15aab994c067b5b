//! Which container a file is, from its first bytes.
//!
//! Symphonia looks for its formats anywhere in the first megabyte and takes a stretch of a Windows Media file for MP3; ffmpeg
//! guesses, too, and would open playlists. So the signature decides who reads a file, and ffmpeg is told what it reads.

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 600;

/// A container that is known by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// As `calls.container` spells it.
    pub name: &'static str,
    /// Ffmpeg's name of its demuxer.
    pub demuxer: &'static str,
    /// Whether symphonia reads it.
    pub native: bool,
    /// Whether it says how long it is, so that ffmpeg's word on that is no guess from the bit rate.
    pub knows_length: bool,
}

const fn native(name: &'static str, demuxer: &'static str) -> Container {
    Container { name, demuxer, native: true, knows_length: true }
}

const fn foreign(name: &'static str, demuxer: &'static str, knows_length: bool) -> Container {
    Container { name, demuxer, native: false, knows_length }
}

/// Signature, where it stands, container. Of several that fit the first counts.
const SIGNATURES: &[(&[u8], usize, Container)] = &[
    (b"AVI ", 8, foreign("avi", "avi", true)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, foreign("asf", "asf", true)),
    (b"Speex   ", 28, foreign("ogg", "ogg", true)),
    (b"#!AMR", 0, foreign("amr", "amr", false)),
    (b".snd", 0, foreign("au", "au", true)),
    (b"NIST_1A\n", 0, foreign("sph", "nistsphere", false)),
    (b"FLV\x01", 0, foreign("flv", "flv", false)),
    (b"\0\0\x01\xba", 0, foreign("mpeg", "mpeg", false)),
    (b".RMF", 0, foreign("rm", "rm", false)),
    (b"Creative Voice File\x1a", 0, foreign("voc", "voc", false)),
    (b"wvpk", 0, foreign("wavpack", "wv", true)),
    (b"MAC ", 0, foreign("ape", "ape", true)),
    (b"TTA1", 0, foreign("tta", "tta", true)),
    (b"\x0b\x77", 0, foreign("ac3", "ac3", false)),
    (b"WAVE", 8, native("wav", "wav")),
    (b"riff\x2e\x91\xcf\x11", 0, native("w64", "w64")),
    (b"AIFF", 8, native("aiff", "aiff")),
    (b"AIFC", 8, native("aiff", "aiff")),
    (b"caff", 0, native("caf", "caf")),
    (b"fLaC", 0, native("flac", "flac")),
    (b"OggS", 0, native("ogg", "ogg")),
    (b"ftyp", 4, native("mp4", "mov")),
    (b"\x1a\x45\xdf\xa3", 0, native("matroska", "matroska")),
    (b"\xff\xf1", 0, native("aac", "aac")),
    (b"\xff\xf9", 0, native("aac", "aac")),
];

/// The container that starts with these bytes; none where no signature fits, as of MP3, which has none.
pub(crate) fn container_of(start: &[u8]) -> Option<Container> {
    let stands = |signature: &[u8], at: usize| start.get(at..).is_some_and(|rest| rest.starts_with(signature));
    // Transport streams: packets of 188 bytes, each with its sync byte.
    if [0, 188, 376, 564].iter().all(|&at| start.get(at) == Some(&0x47)) {
        return Some(foreign("mpegts", "mpegts", false));
    }
    SIGNATURES.iter().find(|(signature, at, _)| stands(signature, *at)).map(|(_, _, container)| *container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_signature() {
        let name = |start: &[u8]| container_of(start).map(|c| (c.name, c.native));
        assert_eq!(name(b"RIFF\0\0\0\0WAVEfmt "), Some(("wav", true)));
        assert_eq!(name(b"RIFF\0\0\0\0AVI LIST"), Some(("avi", false)));
        assert_eq!(name(b"#!AMR-WB\n"), Some(("amr", false)));
        assert_eq!(name(b"\xff\xfb\x90"), None);
        assert_eq!(name(b""), None);
        let mut stream = vec![0; 600];
        for at in [0, 188, 376] {
            stream[at] = 0x47;
        }
        assert_eq!(name(&stream), None);
        stream[564] = 0x47;
        assert_eq!(name(&stream), Some(("mpegts", false)));
    }
}
