//! What a turn is, by a head that we trained: a small network over the sentence encoder's vector of the turn
//! (`scripts/train-heads`).

use crate::{InferenceError, SentenceEncoder};
use candle_core::{DType, Device};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Vectors that are kept at most, 25 MB of them: those of a shard's turns, with room to spare.
const KEPT: usize = 16_384;

/// The vectors of turns. One is shared by all heads: stages that read the same turns, one after the other, embed them once.
pub struct TurnVectors {
    encoder: Arc<SentenceEncoder>,
    known: Mutex<HashMap<String, Arc<[f32]>>>,
}

impl TurnVectors {
    /// By this encoder.
    pub fn new(encoder: Arc<SentenceEncoder>) -> Self {
        Self { encoder, known: Mutex::default() }
    }

    /// The vectors of texts, in their order. What was asked for lately is not computed again.
    fn of(&self, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, InferenceError> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: HashMap<&str, Arc<[f32]>> = {
            let known = lock();
            texts.iter().filter_map(|&text| Some((text, known.get(text)?.clone()))).collect()
        };
        let mut missing: Vec<&str> = texts.iter().copied().filter(|text| !found.contains_key(text)).collect();
        missing.sort_unstable();
        missing.dedup();
        // Without the lock: the encoder's threads may take up another task that asks for vectors.
        let vectors: Vec<Arc<[f32]>> = self.encoder.embed(&missing)?.into_iter().map(Arc::from).collect();
        let mut known = lock();
        if known.len() + missing.len() > KEPT {
            known.clear();
        }
        for (text, vector) in missing.into_iter().zip(vectors) {
            known.insert(text.to_owned(), vector.clone());
            found.insert(text, vector);
        }
        Ok(texts.iter().filter_map(|text| found.get(text).cloned()).collect())
    }
}

/// A classifier of turns. `Send + Sync`.
///
/// Its file (safetensors) holds two linear layers, `inside` and `out`: from a turn's vector and its features, by way of GELU, to a
/// logit a label. Other tensors are for the head's caller ([`TurnHead::numbers`]).
#[derive(Debug)]
pub struct TurnHead {
    inside: Dense,
    out: Dense,
    numbers: BTreeMap<String, Vec<f32>>,
    sha256: String,
}

/// A linear layer, too small to be worth eight bits.
#[derive(Debug)]
struct Dense {
    /// `[out, in]`, row by row.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl TurnHead {
    /// Reads a head's file; `name` is for messages.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, InferenceError> {
        let bad = |reason: String| InferenceError::bad_file(Path::new(name), reason);
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|e| bad(e.to_string()))?;
        let mut numbers = BTreeMap::new();
        for (key, tensor) in tensors {
            numbers.insert(key, tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
        }
        let mut take = |key: &str| numbers.remove(key).ok_or_else(|| bad(format!("{key} is missing")));
        let inside = Dense { weight: take("inside.weight")?, bias: take("inside.bias")? };
        let out = Dense { weight: take("out.weight")?, bias: take("out.bias")? };
        if inside.bias.is_empty()
            || !inside.weight.len().is_multiple_of(inside.bias.len())
            || out.weight.len() != inside.bias.len() * out.bias.len()
        {
            return Err(bad("its layers do not fit each other".into()));
        }
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { inside, out, numbers, sha256 })
    }

    /// How many labels there are.
    pub fn labels(&self) -> usize {
        self.out.bias.len()
    }

    /// The SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A further tensor of the file, flat.
    pub fn numbers(&self, key: &str) -> Option<&[f32]> {
        self.numbers.get(key).map(Vec::as_slice)
    }

    /// For each turn the logits of the labels, in the head's order.
    ///
    /// `features` are what the head was trained to see beside a turn's words: as many for each turn, often none. A text of more
    /// than 256 tokens is cut. A turn's result is the same bits whatever other turns are there. Fails where the features are
    /// not as many as in training.
    pub fn logits(
        &self,
        vectors: &TurnVectors,
        texts: &[&str],
        features: impl Fn(usize) -> Vec<f32>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let inputs = self.inside.weight.len() / self.inside.bias.len();
        let vectors = vectors.of(texts)?;
        let turns = vectors.iter().enumerate().map(|(nth, vector)| {
            let input = [vector.to_vec(), features(nth)].concat();
            if input.len() != inputs {
                let reason = format!("a head takes {inputs} numbers for a turn and was given {}", input.len());
                return Err(InferenceError::BadRequest(reason));
            }
            let inside: Vec<f32> = self.inside.apply(&input).into_iter().map(gelu).collect();
            Ok(self.out.apply(&inside))
        });
        turns.collect()
    }

    /// Logits as probabilities.
    pub fn probabilities(logits: &[f32]) -> Vec<f32> {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shares: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
        let sum: f32 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    }
}

impl Dense {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(x.len());
        rows.zip(&self.bias).map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    }
}

/// By the error function, as in training.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x / std::f64::consts::SQRT_2))) as f32
}
