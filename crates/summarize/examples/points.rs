//! Prints the summary of each dialogue of a file: a script of fixtures/scripts (one object) or a transcript file (one
//! object a line) with turns of role and text. `points FILE MODEL_FOLDER [--json] [--words N|reference]`.

#![allow(clippy::print_stdout)]

use inference::{Precision, SentenceEncoder};
use serde_json::{Value, json};
use std::{error::Error, ops::Range, path::Path, sync::Arc};
use summarize::{Dialogue, Line, SummarizeConfig, Summarizer};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, model, rest @ ..] = &args[..] else {
        return Err("points FILE MODEL_FOLDER [--json] [--words N]".into());
    };
    let words = rest.iter().position(|a| a == "--words").and_then(|i| rest.get(i + 1)).map(String::as_str);
    let text = std::fs::read_to_string(file)?;
    let calls: Vec<Value> = match serde_json::from_str(&text) {
        Ok(one) => vec![one],
        Err(_) => text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
    };
    let encoder = SentenceEncoder::load(Path::new(model), &candle_core::Device::Cpu, Precision::default())?;
    let summarizer = Summarizer::new(SummarizeConfig::default(), Arc::new(encoder));
    let dialogues: Vec<Dialogue> = calls.iter().map(|call| dialogue(call, words)).collect();
    for ((call, dialogue), points) in calls.iter().zip(&dialogues).zip(summarizer.summarize(&dialogues)?) {
        if rest.iter().any(|a| a == "--json") {
            let texts: Vec<String> = points.iter().map(|p| p.said(&dialogue.lines)).collect();
            println!("{}", json!({"id": call["id"], "points": texts}));
            continue;
        }
        println!("\n{}", call["id"].as_str().unwrap_or_default());
        for p in &points {
            println!("  {:<9} {:.3}  [{}] {}", p.kind.as_str(), p.score, p.turn(), p.said(&dialogue.lines));
        }
    }
    Ok(())
}

fn dialogue(call: &Value, words: Option<&str>) -> Dialogue {
    let turns = call["turns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |turn: &Value, key: &str| turn[key].as_str().map(str::to_owned);
    let lines = turns
        .iter()
        .map(|t| Line { role: text(t, "role"), text: text(t, "text").unwrap_or_default(), words: vec![] })
        .collect();
    let mut topics: Vec<Range<usize>> = Vec::new();
    for (i, turn) in turns.iter().enumerate().filter(|(_, t)| !t["topic"].is_null()) {
        match topics.last_mut() {
            Some(last) if turns[last.start]["topic"] == turn["topic"] => last.end = i + 1,
            _ => topics.push(i..i + 1),
        }
    }
    let mean = || {
        let summaries = call["summaries"].as_array()?;
        let count = |s: &Value| s.as_str().map_or(0, |s| s.split_whitespace().count());
        Some((summaries.iter().map(count).sum::<usize>() / summaries.len().max(1)).max(1))
    };
    let max_words = if words == Some("reference") { mean() } else { words.and_then(|w| w.parse().ok()) };
    Dialogue { lines, topics, max_words }
}
