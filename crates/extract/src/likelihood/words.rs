//! A table of weights, one for each word and each pair of neighbouring words, by their hashes: `scripts/heads/words.py`.

use std::{borrow::Cow, collections::BTreeSet};

/// Places in the table: a hash of 16 bits.
pub const PLACES: usize = 1 << 16;

/// What the words of a text add to its log odds: the sum of their weights over the root of how many places they have.
pub fn log_odds(weights: &[f32], text: &str) -> f64 {
    let places = places(text);
    let sum = places.iter().map(|&place| f64::from(weights[usize::from(place)])).sum::<f64>();
    sum / (places.len().max(1) as f64).sqrt()
}

/// The places of a text's words and pairs, each once.
fn places(text: &str) -> BTreeSet<u16> {
    let words = words(text);
    let pairs = words.windows(2).map(|pair| place(&pair.join(" ")));
    words.iter().map(|word| place(word)).chain(pairs).collect()
}

/// Runs of ASCII letters, digits and apostrophes that do not begin with an apostrophe, in lower case.
fn words(text: &str) -> Vec<String> {
    let text = if text.contains('\u{2019}') { Cow::Owned(text.replace('\u{2019}', "'")) } else { Cow::Borrowed(text) };
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').map(|run| run.trim_start_matches('\''));
    runs.filter(|run| !run.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// FNV-1a (Fowler, Noll and Vo) in 32 bits, both halves folded together.
fn place(gram: &str) -> u16 {
    let hash = gram.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16 ^ hash) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_training() {
        // By `place` in `scripts/heads/words.py`.
        assert_eq!(["i'll", "send", "i'll send"].map(place), [61792, 47822, 26234]);
        assert_eq!(
            places("I\u{2019}ll SEND, 'send"),
            BTreeSet::from(["i'll", "send", "i'll send", "send send"].map(place))
        );
    }

    #[test]
    fn words_are_those_of_training() {
        assert_eq!(words("'Tis the caf\u{e9}'s 2nd: dogs'!"), ["tis", "the", "caf", "s", "2nd", "dogs'"]);
        assert!(words(" '' \u{2019} ... \u{00fc}").is_empty());
    }

    #[test]
    fn a_text_weighs_as_its_places_do() {
        let mut weights = vec![0.0; PLACES];
        for (gram, weight) in [("send", 3.0), ("it", 1.0), ("send it", 2.0)] {
            weights[usize::from(place(gram))] = weight;
        }
        assert_eq!(log_odds(&weights, "Send."), 3.0);
        assert!((log_odds(&weights, "send it") - 6.0 / 3.0f64.sqrt()).abs() < 1e-12);
        assert_eq!(log_odds(&weights, ""), 0.0);
    }
}
