//! Gemma 3 over quantized weights.
//!
//! Ported from huggingface/transformers, `models/gemma3/modeling_gemma3.py` (`Gemma3TextModel`). candle-transformers 0.11.1
//! has one too, but it activates with SiLU where the model has GELU, hides what was said before from tokens that come several at
//! a time, lets a window see one token too many, and none at all once tokens come one by one; its rotary tables take 134 MB a layer.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Module, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;
use candle_transformers::quantized_nn::RmsNorm;
use candle_transformers::utils::repeat_kv;
use std::io::{Read, Seek};

/// Of so many layers the last sees all that was said, the others a window.
const PATTERN: usize = 6;

/// The base of the rotary frequencies of layers that see a window.
const WINDOW_BASE: f32 = 10_000.0;

/// A network with the keys and values of one text. A clone shares the weights.
#[derive(Clone)]
pub(super) struct Gemma3 {
    embedding: Tensor,
    layers: Vec<Layer>,
    last_norm: RmsNorm,
    output: QMatMul,
    /// Of the layers that see all, and of those that see a window.
    rotary: [Rotary; 2],
    window: usize,
    heads: usize,
    key_heads: usize,
    head: usize,
}

#[derive(Clone)]
struct Rotary {
    /// `[positions, head / 2]`.
    cos: Tensor,
    sin: Tensor,
}

#[derive(Clone)]
struct Layer {
    before_attention: RmsNorm,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    query_norm: RmsNorm,
    key_norm: RmsNorm,
    output: QMatMul,
    after_attention: RmsNorm,
    before_mlp: RmsNorm,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
    after_mlp: RmsNorm,
    windowed: bool,
    /// Keys and values, `[1, key_heads, tokens, head]` each.
    past: Option<(Tensor, Tensor)>,
}

impl Gemma3 {
    /// Reads a model for texts of at most `room` tokens.
    pub(super) fn read(
        content: &Content,
        reader: &mut (impl Read + Seek),
        room: usize,
        device: &Device,
    ) -> Result<Self> {
        let value = |key: &str| content.metadata.get(&format!("gemma3.{key}"));
        let number = |key: &str| match value(key) {
            Some(value) => Ok(value.to_u32()? as usize),
            None => candle_core::bail!("gemma3.{key} is missing"),
        };
        let real = |key: &str| value(key).and_then(|value: &Value| value.to_f32().ok());
        let epsilon = f64::from(real("attention.layer_norm_rms_epsilon").unwrap_or(1e-6));
        let head = number("attention.key_length")?;
        let (heads, key_heads) = (number("attention.head_count")?, number("attention.head_count_kv")?);
        let window = number("attention.sliding_window")?;
        if key_heads == 0 || !heads.is_multiple_of(key_heads) || window == 0 {
            candle_core::bail!("{heads} heads cannot share {key_heads} keys, or a window of {window} tokens is none");
        }
        let mut tensor = |name: &str| content.tensor(reader, &format!("{name}.weight"), device);
        let norm = |weight: QTensor| RmsNorm::from_qtensor(weight, epsilon);
        let layers = (0..number("block_count")?)
            .map(|nth| {
                let mut part = |name: &str| tensor(&format!("blk.{nth}.{name}"));
                Ok(Layer {
                    before_attention: norm(part("attn_norm")?)?,
                    query: QMatMul::from_qtensor(part("attn_q")?)?,
                    key: QMatMul::from_qtensor(part("attn_k")?)?,
                    value: QMatMul::from_qtensor(part("attn_v")?)?,
                    query_norm: norm(part("attn_q_norm")?)?,
                    key_norm: norm(part("attn_k_norm")?)?,
                    output: QMatMul::from_qtensor(part("attn_output")?)?,
                    after_attention: norm(part("post_attention_norm")?)?,
                    before_mlp: norm(part("ffn_norm")?)?,
                    gate: QMatMul::from_qtensor(part("ffn_gate")?)?,
                    up: QMatMul::from_qtensor(part("ffn_up")?)?,
                    down: QMatMul::from_qtensor(part("ffn_down")?)?,
                    after_mlp: norm(part("post_ffw_norm")?)?,
                    windowed: !(nth + 1).is_multiple_of(PATTERN),
                    past: None,
                })
            })
            .collect::<Result<_>>()?;
        let embedding = tensor("token_embd")?;
        let rotary = |base: f32, factor: f32| {
            let angle = |position: usize, pair: usize| {
                let frequency = base.powf(-(2.0 * pair as f32) / head as f32) / factor;
                position as f32 * frequency
            };
            let angles: Vec<f32> =
                (0..room).flat_map(|position| (0..head / 2).map(move |pair| angle(position, pair))).collect();
            let angles = Tensor::from_vec(angles, (room, head / 2), device)?;
            Ok::<_, candle_core::Error>(Rotary { cos: angles.cos()?, sin: angles.sin()? })
        };
        Ok(Self {
            layers,
            last_norm: norm(tensor("output_norm")?)?,
            rotary: [
                rotary(real("rope.freq_base").unwrap_or(1_000_000.0), real("rope.scaling.factor").unwrap_or(1.0))?,
                rotary(WINDOW_BASE, 1.0)?,
            ],
            embedding: embedding.dequantize(device)?,
            output: QMatMul::from_qtensor(embedding)?,
            window,
            heads,
            key_heads,
            head,
        })
    }

    /// Forgets the text.
    pub(super) fn clear(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.past = None);
    }

    /// Takes tokens that stand at `position` of the text; gives the logits of the token behind them, `[1, vocabulary]`.
    pub(super) fn forward(&mut self, tokens: &[u32], position: usize) -> Result<Tensor> {
        let (count, width) = (tokens.len(), self.embedding.dim(1)?);
        let device = self.embedding.device().clone();
        let mut x = (self.embedding.index_select(&Tensor::new(tokens, &device)?, 0)? * (width as f64).sqrt())?;
        let masks = [mask(count, position, usize::MAX, &device)?, mask(count, position, self.window, &device)?];
        for layer in &mut self.layers {
            let kind = usize::from(layer.windowed);
            let split =
                |x: Tensor, heads: usize| x.reshape((1, count, heads, self.head))?.transpose(1, 2)?.contiguous();
            let rotary = &self.rotary[kind];
            let (cos, sin) = (rotary.cos.narrow(0, position, count)?, rotary.sin.narrow(0, position, count)?);
            let narrow = layer.before_attention.forward(&x)?;
            let query = layer.query_norm.forward(&split(layer.query.forward(&narrow)?, self.heads)?)?;
            let key = layer.key_norm.forward(&split(layer.key.forward(&narrow)?, self.key_heads)?)?;
            let (query, mut key) = (rope(&query, &cos, &sin)?, rope(&key, &cos, &sin)?);
            let mut value = split(layer.value.forward(&narrow)?, self.key_heads)?;
            if let Some((keys, values)) = layer.past.take() {
                (key, value) = (Tensor::cat(&[&keys, &key], 2)?, Tensor::cat(&[&values, &value], 2)?);
            }
            layer.past = Some((key.clone(), value.clone()));
            let groups = self.heads / self.key_heads;
            let (key, value) = (repeat_kv(key, groups)?, repeat_kv(value, groups)?);
            let mut scores = (query.matmul(&key.transpose(2, 3)?)? * (self.head as f64).powf(-0.5))?;
            if let Some(mask) = &masks[kind] {
                scores = scores.broadcast_add(mask)?;
            }
            let found = softmax_last_dim(&scores)?.matmul(&value)?;
            let found = found.transpose(1, 2)?.reshape((count, self.heads * self.head))?;
            x = (x + layer.after_attention.forward(&layer.output.forward(&found)?)?)?;
            let narrow = layer.before_mlp.forward(&x)?;
            let wide = (layer.gate.forward(&narrow)?.gelu()? * layer.up.forward(&narrow)?)?;
            x = (x + layer.after_mlp.forward(&layer.down.forward(&wide)?)?)?;
        }
        self.output.forward(&self.last_norm.forward(&x.narrow(0, count - 1, 1)?)?)
    }
}

/// What hides from `count` tokens at `position` those after them and those a window or more before them, `[count, tokens so
/// far]`; none where it would hide nothing.
fn mask(count: usize, position: usize, window: usize, device: &Device) -> Result<Option<Tensor>> {
    let all = position + count;
    if count == 1 && all <= window {
        return Ok(None);
    }
    let hidden = |row: usize, at: usize| at > position + row || position + row - at >= window;
    let mask: Vec<f32> = (0..count)
        .flat_map(|row| (0..all).map(move |at| if hidden(row, at) { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(mask, (count, all), device).map(Some)
}
