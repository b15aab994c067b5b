//! Sums of money and percentages, among the tokens of a text.

use crate::{numbers::Number, text::Text};
use std::ops::Range;

const CURRENCY: &[&str] = &[
    "dollar", "dollars", "buck", "bucks", "euro", "euros", "pound", "pounds", "quid", "cent", "cents", "pence", "usd",
    "eur", "gbp", "chf", "franc", "francs", "yen", "rupee", "rupees", "yuan", "peso", "pesos", "krona", "kronor",
];
const SIGNS: &[&str] = &["$", "€", "£", "¥", "₹"];
/// The sums of money, as ranges of tokens. What they are paid for ("a seat", "per month") is no part of them, so that a sum
/// said with and without it is one.
pub(crate) fn money(text: &Text<'_>, numbers: &[Number]) -> Vec<Range<usize>> {
    let lower = |i: usize| text.tokens.get(i).map_or("", |t| t.lower.as_str());
    let mut found: Vec<Range<usize>> = Vec::new();
    for number in numbers.iter().filter(|n| !n.ordinal) {
        let Range { start, end } = number.tokens;
        let range = if start > 0 && SIGNS.contains(&lower(start - 1)) {
            start - 1..end
        } else if CURRENCY.contains(&lower(end)) || SIGNS.contains(&lower(end)) {
            start..end + 1
        } else {
            continue;
        };
        match found.last_mut() {
            // "Twenty dollars and fifty cents" is one sum.
            Some(last)
                if last.end + 1 == range.start
                    && lower(last.end) == "and"
                    && lower(range.end - 1).starts_with("cent") =>
            {
                last.end = range.end;
            }
            _ => found.push(range),
        }
    }
    found
}

/// The percentages, as ranges of tokens.
pub(crate) fn percent(text: &Text<'_>, numbers: &[Number]) -> Vec<Range<usize>> {
    let lower = |i: usize| text.tokens.get(i).map_or("", |t| t.lower.as_str());
    let ends = |end: usize| match (lower(end), lower(end + 1)) {
        ("%" | "percent" | "percentage", "points" | "point") | ("per", "cent") => Some(end + 2),
        ("%" | "percent", _) => Some(end + 1),
        _ => None,
    };
    numbers.iter().filter(|n| !n.ordinal).filter_map(|n| Some(n.tokens.start..ends(n.tokens.end)?)).collect()
}

/// What an amount comes to, with its currency or percent: one spelling of "twelve hundred dollars", "$1,200" and "1200 USD".
pub(crate) fn value(text: &Text<'_>, numbers: &[Number], tokens: &Range<usize>) -> String {
    let inside = |n: &&Number| n.tokens.start >= tokens.start && n.tokens.end <= tokens.end;
    let unit = |i: usize| match text.tokens[i].lower.as_str() {
        "$" | "usd" | "buck" | "bucks" | "dollar" | "dollars" => "dollars",
        "\u{20ac}" | "eur" | "euro" | "euros" => "euros",
        "\u{a3}" | "gbp" | "quid" | "pound" | "pounds" => "pounds",
        "cent" | "cents" if i > tokens.start && text.tokens[tokens.start..i].iter().any(|t| t.lower == "and") => {
            "hundredths"
        }
        "%" | "percent" | "cent" => "percent",
        other => other,
    };
    let values: Vec<String> = numbers.iter().filter(inside).map(|n| n.value.to_string()).collect();
    let number = |i: usize| numbers.iter().any(|n| n.tokens.contains(&i));
    let units: Vec<&str> =
        tokens.clone().filter(|&i| !number(i)).map(unit).filter(|u| !matches!(*u, "per" | "and")).collect();
    format!("{} {}", values.join(" "), units.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers;

    fn found(text: &str, of: fn(&Text<'_>, &[Number]) -> Vec<Range<usize>>) -> Vec<String> {
        let text = Text::new(text);
        of(&text, &numbers::find(&text.tokens)).into_iter().map(|range| text.slice(range).to_owned()).collect()
    }

    #[test]
    fn sums() {
        let said =
            "It was $1,200, then twelve hundred dollars, 2 thousand euros a month and twenty dollars and fifty cents.";
        let sums = ["$1,200", "twelve hundred dollars", "2 thousand euros", "twenty dollars and fifty cents"];
        assert_eq!(found(said, money), sums);
        assert_eq!(found("$2 million, 40 € each and a pound of flour", money), ["$2 million", "40 €"]);
        assert!(found("I have two friends", money).is_empty());
    }

    #[test]
    fn amounts_in_other_words() {
        let values = |said: &str, of: fn(&Text<'_>, &[Number]) -> Vec<Range<usize>>| -> Vec<String> {
            let text = Text::new(said);
            let numbers = numbers::find(&text.tokens);
            of(&text, &numbers).iter().map(|tokens| value(&text, &numbers, tokens)).collect()
        };
        assert_eq!(values("$1,200, twelve hundred dollars, 1200 USD", money), ["1200 dollars"; 3]);
        assert_eq!(values("fifteen percent, 15%, 15 per cent", percent), ["15 percent"; 3]);
    }

    #[test]
    fn percentages() {
        assert_eq!(
            found("fifteen percent, 15%, 2.5 per cent, ten percentage points", percent),
            ["fifteen percent", "15%", "2.5 per cent", "ten percentage points"]
        );
    }
}
