//! From frames to tokens, one step at a time.
//!
//! Ported from huggingface/transformers, `models/moonshine/modeling_moonshine.py` (`MoonshineDecoder`).

use super::config::Config;
use super::layers::{load_attention, load_norm};
use crate::Precision;
use crate::attention::Rotary;
use crate::decoding::{self, Between, Heads, Layer, State, Watch, advance};
use crate::kernels::Kept;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{DType, Result, Tensor};
use candle_nn::VarBuilder;

pub(super) struct Decoder {
    embedding: Tensor,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    output: Linear,
    rotary: Rotary,
    pub heads: Heads,
}

impl Decoder {
    pub fn load(config: &Config, precision: Precision, vb: &VarBuilder) -> Result<Self> {
        let (width, vocabulary) = (config.hidden_size, config.vocab_size);
        let decoder = vb.pp("model.decoder");
        let embedding = decoder.get((vocabulary, width), "embed_tokens.weight")?;
        let output = if config.tie_word_embeddings {
            Linear::new(&embedding, None, precision)?
        } else {
            Linear::load(width, vocabulary, false, precision, &vb.pp("proj_out"))?
        };
        let layer = |i: usize| {
            let vb = decoder.pp("layers").pp(i);
            let (own, cross) = (vb.pp("self_attn"), vb.pp("encoder_attn"));
            Ok::<_, candle_core::Error>(Layer {
                self_norm: load_norm(config, &vb.pp("input_layernorm"))?,
                query_key_value: load_attention(config, &["q_proj", "k_proj", "v_proj"], precision, &own)?,
                self_output: Linear::load(width, width, false, precision, &own.pp("o_proj"))?,
                cross_norm: load_norm(config, &vb.pp("post_attention_layernorm"))?,
                cross_query: load_attention(config, &["q_proj"], precision, &cross)?,
                cross_key_value: load_attention(config, &["k_proj", "v_proj"], precision, &cross)?,
                cross_output: Linear::load(width, width, false, precision, &cross.pp("o_proj"))?,
                mlp_norm: load_norm(config, &vb.pp("final_layernorm"))?,
                fc1: Linear::load(width, 2 * config.intermediate_size, true, precision, &vb.pp("mlp.fc1"))?,
                between: Between::Gate,
                fc2: Linear::load(config.intermediate_size, width, true, precision, &vb.pp("mlp.fc2"))?.wide(),
            })
        };
        Ok(Self {
            layers: (0..config.decoder_num_hidden_layers).map(layer).collect::<Result<_>>()?,
            last_norm: load_norm(config, &decoder.pp("norm"))?,
            output,
            embedding,
            rotary: Rotary::new(config.rotary_pairs(), config.rope_theta()),
            heads: Heads {
                count: config.heads(),
                size: config.head_size(),
                device: vb.device().clone(),
                dtype: DType::F32,
                host: vb.device().is_cpu(),
                kept: if precision == Precision::Int8 { Kept::Half } else { Kept::Full },
            },
        })
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
        let x = self.embedding.index_select(&Tensor::new(tokens, &heads.device)?, 0)?;
        let angles = self.rotary.angles(state.steps.iter().copied());
        advance(&self.layers, heads, x, Some(&angles), state, watch)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.last_norm.forward(hidden)?)
    }
}
