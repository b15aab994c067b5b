//! What encoder and decoder are made of.

use super::config::Config;
use crate::kernels::{Activation, activate, layer_norm};
use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

/// `x W^T + b` over rows of x.
pub(super) struct Linear {
    /// `[in, out]`: the matrix product reads it in this order, and would else put it there each time.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub fn load(inputs: usize, outputs: usize, bias: bool, vb: &VarBuilder) -> Result<Self> {
        let bias = bias.then(|| vb.get(outputs, "bias")).transpose()?;
        Self::new(&vb.get((outputs, inputs), "weight")?, bias)
    }

    /// From a weight of `[out, in]`.
    pub fn new(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Self { weight: weight.t()?.contiguous()?, bias })
    }

    /// The projections of an attention that read the same rows, `width` to `width` each, as one; their outputs lie side
    /// by side. The query's is scaled, so that the attention need not be.
    pub fn load_attention(config: &Config, names: &[&str], vb: &VarBuilder) -> Result<Self> {
        let scale = (config.head_size() as f64).powf(-0.5);
        let weight = |name: &&str| {
            let weight = vb.pp(name).get((config.hidden_size, config.hidden_size), "weight")?;
            if *name == "q_proj" { weight * scale } else { Ok(weight) }
        };
        Self::new(&Tensor::cat(&names.iter().map(weight).collect::<Result<Vec<_>>>()?, 0)?, None)
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(Activation::None, x)
    }

    /// As [`Self::forward`], then the activation.
    pub fn forward_then(&self, activation: Activation, x: &Tensor) -> Result<Tensor> {
        activate(x.matmul(&self.weight)?, self.bias.as_ref(), activation)
    }

    /// The rows of the weight that make these outputs: a tied embedding's vectors, `[outputs, in]`.
    pub fn rows(&self, outputs: &Tensor) -> Result<Tensor> {
        self.weight.index_select(outputs, 1)?.t()?.contiguous()
    }
}

/// Layer normalisation with a gain and no offset.
pub(super) struct LayerNorm(Tensor);

impl LayerNorm {
    pub fn load(size: usize, vb: &VarBuilder) -> Result<Self> {
        vb.get(size, "weight").map(Self)
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.0)
    }
}

/// Rotary positions: dimensions 2i and 2i+1 of a head turn by `position * theta^(-2i / turned)`; a head's last
/// dimensions do not turn (their cosine is 1 and their sine 0, so that one kernel takes the whole head).
///
/// huggingface/transformers, `models/moonshine/modeling_moonshine.py`: `MoonshineRotaryEmbedding`,
/// `apply_rotary_pos_emb`.
pub(super) struct Rotary {
    frequencies: Vec<f64>,
    still: usize,
    device: Device,
}

impl Rotary {
    pub fn new(config: &Config, device: &Device) -> Self {
        let pairs = config.rotary_pairs();
        let frequencies = (0..pairs).map(|i| config.rope_theta().powf(-(i as f64) / pairs as f64)).collect();
        Self { frequencies, still: config.head_size() / 2 - pairs, device: device.clone() }
    }

    /// Cosines and sines of these positions, each `[positions, head size / 2]`.
    pub fn angles(&self, positions: impl Iterator<Item = usize>) -> Result<(Tensor, Tensor)> {
        let (mut cos, mut sin, mut rows) = (Vec::new(), Vec::new(), 0);
        for position in positions {
            for frequency in &self.frequencies {
                let angle = position as f64 * frequency;
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
            cos.extend(std::iter::repeat_n(1.0, self.still));
            sin.extend(std::iter::repeat_n(0.0, self.still));
            rows += 1;
        }
        let shape = (rows, self.frequencies.len() + self.still);
        let tensor = |values| Tensor::from_vec(values, shape, &self.device);
        Ok((tensor(cos)?, tensor(sin)?))
    }
}
