//! Edit lists of MP4: what was trimmed is not heard, and what begins late begins late.

use crate::support::{Coding, decode, tool, voice, wav, write};
use std::path::{Path, PathBuf};

const RATE: u32 = 16_000;
const SECONDS: f64 = 6.0;

/// An entry of an edit list: milliseconds, and where in the media they start; none for silence.
type Entry = (u32, Option<u32>);

/// A sound in PCM in a MOV file with this edit list, in milliseconds of a movie of a thousand ticks a second.
fn movie(folder: &Path, entries: &[Entry]) -> Option<PathBuf> {
    let source = write(folder, "source.wav", &wav(Coding::Int(16), RATE, &[voice(RATE, SECONDS, 2)]));
    let target = folder.join("plain.mov");
    let paths = [source.to_str().unwrap(), target.to_str().unwrap()];
    // The index is at the end, so that it may grow.
    if !tool("ffmpeg", &["-v", "error", "-y", "-i", paths[0], "-c:a", "pcm_s16le", "-use_editlist", "0", paths[1]]) {
        return None;
    }
    let mut file = std::fs::read(target).unwrap();
    let mut list = vec![0; 4];
    list.extend((entries.len() as u32).to_be_bytes());
    for (duration, start) in entries {
        list.extend(duration.to_be_bytes());
        list.extend(start.map_or(-1, |ms| (ms * RATE / 1000) as i32).to_be_bytes());
        list.extend(0x10000u32.to_be_bytes());
    }
    let atom = |name: &[u8], body: &[u8]| [&(8 + body.len() as u32).to_be_bytes()[..], name, body].concat();
    let edits = atom(b"edts", &atom(b"elst", &list));
    let place = |file: &[u8], name: &[u8]| file.windows(4).rposition(|window| window == name).unwrap() - 4;
    let (moov, trak, mdia) = (place(&file, b"moov"), place(&file, b"trak"), place(&file, b"mdia"));
    for at in [moov, trak] {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) + edits.len() as u32;
        file[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    file.splice(mdia..mdia, edits);
    Some(write(folder, "edited.mov", &file))
}

#[test]
fn what_the_list_says_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let whole: Vec<f32> = voice(RATE, SECONDS, 2).into_iter().map(|s| s as f32).collect();
    let cut = |from: u32, to: u32| whole[(from * 16) as usize..(to * 16) as usize].to_vec();
    let quiet = |ms: u32| vec![0.0; (ms * 16) as usize];
    let cases: [(&[Entry], Vec<f32>); 12] = [
        // The start was trimmed.
        (&[(2000, Some(4000))], cut(4000, 6000)),
        (&[(5250, Some(750))], cut(750, 6000)),
        // The end.
        (&[(1500, Some(0))], cut(0, 1500)),
        (&[(5990, Some(0))], cut(0, 5990)),
        // Both, and the middle.
        (&[(3000, Some(1000))], cut(1000, 4000)),
        (&[(1000, Some(0)), (2000, Some(4000))], [cut(0, 1000), cut(4000, 6000)].concat()),
        (
            &[(500, Some(100)), (500, Some(2000)), (700, Some(5000))],
            [cut(100, 600), cut(2000, 2500), cut(5000, 5700)].concat(),
        ),
        // It begins late.
        (&[(2000, None), (6000, Some(0))], [quiet(2000), cut(0, 6000)].concat()),
        (&[(40, None), (5000, Some(1000))], [quiet(40), cut(1000, 6000)].concat()),
        // Silence was put between.
        (&[(1000, Some(0)), (1500, None), (1000, Some(3000))], [cut(0, 1000), quiet(1500), cut(3000, 4000)].concat()),
        // To the end; and two that were put in another order, of which nothing is lost.
        (&[(0, Some(500))], cut(500, 6000)),
        (&[(1000, Some(4000)), (1000, Some(1000))], [cut(1000, 2000), cut(4000, 5000)].concat()),
    ];
    for (entries, want) in cases {
        let Some(path) = movie(folder.path(), entries) else { return };
        let (_, got) = decode(&path).unwrap();
        assert_eq!(got[0].len(), want.len(), "{entries:?}");
        let apart = got[0].iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 0.001, "{entries:?}: {apart}");
    }
}

/// With AAC, whose delay the list says too: as ffmpeg plays it.
#[test]
fn with_an_encoders_delay() {
    let folder = tempfile::tempdir().unwrap();
    let source = write(folder.path(), "source.wav", &wav(Coding::Int(16), RATE, &[voice(RATE, SECONDS, 1)]));
    let whole = folder.path().join("whole.m4a");
    let paths = [source.to_str().unwrap(), whole.to_str().unwrap()];
    if !tool("ffmpeg", &["-v", "error", "-i", paths[0], "-c:a", "aac", paths[1]]) {
        return;
    }
    for start in ["0.9", "1.5", "2.25", "3.0", "4.4"] {
        let trimmed = folder.path().join("trimmed.m4a");
        let target = trimmed.to_str().unwrap();
        assert!(tool("ffmpeg", &["-v", "error", "-y", "-ss", start, "-i", paths[1], "-c", "copy", target]));
        let (_, got) = decode(&trimmed).unwrap();
        let want = (SECONDS - start.parse::<f64>().unwrap()) * 16_000.0;
        assert!((got[0].len() as f64 - want).abs() < 1600.0, "{start}: {} of {want}", got[0].len());
    }
}

/// Sound that begins after the picture, in containers with a clock.
#[test]
fn late_sound() {
    let folder = tempfile::tempdir().unwrap();
    let source = write(folder.path(), "source.wav", &wav(Coding::Int(16), RATE, &[voice(RATE, 4.0, 1)]));
    let picture = "testsrc=size=64x48:rate=10:duration=6";
    let files = [
        ("late.mp4", &["-c:v", "mpeg4", "-c:a", "aac"][..]),
        ("late.mov", &["-c:v", "mpeg4", "-c:a", "pcm_s16le"]),
        ("late.ts", &["-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"]),
        ("late.wmv", &["-c:v", "wmv2", "-c:a", "wmav2", "-ar", "16000"]),
        ("late.flv", &["-c:v", "flv", "-c:a", "libmp3lame", "-ar", "22050"]),
    ];
    for (name, codecs) in files {
        let path = folder.path().join(name);
        let paths = [source.to_str().unwrap(), path.to_str().unwrap()];
        let inputs = [
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            picture,
            "-itsoffset",
            "1.5",
            "-i",
            paths[0],
            "-map",
            "0:v",
            "-map",
            "1:a",
        ];
        if !tool("ffmpeg", &[&inputs, codecs, &[paths[1]]].concat()) {
            return;
        }
        let (_, got) = decode(&path).unwrap();
        let first = got[0].iter().position(|s| s.abs() > 0.02).unwrap() as f64 / 16_000.0;
        let length = got[0].len() as f64 / 16_000.0;
        assert!(
            (first - 1.5).abs() < 0.15 && (length - 5.5).abs() < 0.25,
            "{name}: begins at {first:.2} s of {length:.2} s"
        );
    }
}
