//! From frames to tokens, one step at a time for all rows of a batch.
//!
//! Ported from huggingface/transformers, `models/moonshine/modeling_moonshine.py` (`MoonshineDecoder`). All rows stand
//! at the same step, so that self-attention needs no mask; the rows' frames differ in number, so that cross-attention
//! does.

use super::config::Config;
use super::layers::{LayerNorm, load_attention};
use crate::Precision;
use crate::attention::{Angles, Rotary};
use crate::kernels::{Kept, Memory, gate, softmax};
use crate::linear::Linear;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;

pub(super) struct Decoder {
    embedding: Tensor,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    output: Linear,
    rotary: Rotary,
    heads: usize,
    head_size: usize,
    device: Device,
    /// Attention on the processor itself, and not by candle's operations.
    pub host: bool,
    /// How it remembers the frames.
    kept: Kept,
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
    /// The tokens that each row has taken. On a graphics card all rows stand at the same step.
    steps: Vec<usize>,
    /// The frames of each row.
    lengths: Vec<usize>,
    layers: Vec<LayerState>,
    /// On a graphics card, `[rows, 1, 1, frames]`: 0 over a row's frames, minus infinity after them; absent when all rows
    /// are equally long.
    mask: Option<Tensor>,
}

enum LayerState {
    /// On the processor, one for each head of each row: a row that leaves takes its own along, and sees no padding.
    Host { past: Vec<Memory>, heard: Vec<Memory> },
    Card {
        /// `[rows, heads, capacity, head size]`, filled up to the step.
        keys: Tensor,
        values: Tensor,
        /// `[rows, heads, frames, head size]`.
        memory_keys: Tensor,
        memory_values: Tensor,
    },
}

/// What a step says about each row's next token.
pub(super) struct Step {
    /// `[rows, vocabulary]`.
    pub logits: Tensor,
    /// For each row the cross-attention of the wanted heads over the row's frames, head by head.
    pub attention: Vec<Vec<f32>>,
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
                self_norm: LayerNorm::load(width, &vb.pp("input_layernorm"))?,
                query_key_value: load_attention(config, &["q_proj", "k_proj", "v_proj"], precision, &own)?,
                self_output: Linear::load(width, width, false, precision, &own.pp("o_proj"))?,
                cross_norm: LayerNorm::load(width, &vb.pp("post_attention_layernorm"))?,
                cross_query: load_attention(config, &["q_proj"], precision, &cross)?,
                cross_key_value: load_attention(config, &["k_proj", "v_proj"], precision, &cross)?,
                cross_output: Linear::load(width, width, false, precision, &cross.pp("o_proj"))?,
                mlp_norm: LayerNorm::load(width, &vb.pp("final_layernorm"))?,
                fc1: Linear::load(width, 2 * config.intermediate_size, true, precision, &vb.pp("mlp.fc1"))?,
                fc2: Linear::load(config.intermediate_size, width, true, precision, &vb.pp("mlp.fc2"))?.wide(),
            })
        };
        Ok(Self {
            layers: (0..config.decoder_num_hidden_layers).map(layer).collect::<Result<_>>()?,
            last_norm: LayerNorm::load(width, &decoder.pp("norm"))?,
            output,
            embedding,
            rotary: Rotary::new(config.rotary_pairs(), config.rope_theta()),
            heads: config.heads(),
            head_size: config.head_size(),
            device: vb.device().clone(),
            host: vb.device().is_cpu(),
            kept: if precision == Precision::Int8 { Kept::Half } else { Kept::Full },
        })
    }

    /// Makes ready to decode up to `capacity` tokens for each of these rows of frames, `[frames, width]` each.
    pub fn start(&self, rows: &[Tensor], capacity: usize) -> Result<State> {
        if self.host {
            let mut state = self.start_empty();
            rows.iter().try_for_each(|row| self.add_row(&mut state, row, capacity))?;
            return Ok(state);
        }
        let lengths: Vec<usize> = rows.iter().map(|row| row.dims()[0]).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let frames = Tensor::cat(rows, 0)?;
        let layer = |layer: &Layer| self.card(&layer.cross_key_value.forward(&frames)?, &lengths, capacity);
        let layers = self.layers.iter().map(layer).collect::<Result<_>>()?;
        let mask = lengths.iter().any(|&length| length < longest).then(|| {
            let mask: Vec<f32> = lengths
                .iter()
                .flat_map(|&length| (0..longest).map(move |i| if i < length { 0.0 } else { f32::NEG_INFINITY }))
                .collect();
            Tensor::from_vec(mask, (rows.len(), 1, 1, longest), &self.device)
        });
        Ok(State { steps: vec![0; rows.len()], layers, mask: mask.transpose()?, lengths })
    }

    /// A batch without rows, on the processor: rows join it with [`Self::add_row`], whenever there is room.
    pub fn start_empty(&self) -> State {
        let layer = |_| LayerState::Host { past: Vec::new(), heard: Vec::new() };
        State { steps: Vec::new(), lengths: Vec::new(), layers: self.layers.iter().map(layer).collect(), mask: None }
    }

    /// Lets a row of frames, `[frames, width]`, join a batch on the processor, with room for `capacity` tokens.
    pub fn add_row(&self, state: &mut State, frames: &Tensor, capacity: usize) -> Result<()> {
        let (heads, size) = (self.heads, self.head_size);
        let (length, width) = (frames.dims()[0], heads * size);
        for (layer, memory) in self.layers.iter().zip(&mut state.layers) {
            let LayerState::Host { past, heard } = memory else { continue };
            let joined = layer.cross_key_value.forward(frames)?.flatten_all()?.to_vec1::<f32>()?;
            heard.par_extend((0..heads).into_par_iter().map(|head| {
                let mut memory = Memory::new(self.kept, size, length);
                for (frame, row) in joined.chunks_exact(2 * width).enumerate() {
                    memory.set(frame, &row[head * size..][..size], &row[width + head * size..][..size]);
                }
                memory
            }));
            past.extend((0..heads).map(|_| Memory::new(Kept::Full, size, capacity)));
        }
        state.steps.push(0);
        state.lengths.push(length);
        Ok(())
    }

    fn card(&self, joined: &Tensor, lengths: &[usize], capacity: usize) -> Result<LayerState> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut start = 0;
        let mut padded = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let row = joined.narrow(0, start, length)?.pad_with_zeros(0, 0, longest - length)?;
            padded.push(row.reshape((longest, 2 * self.heads, self.head_size))?.transpose(0, 1)?);
            start += length;
        }
        let joined = Tensor::stack(&padded, 0)?;
        let room = (lengths.len(), self.heads, capacity, self.head_size);
        Ok(LayerState::Card {
            keys: Tensor::zeros(room, DType::F32, &self.device)?,
            values: Tensor::zeros(room, DType::F32, &self.device)?,
            memory_keys: joined.narrow(1, 0, self.heads)?.contiguous()?,
            memory_values: joined.narrow(1, self.heads, self.heads)?.contiguous()?,
        })
    }

    /// Takes each row's last token and says what may follow it, and with which cross-attention of the `wanted` heads, as
    /// (layer, head).
    pub fn step(&self, tokens: &[u32], state: &mut State, wanted: &[(usize, usize)]) -> Result<Step> {
        let mut x = self.embedding.index_select(&Tensor::new(tokens, &self.device)?, 0)?;
        let angles = self.rotary.angles(state.steps.iter().copied());
        let mut attention: Vec<Vec<Vec<f32>>> = vec![vec![Vec::new(); wanted.len()]; tokens.len()];
        for (nth, (layer, memory)) in self.layers.iter().zip(&mut state.layers).enumerate() {
            let joined = layer.query_key_value.forward(&layer.self_norm.forward(&x)?)?;
            x = layer.self_output.forward_onto(&x, &self.attend_to_past(&joined, memory, &state.steps, &angles)?)?;
            let query = layer.cross_query.forward(&layer.cross_norm.forward(&x)?)?;
            let keep = |row: usize, head: usize, weights: &[f32]| {
                if let Some(at) = wanted.iter().position(|wanted| *wanted == (nth, head)) {
                    attention[row][at] = weights[..state.lengths[row]].to_vec();
                }
            };
            let heard = self.attend_to_frames(&query, memory, state.mask.as_ref(), keep)?;
            x = layer.cross_output.forward_onto(&x, &heard)?;
            let wide = layer.fc1.forward(&layer.mlp_norm.forward(&x)?)?;
            x = layer.fc2.forward_onto(&x, &gate(&wide)?)?;
        }
        state.steps.iter_mut().for_each(|step| *step += 1);
        let logits = self.output.forward(&self.last_norm.forward(&x)?)?;
        Ok(Step { logits, attention: attention.into_iter().map(|row| row.concat()).collect() })
    }

    fn attend_to_past(
        &self,
        joined: &Tensor,
        memory: &mut LayerState,
        steps: &[usize],
        angles: &Angles,
    ) -> Result<Tensor> {
        let (heads, size) = (self.heads, self.head_size);
        let (rows, width) = (joined.dims()[0], heads * size);
        match memory {
            LayerState::Host { past, .. } => {
                let joined = joined.flatten_all()?.to_vec1::<f32>()?;
                let mut out = vec![0.0; rows * width];
                past.par_iter_mut().zip(out.par_chunks_mut(size)).enumerate().for_each(|(i, (past, out))| {
                    let (row, head) = (&joined[i / heads * 3 * width..], i % heads * size);
                    let mut turned = [&row[head..][..size], &row[width + head..][..size]].map(<[f32]>::to_vec);
                    for turned in &mut turned {
                        angles.turn(i / heads, turned);
                    }
                    let step = steps[i / heads];
                    past.set(step, &turned[1], &row[2 * width + head..][..size]);
                    past.attend(&turned[0], step + 1, |_, found, _| out.copy_from_slice(found));
                });
                Tensor::from_vec(out, (rows, width), &self.device)
            }
            LayerState::Card { keys, values, .. } => {
                let step = steps[0];
                let joined = joined.reshape((rows, 3 * heads, 1, size))?;
                let turned = angles.turn_all(&joined.narrow(1, 0, 2 * heads)?.contiguous()?)?;
                keys.slice_set(&turned.narrow(1, heads, heads)?.contiguous()?, 2, step)?;
                values.slice_set(&joined.narrow(1, 2 * heads, heads)?.contiguous()?, 2, step)?;
                let keys = keys.narrow(2, 0, step + 1)?;
                let q = turned.narrow(1, 0, heads)?.contiguous()?;
                let weights = softmax(q.matmul(&keys.transpose(2, 3)?)?)?;
                weights.matmul(&values.narrow(2, 0, step + 1)?)?.reshape((rows, width))
            }
        }
    }

    /// `keep` gets row, head and weights of the frames.
    fn attend_to_frames(
        &self,
        query: &Tensor,
        memory: &LayerState,
        mask: Option<&Tensor>,
        mut keep: impl FnMut(usize, usize, &[f32]),
    ) -> Result<Tensor> {
        let (heads, size) = (self.heads, self.head_size);
        let (rows, width) = (query.dims()[0], heads * size);
        match memory {
            LayerState::Host { heard, .. } => {
                let query = query.flatten_all()?.to_vec1::<f32>()?;
                let mut out = vec![0.0; rows * width];
                let weights: Vec<Vec<f32>> = heard
                    .par_iter()
                    .zip(query.par_chunks(size))
                    .zip(out.par_chunks_mut(size))
                    .map(|((heard, query), out)| {
                        let mut weights = Vec::new();
                        heard.attend(query, heard.frames(), |_, found, shares| {
                            out.copy_from_slice(found);
                            weights = shares.to_vec();
                        });
                        weights
                    })
                    .collect();
                weights.iter().enumerate().for_each(|(i, weights)| keep(i / heads, i % heads, weights));
                Tensor::from_vec(out, (rows, width), &self.device)
            }
            LayerState::Card { memory_keys, memory_values, .. } => {
                let q = query.reshape((rows, heads, 1, size))?;
                let mut scores = q.matmul(&memory_keys.transpose(2, 3)?)?;
                if let Some(mask) = mask {
                    scores = scores.broadcast_add(mask)?;
                }
                let weights = softmax(scores)?;
                for (row, weights) in weights.squeeze(2)?.to_vec3::<f32>()?.iter().enumerate() {
                    weights.iter().enumerate().for_each(|(head, weights)| keep(row, head, weights));
                }
                weights.matmul(memory_values)?.reshape((rows, width))
            }
        }
    }
}

impl State {
    /// Goes on with these rows alone, in their order.
    pub fn keep(&mut self, rows: &[usize]) -> Result<()> {
        let before = self.lengths.len();
        self.lengths = rows.iter().map(|&row| self.lengths[row]).collect();
        self.steps = rows.iter().map(|&row| self.steps[row]).collect();
        for layer in &mut self.layers {
            match layer {
                LayerState::Host { past, heard } => {
                    for memories in [past, heard] {
                        let heads = memories.len() / before;
                        let mut nth = 0..;
                        memories.retain(|_| nth.next().is_some_and(|nth: usize| rows.contains(&(nth / heads))));
                    }
                }
                LayerState::Card { keys, values, memory_keys, memory_values } => {
                    let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
                    let rows = Tensor::new(rows, keys.device())?;
                    for tensor in [keys, values, memory_keys, memory_values] {
                        *tensor = tensor.index_select(&rows, 0)?;
                    }
                }
            }
        }
        if let Some(mask) = &mut self.mask {
            let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            *mask = mask.index_select(&Tensor::new(rows, mask.device())?, 0)?;
        }
        Ok(())
    }
}
