//! 8 kHz, which nearly all telephone sound has, to 16 kHz.
//!
//! A filter of our own because none that was measured is as quick: an hour of two channels takes 0.24 s here, 0.30 s by
//! rubato's Fourier resampler, 0.36 s by that of the crate resampler, 0.86 s by its FIR of 32 taps and 0.99 s by rubato's sinc of
//! 64 (benches/results/2026-11-26-ingest.md).

use pulp::{Arch, Simd, WithSimd};
use std::f64::consts::PI;

/// Samples on the 16 kHz side from the middle of the filter to where it is 0: as many as ffmpeg's time for a WAV file leaves room for.
const REACH: usize = 216;
/// Taps of the one filter that gives the even samples, and of the other that gives the odd ones.
const TAPS: usize = REACH;
/// Decibels by which what mirrors at 4 kHz is weakened: below the noise of 8 bits in G.711, 38 dB, and as few as let the band reach
/// as far as rubato's, after which no fewer words are misheard (the figures stand beside the speed).
const STOP_DB: f64 = 54.0;
/// Samples of a channel that are filtered together: their sums stay in registers while the taps go by.
const SPAN: usize = 64;

/// Doubles the rate of sound that comes in pieces of any length; n samples in give 2 n out, at the same times. An output is one
/// sum in one order, whatever the pieces are and whatever the processor has, so its bits are always the same.
pub(crate) struct Double {
    /// The filters of even and odd samples, tap by tap.
    taps: [[f32; 2]; TAPS],
    /// Samples that outputs to come still need, a vector a channel.
    input: Vec<Vec<f32>>,
    /// Outputs still to be given, a channel.
    owed: usize,
}

impl Double {
    pub fn new(channels: usize) -> Self {
        // Silence before the first sample.
        Self { taps: taps(), input: vec![vec![0.0; TAPS / 2 - 1]; channels], owed: 0 }
    }

    /// Takes samples, a slice a channel and all of one length, and appends what they make to `out`.
    pub fn push(&mut self, planes: &[Vec<f32>], out: &mut [Vec<f32>]) {
        let spans = (self.input[0].len() + planes[0].len()).saturating_sub(TAPS - 1) / SPAN;
        for ((input, plane), out) in self.input.iter_mut().zip(planes).zip(out) {
            input.extend_from_slice(plane);
            let from = out.len();
            out.resize(from + spans * 2 * SPAN, 0.0);
            Arch::new().dispatch(Filter { taps: &self.taps, input, out: &mut out[from..] });
            input.drain(..spans * SPAN);
        }
        self.owed = self.owed + 2 * planes[0].len() - spans * 2 * SPAN;
    }

    /// Appends the tail. Nothing may be pushed after it.
    pub fn finish(&mut self, out: &mut [Vec<f32>]) {
        let end = out[0].len() + self.owed;
        let silence = vec![vec![0.0; TAPS / 2 + SPAN]; self.input.len()];
        self.push(&silence, out);
        for out in out {
            out.truncate(end);
        }
    }
}

/// Fills `out` with whole spans. `input` begins `TAPS / 2 - 1` samples before the first output.
struct Filter<'a> {
    taps: &'a [[f32; 2]; TAPS],
    input: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Filter<'_> {
    type Output = ();

    #[allow(clippy::inline_always)] // so that the caller's level of SIMD holds
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (spans, _) = self.out.as_chunks_mut::<{ 2 * SPAN }>();
        for (out, input) in spans.iter_mut().zip(self.input.windows(SPAN + TAPS - 1).step_by(SPAN)) {
            let (mut even, mut odd) = ([0.0; SPAN], [0.0; SPAN]);
            for (taps, input) in self.taps.iter().zip(input.windows(SPAN)) {
                for ((even, odd), input) in even.iter_mut().zip(&mut odd).zip(input) {
                    *even += taps[0] * input;
                    *odd += taps[1] * input;
                }
            }
            for (out, (even, odd)) in out.as_chunks_mut::<2>().0.iter_mut().zip(even.into_iter().zip(odd)) {
                *out = [even, odd];
            }
        }
    }
}

/// A sinc under Kaiser's window, whose shape and width follow from the stop band (J. F. Kaiser, "Nonrecursive digital filter
/// design using the I0-sinh window function", 1974): nothing lost up to 3.88 kHz.
fn taps() -> [[f32; 2]; TAPS] {
    let beta = 0.1102 * (STOP_DB - 8.7);
    let transition = (STOP_DB - 8.0) / (2.285 * (2 * REACH) as f64);
    let cutoff = PI / 2.0 - transition / 2.0; // radians a sample at 16 kHz
    let tap = |t: f64| {
        let at = t / REACH as f64;
        let window = bessel(beta * (1.0 - at * at).max(0.0).sqrt()) / bessel(beta);
        let sinc = if t == 0.0 { cutoff / PI } else { (cutoff * t).sin() / (PI * t) };
        if at.abs() < 1.0 { window * sinc } else { 0.0 }
    };
    // Output m is the sum over inputs n of tap(m - 2 n).
    let filters = [0, 1].map(|phase| {
        let taps: [f64; TAPS] = std::array::from_fn(|k| tap((phase + TAPS as i64 - 2 - 2 * k as i64) as f64));
        let sum: f64 = taps.iter().sum();
        taps.map(|tap| tap / sum)
    });
    std::array::from_fn(|k| [filters[0][k] as f32, filters[1][k] as f32])
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much a filter leaves of a tone, in dB.
    fn response(taps: &[[f32; 2]; TAPS], hertz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (k, pair) in taps.iter().enumerate() {
            for (phase, &tap) in pair.iter().enumerate() {
                let turn = 2.0 * PI * hertz / 16000.0 * (phase as f64 - 2.0 * k as f64);
                re += f64::from(tap) * turn.cos() / 2.0;
                im += f64::from(tap) * turn.sin() / 2.0;
            }
        }
        10.0 * (re * re + im * im).log10()
    }

    #[test]
    fn pass_band_and_stop_band() {
        let taps = taps();
        for hertz in (0..=3740).step_by(7) {
            let left = response(&taps, f64::from(hertz));
            assert!(left.abs() < 0.01, "{hertz} Hz: {left} dB");
        }
        for hertz in (4010..=8000).step_by(7) {
            let left = response(&taps, f64::from(hertz));
            assert!(left < -STOP_DB + 1.0, "{hertz} Hz: {left} dB");
        }
    }

    #[test]
    fn the_loop_is_the_sum_that_it_stands_for() {
        let sound: Vec<f32> = (0..500).map(|i| ((i * 7919) % 201) as f32 / 100.0 - 1.0).collect();
        let (mut double, mut out) = (Double::new(1), vec![Vec::new()]);
        double.push(std::slice::from_ref(&sound), &mut out);
        double.finish(&mut out);
        let taps = taps();
        let want = (0..1000usize).map(|m| {
            let mut sum = 0.0;
            for (k, tap) in taps.iter().enumerate() {
                let n = (m / 2 + k).checked_sub(TAPS / 2 - 1);
                sum += tap[m % 2] * n.and_then(|n| sound.get(n)).unwrap_or(&0.0);
            }
            sum
        });
        assert_eq!(out[0], want.collect::<Vec<f32>>());
    }
}
