//! What a turn is, by a head that we trained: a small network over the sentence encoder's vector of the turn, with or without
//! an update of the encoder itself (`scripts/train-heads`).

use crate::{InferenceError, Precision, SentenceEncoder, registry::hex, update::Update};
use candle_core::{DType, Device, Tensor, safetensors};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, path::Path};

/// A classifier of turns: a head, and the encoder below it. `Send + Sync`.
///
/// The head's file (safetensors) holds two linear layers, `inside` and `out`: from a turn's vector and its features, by way of
/// GELU, to a logit a label. The tensors `update.LAYER.a` and `update.LAYER.b`, where it has them, are a low-rank update of the
/// encoder's layers, merged as the encoder is loaded. Other tensors are for the head's caller ([`TurnReader::numbers`]).
pub struct TurnReader {
    encoder: SentenceEncoder,
    inside: Dense,
    out: Dense,
    numbers: HashMap<String, Vec<f32>>,
    sha256: String,
}

/// A linear layer, too small to be worth eight bits.
struct Dense {
    /// `[out, in]`, row by row.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl TurnReader {
    /// Reads a head, and the encoder that it was trained over from its folder; `name` is the head's, for messages.
    ///
    /// # Errors
    /// A file that cannot be read; layers that do not fit each other, or an update that does not fit the encoder.
    pub fn load(
        name: &str,
        head: &[u8],
        folder: &Path,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, InferenceError> {
        let bad = |reason: String| InferenceError::bad_file(Path::new(name), reason);
        let read = safetensors::load_buffer(head, &Device::Cpu);
        let mut tensors = read.map_err(|error| InferenceError::bad_file(Path::new(name), error))?;
        let update = Update::take(&mut tensors).map_err(bad)?;
        let flat = |tensor: Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let numbers = tensors.into_iter().map(|(key, tensor)| Ok((key, flat(tensor)?)));
        let mut numbers: HashMap<String, Vec<f32>> = numbers.collect::<candle_core::Result<_>>()?;
        let mut take = |key: &str| numbers.remove(key).ok_or_else(|| bad(format!("{key} is missing")));
        let inside = Dense { weight: take("inside.weight")?, bias: take("inside.bias")? };
        let out = Dense { weight: take("out.weight")?, bias: take("out.bias")? };
        if inside.bias.is_empty()
            || !inside.weight.len().is_multiple_of(inside.bias.len())
            || out.weight.len() != inside.bias.len() * out.bias.len()
        {
            return Err(bad("its layers do not fit each other".into()));
        }
        let encoder = SentenceEncoder::load_updated(folder, device, precision, update.as_ref())?;
        let sha256 = hex(&Sha256::digest(head));
        Ok(Self { encoder, inside, out, numbers, sha256 })
    }

    /// How many labels there are.
    pub fn labels(&self) -> usize {
        self.out.bias.len()
    }

    /// The SHA-256 of the head's file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A further tensor of the head's file, flat.
    pub fn numbers(&self, key: &str) -> Option<&[f32]> {
        self.numbers.get(key).map(Vec::as_slice)
    }

    /// For each turn the logits of the labels, in the head's order.
    ///
    /// `features` are what the head was trained to see beside a turn's words: as many for each turn, often none. A text of more
    /// than 256 tokens is cut. A turn's result is the same bits whatever other turns are there.
    ///
    /// # Errors
    /// Features that are not as many as in training; what the encoder cannot compute.
    pub fn logits(
        &self,
        texts: &[&str],
        features: impl Fn(usize) -> Vec<f32> + Sync,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let inputs = self.inside.weight.len() / self.inside.bias.len();
        let turns = self.encoder.embed(texts)?.into_par_iter().enumerate().map(|(nth, mut input)| {
            input.extend(features(nth));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_shares_even_of_large_logits() {
        assert_eq!(TurnReader::probabilities(&[500.0, 500.0]), [0.5, 0.5]);
        let shares = TurnReader::probabilities(&[0.0, 3.0f32.ln()]);
        assert!((shares[1] - 0.75).abs() < 1e-6, "{shares:?}");
    }

    #[test]
    fn a_layer_is_a_product_and_a_bias() {
        let layer = Dense { weight: vec![1.0, 2.0, 3.0, 4.0], bias: vec![0.5, -1.0] };
        assert_eq!(layer.apply(&[10.0, 1.0]), [12.5, 33.0]);
        // torch.nn.functional.gelu(torch.tensor([-1.0, 0.0, 1.0]))
        for (x, y) in [(-1.0, -0.158_655_25), (0.0, 0.0), (1.0, 0.841_344_7)] {
            assert!((gelu(x) - y).abs() < 1e-6, "{x}: {}", gelu(x));
        }
    }
}
