//! Sentences as vectors: a BERT encoder, mean pooled and normalised, as sentence-transformers runs it.

use crate::bert::{Bert, Config};
use crate::{InferenceError, Precision, update::Update};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokenizers::{Tokenizer, TruncationParams};

/// Longer texts are cut here, [CLS] and [SEP] counted: `max_seq_length` of all-MiniLM-L6-v2 in sentence-transformers.
const MAX_TOKENS: usize = 256;

/// Tokens of a batch on the processor, where each core has a batch of its own: what is between the layers, 3 MB at the
/// widest, stays near it.
const TOKENS_A_CORE: usize = 512;
/// Tokens of a batch on a graphics card.
const TOKENS_A_CARD: usize = 16_384;

/// Vectors that are kept at most, 25 MB of them: those of the turns and phrases of a shard, with room to spare.
const KEPT: usize = 16_384;

/// The vector of a text, of length 1; shared by all who asked for it.
pub type Vector = Arc<[f32]>;

/// A sentence encoder (all-MiniLM-L6-v2 and its like). `Send + Sync`: stages share one behind an `Arc`.
///
/// On one kind of processor, a text's vector is the same bits whatever texts stand beside it and however many threads
/// there are. Against the reference it is off by less than 1e-5.
pub struct SentenceEncoder {
    model: Bert,
    tokenizer: Tokenizer,
    device: Device,
    dimensions: usize,
    known: Mutex<HashMap<Box<str>, Vector>>,
}

impl SentenceEncoder {
    /// Reads `config.json`, `model.safetensors` and `tokenizer.json` from a folder.
    pub fn load(folder: &Path, device: &Device, precision: Precision) -> Result<Self, InferenceError> {
        Self::load_updated(folder, device, precision, None)
    }

    /// The same, with an update of its linear layers.
    pub(crate) fn load_updated(
        folder: &Path,
        device: &Device,
        precision: Precision,
        update: Option<&Update>,
    ) -> Result<Self, InferenceError> {
        let path = folder.join("config.json");
        let config: Config = serde_json::from_slice(&InferenceError::read(&path)?)
            .map_err(|error| InferenceError::bad_file(&path, error))?;
        config.check().map_err(|reason| InferenceError::bad_file(&path, reason))?;

        let (model, tokenizer) = rayon::join(
            || {
                let path = folder.join("model.safetensors");
                let bad = |error| InferenceError::bad_file(&path, error);
                let bytes = InferenceError::read(&path)?;
                let weights = if let Some(update) = update {
                    let mut weights = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(bad)?;
                    update.apply(&mut weights).map_err(|reason| InferenceError::bad_file(&path, reason))?;
                    VarBuilder::from_tensors(weights, DType::F32, device)
                } else {
                    VarBuilder::from_buffered_safetensors(bytes, DType::F32, device).map_err(bad)?
                };
                Bert::load(&weights, &config, precision).map_err(bad)
            },
            || {
                let path = folder.join("tokenizer.json");
                Tokenizer::from_bytes(InferenceError::read(&path)?)
                    .map_err(|error| InferenceError::bad_file(&path, error))
            },
        );
        let (model, mut tokenizer) = (model?, tokenizer?);
        // The file asks for padding to, and a cut at, 128 tokens; sentence-transformers overrides both, and so do we.
        let max_length = MAX_TOKENS.min(config.max_position_embeddings);
        tokenizer
            .with_padding(None)
            .with_truncation(Some(TruncationParams { max_length, ..TruncationParams::default() }))
            .map_err(|error| InferenceError::bad_file(&folder.join("tokenizer.json"), error))?;

        Ok(Self { model, tokenizer, device: device.clone(), dimensions: config.hidden_size, known: Mutex::default() })
    }

    /// The length of the vectors: 384 for all-MiniLM-L6-v2.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// [`embed`](Self::embed), but what was asked for lately is not computed again: stages read the same turns one after
    /// the other. On a graphics card, where the bits of a vector may depend on its batch, all is computed.
    pub fn embed_cached(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vector>, InferenceError> {
        let vectors = |texts: &[&str]| Ok(self.embed(texts)?.into_iter().map(Vector::from));
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        if !self.device.is_cpu() {
            return vectors(&texts).map(Iterator::collect);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: HashMap<&str, Vector> = {
            let known = known();
            texts.iter().filter_map(|&text| Some((text, known.get(text)?.clone()))).collect()
        };
        let mut missing: Vec<&str> = texts.iter().copied().filter(|text| !found.contains_key(text)).collect();
        missing.sort_unstable();
        missing.dedup();
        // Not under the lock: a thread that embeds may take up another stage's work, which asks too.
        found.extend(missing.iter().copied().zip(vectors(&missing)?));
        let mut known = known();
        if known.len() + missing.len() > KEPT {
            known.clear();
        }
        let kept = missing.iter().take(KEPT).filter_map(|&text| Some((text.into(), found.get(text)?.clone())));
        known.extend(kept);
        Ok(texts.iter().filter_map(|text| found.get(text).cloned()).collect())
    }

    /// One vector of length 1 for each text, in the order of the texts.
    ///
    /// Any number of texts; a text of more than 256 tokens is cut; an empty one has the vector of `[CLS] [SEP]`.
    pub fn embed(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let encoded = self
            .tokenizer
            .encode_batch_fast(texts, true)
            .map_err(|error| InferenceError::BadRequest(format!("a text cannot be tokenized: {error}")))?;
        let tokens: Vec<&[u32]> = encoded.iter().map(tokenizers::Encoding::get_ids).collect();

        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&i| tokens[i].len());
        let mut batches: Vec<&[usize]> = Vec::new();
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut room = if self.device.is_cpu() { TOKENS_A_CORE } else { TOKENS_A_CARD };
            let fits = |&&i: &&usize| {
                let fits = tokens[i].len() <= room;
                room = room.saturating_sub(tokens[i].len());
                fits
            };
            let (batch, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            batches.push(batch);
            rest = later;
        }
        let embed = |batch: &&[usize]| self.forward(&batch.iter().map(|&i| tokens[i]).collect::<Vec<_>>());
        let embedded: Vec<Vec<Vec<f32>>> = if self.device.is_cpu() {
            batches.par_iter().map(embed).collect::<Result<_, _>>()?
        } else {
            batches.iter().map(embed).collect::<Result<_, _>>()?
        };
        let mut vectors = vec![Vec::new(); tokens.len()];
        for (&i, vector) in batches.into_iter().flatten().zip(embedded.into_iter().flatten()) {
            vectors[i] = vector;
        }
        Ok(vectors)
    }

    /// Texts as token ids, shortest first, to vectors of length 1.
    fn forward(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let hidden = self.model.forward(texts, &self.device)?.flatten_all()?.to_vec1::<f32>()?;
        let mut rows = hidden.chunks_exact(self.dimensions);
        Ok(texts.iter().map(|text| direction(rows.by_ref().take(text.len()), self.dimensions)).collect())
    }
}

/// The mean of rows, brought to length 1. Its direction is that of the sum, so nothing is divided by the count.
fn direction<'a>(rows: impl Iterator<Item = &'a [f32]>, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0f32; dimensions];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in &mut sum {
            *x /= length;
        }
    }
    sum
}

/// The cosine of the angle between two vectors; 0 when one of them has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
    for (&x, &y) in a.iter().zip(b) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    let lengths = (aa * bb).sqrt();
    if lengths > 0.0 { ab / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_that_of_the_angle() {
        let near = |a: &[f32], b: &[f32], cosine: f32| assert!((super::cosine(a, b) - cosine).abs() < 1e-6);
        near(&[1.0, 0.0], &[3.0, 0.0], 1.0);
        near(&[1.0, 0.0], &[0.0, 2.0], 0.0);
        near(&[1.0, 1.0], &[-2.0, -2.0], -1.0);
        near(&[1.0, 0.0], &[1.0, 1.0], std::f32::consts::FRAC_1_SQRT_2);
        near(&[0.0, 0.0], &[1.0, 1.0], 0.0);
        near(&[], &[], 0.0);
    }

    #[test]
    fn a_direction_has_length_one_or_none() {
        assert_eq!(direction([[3.0, 0.0].as_slice(), &[0.0, 4.0]].into_iter(), 2), [0.6, 0.8]);
        assert_eq!(direction([[0.0, 0.0].as_slice()].into_iter(), 2), [0.0, 0.0]);
    }
}
