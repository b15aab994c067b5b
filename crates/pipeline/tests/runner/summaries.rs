//! A pipeline whose summaries a language model words: a tiny one, whose weights are drawn.

use super::recording;
use inference::Registry;
use pipeline::{Assembly, DeviceChoice, Spec, rows_of};
use schema::{Call, StageName, Summary, Turn};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The sentence encoder that is installed, or a visible note that the test is skipped.
fn encoder() -> Option<PathBuf> {
    let cache = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/nightcall/models"));
    let folder = std::env::var_os("NIGHTCALL_MODELS").map(PathBuf::from).or_else(cache)?.join("all-minilm-l6-v2");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: needs the model all-minilm-l6-v2 (nightcall models pull all-minilm-l6-v2)");
    None
}

fn talk() -> (Call, Vec<Turn>) {
    let call = json!({"call_id": "talk", "source_uri": recording("talk").source_uri, "participants": [], "crm": {},
        "status": "ready"});
    let said = [
        ("agent", "Good morning, this is Dana from Brightwell. How can I help you?"),
        ("customer", "I'm calling about the invoice for March. It says 640 dollars, but we agreed on 590 dollars."),
        ("agent", "You are right, the discount of eight percent is missing. I'll send a corrected invoice by Tuesday."),
    ];
    let turn = |(i, (role, text)): (usize, &(&str, &str))| {
        let row = json!({"call_id": "talk", "turn_index": i, "channel": i % 2, "speaker": format!("{role}-1"),
            "role": role, "start_ms": i * 5000, "end_ms": i * 5000 + 4000, "text": text, "overlap_ms": 0,
            "pause_before_ms": 0, "words": []});
        serde_json::from_value(row).unwrap()
    };
    (serde_json::from_value(call).unwrap(), said.iter().enumerate().map(turn).collect())
}

#[test]
fn a_language_model_words_the_points_or_the_call_does() {
    let Some(encoder) = encoder() else { return };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/tests/data/llm");
    let models = tempfile::tempdir().unwrap();
    fs::create_dir(models.path().join("tiny")).unwrap();
    fs::copy(data.join("qwen3/tiny.gguf"), models.path().join("tiny/tiny.gguf")).unwrap();
    fs::create_dir(models.path().join("all-minilm-l6-v2")).unwrap();
    for file in fs::read_dir(encoder).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), models.path().join("all-minilm-l6-v2").join(file.file_name())).unwrap();
    }
    let registry = Registry::new(models.path()).with_manifests(&data.join("manifests")).unwrap();
    let stage = |summarize: &str| -> Result<_, String> {
        let spec = Spec::parse(&format!("[summarize]\n{summarize}"), Path::new("night.toml")).unwrap();
        let mut assembly = Assembly::new(&spec, &registry, DeviceChoice::Cpu).unwrap();
        let stage = assembly.stage(StageName::Summarize).map_err(|error| error.to_string())?;
        let rows = rows_of::<Summary, _>(&mut assembly, StageName::Summarize, &[talk()]).unwrap();
        Ok((stage.models(), stage.fingerprint(), rows["talk"].clone()))
    };

    let (_, plain, extractive) = stage("").unwrap();
    assert!(!extractive.is_empty() && extractive.iter().all(|row| row.method == "extractive"));

    let (models, worded, rows) = stage("model = \"tiny\"\nmodel_seconds = 600").unwrap();
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["all-minilm-l6-v2", "tiny"]);
    assert_eq!(models[1].sha256.len(), 64);
    assert_ne!(plain, worded);
    // Random weights say nothing that anybody said: the summary is the one without them, and says so.
    assert_eq!(rows, extractive);
    // No time at all is no error either.
    assert_eq!(stage("model = \"tiny\"\nmodel_seconds = 0").unwrap().2, extractive);

    let message = stage("model = \"all-minilm-l6-v2\"").err().unwrap();
    assert!(message.contains("writes no text"), "{message}");
    let message = stage("model = \"qwen3-0-6b\"").err().unwrap();
    assert!(message.contains("nightcall models pull qwen3-0-6b"), "{message}");
}
