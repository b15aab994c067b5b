//! BERT's encoder over texts laid end to end: no padding, no mask.
//!
//! The linear layers and norms see the tokens of all texts as one matrix, and attention each text alone. So a text's
//! result cannot depend on how long its neighbours are, and no time goes into padding.
//!
//! The network is that of Devlin et al. 2018 (arXiv:1810.04805), as transformers has it in
//! `src/transformers/models/bert/modeling_bert.py`: post-norm layers, GELU by the error function, learned positions.

use crate::Precision;
use crate::attention::attend;
use crate::kernels::{self, Activation, floats};
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{CpuStorage, CustomOp2, Device, IndexOp, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Embedding, Module, VarBuilder};
use serde::Deserialize;

/// The keys of `config.json` that change the result. Others are left unread: the file is not ours.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".into()
}

impl Config {
    /// What this code does not compute is refused, and never computed otherwise.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.hidden_act != "gelu" {
            return Err(format!("hidden_act is `{}`; only gelu is known", self.hidden_act));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "position_embedding_type is `{}`; only absolute is known",
                self.position_embedding_type
            ));
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        Ok(())
    }
}

/// The encoder, without a pooler.
pub(crate) struct Bert {
    words: Embedding,
    /// (max positions, hidden): the position's vector plus that of the first token type, the only one we use.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    heads: usize,
    /// Queries, keys and values in one product, the queries scaled.
    qkv: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    norm: LayerNorm,
}

impl Bert {
    pub fn load(weights: &VarBuilder, config: &Config, precision: Precision) -> Result<Self> {
        let weights = if weights.contains_tensor("bert.embeddings.word_embeddings.weight") {
            weights.pp("bert")
        } else {
            weights.clone()
        };
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps as f32);
        let embeddings = weights.pp("embeddings");
        let positions = embeddings.get((config.max_position_embeddings, hidden), "position_embeddings.weight")?;
        let types = embeddings.get((config.type_vocab_size, hidden), "token_type_embeddings.weight")?;
        let encoder = weights.pp("encoder.layer");
        Ok(Self {
            words: candle_nn::embedding(config.vocab_size, hidden, embeddings.pp("word_embeddings"))?,
            positions: positions.broadcast_add(&types.i(0)?)?,
            norm: LayerNorm::load(hidden, true, eps, &embeddings.pp("LayerNorm"))?,
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::load(&encoder.pp(i), config, precision))
                .collect::<Result<_>>()?,
        })
    }

    /// Texts as token ids to (tokens of all texts, hidden).
    pub fn forward(&self, texts: &[&[u32]], device: &Device) -> Result<Tensor> {
        let ids: Vec<u32> = texts.concat();
        let places: Vec<u32> = texts.iter().flat_map(|text| 0..text.len() as u32).collect();
        let tokens = if kernels::here(&self.positions) {
            self.words.embeddings().apply_op2_no_bwd(&self.positions, &Places { ids, places })?
        } else {
            let words = self.words.forward(&Tensor::new(ids, device)?)?;
            (words + self.positions.index_select(&Tensor::new(places, device)?, 0)?)?
        };

        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let mut hidden = self.norm.forward(&tokens)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, &lengths)?;
        }
        Ok(hidden)
    }
}

/// The vectors of words plus those of their places. candle's own sum wakes threads that wait for each other, and every core
/// has a batch of its own already.
struct Places {
    ids: Vec<u32>,
    places: Vec<u32>,
}

impl CustomOp2 for Places {
    fn name(&self) -> &'static str {
        "words-and-places"
    }

    fn cpu_fwd(
        &self,
        words: &CpuStorage,
        words_layout: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = words_layout.shape().dims2()?.1;
        let (words, positions) = (floats(words, words_layout)?, floats(positions, positions_layout)?);
        let mut sums = Vec::with_capacity(self.ids.len() * width);
        for (&id, &place) in self.ids.iter().zip(&self.places) {
            let word = words.chunks_exact(width).nth(id as usize);
            let Some((word, place)) = word.zip(positions.chunks_exact(width).nth(place as usize)) else {
                bail!("word {id} at place {place} has no vector");
            };
            sums.extend(word.iter().zip(place).map(|(word, place)| word + place));
        }
        Ok((CpuStorage::F32(sums), (self.ids.len(), width).into()))
    }
}

impl Layer {
    fn load(weights: &VarBuilder, config: &Config, precision: Precision) -> Result<Self> {
        let (hidden, wide, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps as f32);
        let attention = weights.pp("attention");
        let part = |name: &str| -> Result<(Tensor, Tensor)> {
            let part = attention.pp("self").pp(name);
            Ok((part.get((hidden, hidden), "weight")?, part.get(hidden, "bias")?))
        };
        let (q, k, v) = (part("query")?, part("key")?, part("value")?);
        let scale = ((hidden / config.num_attention_heads) as f64).powf(-0.5);
        let q = ((q.0 * scale)?, (q.1 * scale)?);
        Ok(Self {
            heads: config.num_attention_heads,
            qkv: Linear::new(&Tensor::cat(&[q.0, k.0, v.0], 0)?, Some(Tensor::cat(&[q.1, k.1, v.1], 0)?), precision)?,
            attended: Linear::load(hidden, hidden, true, precision, &attention.pp("output.dense"))?,
            attended_norm: LayerNorm::load(hidden, true, eps, &attention.pp("output.LayerNorm"))?,
            wide: Linear::load(hidden, wide, true, precision, &weights.pp("intermediate.dense"))?,
            narrow: Linear::load(wide, hidden, true, precision, &weights.pp("output.dense"))?,
            norm: LayerNorm::load(hidden, true, eps, &weights.pp("output.LayerNorm"))?,
        })
    }

    fn forward(&self, hidden: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let attended = attend(&self.qkv.forward(hidden)?, lengths, self.heads, None)?;
        let hidden = self.attended_norm.forward(&self.attended.forward_onto(hidden, &attended)?)?;
        let wide = self.wide.forward_then(Activation::Gelu, &hidden)?;
        self.norm.forward(&self.narrow.forward_onto(&hidden, &wide)?)
    }
}
