//! What encoder and decoder are made of.

use super::config::Config;
use crate::Precision;
use crate::kernels::EPSILON;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// The projections of an attention that read the same rows, as one; their outputs lie side by side. The query's is scaled,
/// so that the attention need not be; the key's has no bias.
pub(super) fn load_attention(config: &Config, names: &[&str], precision: Precision, vb: &VarBuilder) -> Result<Linear> {
    let width = config.d_model;
    let scale = ((width / config.heads()) as f64).powf(-0.5);
    let part = |name: &&str| -> Result<(Tensor, Tensor)> {
        let vb = vb.pp(name);
        let weight = vb.get((width, width), "weight")?;
        let bias = if *name == "k_proj" {
            Tensor::zeros(width, weight.dtype(), weight.device())?
        } else {
            vb.get(width, "bias")?
        };
        if *name == "q_proj" { Ok(((weight * scale)?, (bias * scale)?)) } else { Ok((weight, bias)) }
    };
    let (weights, biases): (Vec<_>, Vec<_>) = names.iter().map(part).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Linear::new(&Tensor::cat(&weights, 0)?, Some(Tensor::cat(&biases, 0)?), precision)
}

/// Layer normalisation.
pub(super) fn load_norm(config: &Config, vb: &VarBuilder) -> Result<LayerNorm> {
    LayerNorm::load(config.d_model, true, EPSILON, vb)
}
