//! Turns to sentences, also where the recognizer set no marks.

use schema::Word;
use std::ops::Range;

/// Without marks, a pause of this length ends a sentence.
const PAUSE_MS: i64 = 700;

/// No piece of an unmarked stretch is shorter, in words.
const LEAST_WORDS: usize = 3;

/// Words whose full stop ends no sentence.
const ABBREVIATIONS: [&str; 20] = [
    "mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "sr.", "jr.", "vs.", "etc.", "e.g.", "i.e.", "a.m.", "p.m.", "inc.",
    "ltd.", "co.", "corp.", "approx.", "ext.",
];

/// What a clause ends with: a comma, a joint or half a second's pause.
const SEAM: f32 = 0.5;

/// Words that begin a clause: where a long stretch may be parted.
const JOINTS: [&str; 22] = [
    "and", "but", "so", "because", "then", "or", "which", "although", "if", "when", "after", "before", "while",
    "where", "since", "until", "unless", "though", "cause", "cos", "who", "whether",
];

/// A word of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// In Unicode scalars of the turn's text.
    pub(crate) chars: Range<usize>,
    /// Silence before the word, where the turn's words have times.
    pause_ms: i64,
}

impl Token<'_> {
    fn ends_sentence(&self, next: Option<&Self>) -> bool {
        let bare = self.text.trim_end_matches(['"', '\'', ')', '\u{201d}', '\u{2019}']);
        let initial = bare.chars().count() == 2 && bare.starts_with(char::is_uppercase);
        let abbreviated = initial || ABBREVIATIONS.contains(&bare.to_lowercase().as_str());
        match bare.chars().last() {
            Some('?' | '!' | '\u{2026}') => true,
            // "No. 5" is a number, "No." an answer.
            Some('.') if bare.eq_ignore_ascii_case("no.") => {
                !next.is_some_and(|n| n.text.starts_with(|c: char| c.is_ascii_digit()))
            }
            Some('.') => !abbreviated && !next.is_some_and(|n| n.text.starts_with(char::is_lowercase)),
            _ => false,
        }
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric)
    }
}

/// The turn's words with their places. `words` gives the pauses where it fits the text.
pub(crate) fn tokens<'a>(text: &'a str, words: &[Word]) -> Vec<Token<'a>> {
    let mut chars = 0;
    let mut found = Vec::new();
    for piece in text.split_inclusive(char::is_whitespace) {
        let (word, length) = (piece.trim_end(), piece.chars().count());
        if !word.is_empty() {
            found.push(Token { text: word, chars: chars..chars + word.chars().count(), pause_ms: 0 });
        }
        chars += length;
    }
    if words.len() == found.len() {
        for (token, pair) in found.iter_mut().skip(1).zip(words.windows(2)) {
            token.pause_ms = pair[1].start_ms - pair[0].end_ms;
        }
    }
    found
}

/// The sentences as ranges of tokens: parted at marks; a turn without marks also at pauses; stretches of more than
/// `clause` words at pauses, commas and joints, those of more than `most` at the best place there is.
pub(crate) fn sentences(tokens: &[Token<'_>], clause: usize, most: usize) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut first = 0;
    for i in 0..tokens.len() {
        let marks_follow = tokens.get(i + 1).is_some_and(|next| !next.is_word());
        if i + 1 == tokens.len() || (tokens[i].ends_sentence(tokens.get(i + 1)) && !marks_follow) {
            parts.push(first..i + 1);
            first = i + 1;
        }
    }
    let unmarked = parts.len() == 1 && !tokens.last().is_some_and(|t| t.ends_sentence(None));
    let mut found = Vec::new();
    for part in parts {
        let limits = [clause, most].map(|words| words.max(2 * LEAST_WORDS));
        split(tokens, part, limits, unmarked, &mut found);
    }
    found
}

/// Parts a stretch at its best place until every piece is short enough (and no long pause is left, if `unmarked`).
fn split(tokens: &[Token<'_>], part: Range<usize>, limits: [usize; 2], unmarked: bool, found: &mut Vec<Range<usize>>) {
    let [clause, most] = limits;
    let middle = usize::midpoint(part.start, part.end) as f32;
    let seam = |i: usize| {
        let pause = tokens[i].pause_ms.clamp(0, 1500) as f32 / 1000.0;
        let joint = f32::from(u8::from(JOINTS.contains(&tokens[i].text.to_lowercase().as_str())));
        let comma = f32::from(u8::from(tokens[i - 1].text.ends_with([',', ';', ':', '-'])));
        pause + 0.5 * joint + 0.5 * comma
    };
    let worth = |i: usize| seam(i) - 0.3 * (i as f32 - middle).abs() / part.len() as f32;
    let inside = part.start + LEAST_WORDS..(part.end + 1).saturating_sub(LEAST_WORDS);
    let best = inside.clone().max_by(|&a, &b| worth(a).total_cmp(&worth(b)).then(b.cmp(&a)));
    let longest = inside.max_by_key(|&i| (tokens[i].pause_ms, std::cmp::Reverse(i)));
    let at = match (best, longest) {
        (_, Some(longest)) if unmarked && tokens[longest].pause_ms >= PAUSE_MS => longest,
        (Some(best), _) if part.len() > most || (part.len() > clause && seam(best) >= SEAM) => best,
        _ => return found.push(part),
    };
    split(tokens, part.start..at, limits, unmarked, found);
    split(tokens, at..part.end, limits, unmarked, found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split_text(text: &str, most: usize) -> Vec<String> {
        let tokens = tokens(text, &[]);
        let chars: Vec<char> = text.chars().collect();
        let range = |r: Range<usize>| tokens[r.start].chars.start..tokens[r.end - 1].chars.end;
        sentences(&tokens, most, most).into_iter().map(|r| chars[range(r)].iter().collect()).collect()
    }

    #[test]
    fn marks() {
        assert_eq!(
            split_text(
                "Dr. Stone is in at 9 a.m. today. Is that all right? \u{201c}Yes.\u{201d} It's 2.5 percent.",
                30
            ),
            ["Dr. Stone is in at 9 a.m. today.", "Is that all right?", "\u{201c}Yes.\u{201d}", "It's 2.5 percent."]
        );
        assert_eq!(
            split_text("why ? damn . . . Ok. No. Take no. 5.", 40),
            ["why ?", "damn . . .", "Ok.", "No.", "Take no. 5."]
        );
        assert_eq!(split_text("   ", 30), Vec::<String>::new());
    }

    #[test]
    fn long_stretches_part_at_joints() {
        let text = "we have sixty people in two offices and in the morning they take the new claims by phone";
        assert_eq!(
            split_text(text, 12),
            ["we have sixty people in two offices", "and in the morning they take the new claims by phone"]
        );
    }

    #[test]
    fn clauses_part_where_they_are_joined() {
        let clauses = |text: &str| {
            let tokens = tokens(text, &[]);
            sentences(&tokens, 8, 32).into_iter().map(|r| r.len()).collect::<Vec<_>>()
        };
        assert_eq!(clauses("I broke my nail again today and I know that we have a party"), [6, 8]);
        assert_eq!(clauses("what if he is the only one of all these people here today"), [13]);
    }

    #[test]
    fn pauses_part_what_has_no_marks() {
        let text = "i need to speak about my bill it came on monday";
        let mut now = 0;
        let word = |text: &str| {
            now += if text == "it" { 1200 } else { 300 };
            Word { text: text.into(), start_ms: now, end_ms: now + 250, probability: 1.0 }
        };
        let words: Vec<Word> = text.split(' ').map(word).collect();
        let tokens = tokens(text, &words);
        assert_eq!(sentences(&tokens, 30, 30), [0..7, 7..11]);
    }

    proptest! {
        #[test]
        fn sentences_cover_the_words_in_order(text in "[a-zA-Z.,?! é]{0,300}", most in 1usize..40) {
            let tokens = tokens(&text, &[]);
            let chars: Vec<char> = text.chars().collect();
            for token in &tokens {
                prop_assert_eq!(chars[token.chars.clone()].iter().collect::<String>(), token.text);
            }
            let found: Vec<usize> = sentences(&tokens, most / 2, most).into_iter().flatten().collect();
            prop_assert_eq!(found, (0..tokens.len()).collect::<Vec<_>>());
        }
    }
}
