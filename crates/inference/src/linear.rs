//! Linear layers, in full precision or in 8 bits.

use crate::Precision;
use crate::kernels::{Activation, activate, int8, multiply, multiply_onto};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// `x W^T + b` over rows of x.
pub(crate) struct Linear(Weight);

enum Weight {
    /// `[in, out]`: the matrix product reads it in this order, and would else put it there each time.
    Full(Tensor, Option<Tensor>),
    Int8(int8::Weight, Option<Vec<f32>>),
}

/// The rows that each output of a convolution sees, and from one output to the next.
pub(crate) type Window = (usize, usize);

/// The outputs of an unpadded convolution.
pub(crate) const fn outputs(inputs: usize, (kernel, stride): Window) -> usize {
    (inputs - kernel) / stride + 1
}

impl Linear {
    pub fn load(inputs: usize, outputs: usize, bias: bool, precision: Precision, vb: &VarBuilder) -> Result<Self> {
        let bias = bias.then(|| vb.get(outputs, "bias")).transpose()?;
        Self::new(&vb.get((outputs, inputs), "weight")?, bias, precision)
    }

    /// From a weight of `[out, in]`. 8 bits are the processor's; a graphics card keeps full precision.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, precision: Precision) -> Result<Self> {
        if precision == Precision::Int8 && weight.device().is_cpu() {
            let bias = bias.map(|bias| bias.to_vec1()).transpose()?;
            let weight = int8::Weight::new(&weight.flatten_all()?.to_vec1::<f32>()?, weight.dim(1)?);
            return Ok(Self(Weight::Int8(weight, bias)));
        }
        Ok(Self(Weight::Full(weight.t()?.contiguous()?, bias)))
    }

    /// The same with more exact activations, where they are quantized.
    pub fn wide(self) -> Self {
        Self(match self.0 {
            Weight::Int8(weight, bias) => Weight::Int8(weight.wide(), bias),
            full @ Weight::Full(..) => full,
        })
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(Activation::None, x)
    }

    /// As [`Self::forward`], then the activation.
    pub fn forward_then(&self, then: Activation, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Weight::Full(weight, bias) => activate(x.matmul(weight)?, bias.as_ref(), then),
            Weight::Int8(weight, bias) => multiply(x, (1, 1), weight, bias.as_deref(), then),
        }
    }

    /// `rest` plus what [`Self::forward`] gives.
    pub fn forward_onto(&self, rest: &Tensor, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Weight::Full(..) => rest + self.forward(x)?,
            Weight::Int8(weight, bias) => multiply_onto(rest, x, weight, bias.as_deref()),
        }
    }

    /// A convolution over `[inputs, channels]`, whose weight holds the channels of one instant side by side.
    pub fn convolve_then(&self, then: Activation, x: &Tensor, window: Window) -> Result<Tensor> {
        match &self.0 {
            Weight::Full(weight, bias) => activate(unfold(x, window)?.matmul(weight)?, bias.as_ref(), then),
            Weight::Int8(weight, bias) => multiply(x, window, weight, bias.as_deref(), then),
        }
    }
}

/// `[inputs, channels]` to `[outputs, kernel * channels]`: what each output of a convolution sees.
fn unfold(x: &Tensor, window: Window) -> Result<Tensor> {
    let (inputs, channels) = x.dims2()?;
    let (kernel, stride) = window;
    let count = outputs(inputs, window);
    let seen: Vec<u32> = (0..count).flat_map(|i| (0..kernel).map(move |k| (i * stride + k) as u32)).collect();
    let seen = Tensor::from_vec(seen, count * kernel, x.device())?;
    x.index_select(&seen, 0)?.reshape((count, kernel * channels))
}
