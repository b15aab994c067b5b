//! From samples to frames: three convolutions, then transformer layers.
//!
//! Ported from huggingface/transformers, `models/moonshine/modeling_moonshine.py` (`MoonshineEncoder`); the architecture
//! is that of Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
//! arXiv:2410.15608. Rows of a batch are not padded but laid end to end: the group norm takes its statistics, and the
//! attention its keys, from one row alone, so that a row's frames do not depend on its neighbours.

use super::config::Config;
use super::layers::{load_attention, load_norm};
use crate::Precision;
use crate::attention::{Rotary, attend};
use crate::kernels::{Activation, group_norm};
use crate::linear::{Linear, Window, outputs};
use crate::norm::LayerNorm;
use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

const CONV1: Window = (127, 64);
const CONV2: Window = (7, 3);
const CONV3: Window = (3, 2);

/// The fewest samples that give a frame.
pub(super) const MIN_SAMPLES: usize = receptive_field();

const fn receptive_field() -> usize {
    let conv2_frames = CONV3.0;
    let conv1_frames = (conv2_frames - 1) * CONV2.1 + CONV2.0;
    (conv1_frames - 1) * CONV1.1 + CONV1.0
}

/// Samples from one frame to the next.
pub(super) const FRAME_SAMPLES: usize = CONV1.1 * CONV2.1 * CONV3.1;

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
    pub fn load(config: &Config, precision: Precision, vb: &VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        let conv =
            |inputs: usize, outputs: usize, (kernel, _): Window, bias: bool, precision: Precision, name: &str| {
                let vb = vb.pp(name);
                let weight = vb.get((outputs, inputs, kernel), "weight")?;
                let weight = weight.transpose(1, 2)?.contiguous()?.reshape((outputs, kernel * inputs))?;
                Linear::new(&weight, bias.then(|| vb.get(outputs, "bias")).transpose()?, precision)
            };
        let layer = |i: usize| {
            let vb = vb.pp("layers").pp(i);
            Ok::<_, candle_core::Error>(Layer {
                attention_norm: load_norm(config, &vb.pp("input_layernorm"))?,
                query_key_value: load_attention(
                    config,
                    &["q_proj", "k_proj", "v_proj"],
                    precision,
                    &vb.pp("self_attn"),
                )?,
                output: Linear::load(width, width, false, precision, &vb.pp("self_attn.o_proj"))?,
                mlp_norm: load_norm(config, &vb.pp("post_attention_layernorm"))?,
                fc1: Linear::load(width, config.intermediate_size, true, precision, &vb.pp("mlp.fc1"))?,
                fc2: Linear::load(config.intermediate_size, width, true, precision, &vb.pp("mlp.fc2"))?,
            })
        };
        Ok(Self {
            // Samples stay as exact as they come: this layer is small.
            conv1: conv(1, width, CONV1, false, Precision::F32, "conv1")?,
            // What the group norm lets through differs much in size: with one byte an activation, WER on speechocean-dev
            // rose from 40.2 to 43.3 %.
            conv2: conv(width, 2 * width, CONV2, true, precision, "conv2")?.wide(),
            conv3: conv(2 * width, width, CONV3, true, precision, "conv3")?.wide(),
            norm_gain: vb.get(width, "groupnorm.weight")?,
            norm_offset: vb.get(width, "groupnorm.bias")?,
            layers: (0..config.encoder_num_hidden_layers).map(layer).collect::<Result<_>>()?,
            last_norm: load_norm(config, &vb.pp("layer_norm"))?,
            rotary: Rotary::new(config.rotary_pairs(), config.rope_theta()),
            heads: config.heads(),
            device: vb.device().clone(),
        })
    }

    /// Windows of at least [`MIN_SAMPLES`] samples to their frames, `[frames, width]` each.
    pub fn forward(&self, windows: &[&[f32]]) -> Result<Vec<Tensor>> {
        let rows: Vec<Tensor> = windows.iter().map(|window| self.convolve(window)).collect::<Result<_>>()?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.dims()[0]).collect();
        let angles = self.rotary.angles(0..lengths.iter().copied().max().unwrap_or(0));
        let mut x = Tensor::cat(&rows, 0)?;
        for layer in &self.layers {
            let qkv = layer.query_key_value.forward(&layer.attention_norm.forward(&x)?)?;
            x = layer.output.forward_onto(&x, &attend(&qkv, &lengths, self.heads, Some(&angles))?)?;
            let wide = layer.fc1.forward_then(Activation::Gelu, &layer.mlp_norm.forward(&x)?)?;
            x = layer.fc2.forward_onto(&x, &wide)?;
        }
        let x = self.last_norm.forward(&x)?;
        let mut start = 0;
        let row = |&length: &usize| {
            start += length;
            x.narrow(0, start - length, length)
        };
        lengths.iter().map(row).collect()
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
        let x = self.conv2.convolve_then(Activation::Gelu, &x, CONV2)?;
        self.conv3.convolve_then(Activation::Gelu, &x, CONV3)
    }
}
