//! From features to frames: two convolutions, then transformer layers.
//!
//! Ported from huggingface/transformers, `models/whisper/modeling_whisper.py` (`WhisperEncoder`).

use super::config::Config;
use super::layers::{load_attention, load_norm};
use crate::Precision;
use crate::attention::attend;
use crate::device::Upload;
use crate::kernels::Activation;
use crate::linear::{Linear, Window};
use crate::norm::LayerNorm;
use candle_core::{DType, Result, Tensor};
use candle_nn::VarBuilder;

const CONV1: Window = (3, 1);
const CONV2: Window = (3, 2);

pub(super) struct Encoder {
    conv1: Linear,
    conv2: Linear,
    /// `[frames, width]`.
    positions: Tensor,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    heads: usize,
    upload: Upload,
    dtype: DType,
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
        let width = config.d_model;
        let conv = |inputs: usize, name: &str| {
            let vb = vb.pp(name);
            let weight = vb.get((width, inputs, 3), "weight")?;
            let weight = weight.transpose(1, 2)?.contiguous()?.reshape((width, 3 * inputs))?;
            Linear::new(&weight, Some(vb.get(width, "bias")?), precision)
        };
        let layer = |i: usize| {
            let vb = vb.pp("layers").pp(i);
            let attention = vb.pp("self_attn");
            Ok::<_, candle_core::Error>(Layer {
                attention_norm: load_norm(config, &vb.pp("self_attn_layer_norm"))?,
                query_key_value: load_attention(config, &["q_proj", "k_proj", "v_proj"], precision, &attention)?,
                output: Linear::load(width, width, true, precision, &attention.pp("out_proj"))?,
                mlp_norm: load_norm(config, &vb.pp("final_layer_norm"))?,
                fc1: Linear::load(width, config.encoder_ffn_dim, true, precision, &vb.pp("fc1"))?,
                fc2: Linear::load(config.encoder_ffn_dim, width, true, precision, &vb.pp("fc2"))?,
            })
        };
        Ok(Self {
            // Bands of silence and of speech differ much in size: two bytes an activation.
            conv1: conv(config.num_mel_bins, "conv1")?.wide(),
            conv2: conv(width, "conv2")?,
            positions: vb.get((config.max_source_positions, width), "embed_positions.weight")?,
            layers: (0..config.encoder_layers).map(layer).collect::<Result<_>>()?,
            last_norm: load_norm(config, &vb.pp("layer_norm"))?,
            heads: config.heads(),
            upload: Upload::new(vb.device()),
            dtype: vb.dtype(),
        })
    }

    /// Windows of features, `[2 * frames, bands]` each, to their frames, `[frames, width]` each.
    pub fn forward(&self, windows: Vec<Vec<f32>>) -> Result<Vec<Tensor>> {
        let (frames, width) = self.positions.dims2()?;
        let count = windows.len();
        let rows: Vec<Tensor> = windows.into_iter().map(|window| self.convolve(window)).collect::<Result<_>>()?;
        let mut x = if count == 1 { rows[0].clone() } else { Tensor::cat(&rows, 0)? };
        drop(rows);
        let lengths = vec![frames; count];
        for layer in &self.layers {
            let qkv = layer.query_key_value.forward(&layer.attention_norm.forward(&x)?)?;
            x = layer.output.forward_onto(&x, &attend(&qkv, &lengths, self.heads, None)?)?;
            let wide = layer.fc1.forward_then(Activation::Gelu, &layer.mlp_norm.forward(&x)?)?;
            x = layer.fc2.forward_onto(&x, &wide)?;
        }
        let x = self.last_norm.forward(&x)?.reshape((count, frames, width))?;
        (0..count).map(|i| x.get(i)).collect()
    }

    /// Bytes that a window takes between the layers: at the widest, the scores of all heads beside queries, keys and values,
    /// or what is between the two products of a layer, both before and after the activation.
    pub fn bytes_a_window(&self) -> usize {
        let (frames, width) = (self.positions.dims()[0], self.positions.dims()[1]);
        let scores = 2 * self.heads * frames * frames + 6 * frames * width;
        let between = 2 * 4 * frames * width + 2 * frames * width;
        scores.max(between) * self.dtype.size_in_bytes()
    }

    /// Features to frames with their positions; before and after the window there is nothing.
    fn convolve(&self, features: Vec<f32>) -> Result<Tensor> {
        let frames = 2 * self.positions.dims()[0];
        let bands = features.len() / frames;
        let x = self.upload.send(features, (frames, bands))?;
        let x = x.to_dtype(self.dtype)?.pad_with_zeros(0, 1, 1)?;
        let x = self.conv1.convolve_then(Activation::Gelu, &x, CONV1)?.pad_with_zeros(0, 1, 1)?;
        self.conv2.convolve_then(Activation::Gelu, &x, CONV2)? + &self.positions
    }
}
