//! What people say because one says it.

use crate::calls::OPENERS;

/// What follows an opener that is none: "great news", "good to hear", "thanks for", "thank you so much".
const MEANT: &[&str] =
    &["idea", "news", "point", "question", "work", "job", "to", "for", "with", "by", "on", "so", "very", "a"];

/// Words of courtesy beside [`OPENERS`].
const COURTEOUS: &[&str] =
    &["okay", "ok", "yes", "yeah", "right", "sure", "well", "hi", "hello", "hey", "bye", "goodbye"];

/// What makes a courtesy of a turn that is nothing else.
const FORMAL: &[&str] = &["thanks", "thank", "hi", "hello", "hey", "bye", "goodbye"];

/// A turn without the courtesies that it opens with, and the names behind them: "Thanks, Nora, that's everything." Everybody
/// thanks at the end of a call, so they tell nothing of where a mood goes.
pub(crate) fn without_courtesies(text: &str) -> &str {
    let core = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let next = |text: &str| text.split_whitespace().next().map(core).unwrap_or_default();
    let (mut rest, mut formal) = (text.trim_start(), false);
    // Whether a name may follow: behind a courtesy, within its sentence.
    let mut behind = false;
    while let Some(word) = rest.split_whitespace().next() {
        let tail = rest[word.len()..].trim_start();
        let said = core(word);
        let thank = said == "thank" && next(tail) == "you";
        let tail = if thank { tail[tail.find(char::is_whitespace).unwrap_or(tail.len())..].trim_start() } else { tail };
        let opens = OPENERS.contains(&said.as_str()) && !MEANT.contains(&next(tail).as_str());
        let name = behind && word.starts_with(char::is_uppercase) && word.ends_with([',', '.', '!', '?']);
        if !(opens || name || COURTEOUS.contains(&said.as_str())) {
            break;
        }
        formal |= FORMAL.contains(&said.as_str());
        behind = !rest[..rest.len() - tail.len()].trim_end().ends_with(['.', '!', '?']);
        rest = tail;
    }
    // "Great!" and no more is no courtesy.
    if formal || rest.contains(char::is_alphanumeric) { rest } else { text.trim_start() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courtesies_go_and_what_is_meant_stays() {
        for (text, left) in [
            ("Thanks, Nora, that's everything.", "that's everything."),
            ("Great one more thing. Could you send it?", "one more thing. Could you send it?"),
            ("Thank you, Dana. This was helpful.", "This was helpful."),
            ("Thank you. Bye!", ""),
            ("Hello Ruth, thank you", ""),
            ("Thanks. Unfortunately, it broke.", "Unfortunately, it broke."),
            ("Great! Perfect.", "Great! Perfect."),
            ("Great news, Tom!", "Great news, Tom!"),
            ("Yes, thank you so much, Tom.", "thank you so much, Tom."),
            ("Thanks for nothing.", "Thanks for nothing."),
            ("Good to hear.", "Good to hear."),
            ("I am angry. Thanks.", "I am angry. Thanks."),
            ("Ünal, größer", "Ünal, größer"),
            ("  ", ""),
        ] {
            assert_eq!(without_courtesies(text), left, "{text}");
        }
    }
}
