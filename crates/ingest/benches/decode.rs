//! How long an hour of stereo at 8 kHz takes to decode and resample, beside ffmpeg on one core, and how much memory ten hours
//! take: `cargo bench --workspace --bench decode`, with `-- wav mp3` of these formats alone. The sound is that of the fixture
//! calls over and over; needs ffmpeg.
//!
//! Ours and ffmpeg's runs take turns. `heard` is ours with what the pipeline does to channels (offset, crosstalk, level).

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use ingest::{Decoder, Sound};
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const HOUR_S: u32 = 3600;
const RUNS: usize = 5;
/// Ending, encoder.
const FORMATS: [(&str, &str); 6] = [
    ("wav", "-c:a pcm_mulaw"),
    ("mp3", "-c:a libmp3lame -b:a 32k"),
    ("opus", "-c:a libopus -b:a 24k"),
    ("flac", "-c:a flac"),
    ("m4a", "-c:a aac -b:a 32k"),
    ("wma", "-c:a wmav2 -b:a 32k"),
];
/// Those of which ten hours are heard.
const LONG: [&str; 3] = ["wav", "mp3", "opus"];

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--memory") {
        let took = heard(Path::new(&arguments[at + 1]));
        println!("{} MB, {:.1} s", peak_kib() / 1000, took.as_secs_f64());
        return;
    }
    let asked = |(ending, _): &&(&str, &str)| arguments.iter().any(|a| a == ending);
    let any = FORMATS.iter().any(|format| asked(&format));
    let formats = || FORMATS.iter().filter(|format| !any || asked(format));
    let folder = tempfile::tempdir().unwrap();
    let call = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/calls/discovery.wav");
    println!("an hour of 8 kHz stereo; seconds, medians of {RUNS} runs that took turns");
    println!("| format | decode and resample | ffmpeg | ratio | heard |\n| --- | --- | --- | --- | --- |");
    for (ending, encoder) in formats() {
        let path = folder.path().join(format!("hour.{ending}"));
        make(&call, encoder, HOUR_S, &path);
        let (mut ours, mut theirs, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours.push(decoded(&path));
            theirs.push(ffmpeg(&path));
            all.push(heard(&path));
        }
        let [ours, theirs, all] = [ours, theirs, all].map(|mut times| {
            times.sort_unstable();
            times[RUNS / 2].as_secs_f64()
        });
        println!("| {ending} ({encoder}) | {ours:.2} | {theirs:.2} | {:.2} | {all:.2} |", ours / theirs);
    }
    println!("\nten hours of 8 kHz stereo, as the pipeline hears them: peak memory of the process");
    for (ending, encoder) in formats().filter(|(ending, _)| LONG.contains(ending)) {
        let path = folder.path().join(format!("ten-hours.{ending}"));
        make(&call, encoder, 10 * HOUR_S, &path);
        let size = fs::metadata(&path).unwrap().len() / 1_000_000;
        let output = Command::new(env::current_exe().unwrap()).arg("--memory").arg(&path).output().unwrap();
        println!("{ending}, {size} MB: {}", String::from_utf8_lossy(&output.stdout).trim());
        fs::remove_file(path).unwrap();
    }
}

fn make(call: &Path, encoder: &str, seconds: u32, path: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-stream_loop", "-1", "-i"])
        .arg(call)
        .args(["-t", &seconds.to_string()])
        .args(encoder.split(' '))
        .arg(path)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "this bench needs ffmpeg with {encoder}");
}

fn decoded(path: &Path) -> Duration {
    let began = Instant::now();
    let mut decoder = Decoder::open(path).unwrap();
    while decoder.next_block().unwrap().is_some() {}
    began.elapsed()
}

fn heard(path: &Path) -> Duration {
    let began = Instant::now();
    let mut sound = Sound::new(Decoder::open(path).unwrap());
    while sound.next_block().unwrap().is_some() {}
    began.elapsed()
}

fn ffmpeg(path: &Path) -> Duration {
    let began = Instant::now();
    let status = Command::new("taskset")
        .args(["-c", "0", "ffmpeg", "-v", "error", "-threads", "1", "-i"])
        .arg(path)
        .args(["-ar", "16000", "-f", "f32le", "-y", "/dev/null"])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    began.elapsed()
}

/// The most memory that this process ever held, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
