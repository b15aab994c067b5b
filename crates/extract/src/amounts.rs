//! Sums of money and percentages, among the tokens of a text.

use crate::{numbers::Number, text::Text};
use schema::Amount;
use std::ops::Range;

const CURRENCY: &[&str] = &[
    "dollar", "dollars", "buck", "bucks", "euro", "euros", "pound", "pounds", "quid", "cent", "cents", "pence", "usd",
    "eur", "gbp", "chf", "franc", "francs", "yen", "rupee", "rupees", "yuan", "peso", "pesos", "krona", "kronor",
    "cad", "aud", "nzd",
];
const SIGNS: &[&str] = &["$", "€", "£", "¥", "₹"];
/// What stands right before a dollar sign that is another country's.
const PREFIXES: &[(&str, &str)] = &[
    ("us", "USD"),
    ("c", "CAD"),
    ("ca", "CAD"),
    ("a", "AUD"),
    ("au", "AUD"),
    ("nz", "NZD"),
    ("hk", "HKD"),
    ("s", "SGD"),
];
/// Whose currency it is, said before its name, with the codes that their dollars and pounds have.
const COUNTRIES: &[(&str, &str)] = &[
    ("us", "USD"),
    ("u.s.", "USD"),
    ("american", "USD"),
    ("canadian", "CAD"),
    ("australian", "AUD"),
    ("zealand", "NZD"),
    ("singapore", "SGD"),
    ("british", "GBP"),
    ("sterling", "GBP"),
    ("egyptian", "EGP"),
    ("swiss", "CHF"),
    ("swedish", "SEK"),
    ("norwegian", "NOK"),
    ("danish", "DKK"),
    ("mexican", "MXN"),
    ("indian", "INR"),
    ("japanese", "JPY"),
    ("chinese", "CNY"),
];
/// The sums of money, as ranges of tokens. What they are paid for ("a seat", "per month") is no part of them, so that a sum
/// said with and without it is one.
pub(crate) fn money(text: &Text<'_>, numbers: &[Number]) -> Vec<Range<usize>> {
    let lower = |i: usize| text.tokens.get(i).map_or("", |t| t.lower.as_str());
    let mut found: Vec<Range<usize>> = Vec::new();
    for number in numbers.iter().filter(|n| !n.ordinal) {
        let Range { start, end } = number.tokens;
        let range = if start > 0 && SIGNS.contains(&lower(start - 1)) {
            let sign = &text.tokens[start - 1];
            let prefixed = start > 1
                && text.tokens[start - 2].bytes.end == sign.bytes.start
                && sign.lower == "$"
                && PREFIXES.iter().any(|(prefix, _)| *prefix == lower(start - 2));
            start - 1 - usize::from(prefixed)..end
        } else if CURRENCY.contains(&lower(end)) || SIGNS.contains(&lower(end)) {
            start..end + 1
        } else if country(lower(end)).is_some() && CURRENCY.contains(&lower(end + 1)) {
            start..end + 2
        } else if lower(end) == "new" && lower(end + 1) == "zealand" && CURRENCY.contains(&lower(end + 2)) {
            start..end + 3
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

fn country(word: &str) -> Option<&'static str> {
    COUNTRIES.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}

/// What a sum of money comes to, and the ISO 4217 code of its currency.
///
/// "Dollars" without a country are those of the United States, and so "pounds", "francs" and "rupees" those that most calls
/// mean. What leaves the currency open has none: cents alone, pesos, a krona, whose names several share.
pub(crate) fn sum(
    text: &Text<'_>,
    numbers: &[Number],
    tokens: &Range<usize>,
) -> (Option<Amount>, Option<&'static str>) {
    let inside: Vec<&Number> =
        numbers.iter().filter(|n| n.tokens.start >= tokens.start && n.tokens.end <= tokens.end).collect();
    let lower = |i: usize| text.tokens.get(i).map_or("", |t| t.lower.as_str());
    // Between one number and the next stands the unit of the first.
    let is_hundredth = |nth: usize| {
        let end = inside.get(nth + 1).map_or(tokens.end, |next| next.tokens.start);
        (inside[nth].tokens.end..end).any(|i| matches!(lower(i), "cent" | "cents" | "pence"))
    };
    let value: f64 =
        inside.iter().enumerate().map(|(nth, n)| if is_hundredth(nth) { n.value / 100.0 } else { n.value }).sum();
    let words = || tokens.clone().filter(|&i| !inside.iter().any(|n| n.tokens.contains(&i))).map(lower);
    let prefix = || {
        let signed = words().nth(1) == Some("$");
        PREFIXES.iter().find(|(prefix, _)| signed && words().next() == Some(prefix)).map(|(_, code)| *code)
    };
    let currency = prefix().or_else(|| words().find_map(country)).or_else(|| words().find_map(code));
    (Amount::nearest(value).filter(|_| !inside.is_empty()), currency)
}

/// The currency that a word or sign means where nothing else is said of it.
fn code(word: &str) -> Option<&'static str> {
    Some(match word {
        "$" | "usd" | "buck" | "bucks" | "dollar" | "dollars" => "USD",
        "€" | "eur" | "euro" | "euros" => "EUR",
        "£" | "gbp" | "quid" | "pound" | "pounds" | "pence" => "GBP",
        "¥" | "yen" => "JPY",
        "₹" | "rupee" | "rupees" => "INR",
        "chf" | "franc" | "francs" => "CHF",
        "yuan" => "CNY",
        "cad" => "CAD",
        "aud" => "AUD",
        "nzd" => "NZD",
        "kronor" => "SEK",
        _ => return None,
    })
}

/// How many per cent a percentage is.
pub(crate) fn share(numbers: &[Number], tokens: &Range<usize>) -> Option<f64> {
    numbers.iter().find(|n| n.tokens.start == tokens.start).map(|n| n.value)
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
    fn sums_in_figures() {
        let sums = |said: &str| -> Vec<String> {
            let text = Text::new(said);
            let numbers = numbers::find(&text.tokens);
            let sum = |tokens: Range<usize>| match sum(&text, &numbers, &tokens) {
                (Some(amount), currency) => format!("{amount} {}", currency.unwrap_or("?")),
                (None, _) => "none".into(),
            };
            money(&text, &numbers).into_iter().map(sum).collect()
        };
        for (said, wanted) in [
            ("It was $1,200, then twelve hundred dollars.", vec!["1200.00 USD", "1200.00 USD"]),
            ("twenty dollars and fifty cents", vec!["20.50 USD"]),
            ("fifty cents, and eighty pence", vec!["0.50 ?", "0.80 GBP"]),
            ("2 thousand euros a month, $2 million, 40 €", vec!["2000.00 EUR", "2000000.00 USD", "40.00 EUR"]),
            ("sixty Canadian dollars and ten New Zealand dollars", vec!["60.00 CAD", "10.00 NZD"]),
            ("two hundred and fifty quid, 12.99 pounds", vec!["250.00 GBP", "12.99 GBP"]),
            ("five hundred pesos, nine hundred yen", vec!["500.00 ?", "900.00 JPY"]),
            ("C$20 or US$15, 30 AUD", vec!["20.00 CAD", "15.00 USD", "30.00 AUD"]),
            ("99999999999999999999 dollars", vec!["none"]),
        ] {
            assert_eq!(sums(said), wanted, "{said}");
        }
    }

    #[test]
    fn shares_in_figures() {
        let shares = |said: &str| -> Vec<Option<f64>> {
            let text = Text::new(said);
            let numbers = numbers::find(&text.tokens);
            percent(&text, &numbers).iter().map(|tokens| share(&numbers, tokens)).collect()
        };
        let said = "fifteen percent, 2.5 per cent, 15%, ten percentage points, a hundred percent";
        assert_eq!(shares(said), [15.0, 2.5, 15.0, 10.0, 100.0].map(Some));
    }

    #[test]
    fn percentages() {
        assert_eq!(
            found("fifteen percent, 15%, 2.5 per cent, ten percentage points", percent),
            ["fifteen percent", "15%", "2.5 per cent", "ten percentage points"]
        );
    }
}
