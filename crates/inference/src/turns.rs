//! What a turn is, by a head that we trained: the sentence encoder with low-rank updates, and a small network over a turn and
//! its neighbours (`scripts/train-heads`).

use crate::{InferenceError, Precision, SentenceEncoder};
use candle_core::{DType, Device, Tensor};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// What somebody said without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Who, by any name.
    pub speaker: &'a str,
    /// The words.
    pub text: &'a str,
}

/// A classifier of turns. `Send + Sync`.
///
/// A head's file holds, for each linear layer that it updates, factors `NAME.down` of `[rank, in]` and `NAME.up` of
/// `[out, rank]`: the layer's weight is the published one plus `up down` (Hu et al. 2021, arXiv:2106.09685), and is quantized
/// thereafter. `inside` and `out` are the network: from the vectors of a turn, of the turn before and of the turn after
/// (zeros where there is none), and whether each of those two has the turn's speaker, by way of GELU, to a logit a label.
pub struct TurnHead {
    encoder: SentenceEncoder,
    inside: Dense,
    out: Dense,
}

/// A linear layer of the network: too small to be worth eight bits.
struct Dense {
    /// `[out, in]`, row by row.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl TurnHead {
    /// The head in `bytes` (safetensors; `name` is for messages) over the encoder in a folder.
    pub fn load(
        folder: &Path,
        name: &str,
        bytes: &[u8],
        device: &Device,
        precision: Precision,
    ) -> Result<Self, InferenceError> {
        let bad = |reason: String| InferenceError::bad_file(Path::new(name), reason);
        let mut head: HashMap<String, Tensor> =
            candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|error| bad(error.to_string()))?;
        for tensor in head.values_mut() {
            *tensor = tensor.to_dtype(DType::F32)?;
        }
        let mut dense = |layer: &str| -> Result<Dense, InferenceError> {
            let mut take = |part: &str| -> Result<Vec<f32>, InferenceError> {
                let tensor = head.remove(&format!("{layer}.{part}"));
                let tensor = tensor.ok_or_else(|| bad(format!("{layer}.{part} is missing")))?;
                Ok(tensor.flatten_all()?.to_vec1()?)
            };
            Ok(Dense { weight: take("weight")?, bias: take("bias")? })
        };
        let (inside, out) = (dense("inside")?, dense("out")?);
        let update = |weights: &mut HashMap<String, Tensor>| -> Result<(), InferenceError> {
            // By name, so that what is reported does not depend on a hash's order.
            for (key, down) in head.iter().collect::<BTreeMap<_, _>>() {
                let Some(layer) = key.strip_suffix(".down") else { continue };
                let missing = || bad(format!("{layer} has no other factor, or the encoder has no such layer"));
                let up = head.get(&format!("{layer}.up")).ok_or_else(missing)?;
                let path = format!("{layer}.weight");
                let published = [path.clone(), format!("bert.{path}")].into_iter().find(|p| weights.contains_key(p));
                let weight = weights.get_mut(&published.ok_or_else(missing)?).ok_or_else(missing)?;
                *weight = (&*weight + up.matmul(down)?.to_device(device)?)?;
            }
            Ok(())
        };
        let encoder = SentenceEncoder::load_updated(folder, update, device, precision)?;
        let inputs = 3 * encoder.dimensions() + 2;
        if inside.weight.len() != inputs * inside.bias.len() || out.weight.len() != inside.bias.len() * out.bias.len() {
            return Err(bad(format!("its network does not take {inputs} numbers, or its layers do not fit")));
        }
        Ok(Self { encoder, inside, out })
    }

    /// How many labels there are.
    pub fn labels(&self) -> usize {
        self.out.bias.len()
    }

    /// For each turn of each talk the probabilities of the labels, in the head's order.
    ///
    /// Neighbours are those of the same talk. Texts are embedded together over all talks, equal ones once; a text of more
    /// than 256 tokens is cut. A turn's result is the same bits whatever other talks are there.
    pub fn probabilities(&self, talks: &[Vec<Said<'_>>]) -> Result<Vec<Vec<Vec<f32>>>, InferenceError> {
        let logits = self.logits(talks)?;
        Ok(logits.into_iter().map(|talk| talk.into_iter().map(|turn| softmax(&turn)).collect()).collect())
    }

    /// The same before the softmax.
    pub fn logits(&self, talks: &[Vec<Said<'_>>]) -> Result<Vec<Vec<Vec<f32>>>, InferenceError> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut texts: Vec<&str> = Vec::new();
        for said in talks.iter().flatten() {
            places.entry(said.text).or_insert_with(|| {
                texts.push(said.text);
                texts.len() - 1
            });
        }
        let vectors = self.encoder.embed(&texts)?;
        let dimensions = self.encoder.dimensions();
        let vector = |said: &Said<'_>| vectors[places[said.text]].as_slice();
        let turn = |talk: &[Said<'_>], at: usize| {
            let mut x = vec![0.0; 3 * dimensions + 2];
            x[..dimensions].copy_from_slice(vector(&talk[at]));
            let neighbours = [at.checked_sub(1), Some(at + 1).filter(|&next| next < talk.len())];
            for (side, there) in neighbours.into_iter().enumerate() {
                if let Some(there) = there {
                    x[(side + 1) * dimensions..][..dimensions].copy_from_slice(vector(&talk[there]));
                    x[3 * dimensions + side] = f32::from(talk[there].speaker == talk[at].speaker);
                }
            }
            let inside: Vec<f32> = self.inside.apply(&x).into_iter().map(gelu).collect();
            self.out.apply(&inside)
        };
        Ok(talks.iter().map(|talk| (0..talk.len()).map(|at| turn(talk, at)).collect()).collect())
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

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f32 = shares.iter().sum();
    shares.into_iter().map(|share| share / sum).collect()
}
