//! A Moonshine folder's `config.json`, in the words of transformers' `MoonshineConfig`.

use crate::InferenceError;
use serde::Deserialize;
use std::path::Path;

/// The keys that the computation needs; the file's other keys are not read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub encoder_num_hidden_layers: usize,
    pub decoder_num_hidden_layers: usize,
    encoder_num_attention_heads: usize,
    decoder_num_attention_heads: usize,
    encoder_num_key_value_heads: Option<usize>,
    decoder_num_key_value_heads: Option<usize>,
    #[serde(default = "gelu")]
    encoder_hidden_act: String,
    #[serde(default = "silu")]
    decoder_hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    partial_rotary_factor: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    #[serde(default = "start")]
    pub decoder_start_token_id: u32,
    #[serde(default = "end")]
    pub eos_token_id: u32,
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
}

fn gelu() -> String {
    "gelu".to_owned()
}
fn silu() -> String {
    "silu".to_owned()
}
fn start() -> u32 {
    1
}
fn end() -> u32 {
    2
}
fn yes() -> bool {
    true
}

impl Config {
    /// Reads the file and refuses what this code does not compute.
    pub fn read(path: &Path) -> Result<Self, InferenceError> {
        let config: Self = serde_json::from_slice(&InferenceError::read(path)?)
            .map_err(|error| InferenceError::bad_file(path, error))?;
        config.check().map_err(|reason| InferenceError::bad_file(path, reason))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let heads = self.encoder_num_attention_heads;
        if heads == 0 || !self.hidden_size.is_multiple_of(heads) {
            return Err(format!("hidden_size {} is not a multiple of {heads} heads", self.hidden_size));
        }
        let others = [
            Some(self.decoder_num_attention_heads),
            self.encoder_num_key_value_heads,
            self.decoder_num_key_value_heads,
        ];
        if others.into_iter().flatten().any(|other| other != heads) {
            return Err("encoder and decoder, queries and keys must have the same number of heads".to_owned());
        }
        if self.encoder_hidden_act != "gelu" || self.decoder_hidden_act != "silu" {
            return Err(format!(
                "activations {} and {} are not supported, only gelu (encoder) and silu (decoder)",
                self.encoder_hidden_act, self.decoder_hidden_act
            ));
        }
        if self.attention_bias {
            return Err("attention_bias is not supported".to_owned());
        }
        if self.rotary_pairs() == 0 || 2 * self.rotary_pairs() > self.head_size() {
            return Err("partial_rotary_factor must rotate some of a head's dimensions and no more than all".to_owned());
        }
        Ok(())
    }

    /// Attention heads, of encoder and decoder.
    pub fn heads(&self) -> usize {
        self.encoder_num_attention_heads
    }

    /// Dimensions of one head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.heads()
    }

    /// Pairs of a head's dimensions that are rotated.
    pub fn rotary_pairs(&self) -> usize {
        let nested = self.rope_parameters.as_ref().and_then(|rope| rope.partial_rotary_factor);
        let factor = self.partial_rotary_factor.or(nested).unwrap_or(0.9);
        (self.head_size() as f64 * factor) as usize / 2
    }

    /// The base of the rotary angles.
    pub fn rope_theta(&self) -> f64 {
        let nested = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        self.rope_theta.or(nested).unwrap_or(10_000.0)
    }
}
