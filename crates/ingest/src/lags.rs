//! By how much one channel lags behind another, if it repeats it at all.
//!
//! Stretches of 0.8 s are correlated with what is around them on the loudest channel, each frequency counting the same whatever
//! its power (the phase transform of Knapp and Carter, "The generalized correlation method for estimation of time delay",
//! 1976), and added up over the recording. So a filtered and faint echo has a peak as sharp as a copy has, and one that
//! is heard only while the other side is silent stands out as well.

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{collections::BTreeMap, sync::Arc};

/// Samples a second here: the phases of speech below 2 kHz say enough, and half the samples are twice as fast.
const RATE: usize = 4000;
/// Samples that are compared at a time: 0.8 s.
const STRETCH: usize = RATE * 4 / 5;
/// Samples by which a channel may lag behind or be ahead: 624 ms, a call over two satellites or mobile networks.
pub(crate) const REACH: usize = (TRANSFORM - STRETCH) / 2;
/// Length of the transform: a stretch, and the reach on both sides of it.
const TRANSFORM: usize = 8192;
/// What lies around the peak is no measure of chance: 50 ms, the first reflections of a room.
const AROUND: usize = RATE / 20;
/// A peak so many times as high as what chance gives, as a root of a mean square, is a lag. Over ten seconds, two voices
/// reach 4 to 6; echoes 10 to 30 dB below the voice that they share the channel with, filtered and coded by Opus, have 48 and more.
const PEAK: f32 = 9.0;
/// What was heard before counts half as much with each block.
const FADE: f32 = 0.5;
/// Blocks without a lag after which only every third stretch is compared, which still tells an echo in the block in which it begins.
const CLEAN: u32 = 3;
const SELDOM: usize = 3;
/// Frequencies that are looked at, in Hz: below is hum, above the filter that halves the rate.
const BAND: (usize, usize) = (200, 1900);

/// The lags between all channels of a recording.
pub(crate) struct Lags {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Phases of a channel against a louder one, added up.
    phases: BTreeMap<(usize, usize), Vec<Complex<f32>>>,
    /// Blocks that were compared since one in which there was a lag.
    clean: u32,
    /// Blocks heard.
    blocks: usize,
}

/// That a channel lags behind a louder one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lag {
    pub channel: usize,
    pub louder: usize,
    /// Samples at 4 kHz; below 0: it is ahead.
    pub samples: i64,
}

impl Lags {
    pub fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(TRANSFORM),
            inverse: planner.plan_fft_inverse(TRANSFORM),
            phases: BTreeMap::new(),
            clean: 0,
            blocks: 0,
        }
    }

    /// Hears a block, at 4 kHz, of which the first `before` samples were heard already; `audible` is the power from which on
    /// a stretch counts. Gives the pairs of which one is found in the other.
    pub fn hear(&mut self, sound: &[Vec<f32>], before: usize, audible: f64, tie: f64) -> Vec<Lag> {
        for phases in self.phases.values_mut() {
            for phase in phases {
                *phase *= FADE;
            }
        }
        let length = sound[0].len();
        let (skip, step) = if self.clean < CLEAN { (0, 1) } else { (self.blocks % SELDOM, SELDOM) };
        self.blocks += 1;
        let mut compared = false;
        for start in (before..length).step_by(STRETCH).skip(skip).step_by(step) {
            let end = (start + STRETCH).min(length);
            let (from, to) = (start.saturating_sub(REACH), (end + REACH).min(length));
            let powers: Vec<f64> = sound.iter().map(|s| energy(&s[from..to])).collect();
            let top = powers.iter().copied().fold(0.0, f64::max);
            let louder = powers.iter().position(|&power| power * tie >= top).unwrap_or(0);
            let mut around = None;
            for (channel, samples) in sound.iter().enumerate() {
                let stretch = &samples[start..end];
                if channel == louder || energy(stretch) <= audible * stretch.len() as f64 {
                    continue;
                }
                compared = true;
                let around = around.get_or_insert_with(|| {
                    // What is missing on the left keeps its place.
                    self.transform(&sound[louder][from..to], REACH - (start - from))
                });
                let stretch = self.transform(stretch, 0);
                let none = || vec![Complex::default(); TRANSFORM / 2 + 1];
                let phases = self.phases.entry((channel, louder)).or_insert_with(none);
                for ((sum, a), b) in phases.iter_mut().zip(&stretch).zip(&*around).take(bin(BAND.1)).skip(bin(BAND.0)) {
                    let product = a * b.conj();
                    *sum += product / product.norm_sqr().sqrt().max(f32::MIN_POSITIVE);
                }
            }
        }
        let lag = |(&(channel, louder), phases): (&(usize, usize), &Vec<Complex<f32>>)| {
            Some(Lag { channel, louder, samples: self.peak(phases)? })
        };
        let found: Vec<Lag> = self.phases.iter().filter_map(lag).collect();
        self.clean = if found.is_empty() { self.clean + u32::from(compared) } else { 0 };
        found
    }

    /// The lag at which phases agree.
    fn peak(&self, phases: &[Complex<f32>]) -> Option<i64> {
        let mut phases = phases.to_vec();
        let mut sums = self.inverse.make_output_vec();
        self.inverse.process(&mut phases, &mut sums).ok()?;
        // A lag of n samples stands at n - REACH, counted from the end where that is below 0.
        let reach = REACH as i64;
        let at = |lag: i64| sums[(lag - reach).rem_euclid(TRANSFORM as i64) as usize];
        let lag = (-reach..=reach).max_by(|&a, &b| at(a).abs().total_cmp(&at(b).abs()))?;
        let apart = |other: &i64| other.abs_diff(lag) > AROUND as u64;
        let (sum, count) = (-reach..=reach)
            .filter(apart)
            .fold((0.0f32, 0u32), |(sum, count), other| (sum + at(other) * at(other), count + 1));
        let chance = (sum / count.max(1) as f32).sqrt();
        (at(lag).abs() > PEAK * chance.max(f32::MIN_POSITIVE)).then_some(lag)
    }

    fn transform(&self, samples: &[f32], at: usize) -> Vec<Complex<f32>> {
        let mut input = self.forward.make_input_vec();
        input[at..at + samples.len()].copy_from_slice(samples);
        let mut output = self.forward.make_output_vec();
        // Cannot fail: the lengths are those of the plan.
        let _ = self.forward.process(&mut input, &mut output);
        output
    }
}

/// The bin of a frequency.
const fn bin(hertz: usize) -> usize {
    hertz * TRANSFORM / RATE
}

fn energy(samples: &[f32]) -> f64 {
    crate::level::power(samples) * samples.len() as f64
}
