//! Headers that are wrong, unfinished or unusual, and what stands before and behind files: the sound that is there is heard.

use crate::support::{Coding, decode, ingest, recording, tool, voice, wav, write};
use ingest::IngestConfig;
use std::path::Path;

/// A way to write a file, and how many bytes of header it has: WAV in five codings.
const CODINGS: [(Coding, u32, usize); 5] = [
    (Coding::Int(16), 8000, 1),
    (Coding::MuLaw, 8000, 2),
    (Coding::ALaw, 16_000, 1),
    (Coding::Int(24), 11_025, 2),
    (Coding::Float(32), 22_050, 1),
];

fn sounds(rate: u32, channels: usize, seconds: f64, seed: u32) -> Vec<Vec<f64>> {
    (0..channels as u32).map(|channel| voice(rate, seconds, seed + channel)).collect()
}

/// Where the length of the data stands.
fn data_at(file: &[u8]) -> usize {
    file.windows(4).position(|name| name == b"data").unwrap() + 4
}

fn with_lengths(file: &[u8], riff: u32, data: u32) -> Vec<u8> {
    let (mut file, at) = (file.to_vec(), data_at(file));
    file[4..8].copy_from_slice(&riff.to_le_bytes());
    file[at..at + 4].copy_from_slice(&data.to_le_bytes());
    file
}

/// What becomes of a file: its length in milliseconds and the kinds of its damage; the reason where it fails.
fn heard(bytes: &[u8], name: &str) -> Result<(i64, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let out = ingest(&[recording("a", &write(folder.path(), name, bytes))], IngestConfig::default());
    let call = out.call("a");
    let damage = call.damage.iter().flatten().map(|damage| damage.kind.clone()).collect();
    call.duration_ms.map(|ms| (ms, damage)).ok_or_else(|| call.status_reason.clone().unwrap_or_default())
}

#[track_caller]
fn assert_heard(bytes: &[u8], name: &str, ms: i64, damage: &[&str]) {
    let (length, kinds) = heard(bytes, name).unwrap_or_else(|reason| panic!("{name}: {reason}"));
    assert!((length - ms).abs() <= 20, "{name}: {length} ms of {ms}");
    assert_eq!(kinds, damage, "{name}");
}

#[test]
fn lengths_of_wav() {
    for (coding, rate, channels) in CODINGS {
        let file = wav(coding, rate, &sounds(rate, channels, 2.0, 1));
        let (start, name) = (data_at(&file) + 4, format!("{coding:?}.wav"));
        let length = (file.len() - start) as u32;
        assert_heard(&file, &name, 2000, &[]);
        for (riff, data) in
            [(0, 0), (u32::MAX, u32::MAX), (36, 0), (file.len() as u32 - 8, 0), (0x7fff_ffff, 0x7fff_f000)]
        {
            assert_heard(&with_lengths(&file, riff, data), &name, 2000, &[]);
        }
        for factor in [2, 7, 100] {
            assert_heard(&with_lengths(&file, length * factor + 36, length * factor), &name, 2000, &["cut_off"]);
        }
        let frame = length / (2 * rate);
        for stale in [frame * rate / 2, frame * 700, frame * 4096] {
            assert_heard(&with_lengths(&file, stale + 36, stale), &name, 2000, &["header"]);
        }
    }
}

/// What is not sound behind sound stays unheard.
#[test]
fn behind_wav() {
    let note = [b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf58.76.100\0".to_vec(), b"id3 \x04\0\0\0abcd".to_vec()].concat();
    let text = "Rufnummer 030 5550 142; Dauer: 0:02; Agent: T. Becker\n".repeat(120).into_bytes();
    let behind = [note.clone(), [b"TAG".to_vec(), vec![b' '; 125]].concat(), text, vec![0; 5000], vec![7; 33]];
    for (coding, rate, channels) in CODINGS {
        let file = wav(coding, rate, &sounds(rate, channels, 2.0, 1));
        for behind in &behind {
            assert_heard(&[&file[..], behind].concat(), "a.wav", 2000, &[]);
        }
        // A length that is not known, and notes behind.
        let file = with_lengths(&file, u32::MAX, u32::MAX);
        assert_heard(&[file, note.clone()].concat(), "a.wav", 2000, &[]);
    }
}

#[test]
fn chunks_without_their_padding() {
    let file = wav(Coding::MuLaw, 8000, &sounds(8000, 1, 2.0, 1));
    let at = data_at(&file) - 4;
    for (name, length) in [(b"LIST", 15usize), (b"bext", 603), (b"note", 7), (b"id3 ", 1), (b"JUNK", 4093)] {
        for padding in [0, 1] {
            let mut chunk = [&name[..], &(length as u32).to_le_bytes()].concat();
            chunk.extend(vec![b'x'; length + padding]);
            let file = [&file[..at], &chunk, &file[at..]].concat();
            assert_heard(&file, "a.wav", 2000, &[]);
        }
    }
}

#[test]
fn joined_wav() {
    let one = |coding, rate, channels, seed| wav(coding, rate, &sounds(rate, channels, 1.0, seed));
    for (coding, rate, channels) in CODINGS {
        let files: Vec<Vec<u8>> = (0..3).map(|seed| one(coding, rate, channels, seed)).collect();
        assert_heard(&files.concat(), "a.wav", 3000, &[]);
        // The recorder never wrote the first one's length.
        let open = [with_lengths(&files[0], 0, u32::MAX), files[1].clone()].concat();
        assert_heard(&open, "a.wav", 2000, &[]);
        // The second is of another kind.
        let other = [files[0].clone(), one(Coding::Int(16), 32_000, 2, 5)].concat();
        let folder = tempfile::tempdir().unwrap();
        let (info, sound) = decode(&write(folder.path(), "a.wav", &other)).unwrap();
        assert_eq!((info.sample_rate_hz, info.channel_count), (rate, 2));
        assert!(sound[0].len().abs_diff(32_000) <= 320, "{coding:?}: {}", sound[0].len());
        let loud = |samples: &[f32]| samples.iter().map(|s| s * s).sum::<f32>() > 10.0;
        assert!(loud(&sound[0][..16_000]) && loud(&sound[0][17_000..]) && loud(&sound[1][17_000..]));
    }
}

/// Files by ffmpeg and how to spoil them.
fn made(folder: &Path, name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let source = write(folder, "source.wav", &wav(Coding::Int(16), 16_000, &sounds(16_000, 1, 2.0, 3)));
    let target = folder.join(name);
    let paths = [source.to_str().unwrap(), target.to_str().unwrap()];
    let arguments = [&["-v", "error", "-y", "-i", paths[0]], arguments, &[paths[1]]].concat();
    tool("ffmpeg", &arguments).then(|| std::fs::read(target).unwrap())
}

fn replaced(file: &[u8], name: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let at = file.windows(name.len()).position(|window| window == name).unwrap() + offset;
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn lengths_of_aiff_caf_au_and_w64() {
    let folder = tempfile::tempdir().unwrap();
    for codec in ["pcm_s16be", "pcm_s24be", "pcm_f32be", "pcm_mulaw", "pcm_alaw"] {
        let Some(file) = made(folder.path(), "a.aiff", &["-c:a", codec]) else { return };
        assert_heard(&file, "a.aiff", 2000, &[]);
        let with = |length: u32| replaced(&file, b"SSND", 4, &length.to_be_bytes());
        for length in [0, u32::MAX] {
            assert_heard(&with(length), "a.aiff", 2000, &[]);
        }
        assert_heard(&with(50_000_000), "a.aiff", 2000, &["cut_off"]);
        assert_heard(&with(4808), "a.aiff", 2000, &["header"]);
        for behind in [&b"ID3 \0\0\0\0"[..], b"ID3 \0\0\0\x05abcde", b"ANNO\0\0\0\x03abc\0"] {
            assert_heard(&[&file[..], behind].concat(), "a.aiff", 2000, &[]);
        }
    }
    for codec in ["pcm_s16le", "pcm_s16be", "pcm_mulaw", "pcm_alaw", "pcm_f32le"] {
        let file = made(folder.path(), "a.caf", &["-c:a", codec]).unwrap();
        let with = |length: i64| replaced(&file, b"data", 4, &length.to_be_bytes());
        assert_heard(&file, "a.caf", 2000, &[]);
        assert_heard(&with(-1), "a.caf", 2000, &[]);
        assert_heard(&with(0), "a.caf", 2000, &[]);
        assert_heard(&with(90_000_004), "a.caf", 2000, &["cut_off"]);
        assert_heard(&with(8004), "a.caf", 2000, &["header"]);
    }
    for codec in ["pcm_mulaw", "pcm_alaw", "pcm_s16be", "pcm_s24be", "pcm_f32be"] {
        let file = made(folder.path(), "a.au", &["-c:a", codec]).unwrap();
        let with = |length: u32| replaced(&file, b".snd", 8, &length.to_be_bytes());
        assert_heard(&file, "a.au", 2000, &[]);
        for length in [0, u32::MAX] {
            assert_heard(&with(length), "a.au", 2000, &[]);
        }
        assert_heard(&with(90_000_000), "a.au", 2000, &["cut_off"]);
        assert_heard(&with(8000), "a.au", 2000, &["header"]);
    }
    for codec in ["pcm_s16le", "pcm_mulaw", "pcm_alaw", "pcm_s24le", "pcm_f32le"] {
        let file = made(folder.path(), "a.w64", &["-c:a", codec]).unwrap();
        let with = |length: u64| replaced(&file, b"data\xf3\xac", 16, &length.to_le_bytes());
        for length in [0, 24, u64::MAX] {
            assert_heard(&with(length), "a.w64", 2000, &[]);
        }
        assert_heard(&with(90_000_024), "a.w64", 2000, &["cut_off"]);
        assert_heard(&with(8024), "a.w64", 2000, &["header"]);
        let file = made(folder.path(), "a.wav", &["-c:a", codec, "-rf64", "always"]).unwrap();
        assert_heard(&file, "a.wav", 2000, &[]);
    }
}

/// An ID3v2 tag of so many bytes: text in UTF-16 that looks like frames, or a picture.
fn tag(version: u8, kind: &str, length: usize) -> Vec<u8> {
    let text = |mut length: usize| {
        let mut body = vec![1, 0xff, 0xfe];
        while length > 4 {
            body.extend([0xff, 0xfb, 0x54, 0]);
            length -= 4;
        }
        body
    };
    let picture = |length: usize| {
        let mut body = b"\0image/jpeg\0\x03\0\xff\xd8\xff\xe0".to_vec();
        body.extend((0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8));
        body
    };
    let (name, body) = if kind == "text" { (b"TXXX", text(length)) } else { (b"APIC", picture(length)) };
    let seven = |n: usize| [21, 14, 7, 0].map(|shift| (n >> shift & 0x7f) as u8);
    let size = if version == 4 { seven(body.len()) } else { (body.len() as u32).to_be_bytes() };
    let frame = [&name[..], &size, &[0, 0], &body].concat();
    [&b"ID3"[..], &[version, 0, 0], &seven(frame.len()), &frame].concat()
}

#[test]
fn tags_before_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("a.mp3", &["-c:a", "libmp3lame", "-write_id3v2", "0"][..], 2090),
        ("a.flac", &["-c:a", "flac"], 2000),
        ("a.aiff", &[], 2000),
        ("a.aac", &["-c:a", "aac"], 2048),
        ("a.wav", &[], 2000),
    ];
    let tags = [
        tag(3, "text", 4800),
        tag(4, "picture", 2_100_000),
        [tag(3, "picture", 130), tag(4, "text", 90_000)].concat(),
        [tag(4, "text", 300), vec![0; 1000]].concat(),
        tag(3, "picture", 1_126_400),
    ];
    for (name, arguments, ms) in files {
        let Some(file) = made(folder.path(), name, arguments) else { return };
        for tag in &tags {
            let (length, damage) = heard(&[&tag[..], &file].concat(), name).unwrap();
            assert!((length - ms).abs() <= 120, "{name}: {length} ms");
            assert!(damage.is_empty() || damage == ["garbage"], "{name}: {damage:?}");
        }
    }
}

#[test]
fn flac_whose_metadata_is_odd() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = made(folder.path(), "a.flac", &["-c:a", "flac"]) else { return };
    let block = |kind: u8, body: &[u8]| [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat();
    // Behind the description: 4 + 4 + 34 bytes.
    let with = |block: &[u8]| [&file[..42], block, &file[42..]].concat();
    let odd = [
        block(5, &[1; 77]),            // a cue sheet that is none
        block(6, b"\0\0\xff\xff"),     // a picture whose type is longer than its block
        block(4, b"\xff\xff\xff\x7f"), // comments
        block(3, &[9; 19]),            // a seek table of one entry and a piece
        block(2, b"a"),
    ];
    for block in &odd {
        assert_heard(&with(block), "a.flac", 2000, &[]);
    }
    // A block that says that it is longer than the file.
    assert_heard(&with(b"\x01\xff\xff\xff"), "a.flac", 2000, &[]);
    // No number of samples.
    let mut open = file.clone();
    open[21] &= 0xf0;
    open[22..26].fill(0);
    assert_heard(&open, "a.flac", 2000, &[]);
}

#[test]
fn quick_time_that_begins_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = made(folder.path(), "a.mov", &["-c:a", "pcm_s16be"]) else { return };
    let first = u32::from_be_bytes(file[..4].try_into().unwrap()) as usize;
    for name in [b"free", b"wide", b"skip", b"pnot", b"styp"] {
        let mut other = file.clone();
        other[4..8].copy_from_slice(name);
        assert_heard(&other, "a.mov", 2000, &[]);
    }
    // The sound comes first; its places in the file are given by the index at the end.
    let mut sound = file.clone();
    sound[first - 8..first].copy_from_slice(b"\0\0\0\x08free");
    sound[..4].copy_from_slice(&(first as u32 - 8).to_be_bytes());
    sound[4..8].copy_from_slice(b"skip");
    assert_heard(&sound, "a.mov", 2000, &[]);
    let index = made(folder.path(), "b.mov", &["-c:a", "aac", "-movflags", "faststart"]).unwrap();
    for kept in [95, 80, 60, 40, 25] {
        let (length, damage) = heard(&index[..index.len() * kept / 100], "b.mov").unwrap();
        assert!(damage.contains(&"cut_off".to_owned()) && length < 2000, "{kept}: {length} ms, {damage:?}");
    }
}

#[test]
fn both_reasons_are_told() {
    if !tool("ffmpeg", &["-version"]) {
        return;
    }
    let nothing = wav(Coding::Int(16), 8000, &[Vec::new()]);
    let reason = heard(&nothing, "a.wav").unwrap_err();
    assert!(reason.contains("holds no sound (0 samples)") && reason.matches("0 samples").count() == 1, "{reason}");
    let reason = heard(b"\0\0\0\x18ftypM4A \0\0\0\0M4A \0\0\0\0\0\0\0\x10mdatabcdefgh", "a.m4a").unwrap_err();
    assert!(reason.contains("ffmpeg") && reason.contains("moov"), "{reason}");
}
