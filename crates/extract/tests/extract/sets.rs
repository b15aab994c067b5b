//! Measures on the development sets beside the checkout, and with the sentence encoder; each is skipped where it is absent.

use super::{folder, minilm};
use extract::{Utterance, follow_ups, keyphrases};
use inference::{Device, Precision, SentenceEncoder};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

pub(crate) fn lines(set: &str) -> Option<Vec<Value>> {
    let path = folder("../shared/data").join(set);
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("skipped: needs ../shared/data/{set}");
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn encoder() -> Option<SentenceEncoder> {
    Some(SentenceEncoder::load(&minilm()?, &Device::Cpu, Precision::default()).unwrap())
}

/// These sets label other things than follow-ups of a call (opening requests, product ideas, advertisements), so the numbers
/// say how the rules travel, not how good they are; precision on the e-mails, the nearest task, must hold.
#[test]
fn follow_ups_elsewhere() {
    for set in ["bt-oasis-trainval", "ami-dev", "email-intent-train"] {
        let Some(talks) = lines(&format!("followups/{set}.jsonl")) else { continue };
        let (mut hits, mut said, mut meant) = (0.0, 0.0, 0.0);
        for talk in talks {
            let turns = talk["turns"].as_array().unwrap();
            let spoken: Vec<Utterance<'_>> = turns
                .iter()
                .enumerate()
                .map(|(i, t)| Utterance {
                    turn_index: i as i32,
                    role: t["role"].as_str().unwrap(),
                    text: t["text"].as_str().unwrap(),
                })
                .collect();
            let found = follow_ups("a", &spoken, None, 0.5);
            let with: BTreeSet<usize> =
                found.iter().flat_map(|f| f.evidence.iter().map(|e| e.turn_index as usize)).collect();
            let labelled: BTreeSet<usize> = (0..turns.len()).filter(|&i| turns[i]["label"] == true).collect();
            hits += with.intersection(&labelled).count() as f64;
            said += with.len() as f64;
            meant += labelled.len() as f64;
        }
        let (precision, recall) = (hits / said, hits / meant);
        let f1 = 2.0 * hits / (said + meant);
        eprintln!("{set}: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}, {said} found");
        assert!(set != "email-intent-train" || precision > 0.75, "{precision}");
    }
}

#[test]
fn keyphrases_of_abstracts() {
    let (Some(documents), Some(encoder)) = (lines("keywords/inspec-dev.jsonl"), encoder()) else { return };
    let stemmer = rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English);
    let stems = |phrase: &str| {
        let words: Vec<String> = phrase
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric() && c != '-')
            .filter(|w| !w.is_empty())
            .map(|w| stemmer.stem(w).into_owned())
            .collect();
        words.join(" ")
    };
    // Fifty documents keep the test short.
    let documents = &documents[..50];
    let mut f1 = 0.0;
    for document in documents {
        let keys: BTreeSet<String> =
            document["keys"].as_array().unwrap().iter().map(|k| stems(k.as_str().unwrap())).collect();
        let texts: Vec<&str> = document["text"].as_str().unwrap().lines().collect();
        let found = keyphrases(&texts, Some(&encoder), 10, 0.3).unwrap();
        let found: BTreeSet<String> = found.iter().map(|(phrase, _)| stems(phrase)).collect();
        f1 += 2.0 * found.intersection(&keys).count() as f64 / (found.len() + keys.len()) as f64;
    }
    let f1 = f1 / documents.len() as f64;
    eprintln!("inspec-dev, the first 50: macro F1 at 10 {f1:.3}");
    assert!(f1 > 0.28, "{f1}");
}
