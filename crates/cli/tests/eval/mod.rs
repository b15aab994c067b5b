//! `nightcall eval` over texts: what it says of given predictions, and that ours have the form that it reads.

use super::{filtered, models, nightcall, root, text};
use std::{fs, path::PathBuf};

const KINDS: [&str; 5] = ["flow", "summary", "follow-ups", "keywords", "sentiment"];

fn data(name: &str) -> PathBuf {
    root().join("fixtures/eval").join(name)
}

fn eval(kind: &str, args: &[&str]) -> assert_cmd::Command {
    let mut command = nightcall();
    command.args(["eval", kind, "--data"]).arg(data(&format!("{kind}.jsonl"))).args(args);
    command
}

#[test]
fn predictions_of_another_method_are_scored() {
    for kind in KINDS {
        let from = data(&format!("{kind}.said.jsonl")).display().to_string();
        let score = |args: &[&str]| {
            let out = eval(kind, &[&["--from", from.as_str()], args].concat()).output().unwrap();
            assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
            text(&out.stdout)
        };
        let name = kind.replace('-', "_");
        filtered(|| insta::assert_snapshot!(format!("eval_{name}"), score(&[])));
        filtered(|| insta::assert_snapshot!(format!("eval_{name}_json"), score(&["--json"])));
    }
}

#[test]
fn help_says_what_can_be_measured() {
    let out = nightcall().args(["eval", "--help"]).output().unwrap();
    filtered(|| insta::assert_snapshot!("help_eval", text(&out.stdout)));
}

#[test]
fn predictions_that_do_not_fit_are_named() {
    let from = data("sentiment.said.jsonl").display().to_string();
    let out = eval("keywords", &["--from", &from]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    filtered(|| insta::assert_snapshot!("eval_from_another_kind", text(&out.stderr)));
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.jsonl");
    fs::write(&short, "{\"phrases\": []}\n").unwrap();
    let out = eval("keywords", &["--from", &short.display().to_string()]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    filtered(|| insta::assert_snapshot!("eval_from_too_short", text(&out.stderr)));
    let out = eval("summary", &["--words", "few"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn what_was_said_can_be_scored_again() {
    if !models("what_was_said_can_be_scored_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let said = folder.path().join(format!("{kind}.jsonl")).display().to_string();
        let json = |args: &[&str]| {
            let out = eval(kind, args).arg("--json").output().unwrap();
            assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
            text(&out.stdout)
        };
        let words: &[&str] = if kind == "summary" { &["--words", "reference"] } else { &[] };
        let ours = json(&[words, &["--predictions", &said]].concat());
        assert_eq!(ours, json(&["--from", &said]), "{kind}");
        assert_eq!(ours, json(words), "{kind}");
    }
}

/// "Quill, my books" is what is heard of Quillmore Books without the list.
#[test]
fn a_listed_name_is_heard() {
    if !models("eval::a_listed_name_is_heard") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set.tsv");
    let call = root().join("fixtures/calls/support-mended.wav");
    let said = fs::read_to_string(root().join("fixtures/asr.tsv")).unwrap();
    let said = said.lines().find(|line| line.contains("support-mended-customer")).unwrap().split('\t').nth(1).unwrap();
    fs::write(&set, format!("audio\ttext\tchannel\n{}\t{said}\t1\n", call.display())).unwrap();
    let heard = |word: &str| {
        let pipeline = folder.path().join("pipeline.toml");
        fs::write(&pipeline, format!("[transcribe]\nvocabulary = [\"{word}\"]\n")).unwrap();
        let args = ["--data", set.to_str().unwrap(), "--pipeline", pipeline.to_str().unwrap(), "--json"];
        let output = nightcall().args(["eval", "asr"]).args(args).assert().success().get_output().stdout.clone();
        let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
        (report["vocabulary"]["heard"].as_u64().unwrap(), report["wer"].as_f64().unwrap())
    };
    let ((none, without), (one, with)) = (heard("Brightwell"), heard("Quillmore"));
    assert_eq!((none, one), (0, 1));
    assert!(with < without, "{with} is not below {without}");
}
