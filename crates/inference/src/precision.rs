//! How exactly a model computes.

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// In how many bits the linear layers of a model multiply. On the processor the rest, attention and norms, is f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the weights are, in floating point.
    F32,
    /// Half precision on a graphics card; on the processor as [`Self::F32`].
    F16,
    /// The same with the range of f32.
    Bf16,
    /// Weights in 8 bits with a scale for each output, activations in 8 bits with a scale for each row. On the processor
    /// alone: a graphics card computes in f16 (Moonshine, whose group norm sums up more than f16 holds, in f32).
    #[default]
    Int8,
}

impl Precision {
    /// The type of the tensors on a device.
    pub(crate) fn dtype(self, device: &Device) -> DType {
        match self {
            _ if device.is_cpu() => DType::F32,
            Self::F32 => DType::F32,
            Self::F16 | Self::Int8 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}
