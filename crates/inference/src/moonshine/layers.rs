//! What encoder and decoder are made of.

use super::config::Config;
use crate::Precision;
use crate::kernels::EPSILON;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// The projections of an attention that read the same rows, as one; their outputs lie side by side. The query's is scaled,
/// so that the attention need not be.
pub(super) fn load_attention(config: &Config, names: &[&str], precision: Precision, vb: &VarBuilder) -> Result<Linear> {
    let scale = (config.head_size() as f64).powf(-0.5);
    let weight = |name: &&str| {
        let weight = vb.pp(name).get((config.hidden_size, config.hidden_size), "weight")?;
        if *name == "q_proj" { weight * scale } else { Ok(weight) }
    };
    Linear::new(&Tensor::cat(&names.iter().map(weight).collect::<Result<Vec<_>>>()?, 0)?, None, precision)
}

/// Layer normalisation with a gain and no offset.
pub(super) fn load_norm(config: &Config, vb: &VarBuilder) -> Result<LayerNorm> {
    LayerNorm::load(config.hidden_size, false, EPSILON, vb)
}
