//! From turns to a trend per speaker.

use crate::vader::{Score, round};
use schema::{SentimentTrend, Turn, confidence};
use std::collections::BTreeMap;

/// The scale of `sentiment_trends`: a compound score of 1 is 5.
const SCALE: f64 = 5.0;

/// A turn with the score that its words count with.
#[derive(Clone, Copy, Debug)]
pub struct ScoredTurn<'a> {
    /// The turn.
    pub turn: &'a Turn,
    /// The score: that of what it says after its courtesies, where the stage gives it.
    pub score: Score,
}

/// A turn of less confidence ([`confidence`]) is taken as garbled, and says nothing of a mood: "an outstanding" was "about
/// ten minutes". Chosen on the fixtures.
const UNDERSTOOD: f32 = 0.7;

/// A mean over words, each of which has the score of its turn: a long complaint weighs more than the "okay" after it.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    words: f64,
}

impl Mean {
    fn add(&mut self, score: Score) {
        self.sum += f64::from(score.compound);
        self.words += 1.0;
    }

    /// The mean on the scale -5..5.
    fn get(self) -> Option<f32> {
        (self.words > 0.0).then(|| round(SCALE * self.sum / self.words))
    }
}

/// The middle of each word of a turn, in milliseconds: as its words say where they are those of the text, else as if all took
/// as long.
fn middles(turn: &Turn) -> Vec<i64> {
    let count = turn.text.split_whitespace().count();
    if turn.words.len() == count {
        return turn.words.iter().map(|word| word.start_ms.midpoint(word.end_ms)).collect();
    }
    let (start, length) = (i128::from(turn.start_ms), i128::from(turn.end_ms) - i128::from(turn.start_ms));
    let middle = |nth: i128| start + length * (2 * nth + 1) / (2 * count as i128);
    (0..count as i128).map(|nth| middle(nth).clamp(i64::MIN.into(), i64::MAX.into()) as i64).collect()
}

/// One trend per speaker who said a word that was understood, in the order of the speakers' names.
///
/// A score is the mean of the turns' compound scores, weighted by words, times 5. A word belongs to the quarter of the call
/// that its middle falls into; `duration_ms` is the call's, and the end of the last turn where that is later or unknown.
pub fn trends(call_id: &str, turns: &[ScoredTurn<'_>], duration_ms: Option<i64>) -> Vec<SentimentTrend> {
    let last = turns.iter().map(|t| t.turn.end_ms).max().unwrap_or(0);
    let duration = duration_ms.unwrap_or(0).max(last).max(1);
    let mut speakers: BTreeMap<&str, (Option<&str>, Mean, [Mean; 4])> = BTreeMap::new();
    for ScoredTurn { turn, score } in turns {
        if confidence(&turn.text, &turn.words, 0..usize::MAX) < UNDERSTOOD {
            continue;
        }
        let speaker = speakers.entry(&turn.speaker).or_default();
        speaker.0 = speaker.0.or(turn.role.as_deref());
        for middle in middles(turn) {
            let quarter = (i128::from(middle.clamp(0, duration)) * 4 / i128::from(duration)).clamp(0, 3) as usize;
            speaker.1.add(*score);
            speaker.2[quarter].add(*score);
        }
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
