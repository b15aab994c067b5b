//! Scores of turns, by our head over the sentence encoder.

use crate::{
    SentimentConfig, SentimentError,
    vader::{Label, Score, Scorer, round},
};
use inference::{InferenceError, TurnHead, TurnVectors};
use std::sync::Arc;

/// Trained by `scripts/train-heads`; `models/heads/sentiment.md` says on what, and how good it is.
const HEAD: &[u8] = include_bytes!("../../../models/heads/sentiment.safetensors");
const NAME: &str = "models/heads/sentiment.safetensors";

/// Reads turns as people would: by the sentence encoder's vector of a turn together with what the rules and the lexicon of
/// VADER make of it. `Send + Sync`.
pub struct Reader {
    head: TurnHead,
    vectors: Arc<TurnVectors>,
    /// The lexicon as the head knows it, with the configuration's words.
    rules: Scorer,
    /// The lexicon for calls.
    calls: Scorer,
}

impl Reader {
    /// Over these vectors. The words of `config` are laid over the lexicon.
    pub fn new(config: &SentimentConfig, vectors: Arc<TurnVectors>) -> Result<Self, SentimentError> {
        let head = TurnHead::read(NAME, HEAD).map_err(|error| SentimentError::Head { reason: error.to_string() })?;
        if head.labels() != 3 {
            return Err(SentimentError::Head { reason: format!("{NAME} has {} labels; 3 are known", head.labels()) });
        }
        let rules = Scorer::new(&SentimentConfig { call_lexicon: false, ..config.clone() })?;
        Ok(Self { head, vectors, rules, calls: Scorer::new(config)? })
    }

    /// The SHA-256 of the head.
    pub fn sha256(&self) -> &str {
        self.head.sha256()
    }

    /// A score for each text, in their order: the probabilities of the labels, and as compound score the mean of what the head
    /// says (the probability of positive less that of negative) and of what the lexicon for calls says. Of the eight scripted
    /// calls the head alone takes one trend for its opposite, since it reads a turn of several sentences as one. A text without
    /// words is neutral. All texts are embedded together.
    pub fn scores(&self, texts: &[&str]) -> Result<Vec<Score>, InferenceError> {
        let logits = self.logits(texts)?;
        let scores = texts.iter().zip(logits).map(|(text, logits)| {
            if !text.contains(char::is_alphanumeric) {
                return Score { negative: 0.0, neutral: 1.0, positive: 0.0, compound: 0.0 };
            }
            let shares: Vec<f64> = TurnHead::probabilities(&logits).into_iter().map(f64::from).collect();
            Score {
                negative: round(shares[0]),
                neutral: round(shares[1]),
                positive: round(shares[2]),
                compound: round(f64::midpoint(shares[2] - shares[0], f64::from(self.calls.score(text).compound))),
            }
        });
        Ok(scores.collect())
    }

    /// The most probable label.
    pub fn label_of(score: &Score) -> Label {
        if score.negative > score.neutral && score.negative >= score.positive {
            Label::Negative
        } else if score.positive > score.neutral {
            Label::Positive
        } else {
            Label::Neutral
        }
    }

    /// The head's logits: negative, neutral, positive.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.head.logits(&self.vectors, texts, |nth| {
            let score = self.rules.score(texts[nth]);
            vec![score.negative, score.positive, score.compound]
        })
    }
}
