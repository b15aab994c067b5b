//! The core's parts by themselves, for its benches (`benches/parts.rs`), which see no private types. No promise is made about
//! them. Each function makes its input and returns what is to be timed.

use crate::attention::attend;
use crate::kernels::int8::{Level, Weight};
use crate::norm::LayerNorm;
use crate::whisper::Mel;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};

/// Numbers between -1 and 1.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f64 * 0.754_877_666).fract() as f32 * 2.0 - 1.0).collect()
}

/// A product in 8 bits of `[rows, inputs]` with a weight of `[outputs, inputs]`, for each set of instructions that this
/// machine has, by its name.
pub fn products(rows: usize, inputs: usize, outputs: usize) -> Vec<(&'static str, impl Fn() -> Vec<f32>)> {
    let each = |level: Level| {
        let (weight, x) = (Weight::new(&numbers(outputs * inputs), inputs), numbers(rows * inputs));
        (level.name(), move || weight.multiply(level, &x, (rows, inputs), None, |_| {}))
    };
    Level::available().into_iter().map(each).collect()
}

/// Self-attention over texts of so many tokens each.
pub fn attention(lengths: Vec<usize>, heads: usize, size: usize) -> Result<impl Fn() -> Result<Tensor>> {
    let all: usize = lengths.iter().sum();
    let qkv = Tensor::from_vec(numbers(all * 3 * heads * size), (all, 3 * heads * size), &Device::Cpu)?;
    Ok(move || attend(&qkv, &lengths, heads, None))
}

/// Layer normalisation of `[rows, width]`.
pub fn norm(rows: usize, width: usize) -> Result<impl Fn() -> Result<Tensor>> {
    let (weights, epsilon) = (VarMap::new(), 1e-5);
    let norm = LayerNorm::load(width, true, epsilon, &VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu))?;
    let x = Tensor::from_vec(numbers(rows * width), (rows, width), &Device::Cpu)?;
    Ok(move || norm.forward(&x))
}

/// The log-mel features of a window of 30 s, 80 bands.
pub fn features() -> impl Fn() -> (Vec<f32>, usize) {
    let (mel, samples) = (Mel::new(80), numbers(30 * 16_000));
    move || mel.features(&samples, 3000)
}
