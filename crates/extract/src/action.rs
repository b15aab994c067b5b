//! The words of an action: as they were said, without what does not belong to it.

use crate::{
    grammar,
    text::{FILLERS, Text},
};
use std::ops::Range;

/// The words of some tokens as they were said, without fillers, stutters and the words of the date.
pub(crate) fn words(text: &Text<'_>, tokens: Range<usize>, due: Option<&Range<usize>>) -> String {
    let mut out = String::new();
    let mut last = "";
    for i in tokens {
        let token = &text.tokens[i];
        let lower = token.lower.as_str();
        if due.is_some_and(|due| due.contains(&i)) || FILLERS.contains(&lower) || (lower == last && token.is_word) {
            continue;
        }
        last = lower;
        if token.is_word {
            let glued = i > 0 && text.tokens[i - 1].bytes.end == token.bytes.start && !out.ends_with([',', ' ']);
            if !out.is_empty() && !glued {
                out.push(' ');
            }
            out.push_str(&text.raw[token.bytes.clone()]);
        } else if !matches!(lower, "." | "?" | "!" | ";") && !out.is_empty() && !out.ends_with(lower) {
            if matches!(lower, "$" | "€" | "£") {
                out.push(' ');
            }
            out.push_str(&text.raw[token.bytes.clone()]);
        }
    }
    trim(&out).to_owned()
}

fn trim(words: &str) -> &str {
    let mut words =
        words.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '-' | '\u{2013}' | '\u{2014}'));
    while let Some(shorter) =
        ["and", "so", "or", "then", "please", "also", "too", "as well", "but", "the", "for you then"]
            .iter()
            .find_map(|end| words.strip_suffix(end).filter(|rest| rest.ends_with([' ', ','])))
    {
        words = shorter.trim_end_matches([' ', ',']);
    }
    words
}

/// A range of the plain spelling without another.
pub(crate) fn without(plain: &str, part: &Range<usize>, due: Option<Range<usize>>) -> String {
    let cut = due.filter(|due| due.start < part.end && due.end > part.start);
    let Some(cut) = cut else { return trim(&plain[part.clone()]).to_owned() };
    let (left, right) = (&plain[part.start..cut.start.max(part.start)], &plain[cut.end.min(part.end)..part.end]);
    trim(format!("{} {}", left.trim(), right.trim()).trim()).to_owned()
}

/// "Sending the form" to "send the form", where the cue took the auxiliary.
pub(crate) fn base_form(action: &str) -> String {
    let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
    let lower = verb.to_lowercase();
    let base = lower.strip_suffix("ing").and_then(|stem| {
        let doubled = stem.len() > 3 && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2];
        let undoubled = if doubled { stem.get(..stem.len() - 1) } else { None };
        [Some(stem.to_owned()), Some(format!("{stem}e")), undoubled.map(str::to_owned)]
            .into_iter()
            .flatten()
            .find(|base| grammar::is_verb(base))
    });
    base.map_or_else(|| action.to_owned(), |base| format!("{base} {rest}").trim().to_owned())
}
