//! How far word times are off.

use crate::wer::{Step, align};
use serde::{Deserialize, Serialize};

/// A word and when it begins.
pub(crate) struct TimedWord<'a> {
    pub text: &'a str,
    pub start_ms: i64,
}

/// Absolute errors of the start times of words that were recognized right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeErrors {
    /// Words compared: those that the alignment pairs with the same word.
    pub words: u64,
    /// Median error in milliseconds; null without words.
    pub median_ms: Option<i64>,
    /// The error that 95 % of the words do not exceed, in milliseconds; null without words.
    pub p95_ms: Option<i64>,
}

impl TimeErrors {
    /// Sums up errors; quantiles are those of the nearest rank.
    pub fn of(mut errors_ms: Vec<i64>) -> Self {
        errors_ms.sort_unstable();
        let count = errors_ms.len();
        let rank = |percent: usize| errors_ms.get((count * percent).div_ceil(100).saturating_sub(1)).copied();
        Self { words: count as u64, median_ms: rank(50), p95_ms: rank(95) }
    }
}

/// A word without case and punctuation.
fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').flat_map(char::to_lowercase).collect()
}

/// The absolute difference of start times, in milliseconds, of every word that both sides have in the same place.
pub(crate) fn start_errors(reference: &[TimedWord], hypothesis: &[TimedWord]) -> Vec<i64> {
    let words = |side: &[TimedWord]| side.iter().map(|word| bare(word.text)).collect::<Vec<_>>();
    let steps = align(&words(reference), &words(hypothesis));
    let equal = steps.into_iter().filter_map(|step| match step {
        Step::Equal(i, j) => Some((reference[i].start_ms - hypothesis[j].start_ms).abs()),
        _ => None,
    });
    equal.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_are_right_count() {
        let side = |words: &[(&'static str, i64)]| -> Vec<TimedWord<'static>> {
            words.iter().map(|&(text, start_ms)| TimedWord { text, start_ms }).collect()
        };
        let reference = side(&[("Hello,", 100), ("it's", 400), ("me", 700)]);
        let errors = start_errors(&reference, &side(&[("hello", 90), ("its", 900), ("Me.", 760)]));
        assert_eq!(errors, [10, 60]);
        assert_eq!(TimeErrors::of(errors), TimeErrors { words: 2, median_ms: Some(10), p95_ms: Some(60) });
        assert_eq!(TimeErrors::of((1..=100).collect()).p95_ms, Some(95));
        assert_eq!(TimeErrors::of(vec![]), TimeErrors::default());
    }
}
