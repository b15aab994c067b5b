//! A turn's text as tokens, sentences, and plain words that patterns can be matched against.
//!
//! Recognizers differ in what they write: "I'll", "ill", "gonna", numbers as words or digits, punctuation or none. A
//! [`Sentence`] holds one spelling of it: lower case, contractions spelled out, fillers and stutters dropped, numbers in
//! digits ("25", "25th"), words and commas joined by single spaces. Each of its [`Piece`]s knows the tokens it came from, and
//! each [`Token`] its place in the text, so whatever a pattern finds can be pointed at.

use crate::{grammar, numbers};
use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// A word, number or mark of a text.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Bytes of the text.
    pub bytes: Range<usize>,
    /// Characters (Unicode scalars) of the text.
    pub chars: Range<usize>,
    /// Lower case, with plain apostrophes.
    pub lower: String,
    /// Whether it is a word or number rather than a mark.
    pub is_word: bool,
}

/// Tokens of a sentence at most. Recognizers without punctuation make a turn one sentence; cut, the work on a turn grows with
/// its length and not with its square.
const LONGEST_SENTENCE: usize = 300;

/// A text and its tokens.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub raw: &'a str,
    pub tokens: Vec<Token>,
}

/// One word of a [`Sentence`]'s plain spelling, and the tokens it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub at: Range<usize>,
    pub tokens: Range<usize>,
}

/// A sentence in plain spelling.
#[derive(Debug)]
pub(crate) struct Sentence {
    pub plain: String,
    pub pieces: Vec<Piece>,
    pub question: bool,
}

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern is constant and compiled by every test.
    Regex::new(
        r"(?x) (?i:\b[ap]\.m\.?)
        | \d(?:[\d.,:]*\d)?(?:-\d+)*\p{L}*
        | [\p{L}\p{M}\p{N}]+ (?: ['\u{2019}\u{2011}-] [\p{L}\p{M}\p{N}]+ )*
        | \S",
    )
    .expect("a constant pattern")
});

impl<'a> Text<'a> {
    pub fn new(raw: &'a str) -> Self {
        let (mut byte, mut char) = (0, 0);
        let mut place = |to: usize| {
            char += raw[byte..to].chars().count();
            byte = to;
            char
        };
        let tokens = TOKEN
            .find_iter(raw)
            .map(|found| {
                let chars = place(found.start())..place(found.end());
                let lower =
                    found.as_str().to_lowercase().replace(['\u{2019}', '\u{2018}'], "'").replace('\u{2011}', "-");
                Token { bytes: found.range(), chars, is_word: lower.starts_with(char::is_alphanumeric), lower }
            })
            .collect();
        Self { raw, tokens }
    }

    /// The text of some tokens as it was said.
    pub fn slice(&self, tokens: Range<usize>) -> &'a str {
        match self.tokens.get(tokens.clone()) {
            Some([first, .., last]) => &self.raw[first.bytes.start..last.bytes.end],
            Some([only]) => &self.raw[only.bytes.clone()],
            _ => "",
        }
    }

    /// The characters that some tokens span.
    pub fn chars(&self, tokens: Range<usize>) -> Range<usize> {
        match self.tokens.get(tokens) {
            Some([first, .., last]) => first.chars.start..last.chars.end,
            Some([only]) => only.chars.clone(),
            _ => 0..0,
        }
    }

    /// Sentences as ranges of tokens, and whether each ends with a question mark.
    pub fn sentence_ranges(&self) -> Vec<(Range<usize>, bool)> {
        let mut sentences = Vec::new();
        let mut start = 0;
        for (i, token) in self.tokens.iter().enumerate() {
            let next = self.tokens.get(i + 1).map(|next| self.raw[next.bytes.clone()].chars().next().unwrap_or(' '));
            // Recognizers seldom write abbreviations, and often go on in lower case after a full stop.
            let ends = match token.lower.as_str() {
                "?" | "!" | ";" => true,
                "." | "\u{2026}" => {
                    let before = i.checked_sub(1).map_or("", |i| self.tokens[i].lower.as_str());
                    next.is_none() || !ABBREVIATIONS.contains(&before)
                }
                "p.m." | "a.m." => next.is_none_or(|c| c.is_uppercase() || c.is_numeric()),
                _ => false,
            };
            if ends || i + 1 - start >= LONGEST_SENTENCE {
                sentences.push((start..i + 1, token.lower == "?"));
                start = i + 1;
            }
        }
        if start < self.tokens.len() {
            sentences.push((start..self.tokens.len(), false));
        }
        sentences
    }

    /// The sentences in plain spelling.
    pub fn sentences(&self) -> Vec<Sentence> {
        let numbers = numbers::find(&self.tokens);
        self.sentence_ranges().into_iter().map(|(range, question)| self.sentence(range, question, &numbers)).collect()
    }

    fn sentence(&self, range: Range<usize>, question: bool, numbers: &[numbers::Number]) -> Sentence {
        let mut sentence = Sentence { plain: String::new(), pieces: Vec::new(), question };
        let mut i = range.start;
        while i < range.end {
            let number = numbers.binary_search_by_key(&i, |n| n.tokens.start).ok().map(|at| &numbers[at]);
            if let Some(number) = number.filter(|n| n.tokens.end <= range.end) {
                sentence.push(&number.plain(), number.tokens.clone());
                i = number.tokens.end;
                continue;
            }
            let lower = self.tokens[i].lower.as_str();
            if lower == "," || lower == ":" {
                if sentence.last().is_some_and(|last| last != ",") {
                    sentence.push(",", i..i + 1);
                }
            } else if self.tokens[i].is_word && !FILLERS.contains(&lower) {
                let next = self.tokens[i + 1..range.end].iter().find(|t| t.is_word).map(|t| t.lower.as_str());
                for word in spell_out(lower, sentence.last(), next) {
                    if sentence.last() != Some(word) {
                        sentence.push(word, i..i + 1);
                    }
                }
            }
            i += 1;
        }
        sentence
    }
}

impl Sentence {
    fn push(&mut self, word: &str, tokens: Range<usize>) {
        if !self.plain.is_empty() {
            self.plain.push(' ');
        }
        let start = self.plain.len();
        self.plain.push_str(word);
        self.pieces.push(Piece { at: start..self.plain.len(), tokens });
    }

    fn last(&self) -> Option<&str> {
        self.pieces.last().map(|piece| &self.plain[piece.at.clone()])
    }

    /// The tokens behind a range of the plain spelling; None where it holds no word.
    pub fn tokens(&self, plain: Range<usize>) -> Option<Range<usize>> {
        let inside = |piece: &&Piece| piece.at.start < plain.end && piece.at.end > plain.start;
        let first = self.pieces.iter().find(inside)?;
        let last = self.pieces.iter().rev().find(inside)?;
        Some(first.tokens.start..last.tokens.end)
    }
}

/// Sounds of hesitation; they say nothing and stand anywhere.
pub(crate) const FILLERS: &[&str] =
    &["um", "uh", "er", "erm", "ah", "eh", "hmm", "hm", "mm", "mhm", "uhm", "huh", "uh-huh", "mm-hmm"];

/// Words whose full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &["mr", "mrs", "ms", "dr", "st", "e.g", "i.e", "vs"];

/// The words of a token, contractions spelled out. Recognizers drop apostrophes: "ill", "lets" and "well" are read
/// as "I'll", "let's" and "we'll" where a clause can begin or a verb of errands follows.
fn spell_out<'t>(lower: &'t str, last: Option<&str>, next: Option<&str>) -> Vec<&'t str> {
    let begins = last.is_none_or(|last| {
        matches!(
            last,
            "," | "and"
                | "so"
                | "then"
                | "but"
                | "okay"
                | "ok"
                | "yes"
                | "yeah"
                | "sure"
                | "right"
                | "well"
                | "also"
                | "course"
                | "problem"
                | "great"
                | "perfect"
                | "because"
                | "please"
                | "great,"
                | "now"
                | "good"
                | "alright"
                | "thanks"
        )
    });
    let verb = next.is_some_and(grammar::is_verb);
    let unwell = matches!(
        last,
        Some("is" | "am" | "are" | "was" | "be" | "been" | "feel" | "feeling" | "felt" | "fell" | "very")
    );
    match lower {
        "can't" | "cant" | "cannot" => return vec!["can", "not"],
        "won't" | "wont" => return vec!["will", "not"],
        "shan't" => return vec!["shall", "not"],
        "dont" => return vec!["do", "not"],
        "let's" => return vec!["let", "us"],
        "lets" if begins || verb => return vec!["let", "us"],
        "ill" if (begins && next.is_some()) || (verb && !unwell) => return vec!["i", "will"],
        "well" if verb && last.is_none_or(|last| last != "as") => return vec!["we", "will"],
        "im" => return vec!["i", "am"],
        "ive" => return vec!["i", "have"],
        "youll" => return vec!["you", "will"],
        "theyll" => return vec!["they", "will"],
        "gonna" => return vec!["going", "to"],
        "wanna" => return vec!["want", "to"],
        "gotta" => return vec!["got", "to"],
        "lemme" => return vec!["let", "me"],
        "gimme" => return vec!["give", "me"],
        "ok" | "okey" => return vec!["okay"],
        "to-day" => return vec!["today"],
        "to-morrow" => return vec!["tomorrow"],
        "to-night" => return vec!["tonight"],
        _ => {}
    }
    if let Some(stem) = lower.strip_suffix("n't") {
        return vec![stem, "not"];
    }
    for (ending, word) in [("'ll", "will"), ("'d", "would"), ("'re", "are"), ("'ve", "have"), ("'m", "am")] {
        if let Some(stem) = lower.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
            return vec![stem, word];
        }
    }
    if let Some(stem @ ("it" | "that" | "he" | "she" | "what" | "there" | "here" | "who" | "where")) =
        lower.strip_suffix("'s")
    {
        return vec![stem, "is"];
    }
    vec![lower]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<String> {
        Text::new(text).sentences().into_iter().map(|s| s.plain).collect()
    }

    #[test]
    fn spellings_agree() {
        let said = "and I\u{2019}ll, um, send it on the twenty-fifth";
        assert_eq!(plain(said), ["and i will , send it on the 25th"]);
        assert_eq!(plain(", , so"), ["so"]);
        assert_eq!(plain("Ill send it"), ["i will send it"]);
        assert_eq!(plain("I feel ill today"), ["i feel ill today"]);
        assert_eq!(plain("we're gonna we can't"), ["we are going to we can not"]);
    }

    #[test]
    fn sentences_end_where_they_should() {
        assert_eq!(plain("At 2 p.m. on Friday. Okay? yes"), ["at 2 p.m. on friday", "okay", "yes"]);
        assert_eq!(
            plain("I'll ask. then we talk to Mr. Hale to-morrow"),
            ["i will ask", "then we talk to mr hale tomorrow"]
        );
        assert_eq!(plain("It is 1,200.50 euros."), ["it is 1200.5 euros"]);
        assert!(plain("").is_empty());
    }

    #[test]
    fn places_are_characters() {
        let text = Text::new("Größe: I\u{2019}ll ünd");
        assert_eq!(text.chars(2..3), 7..11);
        assert_eq!(text.slice(0..1), "Größe");
    }
}
