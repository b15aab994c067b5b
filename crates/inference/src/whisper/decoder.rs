//! From frames to tokens, one step at a time.
//!
//! Ported from huggingface/transformers, `models/whisper/modeling_whisper.py` (`WhisperDecoder`).

use super::config::Config;
use super::layers::{load_attention, load_norm};
use crate::Precision;
use crate::decoding::{self, Between, Heads, Layer, State, Watch, advance};
use crate::kernels::Kept;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

pub(super) struct Decoder {
    embedding: Tensor,
    /// `[tokens, width]`.
    positions: Tensor,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    output: Linear,
    pub heads: Heads,
}

impl Decoder {
    pub fn load(config: &Config, precision: Precision, vb: &VarBuilder) -> Result<Self> {
        let (width, vocabulary) = (config.d_model, config.vocab_size);
        let embedding = vb.get((vocabulary, width), "embed_tokens.weight")?;
        let layer = |i: usize| {
            let vb = vb.pp("layers").pp(i);
            let (own, cross) = (vb.pp("self_attn"), vb.pp("encoder_attn"));
            Ok::<_, candle_core::Error>(Layer {
                self_norm: load_norm(config, &vb.pp("self_attn_layer_norm"))?,
                query_key_value: load_attention(config, &["q_proj", "k_proj", "v_proj"], precision, &own)?,
                self_output: Linear::load(width, width, true, precision, &own.pp("out_proj"))?,
                cross_norm: load_norm(config, &vb.pp("encoder_attn_layer_norm"))?,
                cross_query: load_attention(config, &["q_proj"], precision, &cross)?,
                cross_key_value: load_attention(config, &["k_proj", "v_proj"], precision, &cross)?,
                cross_output: Linear::load(width, width, true, precision, &cross.pp("out_proj"))?,
                mlp_norm: load_norm(config, &vb.pp("final_layer_norm"))?,
                fc1: Linear::load(width, config.decoder_ffn_dim, true, precision, &vb.pp("fc1"))?,
                between: Between::Gelu,
                fc2: Linear::load(config.decoder_ffn_dim, width, true, precision, &vb.pp("fc2"))?,
            })
        };
        Ok(Self {
            layers: (0..config.decoder_layers).map(layer).collect::<Result<_>>()?,
            positions: vb.get((config.max_target_positions, width), "embed_positions.weight")?,
            last_norm: load_norm(config, &vb.pp("layer_norm"))?,
            output: Linear::new(&embedding, None, precision)?,
            embedding,
            heads: Heads {
                count: config.heads(),
                size: width / config.heads(),
                device: vb.device().clone(),
                dtype: vb.dtype(),
                host: vb.device().is_cpu(),
                kept: if precision == Precision::Int8 { Kept::Half } else { Kept::Full },
            },
        })
    }

    /// Bytes that the processor remembers of a window's frames.
    pub fn bytes_a_row(&self, frames: usize) -> usize {
        let bytes = if self.heads.kept == Kept::Half { 2 } else { 4 };
        2 * self.layers.len() * self.heads.count * self.heads.size * frames * bytes
    }
}

impl decoding::Decoder for Decoder {
    fn heads(&self) -> &Heads {
        &self.heads
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn heard(&self, layer: usize, frames: &Tensor) -> Result<Tensor> {
        self.layers[layer].cross_key_value.forward(frames)
    }

    fn advance(&self, tokens: &[u32], state: &mut State, watch: &mut Watch) -> Result<Tensor> {
        let heads = &self.heads;
        let steps: Vec<u32> = state.steps.iter().map(|&step| step as u32).collect();
        let words = self.embedding.index_select(&Tensor::new(tokens, &heads.device)?, 0)?;
        let x = (words + self.positions.index_select(&Tensor::new(steps, &heads.device)?, 0)?)?;
        advance(&self.layers, heads, x, None, state, watch)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.last_norm.forward(hidden)?)
    }
}
