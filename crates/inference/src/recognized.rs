//! What was heard in a window.

/// What was heard in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognized {
    /// In order of time; none when nothing was said.
    pub tokens: Vec<RecognizedToken>,
    /// The tokens' texts end to end, without the spaces at both ends.
    pub text: String,
    /// The mean log probability of the tokens and of the end; 0 is certainty.
    pub avg_logprob: f32,
    /// Whether decoding was stopped, by the cap on tokens or by a phrase that kept repeating, before the model ended.
    pub truncated: bool,
    /// The probability that nobody speaks, where the model tells.
    pub no_speech_prob: Option<f32>,
}

/// One token of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognizedToken {
    /// Its place in the vocabulary.
    pub id: u32,
    /// What it adds to the text; a word's first token starts with a space. Empty for marks, and for bytes of a character
    /// that a later token completes.
    pub text: String,
    /// Its log probability.
    pub logprob: f32,
    /// Seconds from the window's start.
    pub start_s: f32,
    /// Seconds from the window's start. A token without letter or digit takes no time.
    pub end_s: f32,
}

impl Recognized {
    /// From what was decoded, its texts, and when each token was said.
    pub(crate) fn new(row: &crate::decoding::Decoded, texts: Vec<String>, times: Vec<(f32, f32)>) -> Self {
        let text = texts.concat().trim().to_owned();
        let tokens = row.tokens.iter().zip(&row.logprobs).zip(texts).zip(times);
        Self {
            avg_logprob: row.avg_logprob(),
            truncated: row.end_logprob.is_none(),
            no_speech_prob: row.no_speech,
            text,
            tokens: tokens
                .map(|(((&id, &logprob), text), (start_s, end_s))| RecognizedToken {
                    id,
                    text,
                    logprob,
                    start_s,
                    end_s,
                })
                .collect(),
        }
    }
}
