//! How exactly a model computes.

use serde::{Deserialize, Serialize};

/// In how many bits the linear layers of a model multiply. The rest, attention and norms, is f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the weights are, in floating point.
    F32,
    /// Weights in 8 bits with a scale for each output, activations in 8 bits with a scale for each row. On the processor
    /// alone: a graphics card computes in floating point all the same.
    #[default]
    Int8,
}
