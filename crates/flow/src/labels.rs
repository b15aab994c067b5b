//! What a topic is called: the phrases that set it off from the rest of the call.
//!
//! Candidates are runs of up to three words between stop words and marks. Each is weighted by class-based TF-IDF (M.
//! Grootendorst, "BERTopic", arXiv 2203.05794, formula 1: a topic is one document), by signs that it is a noun phrase,
//! and, once its vector is known, by its likeness to the topic.

use crate::{
    speech::{ends_sentence, plain},
    vocabulary::is_stop_word,
};
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::{BTreeMap, HashSet};

/// Candidates of a topic that are worth a vector.
const POOL: usize = 10;

/// Longest phrase, in words.
const LONGEST: usize = 3;

const BEFORE_NOUNS: [&str; 40] = [
    "the", "a", "an", "my", "your", "our", "his", "her", "their", "its", "this", "that", "these", "those", "of",
    "about", "for", "with", "from", "no", "any", "some", "each", "every", "another", "new", "old", "in", "at", "on",
    "by", "more", "which", "two", "three", "ten", "twenty", "hundred", "thousand", "per",
];

const BEFORE_VERBS: [&str; 31] = [
    "to", "will", "can", "could", "would", "should", "may", "might", "must", "i", "you", "we", "they", "he", "she",
    "it", "who", "i'll", "we'll", "you'll", "he'll", "she'll", "they'll", "it'll", "don't", "didn't", "can't",
    "cannot", "please", "let's", "not",
];

/// Words in -ly that are nouns.
const LY_NOUNS: [&str; 6] = ["family", "supply", "reply", "assembly", "anomaly", "ally"];

/// A phrase that may stand in a topic's label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phrase {
    /// Cased as said.
    pub(crate) text: String,
    /// Stems of its words.
    stems: Vec<String>,
    pub(crate) score: f32,
}

#[derive(Default)]
struct Counted {
    /// Surface forms with their counts.
    forms: BTreeMap<String, usize>,
    topics: BTreeMap<usize, usize>,
    noun: usize,
    verb: usize,
}

struct Token<'a> {
    text: &'a str,
    plain: String,
    first: bool,
    last: bool,
    /// Whether a phrase may hold it.
    content: bool,
}

/// The best phrases of each topic (a topic is the texts of its turns), best first. `names` of those who take part are
/// never a topic.
pub(crate) fn candidates(topics: &[Vec<&str>], names: &HashSet<String>) -> Vec<Vec<Phrase>> {
    let stemmer = Stemmer::create(Algorithm::English);
    let texts: Vec<Vec<Token<'_>>> =
        topics.iter().map(|texts| texts.iter().flat_map(|text| tokens(text, names)).collect()).collect();
    let lower: HashSet<&str> =
        texts.iter().flatten().filter(|t| t.text.starts_with(char::is_lowercase)).map(|t| t.plain.as_str()).collect();
    let mut counted: BTreeMap<Vec<String>, Counted> = BTreeMap::new();
    for (topic, tokens) in texts.iter().enumerate() {
        for start in 0..tokens.len() {
            for end in start..tokens.len().min(start + LONGEST) {
                let words = &tokens[start..=end];
                if !words[words.len() - 1].content || (end > start && words[words.len() - 2].last) {
                    break;
                }
                let stems = words.iter().map(|t| stemmer.stem(&t.plain).into_owned()).collect();
                let entry = counted.entry(stems).or_default();
                let form = words.iter().map(|t| surface(t, &lower)).collect::<Vec<_>>().join(" ");
                *entry.forms.entry(form).or_default() += 1;
                *entry.topics.entry(topic).or_default() += 1;
                let before = if start > 0 && !words[0].first { tokens[start - 1].plain.as_str() } else { "" };
                entry.noun += usize::from(BEFORE_NOUNS.contains(&before));
                entry.verb += usize::from(BEFORE_VERBS.contains(&before));
            }
        }
    }
    let words = texts.iter().flatten().filter(|t| t.content).count();
    let average = words as f32 / topics.len().max(1) as f32;
    (0..topics.len())
        .map(|topic| {
            let mut pool: Vec<Phrase> =
                counted.iter().filter_map(|(stems, c)| phrase(stems, c, topic, average)).collect();
            pool.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(&b.text)));
            pool.truncate(POOL);
            pool
        })
        .collect()
}

fn phrase(stems: &[String], counted: &Counted, topic: usize, average: f32) -> Option<Phrase> {
    let here = *counted.topics.get(&topic)? as f32;
    let all = counted.topics.values().sum::<usize>() as f32;
    let (text, _) = counted.forms.iter().rev().max_by_key(|(_, n)| **n)?;
    let head = text.rsplit(' ').next().unwrap_or(text);
    // Adverbs and participles name nothing, unless the call itself shows them used as a noun.
    let adverb = head.ends_with("ly") && !LY_NOUNS.contains(&head);
    let participle = stems.len() == 1 && head.len() > 4 && head.ends_with("ed") && counted.noun == 0;
    if adverb || participle {
        return None;
    }
    let noun = match (counted.noun, counted.verb) {
        (0, 0) => 1.0,
        (0, _) => 0.3,
        (noun, verb) if noun >= verb => 1.5,
        _ => 0.8,
    };
    // A compound says more than its head; a third word rarely adds.
    let compound = [1.0, 1.35, 1.3][stems.len().min(LONGEST) - 1];
    let score = here * (1.0 + average / all).ln() * noun * compound;
    Some(Phrase { text: text.clone(), stems: stems.to_vec(), score })
}

fn tokens<'a>(text: &'a str, names: &HashSet<String>) -> Vec<Token<'a>> {
    let mut first = true;
    let token = |word: &'a str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("\u{2019}s")).unwrap_or(bare);
        let plain = plain(bare);
        let content = plain.chars().count() > 2
            && plain.chars().all(|c| c.is_alphabetic() || c == '-')
            && !is_stop_word(&plain)
            && !plain.split('-').all(is_stop_word)
            && !names.contains(&plain);
        let last = word.ends_with(|c: char| !c.is_alphanumeric() && !['\'', '\u{2019}', '-'].contains(&c));
        let token = Token { text: bare, plain, first, last, content };
        first = ends_sentence(word);
        token
    };
    text.split_whitespace().map(token).collect()
}

/// The word as said; the capital of a sentence's first word goes where the call also has it without.
fn surface(token: &Token<'_>, lower: &HashSet<&str>) -> String {
    if token.first && lower.contains(token.plain.as_str()) { token.plain.clone() } else { token.text.to_owned() }
}

/// The label: the best `count` phrases that share no word, each weighted by its likeness to the topic (0..1).
pub(crate) fn label(mut pool: Vec<Phrase>, likeness: &[f32], count: usize) -> String {
    for (phrase, like) in pool.iter_mut().zip(likeness) {
        phrase.score *= 0.3 + like.max(0.0);
    }
    pool.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(&b.text)));
    let best = pool.first().map_or(0.0, |p| p.score);
    let mut chosen: Vec<Phrase> = Vec::new();
    for phrase in pool {
        let fresh = chosen.iter().all(|c| phrase.stems.iter().all(|s| !c.stems.contains(s)));
        if chosen.len() < count && fresh && phrase.score >= best * 0.4 {
            chosen.push(phrase);
        }
    }
    chosen.into_iter().map(|p| p.text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_set_topics_apart() {
        let names = HashSet::from(["dana".to_owned()]);
        let topics = [
            vec!["Dana, the invoice for February is wrong.", "The old invoice lists the support contract twice."],
            vec![
                "HubSpot offered us a lower price.",
                "Recording was extra with HubSpot, but the price included recording.",
            ],
        ];
        let pools = candidates(&topics, &names);
        let labels: Vec<String> = pools.into_iter().map(|p| label(p, &[1.0; POOL], 2)).collect();
        assert!(labels[0].contains("invoice") && labels[0].contains("support contract"), "{labels:?}");
        assert!(labels[1].contains("HubSpot"), "{labels:?}");
        assert!(!labels.concat().contains("Dana"));
    }

    #[test]
    fn no_words_no_label() {
        assert_eq!(candidates(&[], &HashSet::new()), Vec::<Vec<Phrase>>::new());
        assert_eq!(label(candidates(&[vec!["Yes.", "Okay, thanks."]], &HashSet::new()).remove(0), &[], 3), "");
    }
}
