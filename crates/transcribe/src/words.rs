//! From tokens with times to words with times.

use crate::engines::Token;
use schema::Word;
use std::ops::Range;

/// A word lasts at least this long: the step of whisper.cpp's clock, half of Moonshine's.
const SHORTEST_MS: i64 = 10;

/// Groups tokens at leading spaces, and places the words in the chunk.
///
/// Times count from the chunk's start; `length_ms` is how long it is: no word lies outside of it. Words stand in order and do
/// not overlap. `spans` says where in the chunk somebody speaks, in ms: aligners stretch a word over the pause beside
/// it, so a word is cut back to the speech that it touches most.
pub(crate) fn words(tokens: &[Token], length_ms: i64, spans: &[Range<i64>]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for group in groups(tokens) {
        let text = group.iter().map(|t| t.text.as_str()).collect::<String>().trim().to_owned();
        if text.is_empty() {
            continue;
        }
        let start = milliseconds(group.first().map_or(0.0, |t| t.start_s));
        let end = milliseconds(group.iter().map(|t| t.end_s).fold(0.0, f32::max));
        let spoken = spoken(start.clamp(0, length_ms)..end.clamp(0, length_ms), spans);
        let mean = group.iter().map(|t| t.logprob).sum::<f32>() / group.len() as f32;
        let probability = thousandths(mean.exp().clamp(0.0, 1.0));
        words.push(Word { text, start_ms: spoken.start, end_ms: spoken.end, probability });
    }
    in_order(&mut words, length_ms);
    words
}

/// The text of the tokens as one line.
pub(crate) fn text(tokens: &[Token]) -> String {
    tokens.iter().map(|t| t.text.as_str()).collect::<String>().trim().to_owned()
}

/// Rounds to 0.001. A row in a batch differs from the row alone by some 1e-6; the table does not show it.
pub(crate) fn thousandths(value: f32) -> f32 {
    (value * 1000.0).round() / 1000.0
}

/// A group a word. Scripts written without spaces have no such marks: there each token is a word.
fn groups(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.chunk_by(|_, next| !next.text.starts_with(char::is_whitespace) && !next.text.starts_with(is_spaceless))
}

/// Han, kana, Thai, Lao, Burmese and Khmer.
fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF)
}

fn milliseconds(seconds: f32) -> i64 {
    if seconds.is_finite() { (f64::from(seconds) * 1000.0).round() as i64 } else { 0 }
}

/// The part of a word within the span of speech that it shares most with; all of it where it shares with none.
fn spoken(word: Range<i64>, spans: &[Range<i64>]) -> Range<i64> {
    let shared = |span: &Range<i64>| word.start.max(span.start)..word.end.min(span.end);
    let best = spans
        .iter()
        .map(shared)
        .filter(|s| s.start < s.end)
        .reduce(|best, next| if next.end - next.start > best.end - best.start { next } else { best });
    best.unwrap_or(word)
}

/// Makes starts and ends ascend without overlap within the chunk.
fn in_order(words: &mut [Word], length_ms: i64) {
    let mut from = 0;
    for word in words.iter_mut() {
        word.start_ms = word.start_ms.max(from);
        word.end_ms = word.end_ms.max(word.start_ms + SHORTEST_MS);
        from = word.end_ms;
    }
    let mut to = length_ms;
    for word in words.iter_mut().rev() {
        word.end_ms = word.end_ms.min(to);
        word.start_ms = word.start_ms.min(word.end_ms - SHORTEST_MS).max(0);
        to = word.start_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(text: &str, start_s: f32, end_s: f32) -> Token {
        Token { text: text.into(), logprob: -0.5, start_s, end_s }
    }

    fn times(words: &[Word]) -> Vec<(&str, i64, i64)> {
        words.iter().map(|w| (w.text.as_str(), w.start_ms, w.end_ms)).collect()
    }

    #[test]
    fn tokens_join_at_leading_spaces() {
        let tokens = [token(" I", 0.1, 0.2), token("'ll", 0.2, 0.3), token(" send", 0.3, 0.7), token(".", 0.7, 0.7)];
        let words = words(&tokens, 1000, &[]);
        assert_eq!(times(&words), [("I'll", 100, 300), ("send.", 300, 700)]);
        assert_eq!(words[0].probability, 0.607);
        assert_eq!(text(&tokens), "I'll send.");
    }

    #[test]
    fn a_word_is_cut_back_to_its_speech() {
        let tokens = [token(" Well", 0.2, 3.0), token(" no", 3.0, 3.4)];
        let words = words(&tokens, 4000, &[150..640, 2950..3500]);
        assert_eq!(times(&words), [("Well", 200, 640), ("no", 3000, 3400)]);
    }

    #[test]
    fn a_script_without_spaces_has_a_word_a_token() {
        let tokens = [token("你好", 0.0, 0.4), token("世界", 0.4, 0.8), token("。", 0.8, 0.8)];
        assert_eq!(words(&tokens, 1000, &[]).len(), 2);
        assert_eq!(text(&tokens), "你好世界。");
    }

    #[test]
    fn tokens_of_nothing_are_no_words() {
        assert_eq!(words(&[token("", 0.0, 0.1), token(" ", 0.1, 0.2)], 1000, &[]), []);
        assert_eq!(words(&[], 0, &[]), []);
    }

    proptest! {
        #[test]
        fn words_stay_in_order_within_the_chunk(
            times in prop::collection::vec((-5.0f32..40.0, -5.0f32..40.0), 0..60),
            length in 1000i64..30_000,
        ) {
            let tokens: Vec<Token> = times.iter().map(|&(start, end)| token(" word", start, end)).collect();
            let words = words(&tokens, length, &[100..300, 400..900]);
            prop_assert_eq!(words.len(), tokens.len());
            for word in &words {
                prop_assert!(0 <= word.start_ms && word.start_ms < word.end_ms && word.end_ms <= length);
            }
            prop_assert!(words.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
        }
    }
}
