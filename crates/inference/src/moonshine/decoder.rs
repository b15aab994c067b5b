//! From frames to tokens, one step at a time for all rows of a batch.
//!
//! Ported from huggingface/transformers, `models/moonshine/modeling_moonshine.py` (`MoonshineDecoder`). All rows stand
//! at the same step, so that self-attention needs no mask; the rows' frames differ in number, so that cross-attention
//! does.

use super::config::Config;
use super::layers::{LayerNorm, Linear, Rotary};
use crate::kernels::{gate, softmax};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

pub(super) struct Decoder {
    /// Absent when the output's weight is also the embedding.
    embedding: Option<Tensor>,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    output: Linear,
    rotary: Rotary,
    heads: usize,
    head_size: usize,
    device: Device,
}

struct Layer {
    self_norm: LayerNorm,
    query_key_value: Linear,
    self_output: Linear,
    cross_norm: LayerNorm,
    cross_query: Linear,
    cross_key_value: Linear,
    cross_output: Linear,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// What a batch remembers from step to step.
pub(super) struct State {
    step: usize,
    layers: Vec<LayerState>,
    /// `[rows, 1, 1, frames]`: 0 over a row's frames, minus infinity after them; absent when all rows are equally long.
    mask: Option<Tensor>,
}

struct LayerState {
    /// `[rows, heads, capacity, head size]`, filled up to the step.
    keys: Tensor,
    values: Tensor,
    /// `[rows, heads, frames, head size]`.
    memory_keys: Tensor,
    memory_values: Tensor,
}

/// What a step says about each row's next token.
pub(super) struct Step {
    /// `[rows, vocabulary]`.
    pub logits: Tensor,
    /// The cross-attention of each layer, `[rows, heads, frames]`.
    pub attention: Vec<Tensor>,
}

impl Decoder {
    pub fn load(config: &Config, vb: &VarBuilder) -> Result<Self> {
        let (width, vocabulary) = (config.hidden_size, config.vocab_size);
        let decoder = vb.pp("model.decoder");
        let embedding = decoder.get((vocabulary, width), "embed_tokens.weight")?;
        let (output, embedding) = if config.tie_word_embeddings {
            (Linear::new(&embedding, None)?, None)
        } else {
            (Linear::load(width, vocabulary, false, &vb.pp("proj_out"))?, Some(embedding))
        };
        let layer = |i: usize| {
            let vb = decoder.pp("layers").pp(i);
            let (own, cross) = (vb.pp("self_attn"), vb.pp("encoder_attn"));
            Ok::<_, candle_core::Error>(Layer {
                self_norm: LayerNorm::load(width, &vb.pp("input_layernorm"))?,
                query_key_value: Linear::load_attention(config, &["q_proj", "k_proj", "v_proj"], &own)?,
                self_output: Linear::load(width, width, false, &own.pp("o_proj"))?,
                cross_norm: LayerNorm::load(width, &vb.pp("post_attention_layernorm"))?,
                cross_query: Linear::load_attention(config, &["q_proj"], &cross)?,
                cross_key_value: Linear::load_attention(config, &["k_proj", "v_proj"], &cross)?,
                cross_output: Linear::load(width, width, false, &cross.pp("o_proj"))?,
                mlp_norm: LayerNorm::load(width, &vb.pp("final_layernorm"))?,
                fc1: Linear::load(width, 2 * config.intermediate_size, true, &vb.pp("mlp.fc1"))?,
                fc2: Linear::load(config.intermediate_size, width, true, &vb.pp("mlp.fc2"))?,
            })
        };
        Ok(Self {
            layers: (0..config.decoder_num_hidden_layers).map(layer).collect::<Result<_>>()?,
            last_norm: LayerNorm::load(width, &decoder.pp("norm"))?,
            output,
            embedding,
            rotary: Rotary::new(config, vb.device()),
            heads: config.heads(),
            head_size: config.head_size(),
            device: vb.device().clone(),
        })
    }

    /// Makes ready to decode up to `capacity` tokens for each of these rows of frames, `[frames, width]` each.
    pub fn start(&self, rows: &[Tensor], capacity: usize) -> Result<State> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.dims()[0]).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let frames = Tensor::cat(rows, 0)?;
        let layer = |layer: &Layer| {
            let joined = layer.cross_key_value.forward(&frames)?;
            let mut start = 0;
            let mut padded = Vec::with_capacity(rows.len());
            for &length in &lengths {
                let row = joined.narrow(0, start, length)?.pad_with_zeros(0, 0, longest - length)?;
                padded.push(row.reshape((longest, 2 * self.heads, self.head_size))?.transpose(0, 1)?);
                start += length;
            }
            let joined = Tensor::stack(&padded, 0)?;
            let room = (rows.len(), self.heads, capacity, self.head_size);
            Ok::<_, candle_core::Error>(LayerState {
                keys: Tensor::zeros(room, DType::F32, &self.device)?,
                values: Tensor::zeros(room, DType::F32, &self.device)?,
                memory_keys: joined.narrow(1, 0, self.heads)?.contiguous()?,
                memory_values: joined.narrow(1, self.heads, self.heads)?.contiguous()?,
            })
        };
        let mask = lengths.iter().any(|&length| length < longest).then(|| {
            let mask: Vec<f32> = lengths
                .iter()
                .flat_map(|&length| (0..longest).map(move |i| if i < length { 0.0 } else { f32::NEG_INFINITY }))
                .collect();
            Tensor::from_vec(mask, (rows.len(), 1, 1, longest), &self.device)
        });
        Ok(State { step: 0, layers: self.layers.iter().map(layer).collect::<Result<_>>()?, mask: mask.transpose()? })
    }

    /// Takes each row's last token and says what may follow it.
    pub fn step(&self, tokens: &[u32], state: &mut State) -> Result<Step> {
        let tokens = Tensor::new(tokens, &self.device)?;
        let mut x = match &self.embedding {
            Some(embedding) => embedding.index_select(&tokens, 0)?,
            None => self.output.rows(&tokens)?,
        };
        let (cos, sin) = self.rotary.angles(std::iter::once(state.step))?;
        let mut attention = Vec::with_capacity(self.layers.len());
        for (layer, memory) in self.layers.iter().zip(&mut state.layers) {
            let joined = layer.query_key_value.forward(&layer.self_norm.forward(&x)?)?;
            x = (x + layer.self_output.forward(&self.attend_to_past(&joined, memory, state.step, &cos, &sin)?)?)?;
            let query = layer.cross_query.forward(&layer.cross_norm.forward(&x)?)?;
            let (heard, weights) = self.attend_to_frames(&query, memory, state.mask.as_ref())?;
            x = (x + layer.cross_output.forward(&heard)?)?;
            attention.push(weights);
            let wide = layer.fc1.forward(&layer.mlp_norm.forward(&x)?)?;
            x = (x + layer.fc2.forward(&gate(&wide)?)?)?;
        }
        state.step += 1;
        Ok(Step { logits: self.output.forward(&self.last_norm.forward(&x)?)?, attention })
    }

    fn attend_to_past(
        &self,
        joined: &Tensor,
        memory: &mut LayerState,
        step: usize,
        cos: &Tensor,
        sin: &Tensor,
    ) -> Result<Tensor> {
        let (heads, size) = (self.heads, self.head_size);
        let rows = joined.dims()[0];
        let joined = joined.reshape((rows, 3 * heads, 1, size))?;
        let turned = joined.narrow(1, 0, 2 * heads)?.contiguous()?;
        let turned = candle_nn::rotary_emb::rope_i(&turned, cos, sin)?;
        memory.keys.slice_set(&turned.narrow(1, heads, heads)?.contiguous()?, 2, step)?;
        memory.values.slice_set(&joined.narrow(1, 2 * heads, heads)?.contiguous()?, 2, step)?;
        let keys = memory.keys.narrow(2, 0, step + 1)?;
        let values = memory.values.narrow(2, 0, step + 1)?;
        let q = turned.narrow(1, 0, heads)?.contiguous()?;
        let weights = softmax(q.matmul(&keys.transpose(2, 3)?)?)?;
        weights.matmul(&values)?.reshape((rows, heads * size))
    }

    fn attend_to_frames(&self, query: &Tensor, memory: &LayerState, mask: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let (heads, size) = (self.heads, self.head_size);
        let rows = query.dims()[0];
        let q = query.reshape((rows, heads, 1, size))?;
        let mut scores = q.matmul(&memory.memory_keys.transpose(2, 3)?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let weights = softmax(scores)?;
        Ok((weights.matmul(&memory.memory_values)?.reshape((rows, heads * size))?, weights.squeeze(2)?))
    }
}

impl State {
    /// Goes on with these rows alone.
    pub fn keep(&mut self, rows: &[usize]) -> Result<()> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        let Some(first) = self.layers.first() else { return Ok(()) };
        let rows = Tensor::new(rows, first.keys.device())?;
        for layer in &mut self.layers {
            for tensor in [&mut layer.keys, &mut layer.values, &mut layer.memory_keys, &mut layer.memory_values] {
                *tensor = tensor.index_select(&rows, 0)?;
            }
        }
        if let Some(mask) = &mut self.mask {
            *mask = mask.index_select(&rows, 0)?;
        }
        Ok(())
    }
}
