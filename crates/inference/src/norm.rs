//! Layer normalisation.

use crate::kernels::layer_norm;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Over the last dimension, with a gain and, where the model has one, an offset.
pub(crate) struct LayerNorm {
    gain: Tensor,
    offset: Option<Tensor>,
    epsilon: f32,
}

impl LayerNorm {
    pub fn load(size: usize, offset: bool, epsilon: f32, vb: &VarBuilder) -> Result<Self> {
        let offset = offset.then(|| vb.get(size, "bias")).transpose()?;
        Ok(Self { gain: vb.get(size, "weight")?, offset, epsilon })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.gain, self.offset.as_ref(), self.epsilon)
    }
}
