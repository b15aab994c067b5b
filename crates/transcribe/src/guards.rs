//! What a recognizer said that nobody did: loops, and words over sound that has none.

use crate::{
    engines::{Recognition, Token},
    words::text,
};

/// The longest phrase, in tokens, whose repetition is looked for.
const LONGEST_PHRASE: usize = 32;
/// Above this many letters in a second of speech nobody can follow; fast speech has 17.
const MOST_LETTERS_A_SECOND: f32 = 30.0;
/// Below this many letters in a second of what the detector took for speech, it was none; slow speech has 2.
const FEWEST_LETTERS_A_SECOND: f32 = 1.5;
/// Speech shorter than this says too little of its rate, in seconds.
const RATE_FROM_S: f32 = 2.0;
/// Letters that short speech may have beyond its rate.
const SPARE_LETTERS: f32 = 8.0;
/// A mean log probability below this is guesswork: Whisper's own threshold (Radford et al., "Robust speech recognition via
/// large-scale weak supervision", section 4.5). Of 334 chunks of real speech, far-field and non-native, seven fall below
/// it, and without them there are fewer errors.
const LEAST_LOGPROB: f32 = -1.0;
/// The same for sound in which the engine lost its way before: what it says at the second hearing must be surer.
const LEAST_LOGPROB_AGAIN: f32 = -0.9;
/// Text whose distinct trigrams are less than this share of all goes round in circles.
const FEWEST_DISTINCT: f32 = 0.4;
/// Words from which on that is judged.
const CIRCLES_FROM: usize = 24;

/// Cuts what repeats and drops what cannot have been said in `speech_s` seconds of speech. `again`: the engine lost its way
/// in this sound before.
pub(crate) fn guarded(mut heard: Recognition, speech_s: f32, language: &str, again: bool) -> Recognition {
    cut_loops(&mut heard.tokens, heard.truncated);
    cut_circles(&mut heard.tokens);
    let least_logprob = if again { LEAST_LOGPROB_AGAIN } else { LEAST_LOGPROB };
    if heard.avg_logprob < least_logprob || !plausible(&heard, speech_s, language) {
        heard.tokens.clear();
    }
    heard
}

/// How often a phrase of so many words may be said in a row. People do say "no no no" and "bye bye bye bye"; a decoder
/// that was stopped by its cap is trusted less. A phrase of no whole word is a stuck token.
fn allowed(words: usize, truncated: bool) -> usize {
    match (words, truncated) {
        (0, false) => 8,
        (1, false) => 6,
        (2, false) | (0 | 1, true) => 4,
        (2, true) | (_, false) => 3,
        (_, true) => 1,
    }
}

/// Keeps one of a phrase that repeats more often than [`allowed`].
fn cut_loops(tokens: &mut Vec<Token>, truncated: bool) {
    let plain: Vec<String> = tokens.iter().map(|t| plain(&t.text)).collect();
    let starts_word: Vec<bool> = tokens.iter().map(|t| t.text.starts_with(char::is_whitespace)).collect();
    let mut keep = vec![true; tokens.len()];
    let mut at = 0;
    while at < plain.len() {
        let found = (1..=LONGEST_PHRASE.min((plain.len() - at) / 2)).find_map(|size| {
            let same = plain[at..].iter().zip(&plain[at + size..]).take_while(|(a, b)| a == b).count();
            let repeats = same / size + 1;
            let words = starts_word[at..at + size].iter().filter(|&&w| w).count();
            // What is cut off at the cap may end within the phrase.
            let end = if at + size + same == plain.len() { plain.len() } else { at + repeats * size };
            (repeats > allowed(words, truncated)).then_some((at + size, end))
        });
        at = found.map_or(at + 1, |(from, to)| {
            keep[from..to].fill(false);
            to
        });
    }
    let mut keep = keep.into_iter();
    tokens.retain(|_| keep.next().unwrap_or(true));
}

/// Cuts text that goes round in circles with small changes where it begins to: at the third time of some trigram.
fn cut_circles(tokens: &mut Vec<Token>) {
    let starts: Vec<usize> =
        (0..tokens.len()).filter(|&i| i == 0 || tokens[i].text.starts_with(char::is_whitespace)).collect();
    let word = |k: usize| {
        let end = starts.get(k + 1).copied().unwrap_or(tokens.len());
        tokens[starts[k]..end].iter().map(|t| plain(&t.text)).collect::<String>()
    };
    if starts.len() < CIRCLES_FROM {
        return;
    }
    let words: Vec<String> = (0..starts.len()).map(word).collect();
    let mut seen: Vec<(&[String], usize)> = Vec::new();
    let mut third = None;
    for (i, trigram) in words.windows(3).enumerate() {
        match seen.iter_mut().find(|(known, _)| *known == trigram) {
            Some((_, count)) => {
                *count += 1;
                if *count == 3 {
                    third = third.or(Some(i));
                }
            }
            None => seen.push((trigram, 1)),
        }
    }
    if (seen.len() as f32) < FEWEST_DISTINCT * (words.len() - 2) as f32
        && let Some(third) = third
    {
        tokens.truncate(starts[third]);
    }
}

fn plausible(heard: &Recognition, speech_s: f32, language: &str) -> bool {
    let text = text(&heard.tokens);
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count() as f32;
    // A character of a script without an alphabet says as much as two letters or more.
    let dense = text.chars().filter(|c| u32::from(*c) >= 0x2E80).count() as f32;
    if letters == 0.0 || letters + dense > MOST_LETTERS_A_SECOND * speech_s + SPARE_LETTERS {
        return false;
    }
    if speech_s >= RATE_FROM_S && letters + dense < FEWEST_LETTERS_A_SECOND * speech_s {
        return false;
    }
    // Nobody speaks English in Thai letters.
    let strange = text.chars().filter(|c| c.is_alphabetic() && u32::from(*c) >= 0x0250).count() as f32;
    language != "en" || 2.0 * strange <= letters
}

/// A token as it counts for repetition: case, spaces and marks do not.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token a word; a hyphen in front glues it to the word before.
    fn tokens(line: &str) -> Vec<Token> {
        let text = |w: &str| w.strip_prefix('-').map_or_else(|| format!(" {w}"), str::to_owned);
        line.split(' ').map(|w| Token { text: text(w), logprob: -0.1, start_s: 0.0, end_s: 0.0 }).collect()
    }

    fn looped(line: &str, truncated: bool) -> String {
        let mut tokens = tokens(line);
        cut_loops(&mut tokens, truncated);
        cut_circles(&mut tokens);
        text(&tokens)
    }

    fn heard(line: &str) -> Recognition {
        Recognition { tokens: tokens(line), avg_logprob: -0.3, truncated: false, no_speech_prob: None }
    }

    #[test]
    fn people_who_repeat_themselves_are_heard() {
        for line in [
            "No no no no, that is wrong",
            "bye bye bye bye Tom",
            "I do not know I do not know I do not know what to say",
            "five five five zero zero zero one one one",
            "thank you thank you thank you thank you so much",
        ] {
            assert_eq!(looped(line, false), line);
        }
    }

    #[test]
    fn a_loop_at_the_end_is_cut_to_its_first_time() {
        let line = "We start today. ".to_owned() + &"I am going to the bathroom. ".repeat(6) + "I am going";
        assert_eq!(looped(&line, false), "We start today. I am going to the bathroom.");
        assert_eq!(looped("you ".repeat(40).trim(), true), "you");
    }

    #[test]
    fn a_loop_in_the_middle_is_cut_and_the_rest_stays() {
        let line = "So the ".to_owned() + &"first is the ".repeat(9) + "price of forty dollars";
        assert_eq!(looped(&line, false), "So the first is the price of forty dollars");
        assert_eq!(looped("Well. Well, well WELL well well well well fine", false), "Well. fine");
    }

    #[test]
    fn a_decoder_stopped_by_its_cap_is_trusted_less() {
        let line = "You can do it, you can do it, you can";
        assert_eq!(looped(line, false), line);
        assert_eq!(looped(line, true), "You can do it,");
    }

    #[test]
    fn a_stuck_token_is_cut() {
        assert_eq!(looped("ha -ha -ha -ha", false), "hahahaha");
        assert_eq!(looped(&format!("a{}", " -la".repeat(30)), false), "ala");
    }

    #[test]
    fn text_that_goes_round_in_circles_is_cut() {
        let round = |i: usize| format!("use the red button to use the red pure{i} button to");
        let line = format!("You can {}", (0..6).map(round).collect::<Vec<_>>().join(" "));
        let left = looped(&line, false);
        assert!(left.starts_with("You can use the red button") && left.split(' ').count() < 24, "{left}");
        let contract = "the term of this contract begins on the first day of the month after the day of the signature and \
                        ends on the last day of the year in which the customer cancels it in writing";
        assert_eq!(looped(contract, false), contract);
    }

    #[test]
    fn what_cannot_have_been_said_is_dropped() {
        let said = |line: &str, seconds: f32| !guarded(heard(line), seconds, "en", false).tokens.is_empty();
        assert!(said("Okay", 0.3));
        assert!(said("You", 1.0));
        assert!(said("We will send you the quote", 2.0));
        assert!(!said("You", 9.0), "a word in nine seconds of something");
        assert!(!said("You can also use the app to see it", 0.3), "too much for a click");
        assert!(!said("♪ ♪ ♪", 2.0) && !said("...", 0.4), "no letters");
        assert!(!said("ตวบนลาง วดโอ", 2.0), "not English");
        assert!(guarded(heard("你好世界"), 1.0, "zh", false).tokens.len() == 1);
        assert!(said("42", 0.5));
        let guess = Recognition { avg_logprob: -1.1, ..heard("the quote is fine") };
        assert!(guarded(guess, 2.0, "en", false).tokens.is_empty());
        let unsure = Recognition { avg_logprob: -0.95, ..heard("the quote is fine") };
        assert!(!guarded(unsure.clone(), 2.0, "en", false).tokens.is_empty());
        assert!(guarded(unsure, 2.0, "en", true).tokens.is_empty());
    }
}
