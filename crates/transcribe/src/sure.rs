//! Whether a call is in the language that it was recognized in. A recognizer of one language writes words of it over any speech;
//! over speech that it does not know it is unsure of nearly all of them.

use crate::{engines::Recognition, queue::Pending};
use schema::{CallFailure, FailureKind};
use std::collections::BTreeMap;

/// Below this mean log probability of its tokens, nothing in a call is believed. Measured with Moonshine tiny, on calls: English has
/// -0.08 to -0.41, meetings heard from afar -0.21 to -0.41, English with a strong accent (twelve times ten sentences of
/// Mandarin speakers) -0.18 to -0.62; German, French, Spanish, Italian, Dutch and Polish, read and synthesized, -0.69 to -1.6.
/// The margin is small: an accent stronger than those may be taken for another language, and some of another language for English.
const LEAST_LOGPROB: f64 = -0.66;
/// Tokens by which that is judged, some fifteen words; fewer say too little.
const FROM: usize = 24;

/// How sure a recognizer is of a call.
#[derive(Default)]
pub(crate) struct Sureness {
    /// Sum and number of the log probabilities of a chunk's tokens, by channel and first sample: sums depend on their order, and
    /// chunks come in any.
    chunks: BTreeMap<(i32, usize), (f64, usize)>,
}

impl Sureness {
    /// Counts what was heard in a chunk, before any of it is left out.
    pub fn hear(&mut self, pending: &Pending, heard: &Recognition) {
        let tokens = heard.tokens.len();
        let sum = f64::from(heard.avg_logprob) * tokens as f64;
        self.chunks.insert((pending.channel, pending.chunk.start), (sum, tokens));
    }

    /// The mean, where there is enough to judge.
    fn mean(&self) -> Option<f64> {
        let (sum, tokens) = self.chunks.values().fold((0.0, 0), |(sum, all), (part, count)| (sum + part, all + count));
        (tokens >= FROM).then(|| sum / tokens as f64)
    }

    /// Why a call is not believed.
    pub fn doubt(&self, call: &str) -> Option<CallFailure> {
        let mean = self.mean()?;
        log::debug!("transcribe: call {call}: mean log probability {mean:.3}");
        (mean < LEAST_LOGPROB).then(|| {
            let message = format!(
                "call {call}: what is said does not sound like the language that it was recognized in (mean probability of a \
                 token {:.2}; calls that are have {:.2} and more), so no words are kept; name the language in the call list, \
                 column `language`, and bring a model that speaks it, such as `nightcall models pull whisper-tiny`",
                mean.exp(),
                LEAST_LOGPROB.exp()
            );
            CallFailure::new(call, FailureKind::Model, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chunker::Chunk, engines::Token};

    fn heard(sure: &mut Sureness, start: usize, words: usize, logprob: f32) {
        let token = Token { text: " word".into(), logprob, start_s: 0.0, end_s: 0.1 };
        let heard = Recognition { tokens: vec![token; words], avg_logprob: logprob, ..Recognition::default() };
        let chunk = Chunk { start, ..Chunk::default() };
        let pending = Pending { call: "7".into(), channel: 0, language: Some("en".into()), chunk, again: false };
        sure.hear(&pending, &heard);
    }

    #[test]
    fn a_call_is_judged_as_a_whole() {
        let (mut sure, mut short, mut mixed) = (Sureness::default(), Sureness::default(), Sureness::default());
        heard(&mut sure, 0, 40, -0.3);
        heard(&mut short, 0, FROM - 1, -2.0);
        heard(&mut mixed, 0, 40, -0.3);
        heard(&mut mixed, 16_000, 10, -1.5);
        for sure in [&sure, &short, &mixed, &Sureness::default()] {
            assert_eq!(sure.doubt("7"), None);
        }
        heard(&mut mixed, 32_000, 60, -1.2);
        let failure = mixed.doubt("7").unwrap();
        assert_eq!((failure.call_id.as_str(), failure.kind), ("7", FailureKind::Model));
        assert!(failure.message.contains("name the language in the call list"), "{}", failure.message);
    }
}
