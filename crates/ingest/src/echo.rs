//! What of a channel is an echo of another: a short filter from the one to the other, and what it predicts.
//!
//! The filter is that of the least squares (Wiener), over all frames in which both are heard. A frame counts the less the
//! louder the channel that is predicted: somebody who speaks there is noise to the echo.

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::Arc;

/// Coefficients of the filter at 8 kHz: 64 ms, a telephone's hybrid or the first reflections of a room. Twice as many took longer
/// and predicted no more of what was tried.
const TAPS: usize = 512;
/// Coefficients before the lag, 8 ms: filters have a delay of their own, and the strongest path need not be the first.
const EARLY: usize = 64;
/// Length of the transform: a frame, and as much before it.
const TRANSFORM: usize = 2 * TAPS;
/// Added to the power on the diagonal, as its share, so that a band in which there is nothing gives no huge coefficients. The
/// correlations are sums over weighted frames and need not be those of any sound: then more is added, until they are.
const FLOORS: [f64; 4] = [1e-3, 1e-2, 1e-1, 1.0];
/// Frames quieter than this share of the mean of those that are heard count no more than it.
const QUIET: f64 = 0.01;
/// What was heard before counts half as much with each block.
const FADE: f64 = 0.5;
/// Frames in which both were heard before a filter predicts anything, 2 s: of fewer, so many coefficients explain a part of any
/// other voice by chance.
const FROM: usize = 32;
/// A lag so many samples away is that of the same path.
const NEAR: u64 = 8;

/// The plan that all pairs share.
pub(crate) struct Plan {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// How one channel follows from another.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    /// Samples at 8 kHz.
    pub lag: i64,
    /// Correlation of the louder channel with itself, and of the other with it, by lag; a weighted mean over frames.
    own: Vec<f64>,
    cross: Vec<f64>,
    filter: Vec<f32>,
    /// Frames that the filter was made of.
    frames: usize,
    /// How often the filter was made.
    pub learned: u32,
}

impl Plan {
    pub fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        Self { forward: planner.plan_fft_forward(TRANSFORM), inverse: planner.plan_fft_inverse(TRANSFORM) }
    }

    fn transform(&self, samples: &[f32], at: usize) -> Vec<Complex<f32>> {
        let mut input = self.forward.make_input_vec();
        input[at..at + samples.len()].copy_from_slice(samples);
        let mut output = self.forward.make_output_vec();
        // Cannot fail: the lengths are those of the plan.
        let _ = self.forward.process(&mut input, &mut output);
        output
    }

    fn back(&self, mut spectrum: Vec<Complex<f32>>) -> Vec<f32> {
        let mut output = self.inverse.make_output_vec();
        // The first and the last bin of a real signal are real; rounding may have left a trace.
        for end in [0, TRANSFORM / 2] {
            spectrum[end].im = 0.0;
        }
        let _ = self.inverse.process(&mut spectrum, &mut output);
        output
    }
}

impl Echo {
    pub fn new(lag: i64) -> Self {
        Self { lag, own: vec![0.0; TAPS], cross: vec![0.0; TAPS], filter: vec![0.0; TAPS], frames: 0, learned: 0 }
    }

    /// Whether a lag is that of this path.
    pub fn is_at(&self, lag: i64) -> bool {
        self.lag.abs_diff(lag) <= NEAR
    }

    /// What the louder channel gives of the other one from sample `from` on. With `audible` the filter is made anew before, of
    /// what was heard up to here; frames in which either has no more power than it teach nothing.
    pub fn predict(
        &mut self,
        plan: &Plan,
        channel: &[f32],
        louder: &[f32],
        from: usize,
        audible: Option<f64>,
    ) -> Vec<f32> {
        let frames: Vec<(usize, Vec<Complex<f32>>)> = (from..channel.len())
            .step_by(TAPS)
            .map(|start| (start, plan.transform(&self.around(louder, start), 0)))
            .collect();
        if let Some(audible) = audible {
            self.learn(plan, channel, louder, &frames, audible);
        }
        if self.frames < FROM {
            return vec![0.0; channel.len() - from];
        }
        let filter = plan.transform(&self.filter, 0);
        let mut predicted = Vec::with_capacity(frames.len() * TAPS);
        for (_, spectrum) in frames {
            let product = spectrum.iter().zip(&filter).map(|(a, b)| a * b).collect();
            // What the filter makes of the first half is wrapped round from the end.
            predicted.extend(plan.back(product)[TAPS..].iter().map(|x| x / TRANSFORM as f32));
        }
        predicted.truncate(channel.len() - from);
        predicted
    }

    /// A frame of the louder channel, where it is heard on the other, and the frame before it; nothing where it has not come yet.
    fn around(&self, louder: &[f32], start: usize) -> Vec<f32> {
        let first = start as i64 - TAPS as i64 - (self.lag - EARLY as i64);
        let inside = |at: i64| at.clamp(0, louder.len() as i64) as usize;
        let (from, to) = (inside(first), inside(first + TRANSFORM as i64));
        let mut around = vec![0.0; TRANSFORM];
        let at = (from as i64 - first).clamp(0, TRANSFORM as i64) as usize;
        around[at..at + to - from].copy_from_slice(&louder[from..to]);
        around
    }

    fn learn(
        &mut self,
        plan: &Plan,
        channel: &[f32],
        louder: &[f32],
        frames: &[(usize, Vec<Complex<f32>>)],
        audible: f64,
    ) {
        let frame = |start: usize| &channel[start..(start + TAPS).min(channel.len())];
        let both = |start: usize| {
            let around = self.around(louder, start);
            let (power, louder) = (crate::level::power(frame(start)), crate::level::power(&around[TAPS..]));
            (power > audible && louder > audible).then_some((power, around))
        };
        let heard: Vec<_> = frames.iter().filter_map(|(at, spectrum)| Some((*at, spectrum, both(*at)?))).collect();
        if heard.is_empty() {
            return;
        }
        self.frames = self.frames.saturating_add(heard.len());
        let mean = heard.iter().map(|(_, _, (power, _))| power).sum::<f64>() / heard.len() as f64;
        let none = || vec![Complex::<f32>::default(); TRANSFORM / 2 + 1];
        let (mut own, mut cross) = (none(), none());
        for (start, spectrum, (power, around)) in heard {
            let weight = (1.0 / (power + QUIET * mean)) as f32;
            let (channel, now) = (plan.transform(frame(start), TAPS), plan.transform(&around[TAPS..], TAPS));
            for (k, around) in spectrum.iter().enumerate() {
                let around = around.conj() * weight;
                cross[k] += channel[k] * around;
                own[k] += now[k] * around;
            }
        }
        let add = |sums: &mut [f64], new: Vec<f32>| {
            for (sum, new) in sums.iter_mut().zip(new) {
                *sum = FADE * *sum + f64::from(new);
            }
        };
        add(&mut self.own, plan.back(own));
        add(&mut self.cross, plan.back(cross));
        let filter = FLOORS.into_iter().find_map(|floor| solve(&self.own, floor, &self.cross));
        self.filter = filter.unwrap_or_else(|| vec![0.0; TAPS]);
        self.learned += 1;
    }
}

/// The filter x with T x = y, where T has the diagonals `row`, and `floor` as a share added to the middle one; none where T is not
/// positive: N. Levinson, "The Wiener RMS error criterion in filter design and prediction", 1947.
fn solve(row: &[f64], floor: f64, y: &[f64]) -> Option<Vec<f32>> {
    let top = row[0] * (1.0 + floor);
    let (mut x, mut forward) = (vec![y[0] / top], vec![1.0]);
    let mut error = top;
    for n in 1..y.len() {
        if error <= 0.0 {
            return None;
        }
        let reflection = -forward.iter().zip(row[1..=n].iter().rev()).map(|(a, r)| a * r).sum::<f64>() / error;
        forward.push(0.0);
        let backward: Vec<f64> = forward.iter().rev().copied().collect();
        forward.iter_mut().zip(&backward).for_each(|(a, b)| *a += reflection * b);
        error *= 1.0 - reflection * reflection;
        let missing = (y[n] - x.iter().zip(row[1..=n].iter().rev()).map(|(x, r)| x * r).sum::<f64>()) / error;
        x.push(0.0);
        x.iter_mut().zip(forward.iter().rev()).for_each(|(x, b)| *x += missing * b);
    }
    (error > 0.0).then(|| x.into_iter().map(|x| x as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_filter_is_found_again() {
        let louder = noise(40_000, 1);
        let paths = [(300usize, 0.5f32), (310, -0.2), (420, 0.1)];
        let heard =
            |n: usize| paths.iter().map(|&(at, gain)| n.checked_sub(at).map_or(0.0, |n| gain * louder[n])).sum();
        let channel: Vec<f32> = (0..louder.len()).map(heard).collect();
        let mut echo = Echo::new(302);
        let predicted = echo.predict(&Plan::new(), &channel, &louder, 4000, Some(1e-9));
        assert_eq!(predicted.len(), 36_000);
        let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|s| s * s).sum::<f32>();
        let left = power(&mut predicted.iter().zip(&channel[4000..]).map(|(p, c)| p - c));
        assert!(left < 1e-3 * power(&mut channel[4000..].iter().copied()), "{left}");
    }

    #[test]
    fn what_is_solved_solves() {
        let row: Vec<f64> = (0..40).map(|k| 0.9f64.powi(k)).collect();
        let y: Vec<f64> = noise(40, 3).into_iter().map(f64::from).collect();
        let x = solve(&row, 1e-3, &y).unwrap();
        for (i, y) in y.iter().enumerate() {
            let sum: f64 = x.iter().enumerate().map(|(k, x)| f64::from(*x) * row[i.abs_diff(k)]).sum();
            let floor = 1e-3 * f64::from(x[i]);
            assert!((sum + floor - y).abs() < 1e-4, "{i}: {sum} {y}");
        }
        assert_eq!(solve(&[1.0, 2.0, 1.0], 1e-3, &[1.0, 1.0, 1.0]), None);
    }
}
