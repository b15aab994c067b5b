//! Bytes that nobody meant as a recording: an error or some samples, never a panic, a hang or unbounded memory.

use crate::support::{Coding, Collector, correlate, decode, fixtures, ingest, recording, run, tool, voice, wav, write};
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

/// A long file that ends early is heard as far as it goes, and told apart from a whole one.
#[test]
fn truncation_is_seen() {
    for name in ["discovery.wav", "scheduling.flac", "support-lost.mp3", "billing-question.mp4"] {
        let path = fixtures().join(name);
        let (_, whole) = decode(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cut = write(folder.path(), name, &bytes[..bytes.len() * 3 / 5]);
        let out = ingest(&[recording("a", &cut)], IngestConfig::default());
        let call = out.call("a");
        let share = call.duration_ms.unwrap() as f64 / (whole[0].len() as f64 / 16.0);
        assert!(call.status == "ready" && (0.4..0.8).contains(&share), "{name}: {} {share}", call.status);
        let damage = call.damage.as_deref().unwrap();
        println!("{name}: {damage:?}");
        assert_eq!(damage.iter().map(|d| d.kind.as_str()).collect::<Vec<_>>(), ["cut_off"], "{name}");
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
        assert_eq!(spoiled[0].len(), whole[0].len(), "{name}");
        let late = whole[0].len() * 3 / 4;
        let (correlation, shift) = correlate(&spoiled[0][late..], &whole[0][late..], 0);
        println!("{name}: correlation {correlation:.6}, shift {shift}");
        // AAC fills noisy bands with random numbers (perceptual noise substitution); behind a lost packet they are others.
        let least = if name.ends_with("m4a") { 0.998 } else { 0.999 };
        assert!(correlation > least, "{name}: {correlation} at {shift}");
    }
}

/// No share of damage refuses a call.
#[test]
fn a_file_spoiled_throughout_is_heard() {
    let path = fixtures().join("scheduling.flac");
    let (_, whole) = decode(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for at in (20_000..bytes.len()).step_by(20_000) {
        bytes[at] ^= 0xff;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = ingest(&[recording("a", &write(folder.path(), "a.flac", &bytes))], IngestConfig::default());
    let call = out.call("a");
    assert_eq!((call.status.as_str(), call.duration_ms), ("ready", Some(whole[0].len() as i64 / 16)));
    let damage = call.damage.as_deref().unwrap();
    assert!(damage.len() <= 100 && damage.iter().all(|d| d.kind == "lost" && d.length_ms > 0), "{damage:?}");
}

/// The most memory that the process may take in KiB, the sound that was handed on not counted.
const MEMORY_KIB: u64 = 300_000;
/// Mutations of each native file, and of each that ffmpeg reads, which costs two processes.
const MUTATIONS: (usize, usize) = (84, 20);

/// Files of every format that is read, spoiled in every way that comes to mind: each becomes a row, and the memory stays
/// within its bound. In a process of its own, for the bound is the process's.
#[test]
fn two_thousand_mutated_files() {
    if !tool("ffmpeg", &["-version"]) {
        return;
    }
    if std::env::var_os("MUTATE").is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile::two_thousand_mutated_files", "--nocapture"])
            .env("MUTATE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        let told: Vec<&str> = said.lines().filter(|line| line.contains("mutated files")).collect();
        println!("{}", told.join("\n"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut files, mut ready, mut failed) = (0, 0, 0);
    for (name, bytes) in formats(folder.path()) {
        let foreign = FOREIGN.iter().any(|(foreign, _)| *foreign == name);
        let count = if foreign { MUTATIONS.1 } else { MUTATIONS.0 };
        for i in 0..count {
            let path = write(folder.path(), &format!("spoiled/{i}-{name}"), &mutated(&bytes, i, &mut random));
            // A time stamp that was changed may mean hours of silence.
            let mut out = Collector { drops_audio: true, ..Collector::default() };
            run(&[recording("a", &path)], IngestConfig::default(), &mut out).unwrap();
            assert_eq!(out.calls.len(), 1, "{name} {i}");
            let call = out.call("a");
            match call.status.as_str() {
                "ready" => ready += 1,
                "failed" => failed += 1,
                other => panic!("{name} {i}: {other}"),
            }
            // Not a bug of ours that was contained, but a reason to do with the file.
            let reason = call.status_reason.as_deref().unwrap_or_default();
            assert_eq!(call.status == "failed", reason.contains("spoiled/"), "{name} {i}: {reason}");
            assert!(out.failures.iter().all(|f| f.kind == schema::FailureKind::BadInput));
        }
        files += count;
    }
    let peak = peak_kib();
    println!("{files} mutated files: {ready} were read, {failed} failed with a reason; peak memory {peak} KiB");
    assert!(files >= 2000);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// Name and encoder of what ffmpeg reads for us.
const FOREIGN: &[(&str, &str)] = &[
    ("a.avi", "-c:a pcm_mulaw"),
    ("a.wma", "-c:a wmav2"),
    ("gsm.wav", "-c:a libgsm_ms -ac 1"),
    ("a.au", "-c:a pcm_mulaw"),
    ("a.ts", "-c:a aac -ar 16000"),
];
/// The same of what symphonia reads.
const NATIVE: &[(&str, &str)] = &[
    ("pcm.wav", "-c:a pcm_s16le"),
    ("float.wav", "-c:a pcm_f32le"),
    ("mulaw.wav", "-c:a pcm_mulaw"),
    ("ms.wav", "-c:a adpcm_ms"),
    ("ima.wav", "-c:a adpcm_ima_wav"),
    ("rf64.wav", "-c:a pcm_mulaw -rf64 always"),
    ("a.w64", "-c:a pcm_mulaw"),
    ("a.aiff", "-c:a pcm_s16be"),
    ("a.caf", "-c:a pcm_s16le"),
    ("alac.caf", "-c:a alac"),
    ("a.flac", "-c:a flac"),
    ("flac.ogg", "-c:a flac"),
    ("a.mp3", "-c:a libmp3lame"),
    ("a.mp2", "-c:a mp2 -ar 16000 -b:a 64k"),
    ("a.ogg", "-c:a libvorbis"),
    ("a.opus", "-c:a libopus"),
    ("a.webm", "-c:a libopus"),
    ("vorbis.mka", "-c:a libvorbis"),
    ("a.m4a", "-c:a aac"),
    ("alac.m4a", "-c:a alac"),
    ("fragmented.mp4", "-c:a aac -movflags frag_keyframe+empty_moov"),
    ("a.aac", "-c:a aac"),
];

fn formats(folder: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let sound = [voice(8000, 0.6, 1), voice(8000, 0.6, 2)];
    let source = write(folder, "source.wav", &wav(Coding::Int(16), 8000, &sound));
    let files = NATIVE.iter().chain(FOREIGN).map(|&(name, encoder)| {
        let path = folder.join(name);
        let arguments: Vec<&str> = encoder.split(' ').collect();
        let (source, target) = (source.to_str().unwrap(), path.to_str().unwrap());
        assert!(tool("ffmpeg", &[&["-v", "error", "-i", source], &arguments[..], &[target]].concat()));
        (name, std::fs::read(path).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.push(("bomb.flac", bomb(600)));
    files
}

/// Xorshift: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Bits flipped, ends cut, and lies: lengths of 4 GB, rates of 0, 255 channels where a header has its small numbers.
fn mutated(bytes: &[u8], round: usize, random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let header = out.len().min(160);
    match round % 6 {
        0 => {
            for _ in 0..=random.below(20) {
                let at = random.below(out.len());
                out[at] ^= 1 << random.below(8);
            }
        }
        1 => out.truncate(random.below(bytes.len())),
        2 => {
            let at = random.below(header);
            let lie = [[0xff; 4], [0; 4], [0xff, 0xff, 0xff, 0x7f], [0x7f, 0xff, 0xff, 0xff]][random.below(4)];
            let end = (at + 4).min(out.len());
            out[at..end].copy_from_slice(&lie[..end - at]);
        }
        3 => {
            // The small numbers of a header: channels, bits, kinds.
            let small: Vec<usize> = (0..header).filter(|&i| (1..=16).contains(&out[i])).collect();
            let at = small[random.below(small.len())];
            out[at] = [0, 255, 254, 128][random.below(4)];
        }
        4 => {
            // A rate, wherever it is: 8000 and 16000 in either order of bytes.
            for rate in [8000u32, 16_000] {
                for want in [rate.to_le_bytes(), rate.to_be_bytes()] {
                    if let Some(at) = out.windows(4).position(|w| w == want) {
                        let lie = [0u32, 1, u32::MAX, 999][random.below(4)];
                        out[at..at + 4].copy_from_slice(&if want[0] == 0 {
                            lie.to_be_bytes()
                        } else {
                            lie.to_le_bytes()
                        });
                    }
                }
            }
            let at = random.below(out.len());
            out[at] = out[at].wrapping_add(1);
        }
        _ => {
            // A piece of the file again, somewhere else, and rubbish behind it.
            let (from, to) = (random.below(bytes.len()), random.below(bytes.len()));
            let piece = bytes[from..(from + 64).min(bytes.len())].to_vec();
            out.splice(to..to, piece);
            out.extend((0..random.below(300)).map(|_| random.below(256) as u8));
        }
    }
    out
}

/// A small FLAC file of this many seconds of silence at 8 kHz, whose header does not say so: frames of one constant each.
fn bomb(seconds: usize) -> Vec<u8> {
    const BLOCK: usize = 65_535;
    let mut file = b"fLaC".to_vec();
    file.extend([0x80, 0, 0, 34]);
    file.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    // 8000 Hz in 20 bits, one channel, 16 bits, no length, no checksum.
    file.extend([0x01, 0xf4, 0x00, 0xf0, 0, 0, 0, 0]);
    file.extend([0; 16]);
    for number in 0..seconds * 8000 / BLOCK {
        let mut frame = vec![0xff, 0xf8, 0x74, 0x08];
        frame.extend(char::from_u32(number as u32).unwrap().to_string().as_bytes());
        frame.extend((BLOCK as u16 - 1).to_be_bytes());
        frame.push(crc(&frame, 0x07, 8) as u8);
        frame.extend([0, 0, 0]);
        let sum = crc(&frame, 0x8005, 16) as u16;
        frame.extend(sum.to_be_bytes());
        file.extend(frame);
    }
    file
}

fn crc(bytes: &[u8], polynomial: u32, bits: u32) -> u32 {
    let mut crc = 0;
    for byte in bytes {
        crc ^= u32::from(*byte) << (bits - 8);
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> (bits - 1) & 1 == 1 { polynomial } else { 0 };
            crc &= (1 << bits) - 1;
        }
    }
    crc
}

/// Ten minutes of silence in 2 kB are read, in bounded memory and time; what unfolds to more than a day is given up.
#[test]
fn a_bomb_of_silence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let small = bomb(600);
    assert!(small.len() < 2000);
    std::fs::write(file.path(), small).unwrap();
    let samples = read(file.path()).unwrap();
    assert_eq!(samples, 600 * 8000 / 65_535 * 65_535 * 2);
    // The same, and the header says that it is 26 hours long: what is there is read.
    let mut told = bomb(600);
    let frames = 26u64 * 3600 * 8000;
    told[22..26].copy_from_slice(&(frames as u32).to_be_bytes());
    std::fs::write(file.path(), told).unwrap();
    assert_eq!(read(file.path()).unwrap(), samples);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
