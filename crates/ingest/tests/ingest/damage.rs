//! Damage: what can be decoded is heard, later words keep their time, and the row says what is missing. And what looks like
//! damage and is none: pauses, late starts, headers that count otherwise.

use crate::support::{Coding, correlate, decode, ingest, recording, tool, voice, wav, write};
use ingest::{Decoder, IngestConfig};
use schema::Damage;
use std::path::{Path, PathBuf};

const SECONDS: f64 = 8.0;

/// Sound in a file that is made so; none where there is no ffmpeg or lame.
fn made(folder: &Path, name: &str, rate: u32, arguments: &str) -> Option<PathBuf> {
    let source = write(folder, "source.wav", &wav(Coding::Int(16), rate, &[voice(rate, SECONDS, 2)]));
    let path = folder.join(name);
    let (source, target) = (source.to_str().unwrap(), path.to_str().unwrap());
    let arguments: Vec<&str> = arguments.split(' ').filter(|a| !a.is_empty()).collect();
    let made = if arguments.first() == Some(&"lame") {
        tool("lame", &[&["--quiet"], &arguments[1..], &[source, target]].concat())
    } else {
        tool("ffmpeg", &[&["-v", "error", "-y", "-i", source], &arguments[..], &[target]].concat())
    };
    made.then_some(path)
}

/// The first channel, and what is said to be wrong.
fn heard(folder: &Path, name: &str, bytes: &[u8]) -> (Vec<f32>, Vec<Damage>) {
    let path = write(folder, name, bytes);
    let mut decoder = Decoder::open(&path).unwrap_or_else(|e| panic!("{e}"));
    let mut samples = Vec::new();
    while let Some(block) = decoder.next_block().unwrap_or_else(|e| panic!("{e}")) {
        samples.extend(&block[0]);
    }
    (samples, decoder.damage())
}

fn kinds(damage: &[Damage]) -> Vec<&str> {
    damage.iter().map(|d| d.kind.as_str()).collect()
}

/// Where the last two seconds of the sound are heard, in samples later than they should be.
fn shift_of_end(got: &[f32], want: &[f32]) -> (f64, i64) {
    let from = want.len() - 2 * 16_000;
    correlate(&got[from.min(got.len())..], &want[from..], 2400)
}

#[test]
fn files_cut_off_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = [
        ("cbr.mp3", 44_100, "lame -b 64"),
        ("vbr.mp3", 16_000, "lame -V 4"),
        ("a.m4a", 44_100, "-c:a aac -b:a 64k -movflags +faststart"),
        ("a.flac", 16_000, "-c:a flac"),
        ("a.wav", 8000, "-c:a pcm_mulaw"),
        ("a.opus", 48_000, "-c:a libopus -b:a 24k"),
        ("a.ogg", 44_100, "-c:a libvorbis"),
        ("a.aac", 16_000, "-c:a aac -b:a 48k"),
        ("a.webm", 48_000, "-c:a libopus -b:a 24k"),
        ("a.mka", 44_100, "-c:a libvorbis"),
    ];
    for (name, rate, arguments) in files {
        let Some(path) = made(folder, name, rate, arguments) else { return };
        let whole = std::fs::read(&path).unwrap();
        let (want, damage) = heard(folder, name, &whole);
        assert_eq!(kinds(&damage), [""; 0], "{name}");
        let mut last = 0;
        for tenth in 2..10 {
            // Not where a frame happens to end.
            let (got, damage) = heard(folder, name, &whole[..whole.len() * tenth / 10 + 3]);
            println!("{name}, {tenth} tenths: {} ms, {damage:?}", got.len() / 16);
            assert!(got.len() >= last && got.len() < want.len(), "{name} {tenth}: {} samples", got.len());
            last = got.len();
            assert_eq!(kinds(&damage), ["cut_off"], "{name} {tenth}: {damage:?}");
            // What there is, is the beginning of the whole.
            let (correlation, shift) = correlate(&got, &want[..got.len()], 16);
            assert!(got.len() < 16_000 || correlation > 0.99 && shift == 0, "{name} {tenth}: {correlation} at {shift}");
            if matches!(name, "cbr.mp3" | "a.m4a" | "a.wav" | "a.flac") {
                let missing = (want.len() - got.len()) as i64 / 16;
                assert!((damage[0].length_ms - missing).abs() < 80, "{name} {tenth}: {damage:?}, not {missing}");
                assert!((damage[0].at_ms - got.len() as i64 / 16).abs() < 80, "{name} {tenth}: {damage:?}");
            }
        }
        assert!(last as f64 > 0.6 * want.len() as f64, "{name}: {last} samples of nine tenths");
    }
}

#[test]
fn stretches_that_were_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = [
        ("a.mp3", 44_100, "lame -b 64"),
        ("b.mp3", 16_000, "lame -b 32"),
        ("c.mp3", 44_100, "-c:a libmp3lame -b:a 96k -write_xing 0"),
        ("d.aac", 16_000, "-c:a aac -b:a 48k"),
        ("e.mp2", 24_000, "-c:a mp2 -b:a 64k"),
        ("f.opus", 48_000, "-c:a libopus -b:a 24k -page_duration 200000"),
        ("g.flac", 16_000, "-c:a flac"),
    ];
    for (name, rate, arguments) in files {
        let Some(path) = made(folder, name, rate, arguments) else { return };
        let whole = std::fs::read(&path).unwrap();
        let (want, _) = heard(folder, name, &whole);
        // Where it begins, and how many bytes, in shares of the file; with what.
        #[allow(clippy::type_complexity)] // said once, here
        let holes: [(&[(f64, f64)], Option<u8>); 5] = [
            (&[(0.3, 0.02)], Some(0)),
            (&[(0.5, 0.05)], Some(0xff)),
            (&[(0.2, 0.01), (0.4, 0.01), (0.6, 0.01)], None),
            (&[(0.45, 0.1)], Some(0x55)),
            (&[(0.3, 0.004), (0.33, 0.03)], None),
        ];
        for (i, (holes, with)) in holes.into_iter().enumerate() {
            let mut bytes = whole.clone();
            let mut state = 12_345u32;
            for &(from, length) in holes {
                let from = (from * bytes.len() as f64) as usize;
                let to = from + (length * bytes.len() as f64) as usize;
                for byte in &mut bytes[from..to] {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *byte = with.unwrap_or((state >> 24) as u8);
                }
            }
            let (got, damage) = heard(folder, name, &bytes);
            let (correlation, shift) = shift_of_end(&got, &want);
            println!("{name} {i}: {correlation:.4} at {shift}, {} of {}, {damage:?}", got.len(), want.len());
            assert!(kinds(&damage).contains(&"lost"), "{name} {i}: {damage:?}");
            assert!(correlation > 0.95 && shift.abs() <= 1600, "{name} {i}: {correlation} at {shift}");
            assert!(got.len().abs_diff(want.len()) <= 1600, "{name} {i}: {} of {}", got.len(), want.len());
        }
    }
}

/// Bytes between frames that stand for no sound take no time.
#[test]
fn garbage_between_frames() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let http = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n".to_vec();
    for (name, rate, arguments) in [("a.mp3", 44_100, "lame -b 64"), ("b.aac", 16_000, "-c:a aac -b:a 48k")] {
        let Some(path) = made(folder, name, rate, arguments) else { return };
        let whole = std::fs::read(&path).unwrap();
        let (want, _) = heard(folder, name, &whole);
        for (i, junk) in [http.clone(), vec![0; 5000], b"\r\n".to_vec(), vec![0xff; 700], b"RIFF\0\0\0\0WAVE".to_vec()]
            .into_iter()
            .enumerate()
        {
            let (got, _) = heard(folder, name, &[&junk, &whole[..]].concat());
            assert_eq!(got.len(), want.len(), "{name} {i} before");
            let (got, damage) = heard(folder, name, &[&whole[..], &junk].concat());
            assert_eq!(got.len(), want.len(), "{name} {i} behind");
            assert!(damage.iter().all(|d| d.length_ms < 100), "{name} {i}: {damage:?}");
        }
    }
}

/// Frames that the header of an MP3 counts, right or wrong.
#[test]
fn counts_that_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(path) = made(folder, "a.mp3", 44_100, "lame -b 64") else { return };
    let whole = std::fs::read(&path).unwrap();
    let (want, _) = heard(folder, "a.mp3", &whole);
    let at = whole.windows(4).position(|w| w == b"Info" || w == b"Xing").unwrap() + 8;
    for (frames, kind) in [(1u32, "header"), (80, "header"), (200, "header"), (500, "cut_off"), (100_000, "cut_off")] {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&frames.to_be_bytes());
        let (got, damage) = heard(folder, "b.mp3", &bytes);
        assert!(got.len().abs_diff(want.len()) <= 16 * 60, "{frames}: {} of {}", got.len(), want.len());
        assert_eq!(kinds(&damage), [kind], "{frames}: {damage:?}");
    }
}

/// Pages of an Ogg file: flags, granule, body with its lacing.
struct Page {
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    fn granule(&self) -> i64 {
        i64::from_le_bytes(self.header[6..14].try_into().unwrap())
    }

    fn set_granule(&mut self, granule: i64) {
        self.header[6..14].copy_from_slice(&granule.to_le_bytes());
    }
}

fn pages(bytes: &[u8]) -> Vec<Page> {
    let (mut pages, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let body = at + 27 + usize::from(bytes[at + 26]);
        let end = body + bytes[at + 27..body].iter().map(|&b| usize::from(b)).sum::<usize>();
        pages.push(Page { header: bytes[at..body].to_vec(), body: bytes[body..end].to_vec() });
        at = end;
    }
    pages
}

/// The file again, its checksums made right and its pages numbered where `number`.
fn ogg(pages: &[Page], number: bool) -> Vec<u8> {
    let mut file = Vec::new();
    for (i, page) in pages.iter().enumerate() {
        let mut whole = [&page.header[..], &page.body].concat();
        if number {
            whole[18..22].copy_from_slice(&(i as u32).to_le_bytes());
        }
        whole[22..26].fill(0);
        let sum = whole.iter().fold(0u32, |mut sum, &byte| {
            sum ^= u32::from(byte) << 24;
            for _ in 0..8 {
                sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            }
            sum
        });
        whole[22..26].copy_from_slice(&sum.to_le_bytes());
        file.extend(whole);
    }
    file
}

#[test]
fn granules_that_count_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(path) = made(folder, "a.opus", 48_000, "-c:a libopus -b:a 24k") else { return };
    let whole = std::fs::read(&path).unwrap();
    let (want, _) = heard(folder, "a.opus", &whole);
    #[allow(clippy::type_complexity)] // said once, here
    let clocks: [(&str, fn(i64) -> i64); 6] = [
        ("half", |g| g / 2),
        ("a third", |g| g / 3),
        ("twice", |g| g * 2),
        ("none", |_| 0),
        ("backwards", |g| (1 << 30) - g),
        ("from elsewhere", |g| g + 900_000),
    ];
    for (name, clock) in clocks {
        let mut file = pages(&whole);
        for page in &mut file[2..] {
            page.set_granule(clock(page.granule()));
        }
        let (got, damage) = heard(folder, "b.opus", &ogg(&file, true));
        // The padding of the last packet is not known where the places are not.
        assert!(got.len().abs_diff(want.len()) <= 16 * 40, "{name}: {} of {}", got.len(), want.len());
        let (correlation, shift) = shift_of_end(&got, &want);
        assert!(correlation > 0.999 && shift == 0, "{name}: {correlation} at {shift}");
        assert_eq!(kinds(&damage), [""; 0], "{name}");
    }
    // One page alone that is far ahead is a slip.
    let mut file = pages(&whole);
    file[4].set_granule(400_000_000);
    let (got, _) = heard(folder, "c.opus", &ogg(&file, true));
    assert_eq!(got.len(), want.len());
}

/// Packets that were not sent and pages that were lost: the same silence, and damage only where numbers of pages are missing.
#[test]
fn pauses_and_lost_pages_of_opus() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(path) = made(folder, "a.opus", 48_000, "-c:a libopus -b:a 24k -page_duration 100000") else { return };
    let whole = std::fs::read(&path).unwrap();
    let (want, _) = heard(folder, "a.opus", &whole);
    for missing in [20..21, 10..24, 30..50, 3..9, 40..55] {
        let keep = |file: Vec<Page>| -> Vec<Page> {
            file.into_iter().enumerate().filter(|(i, _)| !missing.contains(i)).map(|(_, page)| page).collect()
        };
        let file = keep(pages(&whole));
        for (numbered, told) in [(true, &[][..]), (false, &["lost"][..])] {
            let (got, damage) = heard(folder, "b.opus", &ogg(&file, numbered));
            assert!(got.len().abs_diff(want.len()) <= 2, "{missing:?}: {} of {}", got.len(), want.len());
            let (correlation, shift) = shift_of_end(&got, &want);
            assert!(correlation > 0.9 && shift == 0, "{missing:?}: {correlation} at {shift}");
            assert_eq!(kinds(&damage), told, "{missing:?}: {damage:?}");
            if let [damage] = &damage[..] {
                assert_eq!(damage.length_ms, 100 * missing.len() as i64, "{missing:?}");
            }
        }
    }
}

/// Pre-skip of any length, and gain.
#[test]
fn what_the_header_of_opus_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(path) = made(folder, "a.opus", 48_000, "-c:a libopus -b:a 24k") else { return };
    let whole = std::fs::read(&path).unwrap();
    let (want, _) = heard(folder, "a.opus", &whole);
    let told = u16::from_le_bytes(whole[38..40].try_into().unwrap());
    for skip in [0u16, 100, 960, 3840, 48_000] {
        let mut file = pages(&whole);
        file[0].body[10..12].copy_from_slice(&skip.to_le_bytes());
        let (got, damage) = heard(folder, "b.opus", &ogg(&file, true));
        let more = (i64::from(skip) - i64::from(told)) / 3;
        assert!((want.len() as i64 - more - got.len() as i64).abs() <= 2, "{skip}: {} of {}", got.len(), want.len());
        assert_eq!(kinds(&damage), [""; 0]);
    }
    let level = |sound: &[f32]| sound.iter().map(|s| f64::from(s * s)).sum::<f64>() / sound.len() as f64;
    for gain_db in [-100.0, -20.0, -6.0, -0.5, 2.0] {
        let mut file = pages(&whole);
        file[0].body[16..18].copy_from_slice(&((gain_db * 256.0) as i16).to_le_bytes());
        let (got, _) = heard(folder, "b.opus", &ogg(&file, true));
        let db = 10.0 * (level(&got) / level(&want)).log10();
        assert!((db - gain_db).abs() < 0.2, "{gain_db}: {db}");
    }
}

/// Nothing was sent for a while: silence of that length, however long, and no damage.
#[test]
fn pauses_in_containers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = [
        ("a.mkv", 44_100, "-c:a aac -b:a 64k", 5.0),
        ("b.webm", 48_000, "-c:a libopus -b:a 24k", 200.0),
        ("c.mka", 44_100, "-c:a libvorbis", 12.5),
        ("d.mp4", 16_000, "-c:a aac -b:a 48k", 7.0),
        ("e.mkv", 16_000, "-c:a pcm_s16le", 4000.0),
    ];
    for (name, rate, arguments, pause) in files {
        let one = format!("one-{name}");
        if made(folder, &one, rate, arguments).is_none() {
            return;
        }
        let list = format!("ffconcat version 1.0\nfile {one}\nduration {}\nfile {one}\n", SECONDS + pause);
        let list = write(folder, "list.txt", list.as_bytes());
        let target = folder.join(name);
        let (list, to) = (list.to_str().unwrap(), target.to_str().unwrap());
        assert!(tool("ffmpeg", &["-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", list, "-c", "copy", to]));
        let mut decoder = Decoder::open(&target).unwrap();
        let (mut at, mut first, mut last) = (0usize, None, 0);
        while let Some(block) = decoder.next_block().unwrap() {
            for (i, _) in block[0].iter().enumerate().filter(|(_, s)| s.abs() > 0.01) {
                if last > 0 && at + i > last + 16_000 * 3 && first.is_none() {
                    first = Some(at + i);
                }
                last = at + i;
            }
            at += block[0].len();
        }
        let seconds = at as f64 / 16_000.0;
        let begins = first.unwrap_or(0) as f64 / 16_000.0;
        println!("{name}: {seconds:.3} s, goes on at {begins:.3} s");
        assert!((seconds - 2.0 * SECONDS - pause).abs() < 0.15, "{name}: {seconds} s");
        assert!((begins - SECONDS - pause).abs() < 0.15, "{name}: goes on at {begins} s");
        assert_eq!(kinds(&decoder.damage()), [""; 0], "{name}");
    }
}

/// Sound that begins after the picture.
#[test]
fn late_starts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = write(folder, "source.wav", &wav(Coding::Int(16), 48_000, &[voice(48_000, 4.0, 2)]));
    let source = source.to_str().unwrap();
    let files = [
        ("a.webm", "libopus", 1.5),
        ("b.webm", "libvorbis", 0.4),
        ("c.mkv", "aac", 2.2),
        ("d.mkv", "pcm_s16le", 3.0),
        ("e.mkv", "libopus", 0.0),
    ];
    for (name, encoder, late) in files {
        let target = folder.join(name);
        let video = if name.ends_with("webm") { "libvpx" } else { "mpeg4" };
        let late_text = late.to_string();
        let picture = ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=8"];
        let sound = ["-itsoffset", &late_text, "-i", source, "-c:v", video, "-c:a", encoder];
        if !tool("ffmpeg", &[&picture[..], &sound, &[target.to_str().unwrap()]].concat()) {
            return;
        }
        let (_, got) = decode(&target).unwrap();
        let first = got[0].iter().position(|s| s.abs() > 0.02).unwrap() as f64 / 16_000.0;
        assert!((first - late).abs() < 0.06, "{name}: begins at {first} s");
        assert!((got[0].len() as f64 / 16_000.0 - 4.0 - late).abs() < 0.06, "{name}: {} samples", got[0].len());
    }
}

/// The row says it, and the call is ready.
#[test]
fn the_row_of_a_damaged_call() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = made(folder.path(), "a.mp3", 16_000, "lame -b 32") else { return };
    let whole = std::fs::read(&path).unwrap();
    let cut = write(folder.path(), "b.mp3", &whole[..whole.len() / 2 + 3]);
    let out = ingest(&[recording("a", &path), recording("b", &cut)], IngestConfig::default());
    assert_eq!(out.call("a").damage, Some(Vec::new()));
    let call = out.call("b");
    assert_eq!((call.status.as_str(), &call.status_reason), ("ready", &None));
    assert_eq!(kinds(call.damage.as_ref().unwrap()), ["cut_off"]);
    let text = write(folder.path(), "c.mp3", b"not a recording at all, but a text that somebody named so");
    let out = ingest(&[recording("c", &text)], IngestConfig::default());
    assert_eq!((out.call("c").status.as_str(), &out.call("c").damage), ("failed", &None));
}
