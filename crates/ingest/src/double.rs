//! 8 kHz, which nearly all telephone sound has, to 16 kHz.
//!
//! A filter of our own because none that was measured is as quick: an hour of two channels takes 0.08 s here, 0.22 s by
//! rubato's Fourier resampler, 0.7 s by that of the crate resampler, and 1.4 s and more by resampler's FIR and by rubato's
//! sinc, both of 64 taps or more (benches/results/2026-11-26-ingest.md).

use pulp::{Arch, Simd, WithSimd};
use std::f64::consts::PI;

/// Samples on the 16 kHz side from the middle of the filter to where it ends. The band up to 3.88 kHz is kept: what is above
/// 3.64 kHz, which a filter of a third fewer taps would weaken, was worth 0.4 points of WER on the fixtures.
const REACH: usize = 192;
/// Taps for each new sample: every other one of the filter, for the others meet the silence between the old ones.
const TAPS: usize = REACH;
/// Decibels by which what mirrors at 4 kHz is weakened: far below the noise of 8 bits in G.711, 38 dB.
const STOP_DB: f64 = 90.0;
/// Samples of a channel that are filtered together: their sums stay in registers while the taps go by.
const SPAN: usize = 64;

/// Doubles the rate of sound that comes in pieces of any length; n samples in give 2 n out, at the same times. The filter is a
/// half-band one: the samples stay as they are, and between each two comes one sum, in one order whatever the pieces are and
/// whatever the processor has, so its bits are always the same.
pub(crate) struct Double {
    taps: [f32; TAPS],
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
        out.iter_mut().for_each(|out| out.truncate(end));
    }
}

/// Fills `out` with whole spans. `input` begins `TAPS / 2 - 1` samples before the first one that is given out.
struct Filter<'a> {
    taps: &'a [f32; TAPS],
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
            let mut sums = [0.0; SPAN];
            for (tap, input) in self.taps.iter().zip(input.windows(SPAN)) {
                for (sum, input) in sums.iter_mut().zip(input) {
                    *sum += tap * input;
                }
            }
            for ((out, &old), new) in out.as_chunks_mut::<2>().0.iter_mut().zip(&input[TAPS / 2 - 1..]).zip(sums) {
                *out = [old, new];
            }
        }
    }
}

/// A sinc under Kaiser's window, whose shape and width follow from the stop band (J. F. Kaiser, "Nonrecursive digital filter
/// design using the I0-sinh window function", 1974): nothing is lost up to 3.88 kHz, and 90 dB are from 4.12 kHz on.
fn taps() -> [f32; TAPS] {
    let beta = 0.1102 * (STOP_DB - 8.7);
    let taps: [f64; TAPS] = std::array::from_fn(|k| {
        // New sample m is the sum over old samples n of the filter at m - 2 n.
        let t = TAPS as f64 - 1.0 - 2.0 * k as f64;
        let window = bessel(beta * (1.0 - (t / REACH as f64).powi(2)).sqrt()) / bessel(beta);
        window * (PI / 2.0 * t).sin() / (PI * t)
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
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

    #[test]
    fn pass_band_and_stop_band() {
        let taps = taps();
        // How much is left of a tone: the old samples, and the new ones, whose taps lie the same on both sides.
        let left_db = |hertz: u32| {
            let turn = 2.0 * PI * f64::from(hertz) / 16000.0;
            let new: f64 =
                (0..).zip(&taps).map(|(k, &tap)| f64::from(tap) * (turn * f64::from(191 - 2 * k)).cos()).sum();
            20.0 * f64::midpoint(1.0, new).abs().log10()
        };
        for hertz in (0..=3880).step_by(7) {
            assert!(left_db(hertz).abs() < 0.001, "{hertz} Hz: {} dB", left_db(hertz));
        }
        for hertz in (4120..=8000).step_by(7) {
            assert!(left_db(hertz) < -STOP_DB, "{hertz} Hz: {} dB", left_db(hertz));
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
                sum += tap * n.and_then(|n| sound.get(n)).unwrap_or(&0.0);
            }
            if m % 2 == 0 { sound[m / 2] } else { sum }
        });
        assert_eq!(out[0], want.collect::<Vec<f32>>());
    }
}
