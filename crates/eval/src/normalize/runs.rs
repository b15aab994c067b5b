//! Replacing whole words, where a word is what the reference's `\b` and `\w` call one: letters, numbers of every kind
//! and the underscore. (The regex crate's own `\b` also counts marks, connectors and joiners.)

use super::compiled;
use regex::Regex;
use std::{borrow::Cow, sync::LazyLock};

/// Whether a character belongs to a word.
pub(super) fn in_word(c: char) -> bool {
    static LETTER_OR_NUMBER: LazyLock<Regex> = LazyLock::new(|| compiled(r"^[\p{L}\p{N}]$"));
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '_'
    } else {
        LETTER_OR_NUMBER.is_match(c.encode_utf8(&mut [0; 4]))
    }
}

/// Whether a word could go on at this place of the text.
pub(super) fn word_starts(rest: &str) -> bool {
    rest.chars().next().is_some_and(in_word)
}

fn word_ends(before: &str) -> bool {
    before.chars().next_back().is_some_and(in_word)
}

/// Replaces every word for which `with` has something else.
pub(super) fn replace_runs<'a>(text: &'a str, with: impl Fn(&'a str) -> Option<Cow<'a, str>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run);
        if !word.is_empty() {
            out.push_str(&with(word).unwrap_or(Cow::Borrowed(word)));
        }
        let gap = after.find(in_word).unwrap_or(after.len());
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    out
}

/// Replaces `find` wherever no word goes on after it, nor (if `whole`) into it. `find` must end with a letter, and if
/// `whole` begin with one.
pub(super) fn replace_bounded(text: String, find: &str, whole: bool, with: &str) -> String {
    if !text.contains(find) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + with.len());
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find(find).map(|at| at + from) {
        let end = at + find.len();
        if word_starts(&text[end..]) || (whole && word_ends(&text[..at])) {
            // None of the patterns begins again inside itself, so the search can go on behind the first character.
            from = at + 1;
            continue;
        }
        out.push_str(&text[done..at]);
        out.push_str(with);
        done = end;
        from = end;
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        assert_eq!(replace_bounded("stir st 1st st".into(), "st", true, "saint "), "stir saint  1st saint ");
        assert_eq!(replace_bounded("don't don'tx".into(), "n't", false, " not"), "do not don'tx");
        assert_eq!(replace_runs("um, umber um_ um", |w| (w == "um").then_some("".into())), ", umber um_ ");
    }
}
