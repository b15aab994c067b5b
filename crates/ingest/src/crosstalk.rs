//! What one channel holds of another: a line that leaks, a mono call stored twice, two microphones in one room.
//!
//! The same words on two channels are to be heard once, on the louder one. Half a second at a time, each channel is held
//! against the loudest: where it is that one again, delayed and weaker, it is silenced. Half seconds in which both speak are
//! left alone, for there the quieter channel is not explained by the louder one.

use crate::level::{ACTIVE, power};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use schema::SAMPLE_RATE;
use std::{fmt, sync::Arc};

/// Samples that are judged at a time: 0.5 s.
const WINDOW: usize = SAMPLE_RATE / 2;
/// Samples by which one channel may lag behind the other: 125 ms, the echo of a long line.
const REACH: usize = SAMPLE_RATE / 8;
/// Pairs of samples are added up: speech is below 4 kHz on most lines, and half the samples are twice as fast.
const HALF: usize = 2;
/// Length of the transform: the window of the one, and that with the reach on both sides of the other.
const TRANSFORM: usize = 8192;
/// From this correlation on it is the same sound: two thirds of the power are explained by the other channel. Two voices
/// reach 0.5 for half a second.
const SAME: f64 = 0.8;
/// Of channels within 1 dB the first counts as the loudest.
const TIE: f64 = 1.26;
/// A channel is a copy if this share of what is heard on it is another's.
const COPY: f64 = 0.9;
/// Channels of the same sound may be recordings of one line where neither has more than this many times the power of the
/// other, 12 dB; an echo or a leak is weaker than that.
const ALIKE: f64 = 16.0;
/// Windows of its own after which a channel is taken not to be another again: 5 s of speech.
const OWN: u64 = 10;
/// Samples over which sound fades: 5 ms.
const FADE: usize = SAMPLE_RATE / 200;

/// All channels of one recording, block by block.
pub(crate) struct Crosstalk {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Windows in which each channel is heard.
    heard: Vec<u64>,
    /// Windows in which a channel is another again: by channel, and by that other.
    same: Vec<Vec<u64>>,
    /// Those of them in which the two are about as loud.
    alike: Vec<Vec<u64>>,
    /// Whether a channel was silenced at the end of the last block.
    silenced: Vec<bool>,
}

impl fmt::Debug for Crosstalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crosstalk").field("heard", &self.heard).field("same", &self.same).finish_non_exhaustive()
    }
}

impl Crosstalk {
    pub fn new(channels: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(TRANSFORM),
            inverse: planner.plan_fft_inverse(TRANSFORM),
            heard: vec![0; channels],
            same: vec![vec![0; channels]; channels],
            alike: vec![vec![0; channels]; channels],
            silenced: vec![false; channels],
        }
    }

    /// Silences what is heard twice in a block.
    pub fn silence(&mut self, block: &mut [Vec<f32>]) {
        if block.len() < 2 {
            return;
        }
        let length = block[0].len();
        let mut gates = vec![Vec::new(); block.len()];
        for start in (0..length).step_by(WINDOW) {
            let end = (start + WINDOW).min(length);
            let powers: Vec<f64> = block.iter().map(|channel| power(&channel[start..end])).collect();
            let top = powers.iter().copied().fold(0.0, f64::max);
            let loudest = powers.iter().position(|&p| p * TIE >= top).unwrap_or(0);
            let mut spectrum = None;
            for (channel, gate) in gates.iter_mut().enumerate() {
                let active = powers[channel] > ACTIVE;
                self.heard[channel] += u64::from(active);
                let same = active && channel != loudest && {
                    let spectrum = spectrum.get_or_insert_with(|| self.spectrum(&block[loudest], start, end));
                    self.correlation(spectrum, &block[channel][start..end]) >= SAME
                };
                self.same[channel][loudest] += u64::from(same);
                self.alike[channel][loudest] += u64::from(same && powers[channel] * ALIKE >= top);
                gate.push(same);
            }
        }
        for ((channel, gates), silenced) in block.iter_mut().zip(&gates).zip(&mut self.silenced) {
            for (window, &gate) in channel.chunks_mut(WINDOW).zip(gates) {
                fade(window, *silenced, gate);
                *silenced = gate;
            }
        }
    }

    /// The louder channel's window with what is around it, and its transform.
    fn spectrum(&self, channel: &[f32], start: usize, end: usize) -> (Vec<f32>, Vec<Complex<f32>>) {
        let mut around = vec![0.0; WINDOW + 2 * REACH];
        let (from, to) = (start.saturating_sub(REACH), (end + REACH).min(channel.len()));
        let at = REACH - (start - from);
        around[at..at + to - from].copy_from_slice(&channel[from..to]);
        let around = halved(&around);
        let spectrum = self.transform(&around);
        (around, spectrum)
    }

    /// The highest correlation of a window with the louder channel, over all lags.
    fn correlation(&self, (louder, spectrum): &(Vec<f32>, Vec<Complex<f32>>), window: &[f32]) -> f64 {
        let window = halved(window);
        let mut product = self.transform(&window);
        for (a, b) in product.iter_mut().zip(spectrum) {
            *a = b * a.conj();
        }
        let mut sums = self.inverse.make_output_vec();
        if self.inverse.process(&mut product, &mut sums).is_err() {
            return 0.0; // cannot be: the lengths are those of the plan
        }
        let square = |s: &f32| f64::from(*s) * f64::from(*s);
        let own: f64 = window.iter().map(square).sum();
        let mut other: f64 = louder[..window.len()].iter().map(square).sum();
        let mut best = 0.0f64;
        for (lag, &sum) in sums[..=2 * REACH / HALF].iter().enumerate() {
            let sum = f64::from(sum) / TRANSFORM as f64;
            best = best.max(sum.abs() / (own * other).sqrt().max(1e-9));
            let next = louder.get(lag + window.len()).map_or(0.0, square);
            other = (other + next - louder.get(lag).map_or(0.0, square)).max(0.0);
        }
        best
    }

    fn transform(&self, samples: &[f32]) -> Vec<Complex<f32>> {
        let mut input = self.forward.make_input_vec();
        input[..samples.len()].copy_from_slice(samples);
        let mut output = self.forward.make_output_vec();
        // Cannot fail: the lengths are those of the plan.
        let _ = self.forward.process(&mut input, &mut output);
        output
    }

    /// The channel that this one is a copy of.
    pub fn copy_of(&self, channel: usize) -> Option<usize> {
        let heard = self.heard[channel] as f64;
        self.same[channel].iter().position(|&same| same > 0 && same as f64 >= COPY * heard)
    }

    /// Whether two channels are one recording stored twice, whichever of them is the louder one, and be it now this one and now
    /// that: all that is heard on one of them is heard on the other.
    pub fn are_one(&self, a: usize, b: usize) -> bool {
        [self.own(a, b), self.own(b, a)]
            .iter()
            .any(|&(own, heard)| heard > 0 && own as f64 <= (1.0 - COPY) * heard as f64)
    }

    /// Whether each of two channels has had enough sound of its own, and more of it than of the other's, for it to be settled
    /// that they are not one recording.
    pub fn are_apart(&self, a: usize, b: usize) -> bool {
        [self.own(a, b), self.own(b, a)].iter().all(|&(own, heard)| own >= OWN && 2 * own >= heard)
    }

    /// Windows in which a channel is heard and is not another one again, and those in which it is heard.
    fn own(&self, channel: usize, other: usize) -> (u64, u64) {
        let heard = self.heard[channel];
        let others = self.same[channel][other] + self.alike[other][channel];
        (heard.saturating_sub(others), heard)
    }

    /// Share of what is heard on a channel that is another's; 0 where nothing is.
    pub fn share(&self, channel: usize) -> f64 {
        self.same[channel].iter().sum::<u64>() as f64 / self.heard[channel].max(1) as f64
    }
}

fn halved(samples: &[f32]) -> Vec<f32> {
    samples.chunks(HALF).map(|pair| pair.iter().sum()).collect()
}

/// Fades a window in or out from its start, or silences it.
fn fade(window: &mut [f32], before: bool, gate: bool) {
    if !before && !gate {
        return;
    }
    for (i, sample) in window.iter_mut().enumerate() {
        let share = (i as f32 / FADE as f32).min(1.0);
        *sample *= match (before, gate) {
            (true, true) => 0.0,
            (true, false) => share,
            _ => 1.0 - share,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Noise through a resonance that glides like a voice's, with pauses; another for each seed.
    fn voice(seconds: f64, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (mut one, mut two) = (0.0f64, 0.0f64);
        (0..(seconds * SAMPLE_RATE as f64) as usize)
            .map(|i| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let t = i as f64 / SAMPLE_RATE as f64;
                let turn = TAU * (500.0 + 300.0 * (TAU * (0.6 + 0.1 * seed as f64) * t).sin()) / SAMPLE_RATE as f64;
                let noise = (state % 2000) as f64 / 1000.0 - 1.0;
                let next = 1.9 * turn.cos() * one - 0.9025 * two + noise;
                (two, one) = (one, next);
                let on = if (t + seed as f64 * 0.7) % 4.0 < 2.0 { 1.0 } else { 0.0 };
                (0.01 * on * next) as f32
            })
            .collect()
    }

    fn run(mut channels: Vec<Vec<f32>>) -> (Crosstalk, Vec<Vec<f32>>) {
        let mut crosstalk = Crosstalk::new(channels.len());
        let mut out = vec![Vec::new(); channels.len()];
        while !channels[0].is_empty() {
            let length = channels[0].len().min(160_000);
            let mut block: Vec<Vec<f32>> = channels.iter_mut().map(|c| c.drain(..length).collect()).collect();
            crosstalk.silence(&mut block);
            out.iter_mut().zip(block).for_each(|(out, block)| out.extend(block));
        }
        (crosstalk, out)
    }

    fn delayed(sound: &[f32], by: usize, gain: f32) -> Vec<f32> {
        let mut out = vec![0.0; by];
        out.extend(sound[..sound.len() - by].iter().map(|s| s * gain));
        out
    }

    #[test]
    fn a_copy_is_heard_once() {
        let sound = voice(25.0, 1);
        for (by, gain) in [(0, 1.0), (0, -0.5), (700, 0.9), (1600, 0.2)] {
            let (crosstalk, out) = run(vec![sound.clone(), delayed(&sound, by, gain)]);
            assert_eq!((crosstalk.copy_of(0), crosstalk.copy_of(1)), (None, Some(0)), "{by} {gain} {crosstalk:?}");
            assert_eq!(out[0], sound);
            let left = power(&out[1]) / power(&sound) / f64::from(gain * gain);
            assert!(left < 0.1, "{by} {gain}: {left}");
        }
        // The louder one is kept, whichever it is.
        let (crosstalk, _) = run(vec![delayed(&sound, 0, 0.3), sound.clone()]);
        assert_eq!((crosstalk.copy_of(0), crosstalk.copy_of(1)), (Some(1), None));
    }

    #[test]
    fn one_recording_stored_twice_is_told_from_a_line_that_leaks() {
        let sound = voice(25.0, 1);
        // Also where an automatic gain makes now the one and now the other the louder one.
        let swaying = |at: f64| -> Vec<f32> {
            let gain = |i: usize| 0.5 + 0.2 * (i as f64 / 32_000.0 + at).sin();
            sound.iter().enumerate().map(|(i, s)| s * gain(i) as f32).collect()
        };
        for pair in [
            vec![sound.clone(), sound.clone()],
            vec![sound.clone(), delayed(&sound, 300, 0.9)],
            vec![delayed(&sound, 0, 0.15), sound.clone()],
            vec![swaying(0.0), swaying(3.0)],
        ] {
            let (crosstalk, _) = run(pair);
            assert!(crosstalk.are_one(0, 1) && crosstalk.are_one(1, 0), "{crosstalk:?}");
            assert!(!crosstalk.are_apart(0, 1), "{crosstalk:?}");
        }
        // Each is heard on the other's channel too, 20 dB below.
        let (agent, customer) = (voice(40.0, 1), voice(40.0, 3));
        let with = |own: &[f32], other: &[f32]| -> Vec<f32> {
            own.iter().zip(delayed(other, 300, 0.1)).map(|(own, other)| own + other).collect()
        };
        for pair in [vec![agent.clone(), customer.clone()], vec![with(&agent, &customer), with(&customer, &agent)]] {
            let (crosstalk, _) = run(pair);
            assert!(!crosstalk.are_one(0, 1) && crosstalk.are_apart(0, 1), "{crosstalk:?}");
        }
        // Nobody speaks on the one: nothing of it is on the other.
        let (crosstalk, _) = run(vec![agent, vec![0.0; 640_000]]);
        assert!(!crosstalk.are_one(0, 1) && !crosstalk.are_apart(0, 1));
    }

    #[test]
    fn two_voices_are_left_alone() {
        let channels = vec![voice(40.0, 1), voice(40.0, 2)];
        let (crosstalk, out) = run(channels.clone());
        assert_eq!(out, channels, "{crosstalk:?}");
        assert_eq!((crosstalk.share(0), crosstalk.share(1)), (0.0, 0.0));
    }

    #[test]
    fn a_leak_is_silenced_and_the_voice_beside_it_is_not() {
        let (agent, customer) = (voice(40.0, 1), voice(40.0, 3));
        let mixed: Vec<f32> = customer.iter().zip(delayed(&agent, 300, 0.1)).map(|(c, a)| c + a).collect();
        let (crosstalk, out) = run(vec![agent.clone(), mixed]);
        assert!(crosstalk.copy_of(1).is_none() && crosstalk.share(1) > 0.1, "{crosstalk:?}");
        assert_eq!(out[0], agent);
        let spoken = |window: &[f32]| power(window) > 1e-5;
        for ((window, own), other) in out[1].chunks(WINDOW).zip(customer.chunks(WINDOW)).zip(agent.chunks(WINDOW)) {
            if spoken(own) && !spoken(other) {
                assert!(power(window) > 0.5 * power(own));
            }
        }
    }
}
