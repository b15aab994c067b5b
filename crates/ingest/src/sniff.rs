//! Whether a file of a folder is a recording, by what it holds.
//!
//! Telephone systems give recordings any ending or none, and put notes, pictures and lists beside them. What has the signature
//! of a container with sound is a recording; so is what bears the ending of one, for a recording that is broken must be
//! reported and not passed over; so is what is of no kind that is known, for the decoder may know better, and says so if it
//! does not. Passed over is what is plainly something else: text, pictures, documents, archives, programs, tables.

use crate::{container::container_of, sync};

/// Bytes of a file's start that [`kind_of`] wants; with fewer of a longer file it is less sure.
pub(crate) const SNIFFED: usize = 4096;

/// What a file is to whoever looks for recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be opened: it is a recording, or was one, or nobody knows.
    Recording,
    /// Plainly something else.
    Foreign,
}

/// Endings of recordings, read or not: whatever is in such a file, its call has a row that says what became of it.
const RECORDINGS: &[&str] = &[
    "3g2", "3ga", "3gp", "3gpp", "aac", "ac3", "aif", "aifc", "aiff", "alaw", "amr", "ape", "asf", "au", "avi", "awb",
    "caf", "dss", "ds2", "eac3", "flac", "flv", "g722", "g723", "g726", "g729", "gsm", "ilbc", "m2a", "m2ts", "m4a",
    "m4b", "m4v", "mk3d", "mka", "mkv", "mov", "mp1", "mp2", "mp3", "mp4", "mpa", "mpe", "mpeg", "mpg", "mpga",
    "mulaw", "mxf", "nist", "oga", "ogg", "ogv", "ogx", "opus", "pcm", "qt", "ra", "raw", "rf64", "rm", "rmvb", "silk",
    "snd", "sph", "spx", "tta", "ul", "ulaw", "vob", "voc", "vox", "w64", "wav", "wave", "weba", "webm", "wma", "wmv",
    "wv",
];

/// Endings that are passed over unless a recording's signature says otherwise: lists and notes, and what programs keep
/// beside recordings.
const FOREIGN: &[&str] = &[
    "csv", "json", "jsonl", "ndjson", "txt", "tsv", "parquet", "arrow", "arrows", "feather", "avro", "orc", "md",
    "log", "xml", "html", "htm", "yaml", "yml", "toml", "ini", "cfg", "conf", "pdf", "doc", "docx", "xls", "xlsx",
    "ppt", "pptx", "odt", "ods", "rtf", "db", "sqlite", "idx", "lock", "bak", "tmp", "md5", "sha1", "sha256", "sig",
    "asc", "gpg", "key", "pem", "crt", "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "heic", "svg", "ico",
    "psd", "zip", "gz", "bz2", "xz", "7z", "rar", "tar", "tgz", "zst", "exe", "dll", "so", "bin", "msi", "iso", "jar",
    "class", "o", "a", "py", "pyc", "sh", "js", "ps1", "bat", "mid", "midi", "ttf", "otf", "woff", "woff2", "srt",
    "vtt", "lrc", "cue", "m3u", "m3u8", "pls", "xspf", "peak", "pkf", "asd", "reapeaks",
];

/// First bytes of what is no recording, and where they stand.
const SIGNATURES: &[(&[u8], usize)] = &[
    (b"\x89PNG\r\n", 0),
    (b"\xff\xd8\xff", 0), // JPEG
    (b"GIF8", 0),
    (b"BM", 0),
    (b"II*\0", 0), // TIFF
    (b"MM\0*", 0),
    (b"WEBP", 8),
    (b"ftyphei", 4), // pictures in the container of MP4
    (b"ftyphev", 4),
    (b"ftypmif1", 4),
    (b"ftypmsf1", 4),
    (b"ftypavi", 4),
    (b"ftypcrx ", 4),
    (b"ftypjp2", 4),
    (b"\0\0\x01\0", 0), // icons
    (b"8BPS", 0),
    (b"%PDF", 0),
    (b"%!PS", 0),
    (b"{\\rtf", 0),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0), // documents of older offices
    (b"PK\x03\x04", 0),                       // ZIP, and documents of newer ones
    (b"PK\x05\x06", 0),
    (b"PK\x07\x08", 0),
    (b"\x1f\x8b", 0), // gzip
    (b"\x1f\x9d", 0),
    (b"BZh", 0),
    (b"\xfd7zXZ\0", 0),
    (b"7z\xbc\xaf\x27\x1c", 0),
    (b"Rar!\x1a\x07", 0),
    (b"\x28\xb5\x2f\xfd", 0), // zstd
    (b"\x04\x22\x4d\x18", 0), // lz4
    (b"ustar", 257),
    (b"MSCF", 0),
    (b"\x7fELF", 0),
    (b"MZ", 0),
    (b"\xca\xfe\xba\xbe", 0),
    (b"\xfe\xed\xfa", 0),
    (b"\xcf\xfa\xed\xfe", 0),
    (b"\xce\xfa\xed\xfe", 0),
    (b"\0asm", 0),
    (b"SQLite format 3\0", 0),
    (b"PAR1", 0),
    (b"ARROW1", 0),
    (b"Obj\x01", 0), // Avro
    (b"ORC", 0),
    (b"\x89HDF", 0),
    (b"\x93NUMPY", 0),
    (b"GGUF", 0),
    (b"MThd", 0),         // notes, not sound
    (b"\0\x01\0\0\0", 0), // fonts
    (b"OTTO", 0),
    (b"wOFF", 0),
    (b"wOF2", 0),
    (b"bplist", 0),
    (b"-----BEGIN", 0),
    (b"\x4c\0\0\0\x01\x14\x02\0", 0), // links of Windows
];

/// What a file is, from its first bytes ([`SNIFFED`] of them, or all) and its name's ending, without the dot and in any case.
pub(crate) fn kind_of(start: &[u8], ending: Option<&str>) -> Kind {
    let ending = ending.map(str::to_ascii_lowercase).unwrap_or_default();
    let among = |endings: &[&str]| endings.contains(&ending.as_str());
    let text = is_text(start);
    if among(RECORDINGS) {
        return Kind::Recording;
    }
    // Of two readings of `.ts` only one is written in letters.
    if text || start.is_empty() {
        return Kind::Foreign;
    }
    let foreign = SIGNATURES.iter().any(|(bytes, at)| start.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    if foreign {
        return Kind::Foreign;
    }
    if start.starts_with(b"ID3") || container_of(start).is_some() || sync::find(start, true).is_some() {
        return Kind::Recording;
    }
    if among(FOREIGN) { Kind::Foreign } else { Kind::Recording }
}

/// What a file is whatever it holds, from its ending alone; none where its bytes would tell.
pub(crate) fn of_ending(ending: Option<&str>) -> Option<Kind> {
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    if RECORDINGS.contains(&ending.as_str()) {
        return Some(Kind::Recording);
    }
    FOREIGN.contains(&ending.as_str()).then_some(Kind::Foreign)
}

/// Whether these bytes are something to be read: UTF-8, Latin-1 or UTF-16, without the control characters that no text has.
pub(crate) fn is_text(start: &[u8]) -> bool {
    if start.is_empty() {
        return false;
    }
    let wide = |little: bool, bytes: &[u8]| {
        let units = bytes.as_chunks::<2>().0.iter();
        let units = units.map(|&unit| if little { u16::from_le_bytes(unit) } else { u16::from_be_bytes(unit) });
        let (mut latin, mut all) = (0, 0);
        for unit in units {
            if unit < 32 && !matches!(unit, 9..=13) {
                return false;
            }
            latin += usize::from(unit < 0x180);
            all += 1;
        }
        // Sound in 16 bits is hardly ever all small and positive.
        all > 0 && latin * 10 >= all * 9
    };
    match start {
        [0xff, 0xfe, rest @ ..] => return wide(true, rest),
        [0xfe, 0xff, rest @ ..] => return wide(false, rest),
        _ => {}
    }
    if start.contains(&0) {
        return start.len() >= 8 && (wide(true, start) || wide(false, start));
    }
    if start.iter().any(|&byte| byte < 32 && !matches!(byte, 9..=13 | 27)) {
        return false;
    }
    // A character may be cut at the end.
    match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(e) if e.error_len().is_none() && e.valid_up_to() + 4 > start.len() => true,
        Err(_) => {
            let ascii = start.iter().filter(|byte| byte.is_ascii()).count();
            ascii * 5 >= start.len() * 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(count: usize) -> Vec<u8> {
        // MPEG-2 layer III, 24 kHz, 32 kbit/s, mono: 96 bytes each.
        let mut frame = [0x11; 96];
        frame[..4].copy_from_slice(&[0xff, 0xf3, 0x44, 0xc0]);
        frame.repeat(count)
    }

    #[test]
    fn recordings_by_what_they_hold() {
        let wav = b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0";
        for ending in [None, Some("wav"), Some("bin"), Some("0007"), Some("txt")] {
            assert_eq!(kind_of(wav, ending), Kind::Recording, "{ending:?}");
        }
        let starts: &[&[u8]] = &[
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
            b"RIFF\0\0\x10\0AVI LIST",
            b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",
            b"OggS\0\x02\0\0",
            b"\x1a\x45\xdf\xa3\x9f",
            b"ID3\x03\0\0\0\0\x0f\x76",
            b"\0\0\0\x08wide\0\0\x10\0mdat",
            b"#!AMR\n\x3c\x91\x17\x16\xbe",
            b"\0\0\x01\xba\x44\0",
            &frames(8),
        ];
        for start in starts {
            assert_eq!(kind_of(start, None), Kind::Recording, "{start:?}");
        }
    }

    #[test]
    fn broken_recordings_have_a_row() {
        let starts: &[&[u8]] = &[b"", b"<html><body>404", b"\0\0\0\0", b"\xff\xd8\xff\xe0\0\x10JFIF"];
        for start in starts {
            for ending in ["wav", "MP3", "m4a", "gsm", "vox"] {
                assert_eq!(kind_of(start, Some(ending)), Kind::Recording, "{ending}: {start:?}");
            }
        }
        // Of no known kind: the decoder says what it makes of it.
        assert_eq!(kind_of(b"\x01\x02\x03\x04\xfe\x80\x91", None), Kind::Recording);
        assert_eq!(kind_of(b"\x01\x02\x03\x04\xfe\x80\x91", Some("idx")), Kind::Foreign);
    }

    #[test]
    fn what_lies_beside_recordings() {
        let starts: &[(&[u8], Option<&str>)] = &[
            (b"", None),
            (b"", Some("lock")),
            (b"recording,call_id\na.wav,1\n", Some("csv")),
            (b"{\"a\": 1}", Some("json")),
            ("Müller rief an".as_bytes(), None),
            (b"M\xfcller rief gestern noch einmal an", Some("text")),
            (b"\xff\xfec\0a\0l\0l\0,\0", Some("csv")),
            (b"c\0a\0l\0l\0,\0i\0d\0\n\0", None),
            (b"PAR1\x15\x04\x15", Some("parquet")),
            (b"\x89PNG\r\n\x1a\n\0\0", Some("png")),
            (b"%PDF-1.7\n%\xe2\xe3", None),
            (b"PK\x03\x04\x14\0", Some("docx")),
            (b"\x7fELF\x02\x01", None),
            (b"SQLite format 3\0\x10", Some("db")),
            (b"\0\0\0\x18ftypheic\0\0", Some("heic")),
            (b"RIFF\0\0\x01\0WEBPVP8 ", None),
            (b"import { a } from 'b';\n", Some("ts")),
        ];
        for (start, ending) in starts {
            assert_eq!(kind_of(start, *ending), Kind::Foreign, "{ending:?}: {start:?}");
        }
        let mut packets = vec![0u8; 2048];
        for at in (0..2048).step_by(188) {
            packets[at] = 0x47;
        }
        assert_eq!(kind_of(&packets, Some("ts")), Kind::Recording);
    }
}
