//! Words that say nothing about a topic, and the formulas that open and close a call.

use crate::speech::{ends_sentence, plain};
use std::{collections::HashSet, sync::LazyLock};

/// Common verbs, adverbs, numbers, days and words of conversation: frequent in every call and never its topic.
const TALK_WORDS: &str = include_str!("talk-words.txt");

static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let grammar = stop_words::get(stop_words::Language::English).iter().copied();
    grammar.chain(TALK_WORDS.split_whitespace()).collect()
});

/// What a sentence of greeting, thanks or farewell is made of, beside stop words and names.
static FORMULA_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "hello hi hey good morning afternoon evening day weekend calling call called speaking speak phone line thank thanks \
     time much lot again help helped helpful assist name support service customer care team welcome bye goodbye see talk \
     soon later great nice lovely wonderful perfect excellent pleasure appreciate appreciated meet okay ok yes yeah fine \
     well today tomorrow week month have please take everything anything else all right sure doing making taking made \
     quickly very really interesting looking forward kind"
        .split_whitespace()
        .collect()
});

/// One of these makes a sentence of such words a formula.
const MARKERS: [&str; 24] = [
    "hello",
    "hi ",
    "hey",
    "good morning",
    "good afternoon",
    "good evening",
    "thank",
    "bye",
    "welcome",
    "how are you",
    "how can i help",
    "how may i help",
    "can i help",
    "can i do for you",
    "my name is",
    "speaking with",
    "speak with",
    "am i speaking",
    "take care",
    "good day",
    "great day",
    "nice day",
    "see you",
    "talk to you",
];

/// Whether the word, in lower case, can stand in no label.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word) || word.split('\'').next().is_some_and(|stem| STOP_WORDS.contains(stem))
}

/// Share of a text's words that stand in sentences of greeting, thanks and farewell.
pub(crate) fn formula_share(text: &str) -> f32 {
    let (mut all, mut formula, mut sentence) = (0, 0, Vec::new());
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        sentence.push(word);
        if ends_sentence(word) || words.peek().is_none() {
            all += sentence.len();
            formula += if is_formula(&sentence) { sentence.len() } else { 0 };
            sentence.clear();
        }
    }
    formula as f32 / all.max(1) as f32
}

/// Three words in four that belong to formulas (or are names inside the sentence), and a marker.
fn is_formula(sentence: &[&str]) -> bool {
    let words: Vec<String> = sentence.iter().map(|w| plain(w)).filter(|w| !w.is_empty()).collect();
    let joined = format!("{} ", words.join(" "));
    let named = |i: usize| i > 0 && sentence[i].starts_with(char::is_uppercase);
    let known = (0..sentence.len())
        .filter(|&i| {
            let word = plain(sentence[i]);
            FORMULA_WORDS.contains(word.as_str()) || named(i) || (is_stop_word(&word) && word.len() < 5)
        })
        .count();
    MARKERS.iter().any(|m| joined.contains(m)) && known * 4 >= sentence.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas() {
        for text in [
            "Good morning, this is Dana from Brightwell. Am I speaking with Marcus?",
            "Thanks for calling Brightwell support, my name is Nora. What can I do for you today?",
            "Thank you, Peter. Talk to you soon.",
            "hello how can i help",
            "You're very welcome. Have a good day.",
        ] {
            assert!(formula_share(text) > 0.5, "{text}");
        }
        for text in [
            "Your contract ends on the thirty-first of March.",
            "Hi, I have a question about the invoice for February and two more orders.",
            "Nobody told us about that.",
            "",
        ] {
            assert!(formula_share(text) < 0.5, "{text}");
        }
    }
}
