//! Numbers in words and digits, among the tokens of a text.

use crate::text::Token;
use std::{borrow::Cow, ops::Range, sync::LazyLock};
use text2num::{Language, find_numbers};

/// A number and the tokens that say it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub tokens: Range<usize>,
    pub value: f64,
    pub ordinal: bool,
}

impl Number {
    /// In digits; ordinals all end in "th".
    pub fn plain(&self) -> String {
        format!("{}{}", self.value, if self.ordinal { "th" } else { "" })
    }
}

static ENGLISH: LazyLock<Language> = LazyLock::new(Language::english);

struct Word<'t>(&'t Token);

impl text2num::Token for Word<'_> {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0.lower)
    }

    fn text_lowercase(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0.lower)
    }

    fn not_a_number_part(&self) -> bool {
        // "Oh" and "o" are answers far more often than zeros.
        matches!(self.0.lower.as_str(), "o" | "oh")
    }
}

/// All numbers, in order and without overlap.
pub(crate) fn find(tokens: &[Token]) -> Vec<Number> {
    let mut numbers: Vec<Number> = find_numbers(tokens.iter().map(Word), &*ENGLISH, 0.0)
        .into_iter()
        .map(|n| Number { tokens: n.start..n.end, value: n.value, ordinal: n.is_ordinal })
        .filter(|n| n.value.is_finite())
        .collect();
    numbers.extend(tokens.iter().enumerate().filter_map(|(i, token)| digits(i, &token.lower)));
    numbers.sort_by_key(|n| n.tokens.start);
    // "2 thousand", "1.5 million": digits, then a number word that only scales.
    let mut merged: Vec<Number> = Vec::with_capacity(numbers.len());
    for number in numbers {
        match merged.last_mut() {
            Some(last) if number.tokens.start < last.tokens.end => {}
            Some(last) if last.tokens.end == number.tokens.start && scales(tokens, last, &number) => {
                last.value *= number.value;
                last.tokens.end = number.tokens.end;
            }
            _ => merged.push(number),
        }
    }
    merged
}

fn scales(tokens: &[Token], last: &Number, scale: &Number) -> bool {
    let in_digits = tokens[last.tokens.start].lower.starts_with(|c: char| c.is_ascii_digit());
    let word = &tokens[scale.tokens.start].lower;
    in_digits
        && !last.ordinal
        && scale.tokens.len() == 1
        && matches!(word.as_str(), "hundred" | "thousand" | "million" | "billion")
}

/// "14", "1,200.50", "14th", "2k".
fn digits(at: usize, lower: &str) -> Option<Number> {
    let figures = lower.trim_end_matches(|c: char| c.is_alphabetic());
    let (scale, ordinal) = match &lower[figures.len()..] {
        "" => (1.0, false),
        "k" => (1e3, false),
        "m" => (1e6, false),
        "st" | "nd" | "rd" | "th" => (1.0, true),
        _ => return None,
    };
    if !figures.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = figures.replace(',', "").parse().ok()?;
    value.is_finite().then_some(Number { tokens: at..at + 1, value: value * scale, ordinal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn values(text: &str) -> Vec<String> {
        find(&Text::new(text).tokens).iter().map(Number::plain).collect()
    }

    #[test]
    fn words_and_digits() {
        assert_eq!(values("twelve hundred dollars, not twelve thousand nine hundred and sixty"), ["1200", "12960"]);
        assert_eq!(values("the thirty-first, the twenty fifth and the 3rd"), ["31th", "25th", "3th"]);
        assert_eq!(values("2 thousand, 1,200.50, 5k"), ["2000", "1200.5", "5000"]);
        assert_eq!(values("six hundred and forty dollars"), ["640"]);
        assert_eq!(values("oh, 2026-03-14 at 10:30"), Vec::<String>::new());
        assert_eq!(values("half past ten thirty"), ["10", "30"]);
    }
}
