//! When something is said, and how surely it was heard.

use crate::{Evidence, Mention, Turn, Word};
use std::ops::Range;

/// How sure the recognizer was of the words of `text` that lie in a range of its characters (Unicode scalars): the geometric
/// mean of their probabilities, 0..1. 1 where `words` are not those of the text, or none lies there.
pub fn confidence(text: &str, words: &[Word], chars: Range<usize>) -> f32 {
    if text.split_whitespace().count() != words.len() {
        return 1.0;
    }
    let mut at = 0;
    let mut words = words.iter();
    let (mut sum, mut count) = (0.0f32, 0);
    for piece in text.split_inclusive(char::is_whitespace) {
        let (start, length) = (at, piece.trim_end().chars().count());
        at += piece.chars().count();
        if length == 0 {
            continue;
        }
        let word = words.next();
        if start < chars.end && start + length > chars.start {
            sum += word.map_or(1.0, |word| word.probability).max(1e-3).ln();
            count += 1;
        }
    }
    if count == 0 { 1.0 } else { (sum / count as f32).exp() }
}

impl Turn {
    /// When a character of the text is said, in milliseconds from the start of the call: the start of its word where the
    /// words follow the text, else a place between the turn's start and end in proportion to the characters before it.
    pub fn said_at(&self, character: usize) -> i64 {
        self.word_of(character).map_or_else(|| self.in_proportion(character), |word| word.start_ms)
    }

    /// When a range of characters of the text is said, in milliseconds from the start of the call: from the start of its first
    /// word to the end of its last, as [`Self::said_at`] finds them.
    pub fn said_in(&self, chars: Range<usize>) -> (i64, i64) {
        let start = self.said_at(chars.start);
        let last = chars.end.max(chars.start + 1) - 1;
        let end = self.word_of(last).map_or_else(|| self.in_proportion(last + 1), |word| word.end_ms);
        (start, end.max(start))
    }

    /// The word that a character lies in, or that follows it, where the words follow the text so far.
    fn word_of(&self, character: usize) -> Option<&Word> {
        let (mut from, mut before) = (0, 0);
        for word in &self.words {
            let said = word.text.trim();
            let at = self.text.get(from..)?.find(said)?;
            before += self.text[from..from + at + said.len()].chars().count();
            from += at + said.len();
            if before > character {
                return Some(word);
            }
        }
        None
    }

    fn in_proportion(&self, character: usize) -> i64 {
        let all = self.text.chars().count().max(1) as i64;
        self.start_ms + (self.end_ms - self.start_ms) * (character as i64).min(all) / all
    }
}

impl Evidence {
    /// With the time at which it is said; none where there is no such turn.
    pub fn mention(&self, turns: &[Turn]) -> Option<Mention> {
        let turn = turns.iter().find(|turn| turn.turn_index == self.turn_index)?;
        let character = |at: i32| usize::try_from(at).unwrap_or(0);
        let (start_ms, end_ms) = turn.said_in(character(self.char_start)..character(self.char_end));
        let Self { turn_index, char_start, char_end } = *self;
        Some(Mention { turn_index, char_start, char_end, start_ms, end_ms })
    }

    /// When the first of them begins and when the last of them ends; none where they are of no turn.
    pub fn span(evidence: &[Self], turns: &[Turn]) -> (Option<i64>, Option<i64>) {
        let mentions: Vec<Mention> = evidence.iter().filter_map(|e| e.mention(turns)).collect();
        (mentions.iter().map(|m| m.start_ms).min(), mentions.iter().map(|m| m.end_ms).max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_said_with_its_word() {
        let word = |text: &str, start_ms| Word { text: text.into(), start_ms, end_ms: start_ms + 90, probability: 1.0 };
        let mut turn = Turn {
            call_id: "1".into(),
            turn_index: 0,
            channel: 0,
            speaker: "agent".into(),
            role: None,
            start_ms: 1000,
            end_ms: 3000,
            text: "Grüße, ja ja".into(),
            language: None,
            overlap_ms: Some(0),
            pause_before_ms: 0,
            words: vec![word("Grüße,", 1100), word("ja", 1500), word("ja", 2000)],
        };
        assert_eq!([0, 5, 7, 10, 11].map(|at| turn.said_at(at)), [1100, 1100, 1500, 2000, 2000]);
        assert_eq!(
            [0..5, 0..7, 0..8, 7..12, 10..12].map(|at| turn.said_in(at)),
            [(1100, 1190), (1100, 1590), (1100, 1590), (1500, 2090), (2000, 2090),]
        );
        assert_eq!(turn.said_in(3..3), (1100, 1190));
        turn.words.clear();
        assert_eq!([0..6, 6..12, 0..99].map(|at| turn.said_in(at)), [(1000, 2000), (2000, 3000), (1000, 3000)]);
        assert_eq!([0, 6, 12, 99].map(|at| turn.said_at(at)), [1000, 2000, 3000, 3000]);
    }

    #[test]
    fn confidence_is_that_of_the_words_in_the_range() {
        let word = |text: &str, probability| Word { text: text.into(), start_ms: 0, end_ms: 0, probability };
        let words = [word("Schöne", 0.9), word("Grüße,", 0.4), word("Tom.", 0.1)];
        let text = "Schöne Grüße, Tom.";
        let close = |chars, wanted: f32| assert!((confidence(text, &words, chars) - wanted).abs() < 1e-6);
        close(0..6, 0.9);
        close(7..13, 0.4);
        close(0..12, 0.6);
        close(14..18, 0.1);
        close(6..7, 1.0);
        assert_eq!(confidence("other words", &words, 0..5), 1.0);
    }
}
