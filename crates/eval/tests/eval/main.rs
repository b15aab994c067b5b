//! The crate against its references.

#![allow(clippy::unwrap_used)] // clippy counts helpers of tests as no tests

mod fixtures;

use eval::{Edits, asr_set, normalize_english};
use proptest::prelude::*;
use std::path::Path;

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Differences between our normalizer and `[text, wanted]` lines: how many lines, and the first few that differ.
fn differences(goldens: &str) -> (usize, usize, Vec<String>) {
    let (mut lines, mut wrong, mut first) = (0, 0, Vec::new());
    for line in goldens.lines() {
        let [text, wanted]: [String; 2] = serde_json::from_str(line).unwrap();
        let found = normalize_english(&text);
        lines += 1;
        if found != wanted {
            wrong += 1;
            if first.len() < 20 {
                first.push(format!("{text:?}\n  wanted {wanted:?}\n  found  {found:?}"));
            }
        }
    }
    (lines, wrong, first)
}

#[test]
fn the_normalizer_equals_whispers() {
    let (lines, wrong, first) = differences(&data("normalizer.jsonl"));
    assert!(lines > 500);
    assert_eq!(wrong, 0, "{}", first.join("\n"));
}

#[test]
fn the_normalizer_equals_whispers_widely() {
    let Some(path) = std::env::var_os("NIGHTCALL_WIDE_GOLDENS") else {
        println!("skipped: needs NIGHTCALL_WIDE_GOLDENS, a file of scripts/make-goldens-normalizer.py --wide");
        return;
    };
    let (lines, wrong, first) = differences(&std::fs::read_to_string(path).unwrap());
    println!("{wrong} of {lines} texts differ");
    assert_eq!(wrong, 0, "{}", first.join("\n"));
}

#[test]
fn errors_equal_jiwers() {
    for line in data("wer.jsonl").lines() {
        let (reference, hypothesis, hits, substitutions, deletions, insertions): (String, String, u64, u64, u64, u64) =
            serde_json::from_str(line).unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let found = Edits::between(&words(&reference), &words(&hypothesis));
        let wanted = Edits { words: hits + substitutions + deletions, deletions, insertions, substitutions };
        assert_eq!(found, wanted, "{reference} / {hypothesis}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_normalized(text in "\\PC*", numbers in "([0-9.$¢%, ]|one|oh|and a half|point|hundred|double|minus|[\\s']){0,20}") {
        for text in [text, numbers] {
            prop_assert!(!normalize_english(&text).contains("  "));
        }
    }

    #[test]
    fn any_set_is_read_or_refused(rows in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.tsv");
        std::fs::write(&path, [b"audio\ttext\tstart\tend\tchannel\n".as_slice(), &rows].concat()).unwrap();
        if let Err(error) = asr_set(&path) {
            prop_assert!(error.to_string().contains("set.tsv"));
        }
    }
}
