//! Whether a sentence that a model wrote is in the turns that it names, and where.
//!
//! A check of words, not of meaning: it finds an amount, a date or a name that nobody said and a sentence about something
//! else; it does not find who did what to whom turned round.

use crate::{
    Line, Part,
    sentences::{sentences, tokens},
};
use rust_stemmers::{Algorithm, Stemmer};
use std::{
    collections::{BTreeSet, HashSet},
    sync::LazyLock,
};
use text2num::{Language, replace_numbers_in_text};

/// A sentence is supported from this share of its words of content on. Its numbers, units, dates, names and a negation must
/// all be there. A third of a sentence's words may be a writer's own ("reports", "incorrect" for "wrong").
const SHARE: f32 = 0.65;

/// A sentence of fewer words of content says nothing that could be checked.
const LEAST_CONTENT: usize = 2;

/// Whom notes of calls speak of, and what they say people do: a writer's words, which nobody need have said.
const WRITERS: &str = "customer agent caller client representative speaker call conversation says said say asks asked ask \
    wants wanted reports reported reporting explains explained states stated mentions mentioned confirms confirmed \
    agrees agreed promises promised offers offered requests requested complains complained notes noted tells told \
    informs informed will would that";

/// Words that must be in the evidence: units and days.
const EXACT: &str = "dollar dollars euro euros pound pounds percent cent cents hour hours day days week weeks month months \
    year years minute minutes today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday \
    january february april june july august september october november december";

const NEGATIONS: &str = "not no never none nothing neither nor without cannot nobody nowhere";

fn set(words: &'static str) -> HashSet<&'static str> {
    words.split_whitespace().collect()
}

static WRITERS_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(WRITERS));
static EXACT_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(EXACT));
static NEGATIONS_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(NEGATIONS));
static GRAMMAR: LazyLock<HashSet<&str>> =
    LazyLock::new(|| stop_words::get(stop_words::Language::English).iter().copied().collect());
static ENGLISH: LazyLock<Language> = LazyLock::new(Language::english);

/// What a text says, as far as it can be compared.
#[derive(Debug, Default, PartialEq)]
struct Terms {
    /// Stems of the words of content.
    content: BTreeSet<String>,
    /// Numbers in digits, and stems of units, days and names.
    exact: BTreeSet<String>,
    /// Every word's stem, and every number.
    all: BTreeSet<String>,
    negates: bool,
}

impl Terms {
    fn of(text: &str) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let signs =
            [("$", " dollar "), ("\u{20ac}", " euro "), ("\u{a3}", " pound "), ("%", " percent "), ("\u{2019}", "'")];
        let spelled = signs.iter().fold(text.to_owned(), |text, (sign, word)| text.replace(sign, word));
        // Below two is no count: "one of them", "the first thing".
        let spelled = replace_numbers_in_text(&spelled, &*ENGLISH, 2.0);
        let mut terms = Self::default();
        let mut opens = true;
        for raw in spelled.split_whitespace() {
            let word = raw.trim_matches(|c: char| !c.is_alphanumeric());
            for piece in word.split(['-', '/', '\u{2014}']).filter(|piece| !piece.is_empty()) {
                terms.add(piece, opens, &stemmer);
                opens = false;
            }
            opens = raw.ends_with(['.', '?', '!', ':']) || (opens && word.is_empty());
        }
        terms
    }

    fn add(&mut self, word: &str, opens: bool, stemmer: &Stemmer) {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let number = number(word);
            self.all.insert(number.clone());
            self.exact.insert(number);
            return;
        }
        let lower = word.to_lowercase();
        let bare = lower.strip_suffix("'s").unwrap_or(&lower);
        self.negates |= NEGATIONS_SET.contains(bare) || bare.ends_with("n't");
        let stem = stemmer.stem(bare).into_owned();
        self.all.insert(stem.clone());
        let writers = WRITERS_SET.contains(bare);
        let grammar = GRAMMAR.contains(bare) || bare.contains('\'');
        // At the head of a sentence every word has a capital: there only one of content may be a name.
        let name = word.starts_with(char::is_uppercase) && !grammar && !(opens && writers);
        if EXACT_SET.contains(bare) || name {
            self.exact.insert(stem.clone());
        }
        if !grammar && !writers {
            self.content.insert(stem);
        }
    }
}

/// "1,200.50" and "1200.5" are the same number; "3rd" is 3; what is none stays as it is.
fn number(word: &str) -> String {
    let figures = word.replace(',', "");
    let figures = figures.trim_end_matches(|c: char| c.is_alphabetic());
    figures.parse::<f64>().map_or_else(|_| word.to_lowercase(), |value| value.to_string())
}

/// Where a sentence is said: the fewest sentences of the turns that it names that hold what they hold of it, in the order
/// of the call, and the share of its words of content that they hold, 0..1. `None` where it is not supported.
pub(crate) fn evidence(
    text: &str,
    turns: &[usize],
    lines: &[Line],
    max_sentence_words: usize,
) -> Option<(Vec<Part>, f32)> {
    let terms = Terms::of(text);
    if terms.content.len() + terms.exact.iter().filter(|t| !terms.content.contains(*t)).count() < LEAST_CONTENT {
        return None;
    }
    let turns: BTreeSet<usize> = turns.iter().copied().filter(|&turn| turn < lines.len()).collect();
    let mut said: Vec<(Part, Terms)> = Vec::new();
    for turn in turns {
        let line = &lines[turn];
        let tokens = tokens(&line.text, &line.words);
        for range in sentences(&tokens, max_sentence_words, max_sentence_words) {
            let part = &tokens[range];
            let text = part.iter().map(|token| token.text).collect::<Vec<_>>().join(" ");
            let chars = part[0].chars.start..part[part.len() - 1].chars.end;
            let terms = Terms::of(&text);
            said.push((Part { turn, chars, text }, terms));
        }
    }
    let holds = |term: &String| said.iter().any(|(_, said)| said.all.contains(term));
    if !terms.exact.iter().all(holds) || (terms.negates && !said.iter().any(|(_, said)| said.negates)) {
        return None;
    }
    let found = terms.content.iter().filter(|term| holds(term)).count();
    let share = if terms.content.is_empty() { 1.0 } else { found as f32 / terms.content.len() as f32 };
    if share < SHARE {
        return None;
    }
    // Greedy cover; of equals the earliest.
    let mut open: BTreeSet<&String> = terms.content.union(&terms.exact).filter(|term| holds(term)).collect();
    let mut chosen = BTreeSet::new();
    while !open.is_empty() {
        let gain = |i: usize| open.iter().filter(|term| said[i].1.all.contains(**term)).count();
        let best = (0..said.len()).max_by_key(|&i| (gain(i), std::cmp::Reverse(i)))?;
        open.retain(|term| !said[best].1.all.contains(*term));
        chosen.insert(best);
    }
    if terms.negates && !chosen.iter().any(|&i| said[i].1.negates) {
        chosen.extend(said.iter().position(|(_, said)| said.negates));
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut last = None;
    for i in chosen {
        let part = &said[i].0;
        match parts.last_mut() {
            Some(open) if open.turn == part.turn && last == Some(i - 1) => {
                open.chars.end = part.chars.end;
                open.text = format!("{} {}", open.text, part.text);
            }
            _ => parts.push(part.clone()),
        }
        last = Some(i);
    }
    Some((parts, share))
}

/// How alike two texts are: words of content in both as a share of those in either, 0..1.
pub(crate) fn likeness(a: &str, b: &str) -> f32 {
    let (a, b) = (Terms::of(a), Terms::of(b));
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (&a.content | &a.exact, &b.content | &b.exact);
    let either = a.union(&b).count();
    if either == 0 { 1.0 } else { a.intersection(&b).count() as f32 / either as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let said = [
            ("agent", "Good morning, this is Dana from Brightwell."),
            ("customer", "The invoice for March is wrong. It says six hundred and forty dollars, we agreed on $590."),
            (
                "agent",
                "You are right. Both invoices lack the discount of eight percent. I'll send the corrected invoices by Tuesday.",
            ),
            ("customer", "I do not want a new contract. My router is broken too."),
        ];
        said.iter()
            .map(|(role, text)| Line { role: Some((*role).into()), text: (*text).into(), words: vec![] })
            .collect()
    }

    fn supported(text: &str, turns: &[usize]) -> bool {
        evidence(text, turns, &lines(), 32).is_some()
    }

    #[test]
    fn what_was_said_is_supported() {
        assert!(supported("The customer says the March invoice is wrong.", &[1]));
        assert!(supported("The invoice says 640 dollars, but 590 dollars were agreed on.", &[1]));
        assert!(supported("Agent will send corrected invoices by Tuesday.", &[2]));
        assert!(supported("Both invoices lack the 8% discount.", &[2]));
        assert!(supported("The customer does not want a new contract.", &[3]));
    }

    #[test]
    fn what_nobody_said_is_not() {
        // A number, an amount's unit, a day, a name, a negation, and too many words.
        assert!(!supported("The invoice says 650 dollars.", &[1]));
        assert!(!supported("The invoice says 640 euros.", &[1]));
        assert!(!supported("Agent will send corrected invoices by Wednesday.", &[2]));
        assert!(!supported("Agent will send corrected invoices tomorrow.", &[2]));
        assert!(!supported("Peter will send corrected invoices by Tuesday.", &[2]));
        assert!(!supported("Agent will send corrected invoices to Peter by Tuesday.", &[2]));
        assert!(!supported("The March invoice is not wrong.", &[1]));
        assert!(!supported("The invoice was paid twice through an old bank account.", &[1]));
        // True, but the turns that are named do not say it.
        assert!(!supported("The March invoice is wrong.", &[0, 2]));
        assert!(!supported("The March invoice is wrong.", &[]));
        assert!(!supported("The March invoice is wrong.", &[99]));
        // Nothing to check.
        for empty in ["", "The customer calls.", "!?", "\u{8acb}"] {
            assert!(!supported(empty, &[0, 1, 2, 3]), "{empty}");
        }
    }

    #[test]
    fn the_evidence_is_the_sentences_that_say_it() {
        let (parts, share) = evidence("Agent will send corrected invoices by Tuesday.", &[2, 1], &lines(), 32).unwrap();
        assert_eq!(parts.len(), 1);
        assert_eq!((parts[0].turn, parts[0].text.as_str()), (2, "I'll send the corrected invoices by Tuesday."));
        let text: String = lines()[2].text.chars().skip(parts[0].chars.start).take(parts[0].chars.len()).collect();
        assert_eq!(text, parts[0].text);
        assert_eq!(share, 1.0);
        let (parts, _) = evidence("The March invoice and the router are wrong.", &[1, 3], &lines(), 32).unwrap();
        assert_eq!(parts.iter().map(|part| part.turn).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (a, b) in [("1,200.50", "1200.5"), ("3rd", "3"), ("640", "640.00"), ("10:30am", "10:30AM")] {
            assert_eq!(number(a), number(b));
        }
        assert!(likeness("The invoice is wrong.", "The invoices are wrong") > 0.99);
        assert!(likeness("The invoice is wrong.", "The router is broken.") < 0.01);
    }
}
