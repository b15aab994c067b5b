//! What words tell about the talk itself: backchannels, fillers, questions.

use schema::Word;

/// Sounds of hesitation. "like" and "you know" are left out: they cannot be told from their other uses by the word.
const FILLERS: [&str; 10] = ["um", "umm", "uhm", "uh", "uhh", "er", "erm", "hm", "hmm", "mm"];

/// Words that only say "I am listening". "no" and "thanks" are answers of their own.
const BACKCHANNELS: [&str; 37] = [
    "uh-huh",
    "uhhuh",
    "uh",
    "huh",
    "mhm",
    "mm-hmm",
    "mmhmm",
    "mm",
    "hmm",
    "hm",
    "um-hum",
    "yeah",
    "yes",
    "yep",
    "yup",
    "ok",
    "okay",
    "right",
    "sure",
    "oh",
    "ah",
    "aha",
    "wow",
    "really",
    "exactly",
    "absolutely",
    "definitely",
    "great",
    "good",
    "fine",
    "cool",
    "nice",
    "true",
    "alright",
    "indeed",
    "lovely",
    "perfect",
];

/// Backchannels of several words.
const BACKCHANNEL_PHRASES: [&str; 7] =
    ["i see", "of course", "got it", "all right", "oh dear", "that's right", "no problem"];

/// What may stand before a question's own first word.
const LEAD_INS: [&str; 24] = [
    "and", "so", "but", "okay", "ok", "well", "right", "then", "now", "sorry", "yes", "yeah", "no", "oh", "ah", "hi",
    "hello", "please", "also", "um", "uh", "hmm", "er", "alright",
];

const WH: [&str; 9] = ["what", "where", "when", "who", "whom", "why", "how", "which", "whose"];

/// After "how": a question whatever follows.
const MEASURES: [&str; 9] = ["long", "much", "many", "often", "soon", "far", "big", "old", "about"];

const WH_IS: [&str; 7] = ["what's", "where's", "when's", "who's", "why's", "how's", "how'd"];

const AUXILIARIES: [&str; 35] = [
    "do",
    "does",
    "did",
    "is",
    "are",
    "was",
    "were",
    "am",
    "can",
    "could",
    "will",
    "would",
    "should",
    "shall",
    "may",
    "might",
    "must",
    "have",
    "has",
    "had",
    "don't",
    "doesn't",
    "didn't",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "can't",
    "couldn't",
    "won't",
    "wouldn't",
    "shouldn't",
    "haven't",
    "hasn't",
    "hadn't",
];

const SUBJECTS: [&str; 27] = [
    "i",
    "you",
    "he",
    "she",
    "it",
    "we",
    "they",
    "there",
    "this",
    "that",
    "these",
    "those",
    "the",
    "a",
    "an",
    "your",
    "our",
    "my",
    "his",
    "her",
    "their",
    "anyone",
    "anybody",
    "anything",
    "someone",
    "somebody",
    "everything",
];

/// Subjects after which "do" and "have" ask; after others they are imperatives ("do that", "have the team call").
const PEOPLE: [&str; 4] = ["i", "you", "we", "they"];

/// The word in lower case without the punctuation around it.
pub(crate) fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('\u{2019}', "'")
}

/// Whether the word ends a sentence.
pub(crate) fn ends_sentence(word: &str) -> bool {
    word.trim_end_matches(['"', '\'', ')', '\u{201d}', '\u{2019}']).ends_with(['.', '?', '!', '\u{2026}'])
}

/// Whether the words only say that somebody listens.
pub(crate) fn is_backchannel(words: &[Word]) -> bool {
    let words: Vec<String> = words.iter().map(|w| plain(&w.text)).filter(|w| !w.is_empty()).collect();
    !words.is_empty()
        && words.len() <= 4
        && (words.iter().all(|w| BACKCHANNELS.contains(&w.as_str()))
            || BACKCHANNEL_PHRASES.contains(&words.join(" ").as_str()))
}

/// Sounds of hesitation among the words; "uh huh" and "mm hmm" are none.
pub(crate) fn fillers(words: &[Word]) -> usize {
    let words: Vec<String> = words.iter().map(|w| plain(&w.text)).collect();
    let agrees = |i: usize| {
        let pair = |a: &str, b: &str| (["uh", "um", "mm"].contains(&a)) && ["huh", "hum", "hmm", "mm"].contains(&b);
        words.get(i + 1).is_some_and(|next| pair(&words[i], next)) || (i > 0 && pair(&words[i - 1], &words[i]))
    };
    (0..words.len()).filter(|&i| FILLERS.contains(&words[i].as_str()) && !agrees(i)).count()
}

/// Words that are more than punctuation.
pub(crate) fn word_count(words: &[Word]) -> usize {
    words.iter().filter(|w| w.text.chars().any(char::is_alphanumeric)).count()
}

/// Sentences that ask: by their question mark, else by their form, since recognizers drop and misplace marks. Words
/// without any mark are parted into sentences at pauses of `gap_ms`.
pub(crate) fn questions(words: &[Word], gap_ms: i64) -> usize {
    let marked = words.iter().any(|w| ends_sentence(&w.text));
    let (mut count, mut first) = (0, 0);
    for i in 0..words.len() {
        let pause = !marked && words.get(i + 1).is_some_and(|next| next.start_ms - words[i].end_ms >= gap_ms);
        if i + 1 == words.len() || pause || ends_sentence(&words[i].text) {
            count += usize::from(asks(&words[first..=i]));
            first = i + 1;
        }
    }
    count
}

/// Whether the last sentence of the words asks.
pub(crate) fn ends_with_question(words: &[Word]) -> bool {
    let Some((_, before)) = words.split_last() else { return false };
    let first = before.iter().rposition(|w| ends_sentence(&w.text)).map_or(0, |i| i + 1);
    asks(&words[first..])
}

/// Whether a sentence asks.
fn asks(sentence: &[Word]) -> bool {
    if sentence.last().is_some_and(|w| w.text.contains('?')) {
        return true;
    }
    let words: Vec<String> = sentence.iter().map(|w| plain(&w.text)).filter(|w| !w.is_empty()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|w| LEAD_INS.contains(w)).collect();
    let auxiliary = |i: usize| words.get(i).is_some_and(|w| AUXILIARIES.contains(w));
    let inverted = |i: usize| {
        auxiliary(i)
            && words.get(i + 1).is_some_and(|subject| {
                if ["do", "have"].contains(&words[i]) { PEOPLE.contains(subject) } else { SUBJECTS.contains(subject) }
            })
    };
    match words.first() {
        Some(w) if WH_IS.contains(w) => words.len() > 1,
        Some(w) if WH.contains(w) => {
            auxiliary(1)
                || (*w == "how" && words.len() > 2 && MEASURES.contains(&words[1]))
                || (*w == "what" && words.get(1) == Some(&"about"))
                || (!words.get(1).is_some_and(|next| SUBJECTS.contains(next)) && (1..=4).any(inverted))
        }
        Some(_) => inverted(0),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let word = |(i, text): (usize, &str)| {
            let start_ms = i as i64 * 300;
            Word { text: text.into(), start_ms, end_ms: start_ms + 250, probability: 1.0 }
        };
        text.split_whitespace().enumerate().map(word).collect()
    }

    #[test]
    fn questions_by_mark_and_by_form() {
        for (text, count) in [
            ("How many seats do you need now?", 1),
            ("Sure. Which one? I see it. Do they know?", 2),
            ("could you send me the security overview as well", 1),
            ("Okay, so what would a pilot look like.", 1),
            ("how long does one of those calls take", 1),
            ("Tell me, right?", 1),
            ("What I need is a quote.", 0),
            ("When the export was moved, we lost it.", 0),
            ("Do that today.", 0),
            ("Have the team call me.", 0),
            ("We have sixty people in two offices.", 0),
            ("", 0),
        ] {
            assert_eq!(questions(&words(text), 500), count, "{text}");
        }
    }

    #[test]
    fn without_marks_pauses_part_sentences() {
        let mut spoken = words("i see the bill how much is it");
        spoken[4..].iter_mut().for_each(|w| (w.start_ms, w.end_ms) = (w.start_ms + 800, w.end_ms + 800));
        assert_eq!(questions(&spoken, 500), 1);
        assert_eq!(questions(&spoken, 5000), 0);
    }

    #[test]
    fn the_last_sentence() {
        assert!(ends_with_question(&words("I see. Is that right?")));
        assert!(ends_with_question(&words("is that right")));
        assert!(!ends_with_question(&words("Is that right? I think so.")));
        assert!(!ends_with_question(&[]));
    }

    #[test]
    fn hesitation_is_not_agreement() {
        assert_eq!(fillers(&words("So, um, we have, uh, sixty. Hmm.")), 3);
        assert_eq!(fillers(&words("Uh huh. Mm hmm.")), 0);
    }

    #[test]
    fn backchannels() {
        for text in ["Uh huh.", "Right.", "Yeah, okay.", "I see.", "Mm-hmm."] {
            assert!(is_backchannel(&words(text)), "{text}");
        }
        for text in ["No.", "Five days?", "Okay, send it.", "", "..."] {
            assert!(!is_backchannel(&words(text)), "{text}");
        }
    }
}
