//! What is heard on a channel beside what a louder channel predicts of it: which stretches are an echo and nothing else.

use crate::{lags::Lag, level::power};
use schema::SAMPLE_RATE;

/// Samples that are silenced together or not: 25 ms.
pub(crate) const UNIT: usize = SAMPLE_RATE / 40;
/// Samples of a unit then.
pub(crate) const SHORT: usize = UNIT / 2;
/// Samples at 8 kHz that are kept of the blocks before: 0.77 s, what the longest lag and its filter reach back.
pub(crate) const KEPT: usize = 6144;
/// Units before and after a unit by which it is judged. One of the three stretches of 275 ms must tell: speech of one's own on the
/// one side of an echo is none on the other.
const STRETCHES: [(usize, usize); 3] = [(5, 5), (8, 2), (2, 8)];
/// From this correlation with what is predicted on it is the same sound: more than half of the power is explained by the other
/// channel. Of two voices on channels of their own nothing was taken for an echo from 0.7 on, read or synthesized.
const SAME: f64 = 0.75;
/// An echo may be this many times as loud as predicted, or as faint: an automatic gain. It is no power, but a size.
const SWAY: f64 = 4.0;
/// A unit with this many times the power that is predicted around it holds something else as well: 6 dB.
const ELSE: f64 = 4.0;
/// What is left of the power of an echo a unit later: 2.6 dB less, a room that falls silent in 0.6 s.
const DECAY: f64 = 0.55;
/// Once there is an echo, what is no louder than this many times its power and that of its tail is not told from it.
const TAIL: f64 = 2.0;
/// The same for what is left between two silenced stretches, in units, and the power that it may have: a breath of no word.
const GAP: usize = 6;
const GAP_POWER: f64 = 8.0;
/// Units of an echo in a block from which on its tails count: 0.2 s.
const TAILS_FROM: usize = 8;
/// Share of what is heard in a block that must be an echo for its end to be one, where the louder channel has not come yet.
const ENDS: f64 = 0.9;
/// Of channels within 1 dB the first counts as the louder.
pub(crate) const TIE: f64 = 1.26;

/// One channel predicted from a louder one, in units.
pub(crate) struct Guess {
    pub channel: usize,
    pub louder: usize,
    /// Power of the channel, of what is predicted, of the two together, and of the louder channel where it is heard on this one.
    own: Vec<f64>,
    predicted: Vec<f64>,
    both: Vec<f64>,
    source: Vec<f64>,
    /// Units whose source has come.
    known: usize,
}

impl Guess {
    pub fn new(pair: Lag, lag: i64, channel: &[f32], louder: &[f32], predicted: &[f32]) -> Self {
        let channel_now = &channel[KEPT..];
        let at = |from: usize| (KEPT + from) as i64 - lag;
        let source = |unit: usize, length: usize| {
            let inside = |at: i64| at.clamp(0, louder.len() as i64) as usize;
            let from = at(unit * SHORT);
            energy(&louder[inside(from)..inside(from + length as i64)])
        };
        let units: Vec<(&[f32], &[f32])> = channel_now.chunks(SHORT).zip(predicted.chunks(SHORT)).collect();
        Self {
            channel: pair.channel,
            louder: pair.louder,
            own: units.iter().map(|(own, _)| energy(own)).collect(),
            predicted: units.iter().map(|(_, predicted)| energy(predicted)).collect(),
            both: units.iter().map(|(own, predicted)| product(own, predicted)).collect(),
            source: units.iter().enumerate().map(|(unit, (own, _))| source(unit, own.len())).collect(),
            known: units.len() - usize::try_from(-lag).unwrap_or(0).div_ceil(SHORT).min(units.len()),
        }
    }

    /// Whether a stretch around a unit is predicted, and how many times as loud as predicted it is.
    fn same(&self, unit: usize, (before, after): (usize, usize), one: bool) -> Option<f64> {
        let stretch = unit.saturating_sub(before)..(unit + after + 1).min(self.own.len());
        let sum = |of: &[f64]| of[stretch.clone()].iter().sum::<f64>();
        let (own, predicted, both) = (sum(&self.own), sum(&self.predicted), sum(&self.both));
        let gain = both / predicted.max(f64::MIN_POSITIVE);
        let is_same = both >= SAME * (own * predicted).sqrt()
            && (1.0 / SWAY..=SWAY).contains(&gain)
            && (one || own <= TIE * sum(&self.source));
        is_same.then_some(gain * gain)
    }

    /// How many times the power of a unit's prediction is heard where the unit is an echo and nothing else.
    fn is_echo(&self, unit: usize, one: bool) -> Option<f64> {
        let near = unit.saturating_sub(1)..(unit + 2).min(self.own.len());
        let predicted = self.predicted[near].iter().copied().fold(0.0, f64::max);
        STRETCHES
            .into_iter()
            .filter_map(|stretch| self.same(unit, stretch, one))
            .find(|gain| self.own[unit] <= ELSE * gain * predicted)
    }

    /// Share of the units in which both are heard, and the channel is the quieter one, that are an echo.
    pub fn explained(&self, audible: f64) -> f64 {
        let heard = |&unit: &usize| self.own[unit] > audible && self.source[unit] > self.own[unit];
        let (mut all, mut same) = (0.0, 0.0);
        for unit in (0..self.known).filter(heard) {
            all += 1.0;
            same += f64::from(u8::from(self.same(unit, STRETCHES[0], true).is_some()));
        }
        if all == 0.0 { 1.0 } else { same / all }
    }

    /// By how much the path makes sound louder; a size.
    pub fn gain(&self) -> f64 {
        let sum = |of: &[f64]| of[..self.known].iter().sum::<f64>();
        (sum(&self.predicted) / sum(&self.source).max(f64::MIN_POSITIVE)).sqrt()
    }

    /// Whether the channel is the quieter one of the block; of two within 1 dB the later.
    pub fn is_quieter(&self) -> bool {
        let (own, source): (f64, f64) = (self.own.iter().sum(), self.source.iter().sum());
        if self.channel > self.louder { own <= TIE * source } else { own * TIE < source }
    }

    /// Marks the units of the channel that are an echo. `one`: both are one recording, and it is settled which is left out.
    pub fn mark(&self, marks: &mut [Option<usize>], one: bool, audible: f64) {
        let mut echo: Vec<Option<f64>> = (0..self.known).map(|unit| self.is_echo(unit, one)).collect();
        echo.resize(self.own.len(), None);
        let mark = |mark: &mut Option<usize>| *mark = mark.or(Some(self.louder));
        let sum = |of: &[f64]| of.iter().zip(&echo).filter(|(_, echo)| echo.is_some()).map(|(power, _)| power).sum();
        let (own, predicted): (f64, f64) = (sum(&self.own), sum(&self.predicted));
        let tails = echo.iter().flatten().count() >= TAILS_FROM;
        let (mut tail, mut last, mut heard, mut echoes) = (0.0f64, None, 0u32, 0u32);
        for unit in 0..self.known {
            tail = (self.predicted[unit] * own / predicted.max(f64::MIN_POSITIVE)).max(DECAY * tail);
            heard += u32::from(self.own[unit] > audible);
            let in_tail = tails && self.own[unit] > 0.0 && self.own[unit] <= TAIL * tail;
            if echo[unit].is_none() && !in_tail {
                continue;
            }
            echoes += u32::from(self.own[unit] > audible);
            mark(&mut marks[unit]);
            if let Some(last) = last.replace(unit)
                && tails
                && unit - last <= GAP
                && (last + 1..unit).all(|gap| self.own[gap] <= GAP_POWER * tail.max(self.predicted[gap]))
            {
                marks[last + 1..unit].iter_mut().for_each(mark);
            }
        }
        if f64::from(echoes) >= ENDS * f64::from(heard) && tails {
            marks[self.known..].iter_mut().for_each(mark);
        }
    }
}

fn energy(samples: &[f32]) -> f64 {
    power(samples) * samples.len() as f64
}

/// The sum of the products of samples.
fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
