//! The Whisper English normalizer: what makes word error rates of different recognizers comparable.
//!
//! Source of the rules: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (2022), appendix C,
//! and its reference implementation, openai/whisper, `whisper/normalizers/english.py` and `basic.py` (MIT). The results
//! equal the reference's to the character, its quirks included (`1.5` becomes `one.5`; `ninth` stays a word), because
//! published error rates have them. Two differences are known: digits of other scripts than ASCII's are left as they
//! are, and symbols added to Unicode after version 14 are symbols here already.

mod digits;
mod numbers;
mod runs;

use regex::{Captures, Regex};
use runs::{replace_bounded, replace_runs};
use std::{borrow::Cow, collections::HashMap, sync::LazyLock};
use unicode_normalization::UnicodeNormalization;

/// White space as the reference's language sees it: Unicode's and the four information separators.
const SPACE: &str = r"[\s\x1c-\x1f]";

/// The same as [`SPACE`], for one character.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

fn compiled(pattern: &str) -> Regex {
    // The patterns are constants of this module, and every test compiles all of them.
    #[allow(clippy::unwrap_used)]
    Regex::new(pattern).unwrap()
}

/// Hesitations, which are dropped.
const FILLERS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// Whole words and what they become, one after the other in this order.
const WHOLE: [(&str, &str); 35] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("gonna", "going to"),
    ("i'ma", "i am going to"),
    ("imma", "i am going to"),
    ("woulda", "would have"),
    ("coulda", "could have"),
    ("shoulda", "should have"),
    ("ma'am", "madam"),
    ("mr", "mister "),
    ("mrs", "missus "),
    ("st", "saint "),
    ("dr", "doctor "),
    ("prof", "professor "),
    ("capt", "captain "),
    ("gov", "governor "),
    ("ald", "alderman "),
    ("gen", "general "),
    ("sen", "senator "),
    ("rep", "representative "),
    ("pres", "president "),
    ("rev", "reverend "),
    ("hon", "honorable "),
    ("asst", "assistant "),
    ("assoc", "associate "),
    ("lt", "lieutenant "),
    ("col", "colonel "),
    ("jr", "junior "),
    ("sr", "senior "),
    ("esq", "esquire "),
];

/// Ends of words and what they become, after [`WHOLE`] and in this order.
const ENDINGS: [(&str, &str); 14] = [
    ("'d been", " had been"),
    ("'s been", " has been"),
    ("'d gone", " had gone"),
    ("'s gone", " has gone"),
    ("'d done", " had done"),
    ("'s got", " has got"),
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'t", " not"),
    ("'ve", " have"),
    ("'m", " am"),
];

/// Letters that no decomposition separates from their marks.
fn plain_letters(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "œ" => "oe",
        "Œ" => "OE",
        "ø" => "o",
        "Ø" => "O",
        "æ" => "ae",
        "Æ" => "AE",
        "ß" => "ss",
        "ẞ" => "SS",
        "đ" | "ð" => "d",
        "Đ" | "Ð" => "D",
        "þ" | "Þ" => "th",
        "ł" => "l",
        "Ł" => "L",
        _ => return None,
    })
}

/// Drops diacritics; makes a space of every other mark, symbol and punctuation but those that numbers need.
fn plain(text: &str) -> String {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| compiled(r"[\p{M}\p{S}\p{P}œŒøØæÆßẞđĐðÐþÞłŁ]"));
    static DIACRITIC: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\p{Mn}$"));
    let text: String = text.nfkd().collect();
    let plain = MARKED.replace_all(&text, |found: &Captures| {
        let c = &found[0];
        match plain_letters(c) {
            Some(letters) => letters.to_owned(),
            None if ".%$¢€£".contains(c) => c.to_owned(),
            None if DIACRITIC.is_match(c) => String::new(),
            None => " ".to_owned(),
        }
    });
    plain.into_owned()
}

/// British spellings to American ones.
fn american(word: &str) -> &str {
    static SPELLING: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        include_str!("../../data/spelling.tsv").lines().filter_map(|line| line.split_once('\t')).collect()
    });
    SPELLING.get(word).copied().unwrap_or(word)
}

/// Text as the Whisper English normalizer writes it: lower case, no punctuation, numbers in digits, contractions
/// written out, American spelling. May begin or end with a space.
pub fn normalize_english(text: &str) -> String {
    static BRACKETS: LazyLock<Regex> = LazyLock::new(|| compiled(r"[<\[][^>\]]*[>\]]"));
    static PARENTHESES: LazyLock<Regex> = LazyLock::new(|| compiled(r"\([^)]+?\)"));
    static LOOSE_APOSTROPHE: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("{SPACE}+'")));
    static DIGIT_COMMA: LazyLock<Regex> = LazyLock::new(|| compiled(r"(\d),(\d)"));
    static FULL_STOP: LazyLock<Regex> = LazyLock::new(|| compiled(r"\.([^0-9]|$)"));
    static LOOSE_PREFIX: LazyLock<Regex> = LazyLock::new(|| compiled(r"[.$¢€£]([^0-9])"));
    static LOOSE_SUFFIX: LazyLock<Regex> = LazyLock::new(|| compiled(r"([^0-9])%"));
    static SPACES: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("{SPACE}+")));

    let text = text.to_lowercase();
    let text = BRACKETS.replace_all(&text, "");
    let text = PARENTHESES.replace_all(&text, "");
    let text = replace_runs(&text, |run| FILLERS.contains(&run).then_some(Cow::Borrowed("")));
    let mut text = LOOSE_APOSTROPHE.replace_all(&text, "'").into_owned();
    for (find, with) in WHOLE {
        text = replace_bounded(text, find, true, with);
    }
    for (find, with) in ENDINGS {
        text = replace_bounded(text, find, false, with);
    }
    let text = DIGIT_COMMA.replace_all(&text, "$1$2");
    let text = FULL_STOP.replace_all(&text, " $1");
    let text = numbers::in_digits(&plain(&text));
    let text = words_of(&text).map(american).collect::<Vec<_>>().join(" ");
    let text = LOOSE_PREFIX.replace_all(&text, " $1");
    let text = LOOSE_SUFFIX.replace_all(&text, "$1 ");
    SPACES.replace_all(&text, " ").into_owned()
}

#[cfg(test)]
mod tests {
    use super::normalize_english;

    #[test]
    fn writes_what_the_rules_say() {
        for (text, wanted) in [
            ("", ""),
            (
                "He won't pay [laughs] Mr. Jones's bill (again), uh, will he?",
                "he will not pay mister jones is bill will he",
            ),
            ("The colour of Zoë's façade: 50% grey.", "the color of zoe is facade 50% gray"),
            ("double oh seven", "007"),
            ("twenty-five dollars and ten cents", "$25.10"),
            ("one hundred and twenty thousand three hundred", "120300"),
            ("in nineteen ninety-nine", "in 1999"),
            ("1.5 litres", "one.5 liters"),
            ("the twenty first of March", "the 21st of march"),
        ] {
            assert_eq!(normalize_english(text).trim(), wanted, "{text}");
        }
    }
}
