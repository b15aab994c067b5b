//! Scores of turns, by our head over the sentence encoder.

use crate::{
    SentimentConfig, SentimentError,
    vader::{Label, Score, Scorer, round},
};
use inference::{Device, InferenceError, Precision, TurnReader};
use rayon::prelude::*;
use std::path::Path;

/// Trained by `scripts/train-heads`; `models/heads/sentiment.md` says on what, and how good it is.
const HEAD: &[u8] = include_bytes!("../../../models/heads/sentiment.safetensors");
const NAME: &str = "models/heads/sentiment.safetensors";

/// Reads turns as people would: by the vector that the sentence encoder, updated for this, makes of a turn, together with what
/// the rules and the lexicon of VADER make of it. `Send + Sync`.
pub struct Reader {
    head: TurnReader,
    /// The lexicon as the head knows it, with the configuration's words.
    rules: Scorer,
    /// The lexicons that are heard beside it.
    lexicons: Scorer,
    lexicon_share: f32,
}

impl Reader {
    /// Over the encoder all-MiniLM-L6-v2 in this folder. The words of `config` are laid over the lexicon.
    ///
    /// # Errors
    /// A configuration out of range; a folder that does not hold that encoder.
    pub fn load(
        config: &SentimentConfig,
        folder: &Path,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, SentimentError> {
        let bad = |reason: String| SentimentError::Head { reason };
        let head = TurnReader::load(NAME, HEAD, folder, device, precision).map_err(|error| bad(error.to_string()))?;
        if head.labels() != 3 {
            return Err(bad(format!("{NAME} has {} labels; 3 are known", head.labels())));
        }
        let rules = Scorer::new(&SentimentConfig { call_lexicon: false, ..config.clone() })?;
        Ok(Self { head, rules, lexicons: Scorer::new(config)?, lexicon_share: config.lexicon_share })
    }

    /// The SHA-256 of the head.
    pub fn sha256(&self) -> &str {
        self.head.sha256()
    }

    /// A score for each text, in their order: the probabilities of the labels, and as compound score that of positive less that
    /// of negative. To the configuration's share the label of the lexicons, as if it were sure, and their compound score take the
    /// head's place. A text without words is neutral. All texts are embedded together.
    ///
    /// # Errors
    /// What the encoder cannot compute.
    pub fn scores(&self, texts: &[&str]) -> Result<Vec<Score>, InferenceError> {
        let logits = self.logits(texts)?;
        let scores = texts.par_iter().zip(logits).map(|(text, logits)| {
            if !text.contains(char::is_alphanumeric) {
                return Score::NEUTRAL;
            }
            let heads = TurnReader::probabilities(&logits);
            let lexicons = self.lexicons.score(text);
            let label = self.lexicons.label_of(&lexicons);
            let mixed = |head: f32, lexicon: f32| {
                round(f64::from((1.0 - self.lexicon_share) * head + self.lexicon_share * lexicon))
            };
            let share = |nth: usize, of: Label| mixed(heads[nth], f32::from(u8::from(label == of)));
            Score {
                negative: share(0, Label::Negative),
                neutral: share(1, Label::Neutral),
                positive: share(2, Label::Positive),
                compound: mixed(heads[2] - heads[0], lexicons.compound),
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
    ///
    /// # Errors
    /// What the encoder cannot compute.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.head.logits(texts, |nth| {
            let score = self.rules.score(texts[nth]);
            vec![score.negative, score.positive, score.compound]
        })
    }
}
