//! What a word is in its sentence, as far as phrases need it: part of a noun group or not.
//!
//! A list says what 13,000 common words can be, the commonest first (`words.txt`, from wink-lexicon; `scripts/make-word-classes`
//! writes it); endings say it of the rest, which are nouns if nothing speaks against it. Where noun and verb are both possible,
//! the neighbours decide. On abstracts the noun groups found so are as good as those of a perceptron tagger trained on UD
//! English-EWT (recall and precision of Inspec's keys 59 and 20 %, with either).

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// The class of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Noun,
    Adjective,
    /// A past participle: before a noun an adjective, else a verb.
    Participle,
    Other,
}

static WORDS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("words.txt").lines().filter_map(|line| line.split_once(' '));
    lines.flat_map(|(classes, words)| words.split(' ').map(move |word| (word, classes))).collect()
});

fn set(words: &'static str) -> HashSet<&'static str> {
    words.split_whitespace().collect()
}

static DETERMINERS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "the a an this that these those his her its our their my your some any each every no another both all which what such",
    )
});

/// What stands before a noun group and before no verb.
static PREPOSITIONS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| set("for of in with by on about from at into over under between through during without like per"));

/// What follows a verb rather than a noun.
static OBJECTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "the a an this that these those his her its our their my your some any how whether what why to it them him us you me if",
    )
});

/// What stands before a verb.
static SUBJECTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set("i you we they he she it who to will would can could may might must shall should cannot not n't don't doesn't \
        didn't can't won't let's i'll we'll you'll they'll i'd we'd")
});

const ADJECTIVES: [&str; 14] =
    ["ous", "ive", "al", "ic", "able", "ible", "ful", "less", "ary", "ish", "like", "ant", "ent", "ical"];

/// Whether the list has the word: it is no name and no term.
pub(crate) fn is_common(word: &str) -> bool {
    WORDS.contains_key(word)
}

/// What a word can be, the commonest first: N, A, P, G, V, O as in `words.txt`.
fn classes(word: &str) -> &'static str {
    if let Some(found) = WORDS.get(word) {
        return found;
    }
    if let Some(owner) = word.strip_suffix("'s") {
        return classes(owner);
    }
    if word.is_empty() || !word.contains(char::is_alphabetic) {
        return "O";
    }
    if let Some((_, last)) = word.rsplit_once('-') {
        let found = classes(last);
        return if found.starts_with(['P', 'G', 'O']) { "A" } else { found };
    }
    let single = || word.strip_suffix('s').filter(|_| !word.ends_with("ss"));
    let singular = || WORDS.get(single()?).or_else(|| WORDS.get(word.strip_suffix("es")?));
    match singular() {
        Some(of) if of.contains('N') && of.contains('V') => {
            if of.find('N') < of.find('V') {
                "NV"
            } else {
                "VN"
            }
        }
        Some(of) if of.contains('V') => "V",
        None if word.ends_with("ly") => "O",
        None if word.ends_with("ed") => "P",
        None if word.ends_with("ing") => "NG",
        None if ADJECTIVES.iter().any(|ending| word.ends_with(ending)) => "AN",
        Some(_) | None => "N",
    }
}

/// Whether a word that could be part of a noun group seldom is: "of", "so".
fn doubtful(can: &str) -> bool {
    can.contains('O') && !can.starts_with(['N', 'A'])
}

/// Whether a word can go on a noun group.
fn goes_on(can: &str) -> bool {
    can.contains(['N', 'A', 'G', 'P']) && !doubtful(can)
}

/// The class of each word of a sentence. `words` are in lower case, with whether each begins with a capital.
pub(crate) fn of_sentence(words: &[(&str, bool)]) -> Vec<Class> {
    use Class::{Adjective, Noun, Other, Participle};
    let mut found: Vec<Class> = Vec::with_capacity(words.len());
    for (i, &(word, capital)) in words.iter().enumerate() {
        let before = if i > 0 { words[i - 1].0 } else { "" };
        let after = words.get(i + 1).map_or("", |w| w.0);
        let last = found.last().copied().unwrap_or(Other);
        let modified =
            DETERMINERS.contains(before) || PREPOSITIONS.contains(before) || matches!(last, Noun | Adjective);
        let can = classes(word);
        let (noun, adjective, verb) = (can.contains('N'), can.contains('A'), can.contains('V'));
        let class = if can == "V" || can.starts_with('O') {
            Other
        } else if capital && i > 0 && noun {
            Noun
        } else if verb && (noun || adjective) {
            match can.chars().next() {
                _ if SUBJECTS.contains(before) || (last == Noun && OBJECTS.contains(after)) => Other,
                Some('N') => Noun,
                _ if noun && (modified || last == Participle) => Noun,
                Some('P') if noun => Participle,
                Some('V') if noun => Other,
                _ => Adjective,
            }
        } else if can.contains('P') {
            match can.chars().next() {
                Some('A') => Adjective,
                _ if noun && modified => Noun,
                _ => Participle,
            }
        } else if can.starts_with('G') {
            if noun {
                Noun
            } else if adjective {
                Adjective
            } else {
                Other
            }
        } else if can.starts_with('N') || (noun && !goes_on(classes(after))) {
            // "The archive": what could be an adjective is none with nothing behind it.
            Noun
        } else {
            Adjective
        };
        found.push(if doubtful(can) { Other } else { class });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nouns(text: &str) -> String {
        let lower: Vec<(String, bool)> =
            text.split(' ').map(|w| (w.to_lowercase(), w.starts_with(char::is_uppercase))).collect();
        let words: Vec<(&str, bool)> = lower.iter().map(|(w, c)| (w.as_str(), *c)).collect();
        let mark = |class| match class {
            Class::Noun => 'N',
            Class::Adjective => 'A',
            Class::Participle => 'P',
            Class::Other => '.',
        };
        of_sentence(&words).into_iter().map(mark).collect()
    }

    #[test]
    fn neighbours_decide() {
        assert_eq!(nouns("these results show that the revised quote works"), ".N...ANN");
        assert_eq!(nouns("we show the results"), "...N");
        assert_eq!(nouns("a quote for call recording"), ".N.NN");
        assert_eq!(nouns("we call them about the Brightwell invoice"), ".....NN");
        assert_eq!(nouns("time-series prediction"), "NN");
        assert_eq!(nouns("the zorbive of the zorbive shelf"), ".N..AN");
    }

    #[test]
    fn endings_speak_for_unknown_words() {
        assert_eq!(nouns("zorbly zorbed zorbs"), ".PN");
        assert!(of_sentence(&[]).is_empty());
    }
}
