//! A layer of a decoder, which Moonshine and Whisper have alike but for what is between its last two products.

use super::{Heads, State, Watch};
use crate::attention::Angles;
use crate::kernels::{Activation, gate};
use crate::linear::Linear;
use crate::norm::LayerNorm;
use candle_core::{Result, Tensor};

pub(crate) struct Layer {
    pub self_norm: LayerNorm,
    pub query_key_value: Linear,
    pub self_output: Linear,
    pub cross_norm: LayerNorm,
    pub cross_query: Linear,
    pub cross_key_value: Linear,
    pub cross_output: Linear,
    pub mlp_norm: LayerNorm,
    pub fc1: Linear,
    pub between: Between,
    pub fc2: Linear,
}

/// What is between the last two products.
#[derive(Clone, Copy)]
pub(crate) enum Between {
    Gelu,
    /// One half of the first product's outputs, after SiLU, multiplies the other.
    Gate,
}

/// Takes the rows `x`, `[rows, width]`, of each row's next token through all layers. `angles` are those of the rows' steps,
/// where positions are rotary.
pub(crate) fn advance(
    layers: &[Layer],
    heads: &Heads,
    mut x: Tensor,
    angles: Option<&Angles>,
    state: &mut State,
    watch: &mut Watch,
) -> Result<Tensor> {
    for (nth, (layer, memory)) in layers.iter().zip(&mut state.layers).enumerate() {
        let joined = layer.query_key_value.forward(&layer.self_norm.forward(&x)?)?;
        let past = heads.attend_to_past(&joined, memory, &state.steps, angles)?;
        x = layer.self_output.forward_onto(&x, &past)?;
        let query = layer.cross_query.forward(&layer.cross_norm.forward(&x)?)?;
        let heard = heads.attend_to_frames(&query, memory, state.mask.as_ref(), nth, watch)?;
        x = layer.cross_output.forward_onto(&x, &heard)?;
        let narrow = layer.mlp_norm.forward(&x)?;
        let wide = match layer.between {
            Between::Gelu => layer.fc1.forward_then(Activation::Gelu, &narrow)?,
            Between::Gate => gate(&layer.fc1.forward(&narrow)?)?,
        };
        x = layer.fc2.forward_onto(&x, &wide)?;
    }
    state.steps.iter_mut().for_each(|step| *step += 1);
    Ok(x)
}
