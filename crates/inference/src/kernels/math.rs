//! The functions and loops that the kernels compile for each level of SIMD: all are inlined into their callers, so that
//! the caller's level holds for them.

#![allow(clippy::inline_always)] // see above

/// Partial sums of a reduction; as many as fill the widest registers twice.
pub(super) const LANES: usize = 32;

/// Within 2 units in the last place from -87 to 88; below, 0. Range reduction and polynomial of Moshier's Cephes
/// library, `single/expf.c`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Added and taken off again, it rounds to a whole number, which also stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let bounded = x.clamp(-87.0, 88.0);
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let result = (p * r * r + r + 1.0) * power;
    if x < -87.0 { 0.0 } else { result }
}

/// Within 2e-7; the error function by Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_72) * t + 0.254_829_6) * t;
    // 1 - erf(z), and erf is odd.
    let rest = p * exp(-z * z);
    let share = if x < 0.0 { 0.5 * rest } else { 1.0 - 0.5 * rest };
    x * share
}

/// Within 2e-7; the polynomial for small arguments is that of Moshier's Cephes library, `single/tanhf.c`.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let large = (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x);
    let z = x * x;
    let p = (((-5.704_988_7e-3 * z + 2.063_908_8e-2) * z - 5.373_971_5e-2) * z + 0.133_314_42) * z - 0.333_332_8;
    if size < 0.625 { p * z * x + x } else { large }
}

/// What partial results come to, the halves put together until one is left: in a register's width, and always in the
/// same order.
#[inline(always)]
pub(super) fn gather<T: Copy>(lanes: [T; LANES], f: impl Fn(T, T) -> T) -> T {
    // Written out, since the compiler keeps a loop over widths a loop.
    let lanes: [T; 16] = std::array::from_fn(|i| f(lanes[i], lanes[i + 16]));
    let lanes: [T; 8] = std::array::from_fn(|i| f(lanes[i], lanes[i + 8]));
    let lanes: [T; 4] = std::array::from_fn(|i| f(lanes[i], lanes[i + 4]));
    f(f(lanes[0], lanes[2]), f(lanes[1], lanes[3]))
}

/// The least and the greatest of `start` and some numbers; what is not a number is passed over.
#[inline(always)]
pub(super) fn range(x: &[f32], start: f32) -> (f32, f32) {
    let (mut low, mut high) = ([start; LANES], [start; LANES]);
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut widen = |i: usize, x: f32| {
        low[i] = if x < low[i] { x } else { low[i] };
        high[i] = if x > high[i] { x } else { high[i] };
    };
    for chunk in chunks {
        (0..LANES).for_each(|i| widen(i, chunk[i]));
    }
    rest.iter().enumerate().for_each(|(i, x)| widen(i, *x));
    (gather(low, |a, b| if b < a { b } else { a }), gather(high, |a, b| if b > a { b } else { a }))
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The greatest element; minus infinity when there is none.
#[inline(always)]
pub(super) fn greatest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (a, &b) in most.iter_mut().zip(chunk) {
            *a = greater(*a, b);
        }
    }
    rest.iter().copied().fold(gather(most, greater), greater)
}

/// The sum of a function of each element.
#[inline(always)]
pub(super) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (a, &b) in sums.iter_mut().zip(chunk) {
            *a += f(b);
        }
    }
    gather(sums, |a, b| a + b) + rest.iter().map(|&x| f(x)).sum::<f32>()
}

#[inline(always)]
pub(super) fn each(row: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in row {
        *x = f(*x);
    }
}

#[inline(always)]
pub(super) fn each_biased(row: &mut [f32], bias: &[f32], f: impl Fn(f32) -> f32) {
    for (x, b) in row.iter_mut().zip(bias) {
        *x = f(*x + b);
    }
}

#[inline(always)]
pub(super) fn softmax_row(row: &mut [f32]) {
    let most = greatest(row);
    let mut sums = [0.0; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (x, sum) in chunk.iter_mut().zip(&mut sums) {
            *x = exp(*x - most);
            *sum += *x;
        }
    }
    each(rest, |x| exp(x - most));
    let scale = 1.0 / (gather(sums, |a, b| a + b) + rest.iter().sum::<f32>());
    each(row, |x| x * scale);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)] // the ends of the range are exact

    use super::*;

    /// Each value from -100 to 100 in small steps, and zero's neighbourhood.
    fn values() -> impl Iterator<Item = f32> {
        (-100_000..=100_000).map(|i| i as f32 * 1e-3).chain((-1000..=1000).map(|i| i as f32 * 1e-7))
    }

    fn erf(z: f64) -> f64 {
        // The series of Abramowitz and Stegun, 7.1.6, which converges everywhere.
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum
    }

    #[test]
    fn exp_is_exact_to_a_few_units_in_the_last_place() {
        for x in values().filter(|x| (-87.0..=88.0).contains(x)) {
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-7, "{x}: {} {expected}", exp(x));
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn tanh_is_exact() {
        for x in values() {
            let expected = f64::from(x).tanh();
            let error = (f64::from(tanh(x)) - expected).abs();
            assert!(error < 2e-7 && error <= 1e-6 * expected.abs(), "{x}: {} {expected}", tanh(x));
        }
    }

    #[test]
    fn gelu_is_exact() {
        for x in values().filter(|x| x.abs() < 6.0) {
            let expected = f64::from(x) * 0.5 * (1.0 + erf(f64::from(x) / 2f64.sqrt()));
            assert!((f64::from(gelu(x)) - expected).abs() < 1e-6, "{x}: {} {expected}", gelu(x));
        }
        assert_eq!(gelu(50.0), 50.0);
        assert_eq!(gelu(-50.0), 0.0);
    }
}
