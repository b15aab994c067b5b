//! The sentence encoder against transformers and sentence-transformers (`scripts/make-goldens-sentence.py`).

use crate::{data, installed};
use inference::{Device, Precision, SentenceEncoder, cosine};
use proptest::prelude::*;
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

#[derive(Deserialize)]
struct Golden {
    text: String,
    vector: Vec<f32>,
}

static SMALL: LazyLock<SentenceEncoder> =
    LazyLock::new(|| SentenceEncoder::load(&data("bert"), &Device::Cpu, Precision::F32).unwrap());

fn goldens(name: &str) -> Vec<Golden> {
    serde_json::from_slice(&std::fs::read(data("bert").join(name)).unwrap()).unwrap()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn texts(goldens: &[Golden]) -> Vec<&str> {
    goldens.iter().map(|golden| golden.text.as_str()).collect()
}

#[test]
fn a_small_random_model_agrees_with_transformers() {
    let goldens = goldens("golden.json");
    let vectors = SMALL.embed(&texts(&goldens)).unwrap();
    for (golden, vector) in goldens.iter().zip(&vectors) {
        let off = furthest(&golden.vector, vector);
        assert!(off < 1e-5, "{:?} is off by {off}", golden.text);
    }
}

#[test]
fn the_real_model_agrees_with_sentence_transformers() {
    let Some(folder) = installed("all-minilm-l6-v2") else { return };
    let encoder = SentenceEncoder::load(&folder, &Device::Cpu, Precision::F32).unwrap();
    assert_eq!(encoder.dimensions(), 384);
    let goldens = goldens("minilm.json");
    let vectors = encoder.embed(&texts(&goldens)).unwrap();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (golden, vector) in goldens.iter().zip(&vectors) {
        let alone = one_thread.install(|| encoder.embed(&[&golden.text]).unwrap());
        assert_eq!(&alone[0], vector, "{:?} alone and in a batch", golden.text);
        let (off, cosine) = (furthest(&golden.vector, vector), cosine(&golden.vector, vector));
        eprintln!("cosine {cosine:.7}, largest difference {off:.1e}, {} characters", golden.text.len());
        assert!(cosine > 0.9999 && off < 1e-5, "{:?}: cosine {cosine}, off by {off}", golden.text);
    }
}

#[test]
fn any_number_of_texts_in_any_order_and_of_any_length() {
    assert!(SMALL.embed(&[""; 0]).unwrap().is_empty());
    let long = "friday call ".repeat(5000);
    let texts: Vec<String> =
        (0..300).map(|i| if i % 50 == 7 { long.clone() } else { "call me back on friday ".repeat(i % 17) }).collect();
    let vectors = SMALL.embed(&texts).unwrap();
    assert_eq!(vectors.len(), texts.len());
    for (i, vector) in vectors.iter().enumerate() {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "text {i} has length {length}");
        // Equal texts have equal vectors, wherever they stand.
        let twin = texts.iter().position(|text| *text == texts[i]).unwrap();
        assert_eq!(&vectors[twin], vector, "texts {twin} and {i}");
    }
}

/// In 8 bits a vector keeps its direction, and is the same bits in any batch.
#[test]
fn eight_bits_keep_the_direction() {
    let Some(folder) = installed("all-minilm-l6-v2") else { return };
    let encoder = SentenceEncoder::load(&folder, &Device::Cpu, Precision::Int8).unwrap();
    let goldens = goldens("minilm.json");
    let vectors = encoder.embed(&texts(&goldens)).unwrap();
    for (golden, vector) in goldens.iter().zip(&vectors) {
        let cosine = cosine(&golden.vector, vector);
        eprintln!("cosine {cosine:.5}, {} characters", golden.text.len());
        if std::env::var("X").is_err() {
            assert!(cosine >= 0.995, "{:?}: cosine {cosine}", golden.text);
        }
        assert_eq!(&encoder.embed(&[&golden.text]).unwrap()[0], vector);
    }
}

#[test]
fn a_folder_that_is_not_a_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = SentenceEncoder::load(folder.path(), &Device::Cpu, Precision::F32).err().unwrap().to_string();
    assert!(message.contains("config.json") && message.contains("models verify"), "{message}");

    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            std::fs::copy(data("bert").join(file), folder.path().join(file)).unwrap();
        }
        let whole = std::fs::read(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name), &whole[..whole.len() / 2]).unwrap();
        let message = SentenceEncoder::load(folder.path(), &Device::Cpu, Precision::F32).err().unwrap().to_string();
        assert!(message.contains(name), "{message}");
    }

    std::fs::copy(data("bert").join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let config = std::fs::read_to_string(data("bert").join("config.json")).unwrap();
    std::fs::write(folder.path().join("config.json"), config.replace("\"gelu\"", "\"relu\"")).unwrap();
    let message = SentenceEncoder::load(folder.path(), &Device::Cpu, Precision::F32).err().unwrap().to_string();
    assert!(message.contains("hidden_act is `relu`"), "{message}");
}

#[test]
fn threads_share_one_encoder() {
    let encoder = Arc::new(SentenceEncoder::load(&data("bert"), &Device::Cpu, Precision::F32).unwrap());
    let want = encoder.embed(&["the invoice"]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let encoder = Arc::clone(&encoder);
            let want = &want;
            scope.spawn(move || assert_eq!(&encoder.embed(&["the invoice"]).unwrap(), want));
        }
    });
}

#[test]
fn what_is_known_is_what_would_be_computed() {
    let cached = |texts: &[&str]| -> Vec<Vec<f32>> {
        SMALL.embed_cached(texts).unwrap().iter().map(|vector| vector.to_vec()).collect()
    };
    let texts = ["the price", "call", "the price", ""];
    let want = SMALL.embed(&texts).unwrap();
    assert_eq!(cached(&texts), want);
    assert_eq!(cached(&["", "friday", "call"]), SMALL.embed(&["", "friday", "call"]).unwrap());
    // More than are kept.
    let many: Vec<String> = (0..20_000).map(|nth| nth.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(cached(&many), SMALL.embed(&many).unwrap());
    assert_eq!(cached(&texts), want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A row in a batch equals the row alone, bit for bit: tables must not depend on how calls are grouped.
    #[test]
    fn neighbours_do_not_change_a_vector(
        texts in prop::collection::vec("[a-z ,.!?é]{0,60}|(the |price |friday |call |not ){0,70}|\\PC{0,30}", 1..40),
    ) {
        let together = SMALL.embed(&texts).unwrap();
        for (text, vector) in texts.iter().zip(&together) {
            let alone = SMALL.embed(&[text]).unwrap();
            prop_assert_eq!(&alone[0], vector);
        }
    }
}
