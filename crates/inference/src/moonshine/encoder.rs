//! From samples to frames: three convolutions, then transformer layers.
//!
//! Ported from huggingface/transformers, `models/moonshine/modeling_moonshine.py` (`MoonshineEncoder`); the architecture
//! is that of Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
//! arXiv:2410.15608. Rows of a batch are not padded but laid end to end: the group norm takes its statistics, and the
//! attention its keys, from one row alone, so that a row's frames do not depend on its neighbours.

use super::config::Config;
use super::layers::{LayerNorm, Linear, Rotary};
use crate::kernels::{Activation, group_norm, softmax};
use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

const CONV1: (usize, usize) = (127, 64);
const CONV2: (usize, usize) = (7, 3);
const CONV3: (usize, usize) = (3, 2);

/// The fewest samples that give a frame.
pub(super) const MIN_SAMPLES: usize = receptive_field();

const fn receptive_field() -> usize {
    let conv2_frames = CONV3.0;
    let conv1_frames = (conv2_frames - 1) * CONV2.1 + CONV2.0;
    (conv1_frames - 1) * CONV1.1 + CONV1.0
}

/// Samples from one frame to the next.
pub(super) const FRAME_SAMPLES: usize = CONV1.1 * CONV2.1 * CONV3.1;

/// The outputs of an unpadded convolution of (kernel, stride).
fn outputs(inputs: usize, (kernel, stride): (usize, usize)) -> usize {
    (inputs - kernel) / stride + 1
}

pub(super) struct Encoder {
    /// Over `kernel * in` inputs, those of one instant side by side.
    conv1: Linear,
    conv2: Linear,
    conv3: Linear,
    norm_gain: Tensor,
    norm_offset: Tensor,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    rotary: Rotary,
    heads: usize,
    head_size: usize,
    device: Device,
}

struct Layer {
    attention_norm: LayerNorm,
    query_key_value: Linear,
    output: Linear,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Encoder {
    pub fn load(config: &Config, vb: &VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        let conv = |inputs: usize, outputs: usize, (kernel, _): (usize, usize), bias: bool, name: &str| {
            let vb = vb.pp(name);
            let weight = vb.get((outputs, inputs, kernel), "weight")?;
            let weight = weight.transpose(1, 2)?.contiguous()?.reshape((outputs, kernel * inputs))?;
            Linear::new(&weight, bias.then(|| vb.get(outputs, "bias")).transpose()?)
        };
        let layer = |i: usize| {
            let vb = vb.pp("layers").pp(i);
            Ok::<_, candle_core::Error>(Layer {
                attention_norm: LayerNorm::load(width, &vb.pp("input_layernorm"))?,
                query_key_value: Linear::load_attention(config, &["q_proj", "k_proj", "v_proj"], &vb.pp("self_attn"))?,
                output: Linear::load(width, width, false, &vb.pp("self_attn.o_proj"))?,
                mlp_norm: LayerNorm::load(width, &vb.pp("post_attention_layernorm"))?,
                fc1: Linear::load(width, config.intermediate_size, true, &vb.pp("mlp.fc1"))?,
                fc2: Linear::load(config.intermediate_size, width, true, &vb.pp("mlp.fc2"))?,
            })
        };
        Ok(Self {
            conv1: conv(1, width, CONV1, false, "conv1")?,
            conv2: conv(width, 2 * width, CONV2, true, "conv2")?,
            conv3: conv(2 * width, width, CONV3, true, "conv3")?,
            norm_gain: vb.get(width, "groupnorm.weight")?,
            norm_offset: vb.get(width, "groupnorm.bias")?,
            layers: (0..config.encoder_num_hidden_layers).map(layer).collect::<Result<_>>()?,
            last_norm: LayerNorm::load(width, &vb.pp("layer_norm"))?,
            rotary: Rotary::new(config, vb.device()),
            heads: config.heads(),
            head_size: config.head_size(),
            device: vb.device().clone(),
        })
    }

    /// Windows of at least [`MIN_SAMPLES`] samples to their frames, `[frames, width]` each.
    pub fn forward(&self, windows: &[&[f32]]) -> Result<Vec<Tensor>> {
        let rows: Vec<Tensor> = windows.iter().map(|window| self.convolve(window)).collect::<Result<_>>()?;
        let spans: Vec<(usize, usize)> = rows
            .iter()
            .scan(0, |end, row| {
                let start = *end;
                *end += row.dims()[0];
                Some((start, row.dims()[0]))
            })
            .collect();
        let (cos, sin) = self.rotary.angles(spans.iter().flat_map(|&(_, frames)| 0..frames))?;
        let mut x = Tensor::cat(&rows, 0)?;
        for layer in &self.layers {
            x = (&x + self.attend(layer, &layer.attention_norm.forward(&x)?, &spans, &cos, &sin)?)?;
            let wide = layer.fc1.forward_then(Activation::Gelu, &layer.mlp_norm.forward(&x)?)?;
            x = (&x + layer.fc2.forward(&wide)?)?;
        }
        let x = self.last_norm.forward(&x)?;
        spans.iter().map(|&(start, frames)| x.narrow(0, start, frames)).collect()
    }

    /// Samples to frames, `[frames, width]`, each convolution as one matrix product.
    fn convolve(&self, window: &[f32]) -> Result<Tensor> {
        let frames = outputs(window.len(), CONV1);
        let samples: Vec<f32> =
            (0..frames).flat_map(|i| window[i * CONV1.1..i * CONV1.1 + CONV1.0].iter().copied()).collect();
        let x = Tensor::from_vec(samples, (frames, CONV1.0), &self.device)?;
        let x = self.conv1.forward_then(Activation::Tanh, &x)?;
        // One group over all channels and the whole window.
        let x = group_norm(x, &self.norm_gain, &self.norm_offset)?;
        let x = self.conv2.forward_then(Activation::Gelu, &self.unfold(&x, CONV2)?)?;
        self.conv3.forward_then(Activation::Gelu, &self.unfold(&x, CONV3)?)
    }

    /// `[inputs, channels]` to `[outputs, kernel * channels]`: what each output of a convolution sees.
    fn unfold(&self, x: &Tensor, conv: (usize, usize)) -> Result<Tensor> {
        let (inputs, channels) = x.dims2()?;
        let frames = outputs(inputs, conv);
        let seen: Vec<u32> = (0..frames).flat_map(|i| (0..conv.0).map(move |k| (i * conv.1 + k) as u32)).collect();
        let seen = Tensor::from_vec(seen, frames * conv.0, &self.device)?;
        x.index_select(&seen, 0)?.reshape((frames, conv.0 * channels))
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        spans: &[(usize, usize)],
        cos: &Tensor,
        sin: &Tensor,
    ) -> Result<Tensor> {
        let (heads, size) = (self.heads, self.head_size);
        let (all, _) = x.dims2()?;
        let joined = layer.query_key_value.forward(x)?.reshape((all, 3 * heads, size))?.transpose(0, 1)?;
        let turned = joined.narrow(0, 0, 2 * heads)?.contiguous()?.unsqueeze(0)?;
        let turned = candle_nn::rotary_emb::rope_i(&turned, cos, sin)?.squeeze(0)?;
        let rows: Vec<Tensor> = spans
            .iter()
            .map(|&(start, frames)| {
                let q = turned.narrow(0, 0, heads)?.narrow(1, start, frames)?;
                let k = turned.narrow(0, heads, heads)?.narrow(1, start, frames)?;
                let v = joined.narrow(0, 2 * heads, heads)?.narrow(1, start, frames)?;
                let weights = softmax(q.matmul(&k.transpose(1, 2)?)?)?;
                weights.matmul(&v)?.transpose(0, 1)?.reshape((frames, heads * size))
            })
            .collect::<Result<_>>()?;
        layer.output.forward(&Tensor::cat(&rows, 0)?)
    }
}
