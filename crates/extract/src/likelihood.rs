//! How likely a turn of a meeting is an action item, by our head over the sentence encoder, by the turn's words, and by
//! the talk around the turn.

mod words;

use crate::ExtractError;
use inference::{Device, InferenceError, Precision, TurnReader};
use std::path::Path;

/// Trained by `scripts/train-heads`; `models/heads/follow-ups.md` says on what, and how good it is.
const HEAD: &[u8] = include_bytes!("../../../models/heads/follow-ups.safetensors");
const NAME: &str = "models/heads/follow-ups.safetensors";

/// None, commitment, request, meeting.
const LABELS: usize = 4;
/// Those, what a turn's vector says of it as an action item, and what it says of the turns around it.
const OUTPUTS: usize = LABELS + 2;
/// What the talk around a turn is told by.
const AROUND: usize = 7;
/// Turns to each side among which the likeliest counts.
const NEAR: usize = 5;
/// Turns to each side over which means are taken.
const WIDE: usize = 10;
/// What is added before a logarithm, as in training.
const LEAST: f64 = 1e-3;

/// Tells which turns of a meeting are action items. `Send + Sync`.
pub struct Likelihood {
    head: TurnReader,
    words: Vec<f32>,
    weights: Vec<f64>,
    bias: f64,
    threshold: f32,
}

impl Likelihood {
    /// Over the encoder all-MiniLM-L6-v2 in this folder.
    ///
    /// # Errors
    /// A folder that does not hold that encoder.
    pub fn load(folder: &Path, device: &Device, precision: Precision) -> Result<Self, ExtractError> {
        let bad = |reason: String| ExtractError::Head { reason };
        let head = TurnReader::load(NAME, HEAD, folder, device, precision).map_err(|error| bad(error.to_string()))?;
        if head.labels() != OUTPUTS {
            return Err(bad(format!("{NAME} has {} labels; {OUTPUTS} are known", head.labels())));
        }
        let numbers = |key: &str, count: usize| {
            let found = head.numbers(key).filter(|numbers| numbers.len() == count);
            found.ok_or_else(|| bad(format!("{NAME}: {key} is not there, or not {count} numbers")))
        };
        let words = numbers("words.weight", words::PLACES)?.to_vec();
        let weights = numbers("context.weight", AROUND)?.iter().copied().map(f64::from).collect();
        let (bias, threshold) = (f64::from(numbers("context.bias", 1)?[0]), numbers("threshold", 1)?[0]);
        Ok(Self { head, words, weights, bias, threshold })
    }

    /// The probability from which a turn of a meeting counts as an action item: chosen on AMI's development meetings.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// The probability (0..1) of each turn of each talk that it would be noted as an action item, were the talk a
    /// meeting: by the turn, and by what is around it, since action items stand together and near the end. All turns are
    /// embedded together.
    ///
    /// # Errors
    /// What the encoder cannot compute.
    pub fn action_items(&self, talks: &[Vec<&str>]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut logits = self.logits(&talks.concat())?.into_iter();
        let probabilities = talks.iter().map(|talk| {
            let logits: Vec<Vec<f32>> = logits.by_ref().take(talk.len()).collect();
            let nearby: Vec<f64> = logits.iter().map(|turn| f64::from(turn[LABELS + 1])).collect();
            let alone = |(at, text): (usize, &&str)| {
                let words = words::log_odds(&self.words, text);
                logistic(f64::from(logits[at][LABELS]) + mean_around(&nearby, at) + words)
            };
            let items: Vec<f64> = talk.iter().enumerate().map(alone).collect();
            let probability = |at| {
                let odds = around(&items, at).iter().zip(&self.weights).map(|(x, weight)| x * weight).sum::<f64>();
                logistic(odds + self.bias) as f32
            };
            (0..items.len()).map(probability).collect()
        });
        Ok(probabilities.collect())
    }

    /// The head's logits of turns: none, commitment, request and meeting, which exclude each other; then what a turn's
    /// vector adds to the log odds that it is an action item, and, divided by the 21 turns of the mean, to those of the
    /// turns around it.
    ///
    /// # Errors
    /// What the encoder cannot compute.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.head.logits(texts, |_| Vec::new())
    }
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// The mean over a turn and `WIDE` turns to each side; turns beyond the talk count as 0.
fn mean_around(values: &[f64], at: usize) -> f64 {
    let span = &values[at.saturating_sub(WIDE)..values.len().min(at + WIDE + 1)];
    span.iter().sum::<f64>() / (2 * WIDE + 1) as f64
}

/// The turn's log odds; logarithms of the highest probability among the turns before, of that among those after, and of the mean
/// around it; where in the talk it is; whether near its end and its beginning. `context` in `scripts/heads/follow_ups.py`.
fn around(items: &[f64], at: usize) -> [f64; AROUND] {
    let sure = |p: &f64| p.clamp(1e-5, 1.0 - 1e-5);
    let span = |from: usize, to: usize| items[from..to.min(items.len())].iter().map(sure);
    let most = |from, to| (span(from, to).fold(0.0, f64::max) + LEAST).ln();
    let (own, count) = (sure(&items[at]), items.len() as f64);
    let mean = span(at.saturating_sub(WIDE), at + WIDE + 1).sum::<f64>() / (2 * WIDE + 1) as f64;
    let place = (at as f64 + 0.5) / count;
    [
        (own / (1.0 - own)).ln(),
        most(at.saturating_sub(NEAR), at),
        most(at + 1, at + 1 + NEAR),
        (mean + LEAST).ln(),
        place,
        f64::from(place > 0.9),
        f64::from(place < 0.1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_beyond_the_talk_count_as_nothing_in_a_mean() {
        assert_eq!(mean_around(&[42.0, 21.0], 1), 3.0);
        let long: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!([0, 50, 99].map(|at| mean_around(&long, at)), [55.0 / 21.0, 50.0, 1034.0 / 21.0]);
    }

    #[test]
    fn what_is_around_a_turn_is_that_of_training() {
        // By `context([0.1, 0.8, 0.3], [3])`.
        let items = [0.1, 0.8, 0.3];
        let expected = [
            [-2.197_224_6, -6.907_755_3, -0.221_894_3, -2.844_852_2, 0.166_666_7, 0.0, 0.0],
            [1.386_294_4, -2.292_634_8, -1.200_645_0, -2.844_852_2, 0.5, 0.0, 0.0],
            [-0.847_297_9, -0.221_894_3, -6.907_755_3, -2.844_852_2, 0.833_333_3, 0.0, 0.0],
        ];
        for (at, expected) in expected.iter().enumerate() {
            for (ours, theirs) in around(&items, at).iter().zip(expected) {
                assert!((ours - theirs).abs() < 1e-5, "turn {at}: {ours} here, {theirs} there");
            }
        }
        assert_eq!(around(&[0.5], 0)[1..3], [LEAST.ln(), LEAST.ln()]);
    }
}
