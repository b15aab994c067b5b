//! The house as `cargo metadata` tells it: an arrow that ARCHITECTURE.md does not draw fails.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Who may know whom. The stages know `schema`, and `inference` where they run a model; they never know each other.
const ARROWS: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("inference", &[]),
    ("store", &["schema"]),
    ("ingest", &["schema", "store"]),
    ("transcribe", &["schema", "inference"]),
    ("flow", &["schema", "inference"]),
    ("summarize", &["schema", "inference"]),
    ("extract", &["schema", "inference"]),
    ("sentiment", &["schema", "inference"]),
    (
        "pipeline",
        &["schema", "inference", "store", "ingest", "transcribe", "flow", "summarize", "extract", "sentiment"],
    ),
    ("eval", &["schema", "store"]),
    ("cli", &["schema", "store", "pipeline", "eval"]),
];

/// Crates that only one room may see.
const PRIVATE: &[(&str, &str)] = &[
    ("candle-core", "inference"),
    ("candle-nn", "inference"),
    ("candle-transformers", "inference"),
    ("tokenizers", "inference"),
    ("whisper-rs", "transcribe"),
    ("symphonia", "ingest"),
    ("symphonia-adapter-libopus", "ingest"),
    ("object_store", "store"),
    ("anyhow", "cli"),
    ("indicatif", "cli"),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().trim_start_matches("nightcall-").to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let needed = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
            (text(&package["name"]), needed.map(|d| text(&d["name"])).collect())
        })
        .collect()
}

#[test]
fn every_arrow_is_drawn() {
    let dependencies = dependencies();
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, dependencies.keys().map(String::as_str).collect());
    for (room, allowed) in ARROWS {
        let known = dependencies[*room].iter().filter(|d| rooms.contains(d.as_str()));
        let wrong: Vec<_> = known.filter(|d| !allowed.contains(&d.as_str())).collect();
        assert!(wrong.is_empty(), "{room} knows {wrong:?}, which ARCHITECTURE.md does not draw");
    }
}

#[test]
fn engines_and_printing_stay_in_their_rooms() {
    for (room, needed) in dependencies() {
        for (krate, owner) in PRIVATE {
            assert!(room == *owner || !needed.contains(*krate), "{room} uses {krate}, which belongs to {owner}");
        }
    }
}
