//! `bench`: how fast.

use super::{registry, threads, threads_of};
use crate::{
    Outcome,
    args::{BenchAsr, BenchEncoder, BenchText, BenchWhat, BenchWhisper, Common, Measured, WhisperEngine},
};
use anyhow::Result;
use pipeline::{Assembly, RunOptions, Spec};
use serde_json::{Value, json};

pub fn run(what: &BenchWhat, common: &Common) -> Result<Outcome> {
    match what {
        BenchWhat::Whisper(args) => whisper(args),
        BenchWhat::Asr(args) => asr(args, common),
        BenchWhat::Encoder(args) => encoder(args, common),
        BenchWhat::Text(args) => text(args, common),
    }
}

fn whisper(args: &BenchWhisper) -> Result<Outcome> {
    threads_of(args.jobs)?;
    let (windows, batch, tokens) = (usize::from(args.windows), args.batch.map(usize::from), usize::from(args.tokens));
    let (engine, times) = match args.engine {
        WhisperEngine::Candle => {
            let device = pipeline::open_device(args.device)?;
            ("candle", pipeline::bench_whisper(&args.weights, windows, batch, tokens, &device, args.precision.into())?)
        }
        WhisperEngine::WhisperCpp => {
            ("whisper_cpp", pipeline::bench_whisper_cpp(&args.weights, windows, batch, tokens)?)
        }
    };
    let report = json!({
        "engine": engine,
        "encode_ms": times.encode_ms,
        "decode_ms": times.decode_ms,
        "windows": windows,
        "tokens": tokens,
        "batch": times.batch,
        "threads": times.threads,
        "kernel": times.kernel,
    });
    if args.json {
        anstream::println!("{report}");
        return Ok(Outcome::Done);
    }
    anstream::println!(
        "{:.1} ms to encode a window, {:.1} ms to decode {tokens} tokens: {} at a time, {} threads, {}",
        times.encode_ms,
        times.decode_ms,
        times.batch,
        times.threads,
        times.kernel
    );
    Ok(Outcome::Done)
}

fn asr(args: &BenchAsr, common: &Common) -> Result<Outcome> {
    threads(&args.measured.how)?;
    let clips: Vec<_> = eval::asr_set(&args.data)?.iter().map(super::eval::clip).collect();
    let spec = Spec::load(args.measured.how.pipeline.as_deref())?;
    let mut stage = Assembly::new(&spec, &registry(common)?, args.measured.how.device)?.transcribe()?;
    let heard = pipeline::recognize(&clips, &mut stage)?;
    let more = json!({
        "audio_s": heard.audio_s,
        "rtfx": heard.audio_s / heard.compute_s,
        "engine": heard.engine,
        "kernel": pipeline::processor(),
    });
    Ok(report(&args.measured, "clips", clips.len(), heard.compute_s, more))
}

fn encoder(args: &BenchEncoder, common: &Common) -> Result<Outcome> {
    threads(&args.measured.how)?;
    let texts: Vec<String> = eval::read_lines::<eval::Transcript>(&args.data)?
        .into_iter()
        .flat_map(|call| call.turns)
        .map(|turn| turn.text)
        .collect();
    let words: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let spec = Spec::load(args.measured.how.pipeline.as_deref())?;
    let registry = registry(common)?;
    let took = pipeline::bench_encoder(&mut Assembly::new(&spec, &registry, args.measured.how.device)?, &texts)?;
    let more = json!({"words": words, "model": spec.sentence_encoder, "kernel": pipeline::processor()});
    Ok(report(&args.measured, "turns", texts.len(), took.as_secs_f64(), more))
}

fn text(args: &BenchText, common: &Common) -> Result<Outcome> {
    threads(&args.measured.how)?;
    let calls: Vec<eval::Transcript> = eval::read_lines(&args.data)?;
    let words: usize = calls.iter().flat_map(|call| &call.turns).map(|turn| turn.text.split_whitespace().count()).sum();
    let rows: Vec<_> = calls.iter().enumerate().map(|(i, call)| call.rows(&format!("{i:06}"))).collect();
    let spec = Spec::load(args.measured.how.pipeline.as_deref())?;
    let registry = registry(common)?;
    let mut assembly = Assembly::new(&spec, &registry, args.measured.how.device)?;
    let took = pipeline::bench_text(&mut assembly, &rows, RunOptions::default().shard_size)?;
    Ok(report(&args.measured, "calls", rows.len(), took.as_secs_f64(), json!({"words": words})))
}

/// Prints what every bench measures, and what this one says beside it.
fn report(args: &Measured, name: &str, items: usize, seconds: f64, more: Value) -> Outcome {
    let peak = peak_rss_mb();
    if args.json {
        let mut report = json!({
            "items": items,
            "seconds": seconds,
            "items_per_s": items as f64 / seconds,
            "peak_rss_mb": peak,
        });
        if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
            report.extend(more);
        }
        anstream::println!("{report}");
        return Outcome::Done;
    }
    let peak = peak.map(|mb| format!(", {mb:.0} MB at most")).unwrap_or_default();
    let speed = items as f64 / seconds;
    anstream::println!("{items} {name} in {seconds:.2} s: {speed:.1} a second{peak}");
    if let Value::Object(more) = more {
        for (key, value) in more {
            anstream::println!("{key:10} {value}");
        }
    }
    Outcome::Done
}

/// The most memory that this process has had, in millions of bytes, where the system tells (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
