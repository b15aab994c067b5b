//! `nightcall bench`: what it says, and that it runs over small input.

use super::{filtered, models, nightcall, root, text};
use std::{fs, path::Path};

/// The JSON object that a command prints.
fn report(args: &[&str], file: &Path) -> serde_json::Value {
    let out = nightcall().arg("bench").args(args).arg(file).arg("--json").output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// What every bench over a file says.
fn assert_measured(report: &serde_json::Value, items: usize) {
    assert_eq!(report["items"], items, "{report}");
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
    let speed = items as f64 / number("seconds");
    assert!((number("items_per_s") / speed - 1.0).abs() < 1e-9, "{report}");
    assert!(!cfg!(target_os = "linux") || number("peak_rss_mb") > 10.0, "{report}");
}

#[test]
fn help_shows_every_bench() {
    let help = |args: &[&str]| text(&nightcall().arg("bench").args(args).arg("--help").output().unwrap().stdout);
    filtered(|| insta::assert_snapshot!("help_bench", help(&[])));
    filtered(|| insta::assert_snapshot!("help_bench_whisper", help(&["whisper"])));
    for bench in ["asr", "encoder", "text"] {
        assert!(help(&[bench]).contains("Example:"), "bench {bench} --help has no example");
    }
}

#[test]
fn clips_are_counted_and_timed() {
    if !models("clips_are_counted_and_timed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let call = root().join("fixtures/calls/sales-pricing.wav");
    let set = folder.path().join("set.tsv");
    fs::write(&set, format!("audio\ttext\tchannel\tend\n{0}\t\t0\t20\n{0}\t\t1\t20\n", call.display())).unwrap();
    let report = report(&["asr", "--data"], &set);
    assert_measured(&report, 2);
    assert_eq!(
        (report["audio_s"].as_f64(), report["engine"].as_str()),
        (Some(40.0), Some("moonshine/moonshine-tiny-en"))
    );
    assert!(report["rtfx"].as_f64().unwrap() > 0.0 && report["kernel"].is_string());
}

#[test]
fn turns_and_calls_are_counted_and_timed() {
    if !models("turns_and_calls_are_counted_and_timed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.jsonl");
    let call = r#"{"turns": [{"role": "agent", "text": "How may I help?", "start": 0, "end": 1.5},
        {"role": "customer", "text": "The invoice is wrong. I need a new one by Friday.", "start": null, "end": null}]}"#;
    fs::write(&file, format!("{0}\n{0}\n", call.replace('\n', ""))).unwrap();
    let turns = report(&["encoder", "--data"], &file);
    assert_measured(&turns, 4);
    assert_eq!((turns["words"].as_u64(), turns["model"].as_str()), (Some(30), Some("all-minilm-l6-v2")));
    let calls = report(&["text", "--data"], &file);
    assert_measured(&calls, 2);
    assert_eq!(calls["words"], 30);
}

#[test]
fn weights_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("ggml.bin");
    fs::write(&weights, "no weights").unwrap();
    let mut bench = nightcall();
    let out = bench.args(["bench", "whisper", "--engine", "whisper_cpp", "--weights"]).arg(&weights).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("ggml.bin"), "{}", text(&out.stderr));
}
