//! Moonshine (Jeffries et al., arXiv:2410.15608): speech to text over windows of any length.

mod config;
mod decoder;
mod encoder;
mod greedy;
mod layers;
#[cfg(test)]
mod tests;
mod times;
mod vocabulary;

use crate::{InferenceError, Precision};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use config::Config;
use decoder::Decoder;
use encoder::Encoder;
use greedy::{Decoded, Marks};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use vocabulary::Vocabulary;

/// The most tokens that a second of speech may have. Fluent English gives at most 4.8; more is a decoder that has lost
/// its way (UsefulSensors/moonshine, README, recommends 6.5).
const TOKENS_A_SECOND: f32 = 6.5;

/// Tokens that any window may have beside those of its seconds, so that a very short one can hold a word.
const MORE_TOKENS: usize = 5;

/// A Moonshine recognizer. `Send + Sync`: one for the process, shared by reference.
pub struct Moonshine {
    encoder: Encoder,
    decoder: Decoder,
    vocabulary: Vocabulary,
    marks: Marks,
    alignment_heads: Vec<(usize, usize)>,
    /// Whether each core works for itself. In full precision the order in which rows meet would move their last bits.
    lanes: bool,
}

/// What was heard in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognized {
    /// In order of time; none when nothing was said.
    pub tokens: Vec<RecognizedToken>,
    /// The tokens' texts end to end, without the spaces at both ends.
    pub text: String,
    /// The mean log probability of the tokens and of the end; 0 is certainty.
    pub avg_logprob: f32,
    /// Whether decoding was stopped, by the cap on tokens or by a phrase that kept repeating, before the model ended.
    pub truncated: bool,
}

/// One token of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognizedToken {
    /// Its place in the vocabulary.
    pub id: u32,
    /// What it adds to the text; a word's first token starts with a space. Empty for marks, and for bytes of a character
    /// that a later token completes.
    pub text: String,
    /// Its log probability.
    pub logprob: f32,
    /// Seconds from the window's start.
    pub start_s: f32,
    /// Seconds from the window's start. A token without letter or digit takes no time.
    pub end_s: f32,
}

impl Moonshine {
    /// The fewest samples that a window may have: 895, which is 56 ms.
    pub const MIN_SAMPLES: usize = encoder::MIN_SAMPLES;

    /// Reads `config.json`, `model.safetensors` (f32 or f16) and `tokenizer.json` from a folder.
    pub fn load(folder: &Path, device: &Device, precision: Precision) -> Result<Self, InferenceError> {
        let config = Config::read(&folder.join("config.json"))?;
        let vocabulary = Vocabulary::read(&folder.join("tokenizer.json"), config.vocab_size)?;
        let path = folder.join("model.safetensors");
        let bad = |error| InferenceError::bad_file(&path, error);
        let vb =
            VarBuilder::from_buffered_safetensors(InferenceError::read(&path)?, DType::F32, device).map_err(bad)?;
        Ok(Self {
            encoder: Encoder::load(&config, precision, &vb.pp("model.encoder")).map_err(bad)?,
            decoder: Decoder::load(&config, precision, &vb).map_err(bad)?,
            vocabulary,
            marks: Marks { start: config.decoder_start_token_id, end: config.eos_token_id },
            alignment_heads: times::alignment_heads(&config),
            lanes: device.is_cpu() && precision == Precision::Int8,
        })
    }

    /// Recognizes windows of 16 kHz mono speech; results stand in the order of the windows.
    ///
    /// A window's result does not depend on its neighbours: in 8 bits not by a bit, in full precision to within 1e-5 in the
    /// log probabilities. A window of fewer than [`Self::MIN_SAMPLES`] samples, or with a sample that is not a
    /// finite number, is refused.
    pub fn recognize(&self, windows: &[&[f32]]) -> Result<Vec<Recognized>, InferenceError> {
        // Within the pool once, and not in and out at every layer.
        rayon::scope(|_| self.recognize_here(windows))
    }

    fn recognize_here(&self, windows: &[&[f32]]) -> Result<Vec<Recognized>, InferenceError> {
        for (i, window) in windows.iter().enumerate() {
            if window.len() < Self::MIN_SAMPLES {
                return Err(InferenceError::BadRequest(format!(
                    "window {i} has {} samples; Moonshine needs at least {}, so drop it or lengthen it with silence",
                    window.len(),
                    Self::MIN_SAMPLES
                )));
            }
            if let Some(at) = window.iter().position(|sample| !sample.is_finite()) {
                return Err(InferenceError::BadRequest(format!(
                    "sample {at} of window {i} is {}; samples must be finite numbers",
                    window[at]
                )));
            }
        }
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let decoded = if self.lanes { self.decode_lanes(windows)? } else { self.decode_batch(windows)? };
        let mut recognized: Vec<(usize, Recognized)> =
            decoded.par_iter().map(|(i, row)| (*i, self.read(row, windows[*i].len()))).collect();
        recognized.sort_by_key(|(window, _)| *window);
        Ok(recognized.into_iter().map(|(_, recognized)| recognized).collect())
    }

    fn decode_batch(&self, windows: &[&[f32]]) -> candle_core::Result<Vec<(usize, Decoded)>> {
        let caps: Vec<usize> = windows.iter().map(|window| token_cap(window.len())).collect();
        let frames = self.encoder.forward(windows)?;
        greedy::decode(&self.decoder, &frames, &caps, self.marks, &self.alignment_heads)
    }

    /// A lane a core: each takes the next window, encodes it and decodes it beside those that it has under way. The cores
    /// never wait for each other, and what is between a window's layers stays in one core's cache.
    fn decode_lanes(&self, windows: &[&[f32]]) -> candle_core::Result<Vec<(usize, Decoded)>> {
        let next = AtomicUsize::new(0);
        let lane = |_| {
            let next = || {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(window) = windows.get(at) else { return Ok(None) };
                let frames = self.encoder.forward(std::slice::from_ref(window))?.remove(0);
                Ok(Some((at, frames, token_cap(window.len()))))
            };
            greedy::decode_lane(&self.decoder, next, self.marks, &self.alignment_heads)
        };
        let lanes = rayon::current_num_threads().min(windows.len());
        let done: Vec<Vec<_>> = (0..lanes).into_par_iter().map(lane).collect::<candle_core::Result<_>>()?;
        Ok(done.into_iter().flatten().collect())
    }

    /// The tokens of a window of so many samples as text with times.
    fn read(&self, row: &Decoded, samples: usize) -> Recognized {
        let texts = self.vocabulary.texts(&row.tokens);
        let text = texts.concat().trim().to_owned();
        let times = times::token_times(&row.attention, self.alignment_heads.len(), &texts, samples);
        let logprobs = || row.logprobs.iter().copied().chain(row.end_logprob);
        let tokens = row.tokens.iter().zip(&row.logprobs).zip(texts).zip(times);
        Recognized {
            avg_logprob: logprobs().sum::<f32>() / logprobs().count().max(1) as f32,
            truncated: row.end_logprob.is_none(),
            text,
            tokens: tokens
                .map(|(((&id, &logprob), text), (start_s, end_s))| RecognizedToken {
                    id,
                    text,
                    logprob,
                    start_s,
                    end_s,
                })
                .collect(),
        }
    }
}

/// The most tokens that a window of so many samples may have.
fn token_cap(samples: usize) -> usize {
    (samples as f32 / 16_000.0 * TOKENS_A_SECOND) as usize + MORE_TOKENS
}
