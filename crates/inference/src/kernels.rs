//! The element-wise mathematics of our models on the processor: in place, on all cores, and compiled for each level of
//! SIMD with the right one chosen when it runs. candle's own run one element after another, through libm.
//!
//! Each function takes the tensor that it changes by value: call it on a fresh result that nobody else holds. On a
//! graphics card they are candle's operations.

/// A function whose loops are compiled for each level of SIMD, with the right one chosen when it is called. A closure given to
/// [`Arch::dispatch`] is that only where the compiler puts it into its caller, which it does not do with long ones.
macro_rules! vectorized {
    ($(#[$meta:meta])* fn $name:ident<'a>($($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block) => {
        $(#[$meta])*
        fn $name<'a>($($arg: $type),*) -> $out {
            struct Op<'a> { $($arg: $type),* }
            impl<'a> pulp::WithSimd for Op<'a> {
                type Output = $out;

                #[allow(clippy::inline_always)] // so that the caller's level of SIMD holds
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $out {
                    let Op { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Op { $($arg),* })
        }
    };
}
pub(crate) use vectorized;

pub(crate) mod int8;
mod math;
mod memory;

pub(crate) use memory::{Kept, Memory};

use crate::linear::{Window, outputs};
use candle_core::{CpuStorage, D, DType, Layout, Result, Tensor, bail};
use math::{each, each_biased, exp, gelu, greatest, softmax_row, sum, tanh};
use pulp::Arch;
use rayon::prelude::*;

/// The instructions that the 8-bit matrix products of our models run on here.
pub fn processor() -> &'static str {
    int8::Level::best().name()
}

/// Elements that one task takes: enough to pay for handing it over.
const TASK: usize = 16 * 1024;

/// Whether a tensor is for the loops below: on a graphics card, and in half precision, candle's operations are taken.
pub(crate) fn here(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// What follows a matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    None,
    Tanh,
    /// With the error function, not its approximation by tanh.
    Gelu,
}

/// `activation(x + bias)` for `[rows, n]` and a bias of `[n]`.
pub(crate) fn activate(x: Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    if here(&x) {
        match (bias, activation) {
            (None, Activation::None) => {}
            (None, activation) => x.inplace_op1(&Activate(activation))?,
            (Some(bias), activation) => x.inplace_op2(bias, &Activate(activation))?,
        }
        return Ok(x);
    }
    let x = if let Some(bias) = bias { x.broadcast_add(bias)? } else { x };
    match activation {
        Activation::None => Ok(x),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => x.gelu_erf(),
    }
}

/// `activation(x W^T + bias)` for windows of rows of x, `[inputs, channels]`: a window's rows lie side by side.
pub(crate) fn multiply(
    x: &Tensor,
    window: Window,
    weight: &int8::Weight,
    bias: Option<&[f32]>,
    then: Activation,
) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Multiply { window, weight, bias, then })
}

/// `rest + x W^T + bias`.
pub(crate) fn multiply_onto(rest: &Tensor, x: &Tensor, weight: &int8::Weight, bias: Option<&[f32]>) -> Result<Tensor> {
    x.apply_op2_no_bwd(rest, &Multiply { window: (1, 1), weight, bias, then: Activation::None })
}

/// Softmax over the last dimension.
pub(crate) fn softmax(x: Tensor) -> Result<Tensor> {
    if here(&x) {
        x.inplace_op1(&Softmax)?;
        return Ok(x);
    }
    candle_nn::ops::softmax_last_dim(&x)
}

/// `[rows, 2n]` to `[rows, n]`: the first half times SiLU of the second.
pub(crate) fn gate(x: &Tensor) -> Result<Tensor> {
    if here(x) {
        return x.apply_op1_no_bwd(&Gate);
    }
    let halves = x.chunk(2, D::Minus1)?;
    &halves[0].contiguous()? * halves[1].contiguous()?.silu()?
}

/// Layer normalisation of `[rows, n]` with a gain of `[n]` and, where there is one, an offset of `[n]`; `epsilon` is added to
/// the variance.
pub(crate) fn layer_norm(x: &Tensor, gain: &Tensor, offset: Option<&Tensor>, epsilon: f32) -> Result<Tensor> {
    let op = LayerNorm(epsilon);
    match offset {
        Some(offset) if here(x) => x.apply_op3_no_bwd(gain, offset, &op),
        Some(offset) => candle_nn::ops::layer_norm(x, gain, offset, epsilon),
        None if here(x) => x.apply_op2_no_bwd(gain, &op),
        None => candle_nn::ops::rms_norm(&x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?, gain, epsilon),
    }
}

/// Group normalisation of `[rows, n]` as one group, with gain and offset of `[n]`.
pub(crate) fn group_norm(x: Tensor, gain: &Tensor, offset: &Tensor) -> Result<Tensor> {
    if here(&x) {
        x.inplace_op3(gain, offset, &GroupNorm)?;
        return Ok(x);
    }
    let centred = x.broadcast_sub(&x.mean_all()?)?;
    let deviation = (centred.sqr()?.mean_all()? + f64::from(EPSILON))?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(gain)?.broadcast_add(offset)
}

/// The index and the log probability of the greatest of a row of logits; the first of equals.
pub(crate) fn likeliest(logits: &[f32]) -> (usize, f32) {
    best_of(logits)
}

vectorized! {
    fn best_of<'a>(logits: &'a [f32]) -> (usize, f32) {
        let best = greatest(logits);
        let at = logits.iter().position(|&logit| logit >= best).unwrap_or(0);
        (at, -sum(logits, |logit| exp(logit - best)).ln())
    }
}

/// What norms add to the variance, in most models.
pub(crate) const EPSILON: f32 = 1e-5;

/// The elements of a contiguous f32 tensor.
pub(crate) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a kernel needs contiguous f32"),
    }
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("a kernel needs contiguous f32"),
    }
}

/// The length of the rows of a tensor that has elements.
fn width(layout: &Layout) -> Result<usize> {
    match layout.dims().last() {
        Some(&width) if width > 0 => Ok(width),
        _ => bail!("a kernel needs rows"),
    }
}

/// The rows of one task, in elements.
fn task(width: usize) -> usize {
    (TASK / width).max(1) * width
}

struct Multiply<'a> {
    window: Window,
    weight: &'a int8::Weight,
    bias: Option<&'a [f32]>,
    then: Activation,
}

impl candle_core::CustomOp1 for Multiply<'_> {
    fn name(&self) -> &'static str {
        "multiply-int8"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, candle_core::Shape)> {
        self.onto(None, x, layout)
    }
}

impl candle_core::CustomOp2 for Multiply<'_> {
    fn name(&self) -> &'static str {
        "multiply-int8-onto"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        rest: &CpuStorage,
        rest_layout: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        self.onto(Some(floats(rest, rest_layout)?), x, layout)
    }
}

impl Multiply<'_> {
    fn onto(&self, rest: Option<&[f32]>, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, candle_core::Shape)> {
        let (inputs, channels) = layout.shape().dims2()?;
        let (x, width) = (floats(x, layout)?, self.weight.outputs());
        if self.weight.inputs() != self.window.0 * channels {
            bail!("windows of {} by {channels} for a weight of {} inputs", self.window.0, self.weight.inputs());
        }
        let rows = outputs(inputs, self.window);
        let shape = (rows, self.window.1 * channels);
        let out = self.weight.multiply(int8::Level::best(), x, shape, rest, |rows| then(rows, self.bias, self.then));
        Ok((CpuStorage::F32(out), (rows, width).into()))
    }
}

vectorized! {
    /// `activation(x + bias)` over whole rows.
    fn then<'a>(rows: &'a mut [f32], bias: Option<&'a [f32]>, activation: Activation) -> () {
        let Some(bias) = bias else {
            return match activation {
                Activation::None => {}
                Activation::Tanh => each(rows, tanh),
                Activation::Gelu => each(rows, gelu),
            };
        };
        let rows = rows.chunks_exact_mut(bias.len());
        match activation {
            Activation::None => rows.for_each(|row| each_biased(row, bias, |x| x)),
            Activation::Tanh => rows.for_each(|row| each_biased(row, bias, tanh)),
            Activation::Gelu => rows.for_each(|row| each_biased(row, bias, gelu)),
        }
    }
}

struct Activate(Activation);

impl candle_core::InplaceOp1 for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        floats_mut(x, layout)?.par_chunks_mut(TASK).for_each(|rows| then(rows, None, self.0));
        Ok(())
    }
}

impl candle_core::InplaceOp2 for Activate {
    fn name(&self) -> &'static str {
        "bias-activate"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, bias: &CpuStorage, bias_layout: &Layout) -> Result<()> {
        let (bias, width) = (floats(bias, bias_layout)?, width(bias_layout)?);
        let rows = floats_mut(x, x_layout)?.par_chunks_mut(task(width));
        rows.for_each(|rows| then(rows, Some(bias), self.0));
        Ok(())
    }
}

vectorized! {
    fn softmax_rows<'a>(rows: &'a mut [f32], width: usize) -> () {
        rows.chunks_exact_mut(width).for_each(softmax_row);
    }
}

struct Softmax;

impl candle_core::InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let width = width(layout)?;
        floats_mut(x, layout)?.par_chunks_mut(task(width)).for_each(|rows| softmax_rows(rows, width));
        Ok(())
    }
}

vectorized! {
    /// Rows of x, `[2n]`, into rows of `out`, `[n]`.
    fn gate_rows<'a>(x: &'a [f32], out: &'a mut [f32], half: usize) -> () {
        for (row, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(half)) {
            let (value, gate) = row.split_at(half);
            for ((out, value), &gate) in out.iter_mut().zip(value).zip(gate) {
                *out = value * gate / (1.0 + exp(-gate));
            }
        }
    }
}

struct Gate;

impl candle_core::CustomOp1 for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, candle_core::Shape)> {
        let (x, width, half) = (floats(x, layout)?, width(layout)?, width(layout)? / 2);
        let mut out = vec![0.0; x.len() / 2];
        gate_rows(x, &mut out, half);
        Ok((CpuStorage::F32(out), (layout.shape().elem_count() / width, half).into()))
    }
}

vectorized! {
    /// Layer normalisation of rows of x into `out`.
    fn normalise<'a>(x: &'a [f32], out: &'a mut [f32], gain: &'a [f32], offset: Option<&'a [f32]>, epsilon: f32) -> () {
        let width = gain.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let mean = sum(x, |x| x) / width as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
                *out = (x - mean) * scale * gain;
            }
            if let Some(offset) = offset {
                each_biased(out, offset, |x| x);
            }
        }
    }
}

/// With the number that is added to the variance.
struct LayerNorm(f32);

impl LayerNorm {
    fn rows(
        &self,
        x: &[f32],
        gain: &[f32],
        offset: Option<&[f32]>,
        shape: &candle_core::Shape,
    ) -> (CpuStorage, candle_core::Shape) {
        let width = gain.len();
        let mut out = vec![0.0; x.len()];
        x.par_chunks(task(width))
            .zip(out.par_chunks_mut(task(width)))
            .for_each(|(x, out)| normalise(x, out, gain, offset, self.0));
        (CpuStorage::F32(out), shape.clone())
    }
}

impl candle_core::CustomOp2 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm-gain"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        Ok(self.rows(floats(x, x_layout)?, floats(gain, gain_layout)?, None, x_layout.shape()))
    }
}

impl candle_core::CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        offset: &CpuStorage,
        offset_layout: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        let offset = floats(offset, offset_layout)?;
        Ok(self.rows(floats(x, x_layout)?, floats(gain, gain_layout)?, Some(offset), x_layout.shape()))
    }
}

struct GroupNorm;

impl candle_core::InplaceOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group-norm"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        offset: &CpuStorage,
        offset_layout: &Layout,
    ) -> Result<()> {
        let (x, width) = (floats_mut(x, x_layout)?, width(gain_layout)?);
        let (gain, offset) = (floats(gain, gain_layout)?, floats(offset, offset_layout)?);
        let (arch, count) = (Arch::new(), x.len() as f64);
        // Sums of a window's many elements: by task and then in f64, in an order that no thread changes.
        let total = |x: &[f32], f: &(dyn Fn(&[f32]) -> f32 + Sync)| {
            x.par_chunks(TASK).map(f).collect::<Vec<f32>>().into_iter().map(f64::from).sum::<f64>()
        };
        let mean = (total(x, &|part| arch.dispatch(|| sum(part, |x| x))) / count) as f32;
        let variance = total(x, &|part| arch.dispatch(|| sum(part, |x| (x - mean) * (x - mean)))) / count;
        let scale = 1.0 / (variance as f32 + EPSILON).sqrt();
        x.par_chunks_mut(task(width)).for_each(|rows| {
            arch.dispatch(|| {
                for row in rows.chunks_exact_mut(width) {
                    for ((x, gain), offset) in row.iter_mut().zip(gain).zip(offset) {
                        *x = (*x - mean) * scale * gain + offset;
                    }
                }
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    #[test]
    fn the_likeliest_token_bears_its_share() {
        let (token, logprob) = likeliest(&[0.0, 2.0, 1.0, 2.0]);
        assert_eq!(token, 1);
        let expected = 2.0 - (1.0f32 + 2.0 * 2.0f32.exp() + 1.0f32.exp()).ln();
        assert!((logprob - expected).abs() < 1e-6, "{logprob} {expected}");
    }

    fn close(ours: &Tensor, theirs: &Tensor) -> bool {
        ours.dims() == theirs.dims()
            && ours.sub(theirs).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5
    }

    proptest! {
        /// Rows of any length and number, more than one task among them.
        #[test]
        fn kernels_agree_with_candle(rows in 1usize..40, half in 1usize..700, seed in 0u64..1000) {
            let draw = |shape: (usize, usize), salt: usize| {
                let values: Vec<f32> = (0..shape.0 * shape.1)
                    .map(|i| (((i + salt) as f64 * 0.754_877_666 + seed as f64 * 0.569_840_29).fract() * 8.0 - 4.0) as f32)
                    .collect();
                Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
            };
            let x = draw((rows, 2 * half), 0);
            let (gain, bias) = (draw((1, 2 * half), 1).squeeze(0).unwrap(), draw((1, 2 * half), 2).squeeze(0).unwrap());
            let fresh = || x.copy().unwrap();

            let theirs = candle_nn::ops::softmax_last_dim(&x).unwrap();
            prop_assert!(close(&softmax(fresh()).unwrap(), &theirs));
            let biased = x.broadcast_add(&bias).unwrap();
            prop_assert!(close(&activate(fresh(), Some(&bias), Activation::None).unwrap(), &biased));
            prop_assert!(close(&activate(fresh(), Some(&bias), Activation::Tanh).unwrap(), &biased.tanh().unwrap()));
            prop_assert!(close(&activate(fresh(), Some(&bias), Activation::Gelu).unwrap(), &biased.gelu_erf().unwrap()));
            prop_assert!(close(&activate(fresh(), None, Activation::Gelu).unwrap(), &x.gelu_erf().unwrap()));
            let halves = x.chunk(2, 1).unwrap();
            prop_assert!(close(&gate(&x).unwrap(), &(&halves[0] * halves[1].silu().unwrap()).unwrap()));
            let theirs = candle_nn::ops::layer_norm_slow(&x, &gain, &gain.zeros_like().unwrap(), EPSILON).unwrap();
            prop_assert!(close(&layer_norm(&x, &gain, None, EPSILON).unwrap(), &theirs));
            let theirs = candle_nn::ops::layer_norm_slow(&x, &gain, &gain, EPSILON).unwrap();
            prop_assert!(close(&layer_norm(&x, &gain, Some(&gain), EPSILON).unwrap(), &theirs));
            let flat = x.reshape((1, 1, rows * 2 * half)).unwrap();
            let one = Tensor::ones(1, candle_core::DType::F32, &Device::Cpu).unwrap();
            let theirs = candle_nn::GroupNorm::new(one.clone(), one.zeros_like().unwrap(), 1, 1, 1e-5).unwrap();
            let theirs = candle_nn::Module::forward(&theirs, &flat).unwrap().reshape((rows, 2 * half)).unwrap();
            let theirs = theirs.broadcast_mul(&gain).unwrap().broadcast_add(&bias).unwrap();
            prop_assert!(close(&group_norm(fresh(), &gain, &bias).unwrap(), &theirs));
        }
    }
}
