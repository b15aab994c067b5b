//! Prints the topics of each dialogue of a file: a script of fixtures/scripts (one object) or a transcript file (one
//! object a line) with turns of role and text. Turns are timed at 350 ms a word. `topics MODEL_FOLDER FILE... [--config JSON]`.

#![allow(clippy::print_stdout)]

use flow::{Flow, FlowConfig};
use inference::{Precision, SentenceEncoder};
use schema::{Call, CallFailure, Item, ModelId, Segment, Sink, Stage, StageError, Table, Topic, from_batch, to_batch};
use serde_json::{Value, json};
use std::{error::Error, path::Path, sync::Arc};

struct Print;

impl Sink for Print {
    fn batch(&mut self, table: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
        if table == Table::Topics {
            for t in from_batch::<Topic>(&batch)? {
                println!("  {:<24} {:>3}..{:<3} {:<8} {}", t.call_id, t.first_turn, t.last_turn, t.kind, t.label);
            }
        }
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        println!("  {} failed: {}", failure.call_id, failure.message);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, rest @ ..] = &args[..] else { return Err("topics MODEL_FOLDER FILE... [--config JSON]".into()) };
    let (files, config) = match rest.iter().position(|a| a == "--config") {
        Some(at) => (&rest[..at], serde_json::from_str(rest.get(at + 1).ok_or("--config needs JSON")?)?),
        None => (rest, FlowConfig::default()),
    };
    let (mut calls, mut segments) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(file)?;
        let found: Vec<Value> = match serde_json::from_str(&text) {
            Ok(one) => vec![one],
            Err(_) => text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        };
        for call in found {
            let id = call["id"].as_str().unwrap_or_default().to_owned();
            let names: Vec<Value> = ["agent", "customer"]
                .iter()
                .filter_map(|role| {
                    let name = call[role]["name"].as_str()?;
                    Some(json!({"participant_id": role, "role": role, "name": name, "consent": "granted"}))
                })
                .collect();
            let row = json!({"call_id": id, "source_uri": "", "participants": names, "crm": {}, "status": "ready"});
            calls.push(serde_json::from_value::<Call>(row)?);
            let mut now = 0;
            for (i, turn) in call["turns"].as_array().into_iter().flatten().enumerate() {
                let text = turn["text"].as_str().unwrap_or_default();
                let start = now + 400;
                now = start + 350 * text.split_whitespace().count() as i64;
                let channel = i32::from(["customer", "caller"].contains(&turn["role"].as_str().unwrap_or_default()));
                let row = json!({"call_id": id, "channel": channel, "segment_index": i, "start_ms": start, "end_ms": now,
                    "text": text, "avg_logprob": -0.1, "words": [], "engine": "text"});
                segments.push(serde_json::from_value::<Segment>(row)?);
            }
        }
    }
    let encoder = Arc::new(SentenceEncoder::load(Path::new(model), &candle_core::Device::Cpu, Precision::default())?);
    let model = ModelId { name: "all-minilm-l6-v2".into(), sha256: String::new() };
    let items = [Item::Batch(Table::Calls, to_batch(&calls)?), Item::Batch(Table::Segments, to_batch(&segments)?)];
    Flow::new(config, encoder, model).run(&mut items.into_iter(), &mut Print)?;
    Ok(())
}
