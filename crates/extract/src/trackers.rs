//! Trackers: phrases of the pipeline file, found as whole words whatever their case.

use crate::{ExtractError, TrackerConfig, text::Text};
use aho_corasick::{AhoCorasick, BuildError};
use std::ops::Range;

/// All phrases of all trackers, as one automaton over a text's plain words.
#[derive(Debug)]
pub(crate) struct Trackers {
    automaton: AhoCorasick,
    /// Tracker and spelling of each pattern.
    phrases: Vec<(String, String)>,
}

/// A mention of a tracker's phrase.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mention {
    /// Index of the phrase.
    pub phrase: usize,
    /// Tokens of the text.
    pub tokens: Range<usize>,
}

impl Trackers {
    pub fn new(config: &[TrackerConfig]) -> Result<Self, ExtractError> {
        let mut phrases = Vec::new();
        let mut patterns = Vec::new();
        for tracker in config {
            for phrase in &tracker.phrases {
                phrases.push((tracker.name.clone(), phrase.clone()));
                patterns.push(joined(&Text::new(phrase)).0);
            }
        }
        let automaton = AhoCorasick::new(patterns).map_err(|source: BuildError| ExtractError::Trackers { source })?;
        Ok(Self { automaton, phrases })
    }

    /// The tracker and the spelling of a mention's phrase.
    pub fn phrase(&self, mention: &Mention) -> (&str, &str) {
        let (tracker, phrase) = &self.phrases[mention.phrase];
        (tracker, phrase)
    }

    /// All mentions, in order. A phrase inside a longer one of the same tracker ("price" in "price list") is not counted.
    pub fn find(&self, text: &Text<'_>) -> Vec<Mention> {
        let (plain, starts) = joined(text);
        let mut mentions: Vec<Mention> = Vec::new();
        for hit in self.automaton.find_overlapping_iter(&plain) {
            // Each word is followed by a space, so a pattern that starts a word also ends one.
            if let Ok(first) = starts.binary_search_by_key(&hit.start(), |(at, _)| *at) {
                let words = starts[first..].iter().take_while(|(at, _)| *at < hit.end());
                let last = words.last().map_or(starts[first].1, |(_, token)| *token);
                mentions.push(Mention { phrase: hit.pattern().as_usize(), tokens: starts[first].1..last + 1 });
            }
        }
        let inside = |a: &Mention, b: &Mention| {
            self.phrases[a.phrase].0 == self.phrases[b.phrase].0
                && a.tokens.start >= b.tokens.start
                && a.tokens.end <= b.tokens.end
                && (a.tokens.len() < b.tokens.len() || a.phrase > b.phrase)
        };
        let mut kept: Vec<Mention> =
            mentions.iter().filter(|a| !mentions.iter().any(|b| inside(a, b))).cloned().collect();
        kept.sort_by_key(|m| (m.tokens.start, m.phrase));
        kept
    }
}

/// The words of a text in lower case, a space after each, and where each starts. Marks stay, so that a phrase does not reach
/// over a comma; a possessive 's is dropped.
fn joined(text: &Text<'_>) -> (String, Vec<(usize, usize)>) {
    let mut plain = String::with_capacity(text.raw.len() + 1);
    let mut starts = Vec::with_capacity(text.tokens.len());
    for (i, token) in text.tokens.iter().enumerate() {
        starts.push((plain.len(), i));
        plain.push_str(token.lower.strip_suffix("'s").unwrap_or(&token.lower));
        plain.push(' ');
    }
    (plain, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let config = [
            TrackerConfig { name: "competitor".into(), phrases: vec!["Salesforce".into(), "Monday.com".into()] },
            TrackerConfig { name: "price".into(), phrases: vec!["price".into(), "price list".into()] },
        ];
        let trackers = Trackers::new(&config).unwrap();
        let text = Text::new(text);
        let mention = |m: Mention| (trackers.phrase(&m).1.to_owned(), text.slice(m.tokens).to_owned());
        trackers.find(&text).into_iter().map(mention).collect()
    }

    #[test]
    fn whole_words_in_any_case() {
        let said = "SALESFORCE's price  list, Salesforced prices, the price, list";
        let pairs = [("Salesforce", "SALESFORCE's"), ("price list", "price  list"), ("price", "price")];
        assert_eq!(found(said), pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(found("on monday.com now").len(), 1);
        assert!(found("").is_empty());
    }
}
