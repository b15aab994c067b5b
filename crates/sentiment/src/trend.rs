//! From turns to a trend per speaker.

use crate::vader::{Score, round};
use schema::{SentimentTrend, Turn};
use std::collections::BTreeMap;

/// The scale of `sentiment_trends`: a compound score of 1 is 5.
const SCALE: f64 = 5.0;

/// A turn with its score.
#[derive(Clone, Copy, Debug)]
pub struct ScoredTurn<'a> {
    /// The turn.
    pub turn: &'a Turn,
    /// Its score.
    pub score: Score,
}

/// A mean weighted by words: a long complaint weighs more than the "okay" after it.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    words: f64,
}

impl Mean {
    fn add(&mut self, turn: &ScoredTurn<'_>) {
        let words = turn.turn.text.split_whitespace().count() as f64;
        self.sum += f64::from(turn.score.compound) * words;
        self.words += words;
    }

    /// The mean on the scale -5..5.
    fn get(self) -> Option<f32> {
        (self.words > 0.0).then(|| round(SCALE * self.sum / self.words))
    }
}

/// One trend per speaker who said a word, in the order of the speakers' names.
///
/// A score is the mean of the turns' compound scores, weighted by words, times 5. A turn belongs to the quarter of the call
/// that its middle falls into; `duration_ms` is the call's, and the end of the last turn where that is later or unknown.
pub fn trends(call_id: &str, turns: &[ScoredTurn<'_>], duration_ms: Option<i64>) -> Vec<SentimentTrend> {
    let last = turns.iter().map(|t| t.turn.end_ms).max().unwrap_or(0);
    let duration = duration_ms.unwrap_or(0).max(last).max(1);
    let mut speakers: BTreeMap<&str, (Option<&str>, Mean, [Mean; 4])> = BTreeMap::new();
    for turn in turns {
        let speaker = speakers.entry(&turn.turn.speaker).or_default();
        speaker.0 = speaker.0.or(turn.turn.role.as_deref());
        speaker.1.add(turn);
        let middle = turn.turn.start_ms.midpoint(turn.turn.end_ms).clamp(0, duration);
        let quarter = (i128::from(middle) * 4 / i128::from(duration)).clamp(0, 3) as usize;
        speaker.2[quarter].add(turn);
    }
    speakers
        .into_iter()
        .filter_map(|(speaker, (role, all, quarters))| {
            let quarter_scores: Vec<Option<f32>> = quarters.iter().map(|quarter| quarter.get()).collect();
            let change = quarter_scores[3].zip(quarter_scores[0]).map(|(last, first)| round(f64::from(last - first)));
            Some(SentimentTrend {
                call_id: call_id.to_owned(),
                speaker: speaker.to_owned(),
                role: role.map(str::to_owned),
                score: all.get()?,
                quarter_scores,
                change,
            })
        })
        .collect()
}
