//! Bytes that nobody meant as a recording: an error or some samples, never a panic, a hang or unbounded memory.

use crate::support::{Coding, correlate, decode, fixtures, ingest, recording, tool, voice, wav, write};
use ingest::{Decoder, IngestConfig};
use proptest::prelude::*;
use std::path::Path;

/// Reads to the end or the first error. The samples must be sound.
fn read(path: &Path) -> Result<usize, ingest::IngestError> {
    let mut decoder = Decoder::open(path)?;
    let mut samples = 0;
    while let Some(block) = decoder.next_block()? {
        assert!(block.iter().all(|c| c.len() == block[0].len() && c.len() <= ingest::BLOCK_SAMPLES));
        assert!(block.iter().flatten().all(|s| (-1.0..=1.0).contains(s)));
        samples += block[0].len();
    }
    assert!(decoder.next_block()?.is_none());
    Ok(samples)
}

/// Small files of several formats to be spoiled.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [Coding::Int(16), Coding::Int(24), Coding::Float(32), Coding::MuLaw]
        .into_iter()
        .map(|coding| wav(coding, 8000, &[voice(8000, 0.3, 1), voice(8000, 0.3, 2)]))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let source = write(folder.path(), "source.wav", &wav(Coding::Int(16), 24000, &[voice(24000, 0.5, 1)]));
    for name in ["a.flac", "a.mp3", "a.ogg", "a.m4a", "a.aiff", "a.caf", "a.aac", "a.mka"] {
        let path = folder.path().join(name);
        if tool("ffmpeg", &["-v", "error", "-i", source.to_str().unwrap(), path.to_str().unwrap()]) {
            seeds.push(std::fs::read(path).unwrap());
        }
    }
    seeds
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let _ = read(file.path());
    }

    #[test]
    fn random_bytes_after_a_known_start(
        start in prop::sample::select(vec![
            &b"RIFF\xff\xff\xff\xffWAVEfmt "[..], b"fLaC\0\0\0\x22", b"OggS\0\x02", b"ID3\x04\0\0", b"\xff\xfb\x90\x64",
            b"\0\0\0\x18ftypM4A ", b"FORM\0\0\xff\xffAIFF", b"caff\0\x01\0\0", b"\x1a\x45\xdf\xa3", b"\xff\xf1\x50\x80",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..2048),
    ) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [start, &bytes].concat()).unwrap();
        let _ = read(file.path());
    }
}

#[test]
fn spoiled_files() {
    // Deterministic: a plain generator instead of a seed from outside.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    for seed in seeds() {
        for round in 0..120 {
            let mut bytes = seed.clone();
            // Half of the time in the header, where it hurts most.
            let reach = if round % 2 == 0 { bytes.len().min(200) } else { bytes.len() };
            for _ in 0..=random(6) {
                let at = random(reach);
                bytes[at] = [0, 0xff, 0x7f, 0x80, random(256) as u8][random(5)];
            }
            if round % 5 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            std::fs::write(file.path(), bytes).unwrap();
            let _ = read(file.path());
        }
    }
}

#[test]
fn cut_anywhere() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for seed in seeds() {
        for part in 0..40 {
            std::fs::write(file.path(), &seed[..seed.len() * part / 40]).unwrap();
            let _ = read(file.path());
        }
    }
}

/// A long file that ends early is told apart from a whole one, in every format whose header says how long it is.
#[test]
fn truncation_is_seen() {
    for name in ["discovery.wav", "scheduling.flac", "support-lost.mp3", "billing-question.mp4"] {
        let bytes = std::fs::read(fixtures().join(name)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes[..bytes.len() * 3 / 5]).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        println!("{name}: {error}");
        assert!(error.contains("that its header promises") || error.contains("cannot be read"), "{error}");
    }
}

/// A flaw in the middle costs that moment alone: what follows keeps its time.
#[test]
fn a_damaged_stretch_becomes_silence() {
    for name in ["scheduling.flac", "support-lost.mp3", "voicemail.m4a"] {
        let path = fixtures().join(name);
        let (_, whole) = decode(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0x55);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let (_, spoiled) = decode(file.path()).unwrap();
        // MP3 has no time stamps: a frame whose start is lost is gone, here 24 ms.
        let reach = if name.ends_with("mp3") { 400 } else { 0 };
        assert!(spoiled[0].len().abs_diff(whole[0].len()) <= reach, "{name}: {} samples", spoiled[0].len());
        let late = whole[0].len() * 3 / 4;
        let (correlation, shift) = correlate(&spoiled[0][late..], &whole[0][late..], reach as i64);
        println!("{name}: correlation {correlation:.6}, shift {shift}");
        // AAC fills noisy bands with random numbers (perceptual noise substitution); behind a lost packet they are others.
        let least = if name.ends_with("m4a") { 0.998 } else { 0.999 };
        assert!(correlation > least, "{name}: {correlation} at {shift}");
    }
}

#[test]
fn a_file_spoiled_throughout_is_failed() {
    let mut bytes = std::fs::read(fixtures().join("scheduling.flac")).unwrap();
    for at in (20_000..bytes.len()).step_by(20_000) {
        bytes[at] ^= 0xff;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = ingest(&[recording("a", &write(folder.path(), "a.flac", &bytes))], IngestConfig::default());
    let reason = out.call("a").status_reason.as_deref().unwrap();
    assert!(reason.contains("damaged or missing"), "{reason}");
}
