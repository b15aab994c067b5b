//! Which container a file is, from its first bytes.
//!
//! Symphonia looks for its formats anywhere in the first megabyte and takes a stretch of a Windows Media file for MP3; ffmpeg
//! guesses, too, and would open playlists. So the signature decides who reads a file, and ffmpeg is told what it reads.

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 4096;

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

impl Container {
    /// Whether its packets say when they are to be heard, so that silence stands where none came.
    pub fn has_clock(self) -> bool {
        CLOCKS.contains(&self.demuxer)
    }
}

/// Demuxers of containers for pictures and sound: sound may begin later, or stop for a while.
const CLOCKS: [&str; 9] = ["asf", "avi", "flv", "matroska", "mov", "mpeg", "mpegts", "mxf", "wtv"];

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
    (b"NIST_1A\n", 0, foreign("sph", "nistsphere", false)),
    (b"FLV\x01", 0, foreign("flv", "flv", false)),
    (b"\0\0\x01\xba", 0, foreign("mpeg", "mpeg", false)),
    (b".RMF", 0, foreign("rm", "rm", false)),
    (b"Creative Voice File\x1a", 0, foreign("voc", "voc", false)),
    (b"wvpk", 0, foreign("wavpack", "wv", true)),
    (b"MAC ", 0, foreign("ape", "ape", true)),
    (b"TTA1", 0, foreign("tta", "tta", true)),
    (b"TTA2", 0, foreign("tta", "tta", true)),
    (b".ra\xfd", 0, foreign("rm", "rm", false)),
    (b"#!iLBC", 0, foreign("ilbc", "ilbc", false)),
    (b"MP+", 0, foreign("mpc", "mpc", false)),
    (b"MPCK", 0, foreign("mpc", "mpc8", false)),
    (b"DSD ", 0, foreign("dsf", "dsf", false)),
    (b"8SVX", 8, foreign("iff", "iff", false)),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", 0, foreign("mxf", "mxf", true)),
    (b"\xb7\xd8\0\x20\x37\x49\xda\x11", 0, foreign("wtv", "wtv", false)),
    (b"\x7f\xfe\x80\x01", 0, foreign("dts", "dts", false)),
    (b"\x0b\x77", 0, foreign("ac3", "ac3", false)),
    (b"WAVE", 8, native("wav", "wav")),
    (b"riff\x2e\x91\xcf\x11", 0, native("w64", "w64")),
    (b"AIFF", 8, native("aiff", "aiff")),
    (b"AIFC", 8, native("aiff", "aiff")),
    (b".snd", 0, native("au", "au")),
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
    let known = SIGNATURES.iter().find(|(signature, at, _)| stands(signature, *at)).map(|(_, _, container)| *container);
    known
        .or_else(|| is_quick_time(start).then_some(QUICK_TIME))
        .or_else(|| is_transport_stream(start).then_some(TRANSPORT))
}

const QUICK_TIME: Container = native("mp4", "mov");
const TRANSPORT: Container = foreign("mpegts", "mpegts", false);

/// What QuickTime files and segments of streams begin with where it is not `ftyp`.
const ATOMS: [&[u8; 4]; 10] =
    [b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot", b"styp", b"sidx", b"moof", b"emsg"];
/// Atoms of more bytes than this begin no file, but for `mdat`, which is all of its sound.
const MAX_FIRST_ATOM: u32 = 1 << 28;

/// QuickTime of before `ftyp`, and segments cut out of a stream: the first atom's length and name.
fn is_quick_time(start: &[u8]) -> bool {
    let Some(([a, b, c, d, name @ ..], _)) = start.split_first_chunk::<8>() else { return false };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    let plausible = match name {
        // To the end of the file, or a length of 64 bits behind the name.
        b"mdat" => !(2..8).contains(&length),
        _ => (8..MAX_FIRST_ATOM).contains(&length),
    };
    plausible && ATOMS.contains(&name)
}

/// Packets of 188 bytes, each with its sync byte; on discs four bytes stand before, and the first packet may be cut. Of ten
/// packets one may be damaged.
fn is_transport_stream(start: &[u8]) -> bool {
    let sound = |from: usize, packet: usize| {
        let packets = start.iter().skip(from).step_by(packet);
        let (count, wrong) = (packets.len(), packets.filter(|&&byte| byte != 0x47).count());
        count >= 4 && wrong * 10 <= count
    };
    (0..188).any(|from| sound(from, 188)) || (0..192).any(|from| sound(from, 192))
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
    }

    #[test]
    fn transport_streams() {
        for (from, packet) in [(0, 188), (77, 188), (4, 192)] {
            let mut stream = vec![0; LOOKED_AT];
            stream.iter_mut().skip(from).step_by(packet).for_each(|byte| *byte = 0x47);
            assert_eq!(container_of(&stream), Some(TRANSPORT), "{from} {packet}");
            stream[from + packet] = 0;
            assert_eq!(container_of(&stream), Some(TRANSPORT), "{from} {packet}");
            assert_eq!(container_of(&stream[..700]), None, "{from} {packet}");
            (2..8).for_each(|i| stream[from + i * packet] = 0);
            assert_eq!(container_of(&stream), None, "{from} {packet}");
        }
    }

    #[test]
    fn quick_time_without_its_first_atom() {
        for name in ["moov", "mdat", "free", "wide", "skip", "pnot", "styp", "sidx", "moof"] {
            let start = [&24u32.to_be_bytes(), name.as_bytes(), &[0; 16]].concat();
            assert_eq!(container_of(&start), Some(QUICK_TIME), "{name}");
            assert_eq!(container_of(&[b"feel", name.as_bytes()].concat()), (name == "mdat").then_some(QUICK_TIME));
        }
    }
}
