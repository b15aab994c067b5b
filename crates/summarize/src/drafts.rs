//! What may become a point: sentences, with what belongs to them, their part in the call, and how well they stand alone.

use crate::{cues::Cues, select::PointKind};
use std::ops::Range;

/// A reason is looked for in the first words of a call: this many, or this share of a long one.
const EARLY_WORDS: f32 = 150.0;
const EARLY_SHARE: f32 = 0.15;

/// Outcomes lie behind this share of the call.
const LATE: f32 = 0.4;

/// A sentence is of a kind from this clarity on.
const CLEAR: f32 = 0.4;

/// A shorter sentence says little without its neighbour.
const SHORT_WORDS: usize = 7;

/// A shorter promise says more with the request for it.
const SHORT_PROMISE: usize = 10;

/// A shorter answer says more with its question.
const SHORT_ANSWER: usize = 18;

/// Two sentences are one point up to this many words.
const PAIR_WORDS: usize = 36;

/// A sentence of a dialogue.
pub(crate) struct Sentence {
    pub(crate) turn: usize,
    pub(crate) role: Option<String>,
    pub(crate) chars: Range<usize>,
    pub(crate) text: String,
    pub(crate) words: usize,
    /// Words before it in the dialogue.
    pub(crate) before: usize,
    pub(crate) cues: Cues,
    /// Whether the recognizer understood it: what it guessed is no point.
    pub(crate) clear: bool,
}

/// A candidate before its vector is known.
pub(crate) struct Draft {
    pub(crate) sentences: Vec<usize>,
    pub(crate) text: String,
    pub(crate) cues: Cues,
    /// How well it stands without its neighbours, 0..1.
    pub(crate) alone: f32,
}

/// Whether the sentence was understood and carries at least so many words of content and more than courtesy.
pub(crate) fn says(sentence: &Sentence, content: usize) -> bool {
    sentence.clear && sentence.cues.content >= content && !is_fluff(&sentence.cues)
}

/// What may become a point: sentences that stand alone; two of a turn where the second leans on the first or the first
/// is short; a question with its short answer.
pub(crate) fn drafts(sentences: &[Sentence]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (i, sentence) in sentences.iter().enumerate().filter(|(_, s)| says(s, 1)) {
        let cues = &sentence.cues;
        let leans = cues.anaphoric || cues.pointers > 0;
        let neighbour = neighbour(sentences, i).filter(|&j| sentences[j].words + sentence.words <= PAIR_WORDS);
        if let Some(before) = neighbour {
            let first = &sentences[before];
            let text = format!("{} {}", first.text, sentence.text);
            // The first sentence says what the second one's pronoun is.
            let pointers = first.cues.pointers + cues.pointers.saturating_sub(1);
            let cues = Cues { anaphoric: first.cues.anaphoric, question: cues.question, pointers, ..Cues::of(&text) };
            if cues.content >= 3 {
                // An answer that only echoes the question adds little to it.
                let alone = if sentence.cues.content < 2 && sentence.cues.outcome < CLEAR { 0.7 } else { 1.0 };
                drafts.push(Draft { sentences: vec![before, i], text, cues, alone });
            }
        }
        let strong = cues.reason.max(cues.outcome) >= CLEAR || (cues.content >= 2 && cues.next_step >= CLEAR);
        let assents = cues.assent && !strong;
        if sentence.words >= 3 && !assents && (cues.content >= 3 || cues.information >= 0.25 || strong) {
            let answer = sentences[i + 1..].iter().filter(|s| s.turn == sentence.turn + 1);
            let promised = answer.take(3).any(|s| s.cues.next_step > 0.0 && !s.cues.request);
            let alone = match neighbour {
                // The promise in the next turn says it better.
                _ if cues.request && promised => 0.5,
                Some(_) if leans => 0.6,
                Some(j) if sentences[j].turn != sentence.turn => 0.8,
                _ => 1.0,
            };
            drafts.push(Draft { sentences: vec![i], text: sentence.text.clone(), cues: *cues, alone });
        }
    }
    drafts
}

/// Every whole sentence that was understood and says something, as a candidate of its own: for a text of a given length.
pub(crate) fn alone(sentences: &[Sentence]) -> Vec<Draft> {
    let whole = |s: &Sentence| s.clear && (s.cues.content > 0 || s.words > 3) && !s.cues.broken;
    let drafts = sentences.iter().enumerate().filter(|(_, s)| whole(s));
    drafts.map(|(i, s)| Draft { sentences: vec![i], text: s.text.clone(), cues: s.cues, alone: 1.0 }).collect()
}

/// The sentence before this one that it is better said with: in the same turn where this one leans or that one is short;
/// a question or request just before where this one opens the answer and leans on it or is short.
fn neighbour(sentences: &[Sentence], i: usize) -> Option<usize> {
    let sentence = &sentences[i];
    let leans = sentence.cues.anaphoric || sentence.cues.pointers > 0;
    let before = i.checked_sub(1)?;
    let previous = &sentences[before];
    if previous.turn == sentence.turn && says(previous, 1) {
        return (leans || (3..SHORT_WORDS).contains(&previous.words)).then_some(before);
    }
    let opens = sentences[..i].iter().rev().take_while(|s| s.turn == sentence.turn).all(|s| !says(s, 1));
    if !opens || !(leans || sentence.words < SHORT_ANSWER) {
        return None;
    }
    // Nodding turns may stand between question and answer.
    let asked = (0..i).rev().find(|&j| sentences[j].turn != sentence.turn && sentences[j].cues.content > 0)?;
    // A promise of some length repeats what was asked for.
    let short = if sentences[asked].cues.request { SHORT_PROMISE } else { SHORT_ANSWER };
    let asks = (sentences[asked].cues.question || sentences[asked].cues.request) && (leans || sentence.words < short);
    let other = sentence.role.is_none() || sentences[asked].role != sentence.role;
    (asks && other && says(&sentences[asked], 2) && sentences[asked].turn + 2 >= sentence.turn).then_some(asked)
}

/// Courtesy and the handling of the call: never a point, and nothing to be covered.
fn is_fluff(cues: &Cues) -> bool {
    cues.formula && cues.next_step < CLEAR && cues.reason < CLEAR && cues.outcome < CLEAR
}

/// What a sentence is in the call, and how clearly.
pub(crate) fn kind(cues: &Cues, role: Option<&str>, before: usize, all_words: usize) -> (PointKind, f32) {
    let (before, all) = (before as f32, all_words.max(1) as f32);
    let position = before / all;
    let early = 1.0 - before / EARLY_WORDS.max(all * EARLY_SHARE).min(all * 0.6);
    let side = match role {
        Some("customer") => 1.0,
        Some("agent") => 0.6,
        _ => 0.85,
    };
    let statement = if cues.question { 0.4 } else { 1.0 };
    let late = if position < LATE { 0.0 } else { 0.7 + 0.3 * (position - LATE) / (1.0 - LATE) };
    let scores = [
        (
            PointKind::Reason,
            (0.25 + 0.75 * cues.reason) * (0.4 + 0.6 * early) * side * statement * f32::from(u8::from(early > 0.0)),
        ),
        (PointKind::Outcome, cues.outcome * late * statement),
        (PointKind::NextStep, cues.next_step * (0.7 + 0.3 * position)),
    ];
    let best = scores.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|s| s.1 >= CLEAR);
    best.unwrap_or((PointKind::Topic, 0.0))
}

/// How well a sentence stands alone.
pub(crate) fn quality(cues: &Cues, words: usize) -> f32 {
    let factor = |applies: bool, factor: f32| if applies { factor } else { 1.0 };
    let pointers = cues.pointers.min(2) as f32;
    factor(cues.question && cues.next_step < CLEAR, 0.5)
        * factor(cues.anaphoric, 0.75)
        * (1.0 - 0.6 * pointers / (pointers + cues.content.max(1) as f32))
        * factor(cues.broken, 0.6)
        * factor(cues.formula, 0.6)
        * factor(cues.assent, 0.4)
        * factor(words < 5 && cues.outcome < CLEAR, 0.6)
}
