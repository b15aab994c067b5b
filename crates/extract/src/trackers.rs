//! Trackers: phrases of the pipeline file, found as whole words whatever their case, in any inflection, and names also as a
//! recognizer may have heard them.

use crate::{
    TrackerConfig,
    text::{Text, Token},
    word_classes,
};
use rust_stemmers::{Algorithm, Stemmer};
use std::ops::Range;
use strsim::damerau_levenshtein;

/// A name of fewer letters has too many neighbours to be recognized by its sound.
const LEAST_LETTERS: usize = 5;

/// All phrases of all trackers.
#[derive(Debug)]
pub(crate) struct Trackers {
    phrases: Vec<Phrase>,
}

#[derive(Debug)]
struct Phrase {
    tracker: String,
    spelling: String,
    words: Vec<Word>,
}

/// A word of a phrase, or of a text.
#[derive(Debug)]
struct Word {
    /// The same in every inflection.
    stem: String,
    /// How it sounds, where it may be a name: no common word, those are heard for what they are, and in a phrase written with
    /// a capital.
    sound: Option<String>,
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
    pub fn new(config: &[TrackerConfig]) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let phrase = |tracker: &TrackerConfig, spelling: &String| {
            let wanted = |token: &Token| {
                let lower = plain(&token.lower);
                let name = spelling[token.bytes.clone()].starts_with(char::is_uppercase)
                    && !word_classes::is_common(lower)
                    && lower.chars().count() >= LEAST_LETTERS;
                Word { stem: stemmer.stem(lower).into_owned(), sound: name.then(|| sound(lower)) }
            };
            Phrase {
                tracker: tracker.name.clone(),
                spelling: spelling.clone(),
                words: Text::new(spelling).tokens.iter().map(wanted).collect(),
            }
        };
        let phrases = config.iter().flat_map(|tracker| tracker.phrases.iter().map(move |spelling| (tracker, spelling)));
        let phrases = phrases.map(|(tracker, spelling)| phrase(tracker, spelling));
        Self { phrases: phrases.filter(|phrase| !phrase.words.is_empty()).collect() }
    }

    /// The tracker and the spelling of a mention's phrase.
    pub fn phrase(&self, mention: &Mention) -> (&str, &str) {
        let phrase = &self.phrases[mention.phrase];
        (&phrase.tracker, &phrase.spelling)
    }

    /// All mentions, in order. A phrase inside a longer one of the same tracker ("price" in "price list") is not counted.
    pub fn find(&self, text: &Text<'_>) -> Vec<Mention> {
        let mentions = self.all(text);
        let inside = |a: &Mention, b: &Mention| {
            self.phrases[a.phrase].tracker == self.phrases[b.phrase].tracker
                && a.tokens.start >= b.tokens.start
                && a.tokens.end <= b.tokens.end
                && (a.tokens.len() < b.tokens.len() || a.phrase > b.phrase)
        };
        let mut kept: Vec<Mention> =
            mentions.iter().filter(|a| !mentions.iter().any(|b| inside(a, b))).cloned().collect();
        kept.sort_by_key(|m| (m.tokens.start, m.phrase));
        kept
    }

    /// Mentions, also in other inflections ("prices"), and of names that sound alike ("Kontoso" for "Contoso").
    fn all(&self, text: &Text<'_>) -> Vec<Mention> {
        if self.phrases.is_empty() {
            return Vec::new();
        }
        let stemmer = Stemmer::create(Algorithm::English);
        let said: Vec<Word> = text
            .tokens
            .iter()
            .map(|token| {
                let lower = plain(&token.lower);
                let heard =
                    token.is_word && !word_classes::is_common(lower) && lower.chars().count() >= LEAST_LETTERS - 1;
                Word { stem: stemmer.stem(lower).into_owned(), sound: heard.then(|| sound(lower)) }
            })
            .collect();
        let mut found = Vec::new();
        for start in 0..said.len() {
            for (phrase, wanted) in self.phrases.iter().enumerate() {
                let end = start + wanted.words.len();
                let fits = |(said, wanted): (&Word, &Word)| said.is(wanted);
                if end <= said.len() && said[start..end].iter().zip(&wanted.words).all(fits) {
                    found.push(Mention { phrase, tokens: start..end });
                }
            }
        }
        found
    }
}

impl Word {
    fn is(&self, wanted: &Self) -> bool {
        if self.stem == wanted.stem {
            return true;
        }
        match (&self.sound, &wanted.sound) {
            (Some(said), Some(wanted)) => {
                let long = wanted.chars().count() >= LEAST_LETTERS;
                said.chars().next() == wanted.chars().next() && damerau_levenshtein(said, wanted) <= usize::from(long)
            }
            _ => false,
        }
    }
}

/// A rough spelling of how a word sounds: letters that are said alike are one, doubled ones single, a silent e and h left out.
fn sound(lower: &str) -> String {
    let mut word = lower.to_owned();
    for (spelled, said) in [
        ("ph", "f"),
        ("ck", "k"),
        ("ce", "se"),
        ("ci", "si"),
        ("cy", "si"),
        ("qu", "kw"),
        ("x", "ks"),
        ("wh", "w"),
        ("gh", "g"),
    ] {
        word = word.replace(spelled, said);
    }
    let mut sound = String::with_capacity(word.len());
    for letter in word.chars().filter(|c| c.is_alphanumeric()) {
        let letter = match letter {
            'c' | 'q' => 'k',
            'z' => 's',
            'y' => 'i',
            'v' => 'f',
            'h' if !sound.is_empty() => continue,
            other => other,
        };
        if !sound.ends_with(letter) {
            sound.push(letter);
        }
    }
    match sound.strip_suffix('e') {
        Some(rest) if rest.chars().count() > 2 => rest.to_owned(),
        _ => sound,
    }
}

/// Without a possessive 's.
fn plain(lower: &str) -> &str {
    lower.strip_suffix("'s").unwrap_or(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let config = [
            TrackerConfig { name: "competitor".into(), phrases: vec!["Salesforce".into(), "Monday.com".into()] },
            TrackerConfig { name: "price".into(), phrases: vec!["price".into(), "price list".into()] },
        ];
        let trackers = Trackers::new(&config);
        let text = Text::new(text);
        let mention = |m: Mention| (trackers.phrase(&m).1.to_owned(), text.slice(m.tokens).to_owned());
        trackers.find(&text).into_iter().map(mention).collect()
    }

    #[test]
    fn whole_words_in_any_case() {
        let said = "SALESFORCE's price  list, presalesforces, the price, list";
        let pairs = [("Salesforce", "SALESFORCE's"), ("price list", "price  list"), ("price", "price")];
        assert_eq!(found(said), pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(found("on monday.com now").len(), 1);
        assert!(found("").is_empty());
    }

    #[test]
    fn inflections_and_names_misheard() {
        let config = [
            TrackerConfig {
                name: "account".into(),
                phrases: vec!["Contoso".into(), "Big Rival".into(), "Acme".into()],
            },
            TrackerConfig { name: "price".into(), phrases: vec!["price list".into(), "discount".into()] },
        ];
        let trackers = Trackers::new(&config);
        let found = |said: &str| -> Vec<String> {
            let text = Text::new(said);
            trackers.find(&text).iter().map(|m| trackers.phrase(m).1.to_owned()).collect()
        };
        assert_eq!(found("Kontoso, contoso's and Contosso, not Consul or constant"), ["Contoso"; 3]);
        assert_eq!(found("price lists and discounted offers, big rivals"), ["price list", "discount", "Big Rival"]);
        assert_eq!(found("the acne of the academy, a count, acme"), ["Acme"]);
    }
}
