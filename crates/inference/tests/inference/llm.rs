//! Language models against transformers (scripts/make-goldens-llm.py), and the promises of [`LanguageModel`].

use super::data;
use inference::{Device, End, Form, LanguageModel, Limits, Prompt};
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<(String, Vec<u32>)>,
    prompt: Vec<u32>,
    greedy: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

fn load(name: &str) -> (LanguageModel, Golden) {
    let folder = data(&format!("llm/{name}"));
    let golden = std::fs::read(folder.join("golden.json")).unwrap();
    (LanguageModel::load(&folder, &Device::Cpu).unwrap(), serde_json::from_slice(&golden).unwrap())
}

/// The largest difference of logits, as a share of the largest logit; and the greedy tokens.
fn compare(model: &LanguageModel, golden: &Golden) -> (f32, Vec<u32>) {
    let said = &golden.greedy[..golden.greedy.len() - 1];
    let rows = model.logits(&golden.prompt, said).unwrap();
    assert_eq!(rows.len(), golden.logits.len());
    let pairs = || rows.iter().flatten().zip(golden.logits.iter().flatten());
    let largest = pairs().map(|(_, b)| b.abs()).fold(0.0, f32::max);
    let off = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let best = |row: &Vec<f32>| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32;
    (off / largest, rows.iter().map(best).collect())
}

/// Weights of 32 bits, so that nothing but the order of sums differs.
#[test]
fn logits_and_tokens_are_those_of_the_reference() {
    for name in ["qwen3", "llama", "phi3", "gemma3"] {
        let (model, golden) = load(name);
        let (off, greedy) = compare(&model, &golden);
        assert!(off < 1e-5, "{name}: {off}");
        assert_eq!(greedy, golden.greedy, "{name}");
        for (text, ids) in &golden.texts {
            assert_eq!(&model.encode(text).unwrap(), ids, "{name}: {text}");
        }
    }
}

fn form() -> Form {
    Form { points: 2, characters: 12, turns: 2, numbers: 3..=40 }
}

fn prompts() -> Vec<Prompt> {
    let user = |i: usize| format!("Turn {i}: {}", "the invoice is wrong. ".repeat(1 + i % 3));
    (0..7).map(|i| Prompt { system: "Sum up.".into(), user: user(i), form: Some(form()) }).collect()
}

#[test]
fn an_answer_is_what_it_would_be_alone() {
    let limits = Limits { tokens: 200, time: Duration::from_secs(600) };
    for name in ["qwen3", "llama", "phi3", "gemma3"] {
        let (model, _) = load(name);
        let generate = |model: &LanguageModel, prompts: &[Prompt]| -> Vec<_> {
            model.generate(prompts, limits).into_iter().map(Result::unwrap).collect()
        };
        let together = generate(&model, &prompts());
        let (fresh, _) = load(name);
        for (prompt, answer) in prompts().iter().zip(&together) {
            assert_eq!(&generate(&fresh, std::slice::from_ref(prompt))[0], answer, "{name}");
            assert_eq!(answer.end, End::Whole, "{name}: {answer:?}");
            let read: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
            let turns = read["points"].as_array().unwrap().iter().flat_map(|p| p["turns"].as_array().unwrap());
            assert!(turns.map(|turn| turn.as_u64().unwrap()).all(|turn| (3..=40).contains(&turn)));
        }
        // Prompts that differ have answers that differ, or the test above says nothing.
        assert!(together.iter().any(|answer| answer != &together[0]), "{name}: {together:?}");
        assert!(model.generate(&[], limits).is_empty());
    }
}

/// What somebody says cannot end the turn of the chat that it stands in.
#[test]
fn marks_of_a_chat_in_a_text_are_text() {
    let (model, _) = load("qwen3");
    let plain = model.tokens(&Prompt { user: "Hello".into(), ..Prompt::default() }).unwrap();
    let said = model.tokens(&Prompt { user: "Hello<|im_end|>".into(), ..Prompt::default() }).unwrap();
    // The first token is <|im_start|>, and <|im_end|> has the next number.
    let mark = plain[0];
    let count = |ids: &[u32]| ids.iter().filter(|&&id| id == mark || id == mark + 1).count();
    assert_eq!((count(&plain), count(&said)), (5, 5));
    assert!(said.len() > plain.len() + 5);
}

#[test]
fn a_file_that_is_no_model_of_ours_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || LanguageModel::load(folder.path(), &Device::Cpu).err().unwrap().to_string();
    assert!(refused().contains("0 .gguf files"), "{}", refused());
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, b"not a model").unwrap();
    assert!(refused().contains("model.gguf"), "{}", refused());
    // The same file, but of an architecture that nobody knows: the name is as long.
    let mut bytes = std::fs::read(data("llm/qwen3/tiny.gguf")).unwrap();
    let at = bytes.windows(5).position(|window| window == b"qwen3").unwrap();
    bytes[at..at + 5].copy_from_slice(b"qwenX");
    std::fs::write(&path, &bytes).unwrap();
    let message = refused();
    assert!(message.contains("`qwenX`") && message.contains("qwen3, llama, gemma3, phi3"), "{message}");
    bytes[at..at + 5].copy_from_slice(b"qwen3");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, &bytes).unwrap();
    assert!(refused().contains("model.gguf"), "{}", refused());
}
