//! Moonshine (Jeffries et al., arXiv:2410.15608): speech to text over windows of any length.

mod config;
mod decoder;
mod encoder;
mod layers;
#[cfg(test)]
mod tests;
mod times;
mod vocabulary;

use crate::decoding::{Decoded, Favored, Rules, Task, decode_batch, decode_lanes};
use crate::{InferenceError, Precision, Recognized, memory};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use config::Config;
use decoder::Decoder;
use encoder::Encoder;
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use vocabulary::Vocabulary;

/// The most tokens that a second of speech may have. Fluent English gives at most 4.8; more is a decoder that has lost
/// its way (UsefulSensors/moonshine, README, recommends 6.5).
const TOKENS_A_SECOND: f32 = 6.5;

/// Tokens that any window may have beside those of its seconds, so that a very short one can hold a word.
const MORE_TOKENS: usize = 5;

/// Rows of a lane. More read the weights for more rows at once, and take memory for the frames and tokens that they attend
/// to: with 24 rows of 15 seconds 165 MB.
const LANE_ROWS: usize = 24;

/// What is added to the logit of a token that carries on with a listed word: with 2, 4 and 6, on readspeech with its 144
/// long words and 300 others listed, 154, 157 and 159 of 167 words are heard for 152 without
/// (benches/results/2026-11-26-vocabulary.md).
const FAVOR: f32 = 4.0;

/// A Moonshine recognizer. `Send + Sync`: one for the process, shared by reference.
pub struct Moonshine {
    encoder: Encoder,
    decoder: Decoder,
    vocabulary: Vocabulary,
    start: u32,
    rules: Rules,
    alignment_heads: Vec<(usize, usize)>,
    /// Whether each core works for itself. In full precision the order in which rows meet would move their last bits.
    lanes: bool,
}

impl Moonshine {
    /// The fewest samples that a window may have: 895, which is 56 ms.
    pub const MIN_SAMPLES: usize = encoder::MIN_SAMPLES;

    /// Reads `config.json`, `model.safetensors` (f32 or f16) and `tokenizer.json` from a folder.
    pub fn load(folder: &Path, device: &Device, precision: Precision) -> Result<Self, InferenceError> {
        let config = Config::read(&folder.join("config.json"))?;
        let path = folder.join("model.safetensors");
        let bad = |error| InferenceError::bad_file(&path, error);
        let (vocabulary, weights) = rayon::join(
            || Vocabulary::read(&folder.join("tokenizer.json"), config.vocab_size),
            || InferenceError::read(&path),
        );
        let vocabulary = vocabulary?;
        let vb = VarBuilder::from_buffered_safetensors(weights?, DType::F32, device).map_err(bad)?;
        Ok(Self {
            encoder: Encoder::load(&config, precision, &vb.pp("model.encoder")).map_err(bad)?,
            decoder: Decoder::load(&config, precision, &vb).map_err(bad)?,
            vocabulary,
            start: config.decoder_start_token_id,
            rules: Rules { end: config.eos_token_id, ..Rules::default() },
            alignment_heads: times::alignment_heads(&config),
            lanes: device.is_cpu() && precision == Precision::Int8,
        })
    }

    /// From now on is drawn to the rest of these words and phrases, such as the names of products, once it has heard their first
    /// piece. They are spelled as they are to be written.
    pub fn favor(&mut self, words: &[impl AsRef<str>]) -> Result<(), InferenceError> {
        self.rules.favored = Favored::new(self.vocabulary.tokens(words)?, FAVOR);
        Ok(())
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
        let run = |batch: Range<usize>, ()| {
            let frames = self.encoder.forward(&windows[batch.clone()])?;
            let tasks = batch.zip(frames).map(|(at, frames)| self.task(at, windows[at].len(), frames));
            decode_batch(&self.decoder, tasks.collect(), &self.rules, &self.alignment_heads)
        };
        // The caller has sized the batch by its seconds.
        memory::in_batches(windows.len(), windows.len(), |_| (), run)
    }

    fn decode_lanes(&self, windows: &[&[f32]]) -> candle_core::Result<Vec<(usize, Decoded)>> {
        let encode = |at: usize| {
            let frames = self.encoder.forward(std::slice::from_ref(&windows[at]))?.remove(0);
            Ok(self.task(at, windows[at].len(), frames))
        };
        decode_lanes(&self.decoder, windows.len(), LANE_ROWS, encode, &self.rules, &self.alignment_heads)
    }

    fn task(&self, window: usize, samples: usize, frames: Tensor) -> Task {
        let spoken = frames.dims()[0];
        Task { window, frames, spoken, prompt: vec![self.start], begin: 0, cap: token_cap(samples), sampling: None }
    }

    /// The tokens of a window of so many samples as text with times.
    fn read(&self, row: &Decoded, samples: usize) -> Recognized {
        let texts = self.vocabulary.texts(&row.tokens);
        let times = times::token_times(&row.attention, self.alignment_heads.len(), &texts, samples);
        Recognized::new(row, texts, times)
    }
}

/// The most tokens that a window of so many samples may have.
fn token_cap(samples: usize) -> usize {
    (samples as f32 / 16_000.0 * TOKENS_A_SECOND) as usize + MORE_TOKENS
}
