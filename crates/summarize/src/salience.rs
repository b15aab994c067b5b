//! Which words of a dialogue a person's summary would keep.
//!
//! Word importance by regression: K. Hong and A. Nenkova, "Improving the Estimation of Word Importance for News Multi-Document
//! Summarization", EACL 2014. A logistic regression says of each word of a dialogue how likely it is in the summary once, twice,
//! three times, from where, how often and by whom it is said and from the length of the summary. Words of grammar have a weight
//! each: summaries tell in the third person, so that "the" and "to" come back and "I" and "you" do not. The weights are those of
//! models/heads/salience.safetensors; scripts/train-salience makes them, and its features are these.

use crate::Line;
use rust_stemmers::{Algorithm, Stemmer};
use safetensors::SafeTensors;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::LazyLock,
};

/// Mentions of a word in a summary that are told apart.
pub(crate) const TIMES: usize = 3;

/// Probability that the summary has a word once, twice, three times.
pub(crate) type Kept = [f32; TIMES];

/// Features of a word.
const FEATURES: usize = 17;

struct Head {
    features: [f32; FEATURES],
    /// For the second and third time: of words of grammar, then of others.
    again: [f32; 2 * (TIMES - 1)],
    bias: f32,
    grammar: HashMap<String, f32>,
}

static HEAD: LazyLock<Head> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../models/heads/salience.safetensors");
    read(bytes).expect("the head that is part of the program, read by this file's tests")
});

fn read(bytes: &[u8]) -> Option<Head> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let numbers = |name: &str| -> Option<Vec<f32>> {
        let data = tensors.tensor(name).ok()?.data();
        Some(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    let words = metadata.metadata().as_ref()?.get("grammar")?.split(' ').map(str::to_owned);
    Some(Head {
        features: numbers("features")?.try_into().ok()?,
        again: numbers("again")?.try_into().ok()?,
        bias: *numbers("bias")?.first()?,
        grammar: words.zip(numbers("grammar")?).collect(),
    })
}

/// The words of a text: runs of ASCII letters and digits in lower case, those of more than three letters as their stems.
pub(crate) fn words(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    let lower = text.to_lowercase();
    let runs = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(|run| if run.len() > 3 { stemmer.stem(run).into_owned() } else { run.to_owned() }).collect()
}

/// What is known of a word.
#[derive(Default)]
struct Said {
    count: usize,
    first: usize,
    last: usize,
    turns: usize,
    last_turn: Option<usize>,
    speakers: HashSet<String>,
    /// Turns of speakers of this name.
    named: usize,
    capital: bool,
}

/// The words of a dialogue and of its speakers' names, each with its probabilities in a summary of `budget` words.
pub(crate) fn kept(lines: &[Line], budget: usize) -> BTreeMap<String, Kept> {
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    let mut at = 0;
    for (turn, line) in lines.iter().enumerate() {
        let role = line.role.as_deref().unwrap_or_default();
        let mut opens = true;
        for raw in line.text.split_whitespace() {
            let capital = !opens && is_capital(raw);
            for word in words(raw) {
                let word = said.entry(word).or_default();
                if word.count == 0 {
                    word.first = at;
                }
                word.count += 1;
                word.last = at;
                word.capital |= capital;
                if word.last_turn != Some(turn) {
                    word.turns += 1;
                    word.last_turn = Some(turn);
                }
                if !word.speakers.contains(role) {
                    word.speakers.insert(role.to_owned());
                }
                at += 1;
            }
            opens = raw.ends_with(['.', '?', '!']);
        }
        for word in words(role).into_iter().collect::<HashSet<_>>() {
            said.entry(word).or_default().named += 1;
        }
    }
    let head = &*HEAD;
    let (all, turns) = (at.max(1) as f32, lines.len().max(1) as f32);
    let budget = (budget.max(1) as f32 / 60.0).ln();
    said.into_iter()
        .map(|(word, said)| {
            let kept = probabilities(head, &word, &said, all, turns, budget);
            (word, kept)
        })
        .collect()
}

fn probabilities(head: &Head, word: &str, said: &Said, all: f32, turns: f32, budget: f32) -> Kept {
    let grammar = head.grammar.get(word);
    let (content, count) = (if grammar.is_some() { 0.0 } else { 1.0 }, said.count as f32);
    let yes = |holds: bool| f32::from(u8::from(holds));
    let length = (all / 400.0).ln();
    let features: [f32; FEATURES] = [
        content,
        content * count.ln_1p(),
        content * (20.0 * count / all).min(1.0),
        said.turns as f32 / turns,
        content * yes(said.speakers.len() > 1),
        content * said.first as f32 / all,
        content * (-(said.first as f32) / 40.0).exp(),
        content * said.last as f32 / all,
        content * yes(said.capital),
        content * yes(word.contains(|c: char| c.is_ascii_digit())),
        content * word.len().min(10) as f32 / 10.0,
        yes(said.named > 0),
        said.named as f32 / turns,
        budget,
        length * content,
        length * (1.0 - content),
        content * budget,
    ];
    let sum: f32 = features.iter().zip(&head.features).map(|(a, b)| a * b).sum();
    let base = head.bias + sum + grammar.copied().unwrap_or(0.0);
    let again = if grammar.is_some() { 0 } else { TIMES - 1 };
    std::array::from_fn(|time| {
        let odds = if time > 0 { base + head.again[again + time - 1] } else { base };
        1.0 / (1.0 + (-odds).exp())
    })
}

/// Whether a word inside a sentence is written like a name.
fn is_capital(raw: &str) -> bool {
    let word = raw.trim_start_matches(['"', '\'', '(']);
    let own = raw.starts_with("I'") || raw.starts_with("I\u{2019}") || raw.trim_matches(['.', ',', '?', '!']) == "I";
    word.starts_with(char::is_uppercase) && !own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        turns: Vec<(String, String)>,
        budget: usize,
        words: BTreeMap<String, Kept>,
    }

    #[test]
    fn probabilities_are_those_of_the_script() {
        let goldens: Vec<Golden> = serde_json::from_str(include_str!("../tests/data/salience.json")).unwrap();
        for golden in goldens {
            let line =
                |(role, text): &(String, String)| Line { role: Some(role.clone()), text: text.clone(), words: vec![] };
            let lines: Vec<Line> = golden.turns.iter().map(line).collect();
            let found = kept(&lines, golden.budget);
            assert_eq!(found.keys().collect::<Vec<_>>(), golden.words.keys().collect::<Vec<_>>());
            for (word, wanted) in golden.words {
                for (a, b) in found[&word].iter().zip(wanted) {
                    assert!((a - b).abs() < 1e-4, "{word}: {:?} is not {wanted:?}", found[&word]);
                }
            }
        }
    }

    #[test]
    fn nothing_said_keeps_nothing() {
        assert!(kept(&[], 20).is_empty());
        assert!(kept(&[Line::default()], 0).is_empty());
    }
}
