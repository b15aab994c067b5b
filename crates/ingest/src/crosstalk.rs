//! What one channel holds of another: a line that leaks, an echo, a mono call stored twice, two microphones in one room.
//!
//! The same words on two channels are to be heard once, on the louder one. The lag between two channels is found
//! (`lags.rs`), then the filter that makes the one out of the other (`echo.rs`). Where what it predicts is what is heard
//! (`guess.rs`), the quieter channel is silenced, 25 ms at a time. Where both speak it is left alone, for there the quieter channel is not
//! explained by the louder one.

use crate::{
    echo::{Echo, Plan},
    guess::{Guess, KEPT, SHORT, TIE, UNIT},
    lags::{Lag, Lags},
    level::{ACTIVE, power},
};
use schema::SAMPLE_RATE;
use std::{collections::BTreeMap, fmt};

/// Units that are counted together: 0.5 s.
const WINDOW: usize = 20;
/// Pairs of samples are added up: speech is below 4 kHz on most lines, and half the samples are twice as fast.
const HALF: usize = 2;
/// Channels that are made out of each other without getting weaker, both ways together by no more than this, are one.
const ONE_PATH: f64 = 0.6;
/// Paths there and back of one length, in samples at 8 kHz.
const ONE_LAG: u64 = 8;
/// A filter that was made so often, and explains this share of what is heard on the quieter channel while the louder one speaks,
/// is not made anew.
const LEARNED: u32 = 2;
const GOOD: f64 = 0.9;
/// Share of a window's power that is another channel's from which on the window is.
const MOST: f64 = 0.8;
/// Power below that of the loudest window so far, as its share, at which nothing is heard, but not above [`ACTIVE`] and not below
/// -80 dB of full scale: a recording made with the microphone turned down is compared as well.
const AUDIBLE: f64 = 1e-4;
const LEAST_AUDIBLE: f64 = 1e-8;
/// A channel is a copy if this share of what is heard on it is another's,
const COPY: f64 = 0.9;
/// or if this share of the power is, in no fewer than half of the windows: the rest is noise of its own.
const COPY_POWER: f64 = 0.98;
/// Channels of the same sound may be recordings of one line where neither has more than this many times the power of the
/// other, 12 dB; an echo or a leak is weaker than that.
const ALIKE: f64 = 16.0;
/// Windows of its own after which a channel is taken not to be another again: 5 s of speech.
const OWN: u64 = 10;
/// Samples over which sound fades: 5 ms.
const FADE: usize = SAMPLE_RATE / 200;

/// All channels of one recording, block by block.
pub(crate) struct Crosstalk {
    plan: Plan,
    lags: Lags,
    /// By channel, and by the louder one whose echo it has.
    echoes: BTreeMap<(usize, usize), Echo>,
    /// The end of what was heard before, at 8 kHz.
    past: Vec<Vec<f32>>,
    /// Power of the loudest window.
    top: f64,
    /// Windows in which each channel is heard, and their power.
    heard: Vec<u64>,
    power: Vec<f64>,
    /// Windows in which a channel is another again: by channel, and by that other; and their power.
    same: Vec<Vec<u64>>,
    same_power: Vec<Vec<f64>>,
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
        Self {
            plan: Plan::new(),
            lags: Lags::new(),
            echoes: BTreeMap::new(),
            past: vec![vec![0.0; KEPT]; channels],
            top: 0.0,
            heard: vec![0; channels],
            power: vec![0.0; channels],
            same: vec![vec![0; channels]; channels],
            same_power: vec![vec![0.0; channels]; channels],
            alike: vec![vec![0; channels]; channels],
            silenced: vec![false; channels],
        }
    }

    /// Silences what is heard twice in a block.
    pub fn silence(&mut self, block: &mut [Vec<f32>]) {
        if block.len() < 2 {
            return;
        }
        let windows = |samples: &Vec<f32>| samples.chunks(UNIT * WINDOW).map(power).collect::<Vec<f64>>();
        let powers: Vec<Vec<f64>> = block.iter().map(windows).collect();
        self.top = powers.iter().flatten().copied().fold(self.top, f64::max);
        let audible = (self.top * AUDIBLE).clamp(LEAST_AUDIBLE, ACTIVE);
        let marks = self.marks(block, audible);
        self.count(&powers, &marks, block, audible);
        for ((channel, marks), silenced) in block.iter_mut().zip(&marks).zip(&mut self.silenced) {
            for (unit, mark) in channel.chunks_mut(UNIT).zip(marks) {
                fade(unit, *silenced, mark.is_some());
                *silenced = mark.is_some();
            }
        }
    }

    /// For each unit of each channel the louder channel of which it is an echo.
    fn marks(&mut self, block: &[Vec<f32>], audible: f64) -> Vec<Vec<Option<usize>>> {
        let mut marks = vec![vec![None; block[0].len().div_ceil(UNIT)]; block.len()];
        let sound: Vec<Vec<f32>> = block
            .iter()
            .zip(&self.past)
            .map(|(samples, past)| past.iter().copied().chain(halved(samples)).collect())
            .collect();
        let slow: Vec<Vec<f32>> = sound.iter().map(|samples| halved(samples).collect()).collect();
        let found = self.lags.hear(&slow, KEPT / HALF, audible, TIE);
        let guesses: Vec<Guess> = found.iter().map(|lag| self.guess(*lag, &sound, audible)).collect();
        for guess in &guesses {
            let back = guesses.iter().find(|other| (other.channel, other.louder) == (guess.louder, guess.channel));
            let one = back.is_some_and(|back| self.is_one_path(guess, back));
            if one && !guess.is_quieter() {
                continue; // the other way round
            }
            guess.mark(&mut marks[guess.channel], one, audible * SHORT as f64);
        }
        for (past, sound) in self.past.iter_mut().zip(sound) {
            past.copy_from_slice(&sound[sound.len() - KEPT..]);
        }
        marks
    }

    /// Predicts a channel from a louder one.
    fn guess(&mut self, lag: Lag, sound: &[Vec<f32>], audible: f64) -> Guess {
        let samples = lag.samples * HALF as i64;
        let echo = self.echoes.entry((lag.channel, lag.louder)).or_insert_with(|| Echo::new(samples));
        if !echo.is_at(samples) {
            *echo = Echo::new(samples);
        }
        let (channel, louder) = (&sound[lag.channel], &sound[lag.louder]);
        if echo.learned >= LEARNED {
            let predicted = echo.predict(&self.plan, channel, louder, KEPT, None);
            let guess = Guess::new(lag, echo.lag, channel, louder, &predicted);
            if guess.explained(audible * SHORT as f64) >= GOOD {
                return guess;
            }
        }
        let predicted = echo.predict(&self.plan, channel, louder, KEPT, Some(audible));
        Guess::new(lag, echo.lag, channel, louder, &predicted)
    }

    /// Whether each of two channels is made out of the other on the same path: one recording, on both.
    fn is_one_path(&self, there: &Guess, back: &Guess) -> bool {
        let lag = |guess: &Guess| self.echoes.get(&(guess.channel, guess.louder)).map_or(0, |echo| echo.lag);
        (lag(there) + lag(back)).unsigned_abs() <= ONE_LAG && there.gain() * back.gain() >= ONE_PATH
    }

    /// Counts the windows of a block.
    fn count(&mut self, powers: &[Vec<f64>], marks: &[Vec<Option<usize>>], block: &[Vec<f32>], audible: f64) {
        for (channel, (powers_of, marks)) in powers.iter().zip(marks).enumerate() {
            for (window, (&heard, marks)) in powers_of.iter().zip(marks.chunks(WINDOW)).enumerate() {
                if heard <= audible {
                    continue;
                }
                self.heard[channel] += 1;
                self.power[channel] += heard;
                let Some(louder) = marks.iter().copied().flatten().next() else { continue };
                let units = block[channel][window * WINDOW * UNIT..].chunks(UNIT).zip(marks);
                let (mut others, mut all) = (0.0, 0.0);
                for (unit, mark) in units {
                    let energy = power(unit) * unit.len() as f64;
                    all += energy;
                    others += if mark.is_some() { energy } else { 0.0 };
                }
                if others >= MOST * all {
                    self.same[channel][louder] += 1;
                    self.same_power[channel][louder] += heard;
                    self.alike[channel][louder] += u64::from(heard * ALIKE >= powers[louder][window]);
                }
            }
        }
    }

    /// The channel that this one is a copy of.
    pub fn copy_of(&self, channel: usize) -> Option<usize> {
        let (heard, power) = (self.heard[channel] as f64, self.power[channel]);
        let is_copy = |&(&same, &same_power): &(&u64, &f64)| {
            let (share, of_power) = (same as f64 / heard, same_power / power);
            same > 0 && (share >= COPY || of_power >= COPY_POWER && share >= 0.5)
        };
        self.same[channel].iter().zip(&self.same_power[channel]).position(|same| is_copy(&same))
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

/// Half as many samples a second.
fn halved(samples: &[f32]) -> impl Iterator<Item = f32> + '_ {
    samples.chunks(HALF).map(|pair| pair.iter().sum::<f32>() / HALF as f32)
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

    /// What a room or a telephone makes of a sound: some paths, and a low-pass or what it leaves.
    fn filtered(sound: &[f32], paths: &[(usize, f32)], low: f32, high: bool) -> Vec<f32> {
        let mut state = 0.0;
        (0..sound.len())
            .map(|i| {
                let sum =
                    paths.iter().map(|&(at, gain)| i.checked_sub(at).map_or(0.0, |i| gain * sound[i])).sum::<f32>();
                state += low * (sum - state);
                if high { sum - state } else { state }
            })
            .collect()
    }

    #[test]
    fn an_echo_is_heard_once_however_late_faint_and_filtered() {
        let (agent, customer) = (voice(40.0, 1), voice(40.0, 3));
        let room = [(1300, 0.2), (1371, -0.1), (1502, 0.08), (1780, -0.05), (2100, 0.03)];
        for (paths, low, high) in [
            (&[(640, 0.25)][..], 0.3, false),
            (&[(3200, -0.1)][..], 1.0, false),
            (&[(5600, 0.5)][..], 0.15, true),
            (&[(9600, 0.06)][..], 1.0, false),
            (&room[..], 0.5, false),
        ] {
            let echo = filtered(&agent, paths, low, high);
            let (crosstalk, out) = run(vec![agent.clone(), echo.clone()]);
            assert_eq!((crosstalk.copy_of(0), crosstalk.copy_of(1)), (None, Some(0)), "{paths:?} {crosstalk:?}");
            assert!(crosstalk.are_one(0, 1) && !crosstalk.are_apart(0, 1), "{paths:?} {crosstalk:?}");
            assert_eq!(out[0], agent, "{paths:?}");
            assert!(power(&out[1]) < 0.02 * power(&echo), "{paths:?}: {}", power(&out[1]) / power(&echo));
            // Beside a voice of its own the echo goes, and the voice stays.
            let mixed: Vec<f32> = customer.iter().zip(&echo).map(|(customer, echo)| customer + echo).collect();
            let (crosstalk, out) = run(vec![agent.clone(), mixed]);
            assert!(crosstalk.copy_of(1).is_none() && !crosstalk.are_one(0, 1), "{paths:?} {crosstalk:?}");
            let units =
                out[1].chunks(WINDOW * UNIT).zip(echo.chunks(WINDOW * UNIT)).zip(customer.chunks(WINDOW * UNIT));
            let (mut own, mut kept, mut echoes, mut left) = (0.0, 0.0, 0.0, 0.0);
            for ((out, echo), customer) in units {
                if power(echo) < 0.001 * power(customer) {
                    own += power(customer);
                    kept += power(out);
                } else if power(customer) == 0.0 {
                    echoes += power(echo);
                    left += power(out);
                }
            }
            assert!(kept > 0.9 * own && left < 0.1 * echoes, "{paths:?}: kept {}, left {}", kept / own, left / echoes);
        }
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
        for ((window, own), other) in out[1].chunks(8000).zip(customer.chunks(8000)).zip(agent.chunks(8000)) {
            if spoken(own) && !spoken(other) {
                assert!(power(window) > 0.5 * power(own));
            }
        }
    }
}
