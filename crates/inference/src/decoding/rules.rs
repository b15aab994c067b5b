//! Which token comes next.
//!
//! Ported from openai/whisper, `whisper/decoding.py`: `SuppressBlank`, `SuppressTokens`, `ApplyTimestampRules`,
//! `GreedyDecoder`.

use super::{Favored, likeliest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What may be said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Ends a row.
    pub end: u32,
    /// Never said.
    pub suppressed: Vec<u32>,
    /// Not said first.
    pub not_first: Vec<u32>,
    /// Phrases that are carried on with where that is nearly as likely as what is likeliest.
    pub favored: Option<Favored>,
    /// Whether and how times are said.
    pub timestamps: Option<Timestamps>,
    /// The token whose probability at the begin says that nobody speaks.
    pub no_speech: Option<u32>,
    /// Whether a row goes on to its cap whatever it says: for benches. Its end is suppressed, and loops are let be.
    pub forced: bool,
}

/// Times come in pairs and never go back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamps {
    /// The token of time 0; all from here on are times.
    pub begin: u32,
    /// Steps of time that the first may be late.
    pub first_at_most: u32,
}

/// Tokens drawn at a temperature, from numbers that depend on the seed alone.
#[derive(Debug)]
pub(crate) struct Sampling {
    temperature: f32,
    random: StdRng,
}

impl Sampling {
    pub fn new(temperature: f32, seed: u64) -> Self {
        Self { temperature, random: StdRng::seed_from_u64(seed) }
    }

    /// A place among the logits: the largest after Gumbel noise, which draws by the softmax at this temperature.
    fn draw(&mut self, logits: &[f32]) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (i, logit) in logits.iter().enumerate() {
            if *logit > f32::NEG_INFINITY {
                let uniform: f32 = self.random.random_range(f32::MIN_POSITIVE..1.0);
                let score = logit / self.temperature - (-uniform.ln()).ln();
                if score > best.1 {
                    best = (i, score);
                }
            }
        }
        best.0
    }
}

impl Rules {
    /// The probability that nobody speaks.
    pub fn no_speech(&self, logits: &[f32]) -> Option<f32> {
        let logit = *logits.get(self.no_speech? as usize)?;
        let (at, logprob) = likeliest(logits);
        Some((logit - logits[at] + logprob).exp())
    }

    /// The next token and its log probability among those that may follow `said`.
    pub fn choose(&self, logits: &mut [f32], said: &[u32], sampling: Option<&mut Sampling>) -> (u32, f32) {
        self.forbid(logits, said);
        let (best, logprob) = likeliest(logits);
        let drawn = match (sampling, &self.favored) {
            (Some(sampling), _) => sampling.draw(logits),
            (None, Some(favored)) => {
                let scores = favored.next(said).map(|token| token as usize);
                let scores = scores.filter_map(|token| Some((token, logits.get(token)? + favored.more)));
                scores.fold((best, logits[best]), |best, next| if next.1 > best.1 { next } else { best }).0
            }
            (None, None) => best,
        };
        (drawn as u32, logits[drawn] - logits[best] + logprob)
    }

    /// What is added to the logits of a row that is at its first token or after it; none where nothing is forbidden.
    pub fn mask(&self, first: bool, width: usize) -> Option<Vec<f32>> {
        let mut mask = vec![0.0; width];
        self.suppress(&mut mask, first);
        mask.iter().any(|x| *x < 0.0).then_some(mask)
    }

    fn suppress(&self, logits: &mut [f32], first: bool) {
        let first = first.then_some(&self.not_first).into_iter().flatten();
        for token in self.suppressed.iter().chain(first).chain(self.forced.then_some(&self.end)) {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    fn forbid(&self, logits: &mut [f32], said: &[u32]) {
        self.suppress(logits, said.is_empty());
        if let Some(timestamps) = self.timestamps {
            timestamps.forbid(logits, said, self.end);
        }
    }
}

impl Timestamps {
    fn forbid(self, logits: &mut [f32], said: &[u32], end: u32) {
        let (begin, end) = (self.begin as usize, end as usize);
        let is_time = |token: Option<&u32>| token.is_some_and(|token| *token >= self.begin);
        let last = is_time(said.last());
        let before = said.len() < 2 || is_time(said.get(said.len() - 2));
        if last && before {
            // A pair is whole: text follows.
            logits[begin..].fill(f32::NEG_INFINITY);
        } else if last {
            // A pair is half: its other half or the end.
            logits[..end].fill(f32::NEG_INFINITY);
        }
        if let Some(newest) = said.iter().rev().find(|token| **token >= self.begin) {
            // The second of a pair may stand for the same time, the first of the next may too.
            let from = *newest as usize + usize::from(!last || before);
            logits[begin..from.max(begin)].fill(f32::NEG_INFINITY);
        }
        if said.is_empty() {
            logits[..begin].fill(f32::NEG_INFINITY);
            let late = begin + self.first_at_most as usize + 1;
            if let Some(late) = logits.get_mut(late..) {
                late.fill(f32::NEG_INFINITY);
            }
        }
        // Where all times together are likelier than any text, a time is said.
        let text = logits[..begin].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (at, logprob) = likeliest(&logits[begin..]);
        let times = logits[begin + at] - logprob;
        if times > text {
            logits[..begin].fill(f32::NEG_INFINITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Timestamps = Timestamps { begin: 6, first_at_most: 2 };

    /// Logits of ten tokens, text 0 to 4, the end 5, times 6 to 9; those that stay.
    fn left(said: &[u32], logits: [f32; 10]) -> Vec<usize> {
        let rules = Rules { end: 5, timestamps: Some(RULES), ..Rules::default() };
        let mut logits = logits.to_vec();
        rules.forbid(&mut logits, said);
        (0..10).filter(|&i| logits[i] > f32::NEG_INFINITY).collect()
    }

    /// Text and the end likelier than all times.
    const TEXT: [f32; 10] = [9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0];

    #[test]
    fn times_come_in_pairs_and_do_not_go_back() {
        assert_eq!(left(&[], TEXT), [6, 7, 8], "first a time, and no late one");
        assert_eq!(left(&[7], TEXT), [0, 1, 2, 3, 4, 5], "text after the first time");
        assert_eq!(left(&[7, 1], TEXT), [0, 1, 2, 3, 4, 5, 8, 9], "text, the end, or a later time");
        assert_eq!(left(&[7, 1, 8], TEXT), [5, 8, 9], "the other half of a pair, or the end");
        assert_eq!(left(&[7, 1, 8, 8], TEXT), [0, 1, 2, 3, 4, 5], "text after a pair");
        assert_eq!(left(&[7, 1, 8, 8, 2], TEXT), [0, 1, 2, 3, 4, 5, 9]);
    }

    #[test]
    fn times_that_are_likelier_together_than_any_text_win() {
        let logits = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9];
        assert_eq!(left(&[7, 1], logits), [8, 9]);
    }

    #[test]
    fn what_is_suppressed_is_not_said_and_a_drawn_token_keeps_its_probability() {
        let rules = Rules { end: 2, suppressed: vec![0], not_first: vec![1], ..Rules::default() };
        let logits = [9.0, 5.0, 1.0, 1.0];
        let (token, logprob) = rules.choose(&mut logits.clone(), &[], None);
        assert_eq!(token, 2);
        assert!((logprob - 0.5f32.ln()).abs() < 1e-6);
        assert_eq!(rules.choose(&mut logits.clone(), &[3], None).0, 1);
        assert_eq!(rules.mask(true, 4), Some(vec![f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0, 0.0]));
        assert_eq!(Rules::default().mask(true, 4), None);
        let forced = Rules { end: 1, forced: true, ..Rules::default() };
        assert_eq!(forced.choose(&mut [0.0, 5.0, 1.0, 1.0], &[], None).0, 2);
    }

    #[test]
    fn what_is_favored_is_said_where_it_is_nearly_as_likely() {
        let favored = Favored::new([vec![1, 3]], 3.0);
        let rules = Rules { end: 2, favored, ..Rules::default() };
        let choose = |logits: [f32; 4], said: &[u32]| rules.choose(&mut logits.clone(), said, None).0;
        assert_eq!(choose([5.0, 4.5, 0.0, 0.0], &[]), 0);
        assert_eq!(choose([5.0, 0.0, 0.0, 1.5], &[1]), 0);
        assert_eq!(choose([5.0, 0.0, 0.0, 2.5], &[1]), 3);
        assert_eq!(choose([5.0, 0.0, 0.0, 2.5], &[0]), 0);
        // A token keeps the probability that the model gives it.
        let (_, logprob) = rules.choose(&mut [5.0, 5.0, f32::NEG_INFINITY, f32::NEG_INFINITY], &[], None);
        assert!((logprob - 0.5f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_seed_and_the_probabilities() {
        let rules = Rules { end: 3, ..Rules::default() };
        let count = |temperature: f32| {
            let mut sampling = Sampling::new(temperature, 7);
            let draw = |_| rules.choose(&mut [0.0, 1.0, f32::NEG_INFINITY, 0.0], &[], Some(&mut sampling)).0;
            (0..4000).map(draw).filter(|token| *token == 1).count()
        };
        assert_eq!(count(1.0), count(1.0));
        // e / (e + 2)
        assert!((count(1.0) as f64 / 4000.0 - 0.576).abs() < 0.03, "{}", count(1.0));
        assert!(count(0.2) > 3800, "{}", count(0.2));
    }

    #[test]
    fn the_probability_of_no_speech_is_its_share() {
        let rules = Rules { no_speech: Some(1), ..Rules::default() };
        assert!((rules.no_speech(&[0.0, 0.0, 0.0, 0.0]).unwrap() - 0.25).abs() < 1e-6);
        assert_eq!(Rules::default().no_speech(&[0.0]), None);
    }
}
