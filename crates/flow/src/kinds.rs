//! The course of a call between greeting and goodbye: discovery, pricing, an objection, next steps, and what is none of these.
//!
//! Turns tell by what they say: an agent's open question and its answer discover, amounts and the words of a quotation are about
//! the price, a customer who doubts objects, promises and arrangements are next steps. One such turn makes no topic yet. The
//! course of a topic is the sequence of kinds that collects most of what its turns tell, less [`SWITCH`] for each change (A. Viterbi,
//! "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", 1967). The words, and what they
//! are worth, were chosen on the scripts of the fixtures.

use crate::{topics::Kind, vocabulary::formula_share};
use regex::Regex;
use schema::Turn;
use std::{ops::Range, sync::LazyLock};

/// What a turn without any sign is worth to "body", beside 1 for a turn with the sign of a kind.
const NO_SIGN: f32 = 0.4;

/// What a change of kind costs: among others, three turns in a row with the sign of a kind are a topic, two are none.
const SWITCH: f32 = 0.8;

const KINDS: [Kind; 5] = [Kind::Body, Kind::Objection, Kind::Pricing, Kind::NextSteps, Kind::Discovery];

/// A question that is answered with more than yes or no.
static OPEN_QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    cue(
        r"how (?:do|does|did|are|is|many|much|often|long|big|large|would|have)|what (?:do|does|did|are|is|kind|would|happens|happened|brings)|which|who|where|why|tell me|walk me through|describe|do you (?:use|need|know|work|want)|are you (?:using|looking|happy)",
    )
});

/// Amounts, and the words of a quotation.
static PRICING: LazyLock<Regex> = LazyLock::new(|| {
    cue(
        r"prices?|pricing|costs?|discounts?|budgets?|quot(?:e|es|ation)|dollars?|euros?|pounds?|percent|fees?|rates?|(?:a|per) (?:month|year|seat|user)|expensive|cheaper|afford",
    )
});

/// How a customer doubts, refuses or threatens to leave.
static OBJECTION: LazyLock<Regex> = LazyLock::new(|| {
    cue(
        r"(?:too|very|quite|so) (?:expensive|much|high|long|late|complicated)|more than (?:i|we) (?:expected|thought|hoped)|cheaper|even lower|better offer|competitors?|other (?:vendors?|providers?|suppliers?|offers?|products?)|not (?:sure|convinced|happy|interested|acceptable)|(?:am|are|'m|'re) (?:worried|concerned|afraid)|concerns?|cancel(?:ling|led)?|cancellation|switch(?:ing)? to|(?:don't|do not|doesn't|does not) (?:need|see|think|want|work|help|trust)|already (?:use|have|pay)|think (?:about it|it over)|can(?:'t|not) (?:afford|accept|wait)|no longer|nobody (?:uses|used|told|called)|unacceptable|ridiculous|disappointed|leave you|why should",
    )
});

/// Promises, requests and arrangements.
static NEXT_STEPS: LazyLock<Regex> = LazyLock::new(|| {
    cue(
        r"(?:i|we)(?:'ll| will| can) (?:also )?(?:send|email|mail|call|talk|get back|check|ask|copy|put|book|prepare|share|forward|set up|schedule|sign|withdraw|issue|confirm|open|let you know)|(?:could|can|would|will) you (?:also )?(?:please )?(?:send|email|mail|call|confirm|tell|forward|share|check|copy|book)|please (?:send|email|call|confirm|forward|let me know)|let's (?:meet|have|plan|talk|schedule|set)|shall we|invitation|calendar|follow up|next step|by (?:monday|tuesday|wednesday|thursday|friday|tomorrow|noon|the end)",
    )
});

fn cue(words: &str) -> Regex {
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.trim())).expect("a cue is a valid expression")
}

/// What each turn tells of each of [`KINDS`]; `light` turns (backchannels and the like) and formulas tell nothing.
fn signs(turns: &[Turn], light: &[bool]) -> Vec<[f32; KINDS.len()]> {
    let (mut asked, mut objected) = (false, false);
    let of = |(turn, &light): (&Turn, &bool)| {
        let text = turn.text.as_str();
        if light || formula_share(text) >= 0.5 {
            return [0.0; KINDS.len()];
        }
        let agent = turn.role.as_deref() == Some("agent");
        let asks = agent && text.contains('?') && OPEN_QUESTION.is_match(text);
        let objects = !agent && OBJECTION.is_match(text);
        let sign = |found: bool| if found { 1.0 } else { 0.0 };
        // An objection is answered, and a question too.
        let answer = if objected && agent { 0.5 } else { 0.0 };
        let signs = [
            NO_SIGN,
            if objects { 1.0 } else { answer },
            sign(PRICING.is_match(text)),
            sign(NEXT_STEPS.is_match(text)),
            sign(asks || (asked && !agent)),
        ];
        (asked, objected) = (asks, objects);
        signs
    };
    turns.iter().zip(light).map(of).collect()
}

/// The kinds of a topic's turns, in stretches. Of kinds that are worth as much the first of [`KINDS`].
pub(crate) fn course(turns: &[Turn], light: &[bool]) -> Vec<(Range<usize>, Kind)> {
    let signs = signs(turns, light);
    let Some((first, rest)) = signs.split_first() else { return Vec::new() };
    // A topic begins as "body".
    let mut worth = std::array::from_fn(|at| first[at] - if at == 0 { 0.0 } else { SWITCH });
    let mut from: Vec<[usize; KINDS.len()]> = Vec::with_capacity(rest.len());
    for turn in rest {
        let best = highest(&worth);
        // The kind itself where it is worth as much as a change.
        let before = std::array::from_fn(|to| if worth[best] - SWITCH > worth[to] { best } else { to });
        worth = std::array::from_fn(|to| {
            let change = if before[to] == to { 0.0 } else { SWITCH };
            worth[before[to]] - change + turn[to]
        });
        from.push(before);
    }
    let mut path = vec![highest(&worth)];
    for from in from.iter().rev() {
        path.push(from[path[path.len() - 1]]);
    }
    path.reverse();
    let mut stretches: Vec<(Range<usize>, Kind)> = Vec::new();
    for run in path.chunk_by(PartialEq::eq) {
        let start = stretches.last().map_or(0, |(range, _)| range.end);
        stretches.push((start..start + run.len(), KINDS[run[0]]));
    }
    stretches
}

fn highest(worth: &[f32; KINDS.len()]) -> usize {
    (0..KINDS.len()).fold(0, |best, next| if worth[next] > worth[best] { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds_of(lines: &[(&str, &str)]) -> Vec<(usize, Kind)> {
        let turn = |(i, (role, text)): (usize, &(&str, &str))| -> Turn {
            serde_json::from_value(json!({
                "call_id": "7", "turn_index": i, "channel": 0, "speaker": role, "role": role, "start_ms": i * 5000,
                "end_ms": i * 5000 + 4500, "text": text, "overlap_ms": 0, "pause_before_ms": 0, "words": []
            }))
            .unwrap()
        };
        let turns: Vec<Turn> = lines.iter().enumerate().map(turn).collect();
        let course = course(&turns, &vec![false; turns.len()]);
        assert_eq!(course.last().map_or(0, |(range, _)| range.end), turns.len());
        course.into_iter().map(|(range, kind)| (range.start, kind)).collect()
    }

    #[test]
    fn a_sales_call_takes_its_course() {
        let call = [
            ("agent", "How do you pump the water out of the basement today?"),
            ("customer", "We carry it up in buckets, and on some days that takes all morning."),
            ("agent", "How many people does that keep from their work?"),
            ("customer", "Two of them, sometimes three."),
            ("agent", "The small pump has a price of nine hundred dollars."),
            ("customer", "And what does the hose cost?"),
            ("agent", "Forty dollars, with a discount of ten percent on both."),
            ("customer", "That is too complicated for us, to be honest."),
            ("agent", "It lasts for ten years."),
            ("customer", "I am not convinced, and a neighbour made a better offer."),
            ("agent", "I'll send you an offer without the hose tomorrow."),
            ("customer", "Please send it to my brother, could you also call him?"),
            ("agent", "Yes, I'll call him on Monday."),
        ];
        let kinds = [(0, Kind::Discovery), (4, Kind::Pricing), (7, Kind::Objection), (10, Kind::NextSteps)];
        assert_eq!(kinds_of(&call), kinds);
    }

    #[test]
    fn one_price_is_no_topic() {
        let lamp = [
            ("agent", "The lamp on the left blinks while the device starts."),
            ("customer", "It is green now, and the other one is dark."),
            ("agent", "The old one was sold for forty dollars."),
            ("customer", "It stands in the cellar."),
        ];
        assert_eq!(kinds_of(&lamp), [(0, Kind::Body)]);
        assert_eq!(kinds_of(&[]), []);
    }
}
