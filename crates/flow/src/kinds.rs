//! The course of a call: opening, discovery, pricing, an objection, next steps, closing, and what is none of these.
//!
//! Turns tell by what they say: formulas greet and take leave, an agent's open question and its answer discover, amounts and the
//! words of a quotation are about the price, a customer who doubts objects, promises and dates are next steps. One such turn is no
//! topic yet. The course is the sequence of kinds that collects most of what the turns tell, less [`SWITCH`] for each change
//! (A. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", 1967), with an
//! opening only at the start and a closing only at the end.

use crate::{topics::Kind, vocabulary::formula_share};
use regex::Regex;
use schema::Turn;
use std::{ops::Range, sync::LazyLock};

/// What a turn without any sign is worth to "body", beside 1 for a turn with the sign of a kind.
const NO_SIGN: f32 = 0.4;

/// What a change of kind costs: three turns in a row with the sign of a kind are a topic, two are none.
const SWITCH: f32 = 0.8;

/// Greetings are looked for among so many turns.
const GREETING_TURNS: usize = 6;

const KINDS: [Kind; 7] =
    [Kind::Opening, Kind::Discovery, Kind::Pricing, Kind::Objection, Kind::NextSteps, Kind::Body, Kind::Closing];

/// How people greet beyond the formulas: "Hi Nora, it's Simon from accounting."
static GREETING: LazyLock<Regex> = LazyLock::new(|| {
    cue(r"hello|hi|hey|good (?:morning|afternoon|evening)|(?:thanks|thank you) for (?:calling|taking)")
});

/// How people part beyond the formulas: "Great. Thank you, Laura. This was very interesting."
static LEAVING: LazyLock<Regex> = LazyLock::new(|| {
    cue(r"thanks|thank you|bye|goodbye|good day|great day|nice day|see you|you're (?:very )?welcome|you too|take care")
});

/// A question that is answered with more than yes or no.
static OPEN_QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    cue(
        r"how (?:do|does|did|are|is|many|much|often|long|big|large|would|have)|what (?:do|does|did|are|is|kind|would|happens|happened|brings)|which|who|where|why|tell me|walk me through|describe|do you (?:use|have|need|know|work|want)|are you (?:using|looking|happy)",
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
        r"(?:i|we)(?:'ll| will| can) (?:also )?(?:send|email|mail|call|talk|get back|check|ask|copy|put|book|prepare|share|forward|set up|schedule|sign|withdraw|issue|confirm|open|let you know)|(?:could|can|would|will) you (?:also )?(?:please )?(?:send|email|mail|call|confirm|tell|forward|share|check|copy|book)|please (?:send|email|call|confirm|forward|let me know)|let's (?:meet|have|plan|talk|schedule|set)|shall we|invitation|calendar|follow up|next step|by (?:monday|tuesday|wednesday|thursday|friday|tomorrow|noon|the end)|(?:next|on) (?:monday|tuesday|wednesday|thursday|friday|week)|tomorrow",
    )
});

fn cue(words: &str) -> Regex {
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.trim())).expect("a cue is a valid expression")
}

/// What a turn tells of each of [`KINDS`].
fn signs(turns: &[Turn], light: &[bool]) -> Vec<[f32; KINDS.len()]> {
    let (mut asked, mut objected) = (false, false);
    turns
        .iter()
        .zip(light)
        .enumerate()
        .map(|(i, (turn, &light))| {
            let text = turn.text.as_str();
            let agent = turn.role.as_deref() == Some("agent");
            let formula = formula_share(text) >= 0.5;
            let edge = |found: bool, enough: bool| match (formula, found) {
                _ if !enough => -1.0,
                (true, _) => 1.0,
                (_, true) => 0.7,
                _ if light => 0.0,
                _ => -1.0,
            };
            let opens = agent && !formula && text.contains('?') && OPEN_QUESTION.is_match(text);
            let objects = !agent && OBJECTION.is_match(text);
            let sign = |found: bool| f32::from(u8::from(found && !formula));
            let signs = [
                edge(i < GREETING_TURNS && GREETING.is_match(text), i < GREETING_TURNS),
                sign(opens || (asked && !agent && !light)),
                sign(PRICING.is_match(text)),
                if objected && agent { sign(true) / 2.0 } else { sign(objects) },
                sign(NEXT_STEPS.is_match(text)),
                if light { 0.0 } else { NO_SIGN },
                edge(LEAVING.is_match(text), true),
            ];
            if !light {
                (asked, objected) = (opens, objects);
            }
            signs
        })
        .collect()
}

/// The kind of each turn. `light` turns (backchannels and the like) tell nothing. No more than `most` stretches of one kind.
pub(crate) fn course(turns: &[Turn], light: &[bool], most: usize) -> Vec<(Range<usize>, Kind)> {
    let signs = signs(turns, light);
    let mut switch = SWITCH;
    loop {
        let kinds = best(&signs, switch);
        let mut stretches: Vec<(Range<usize>, Kind)> = Vec::new();
        for run in kinds.chunk_by(PartialEq::eq) {
            let start = stretches.last().map_or(0, |(range, _)| range.end);
            stretches.push((start..start + run.len(), run[0]));
        }
        if stretches.len() <= most.max(1) {
            return stretches;
        }
        switch *= 2.0;
    }
}

/// The best course: Viterbi's algorithm.
fn best(signs: &[[f32; KINDS.len()]], switch: f32) -> Vec<Kind> {
    let cost = |from: usize, to: usize| match (KINDS[from], KINDS[to]) {
        (from, to) if from == to => 0.0,
        (_, Kind::Opening) | (Kind::Closing, _) => f32::INFINITY,
        _ => switch,
    };
    let Some((first, rest)) = signs.split_first() else { return Vec::new() };
    let mut scores = *first;
    let mut from: Vec<[usize; KINDS.len()]> = Vec::with_capacity(rest.len());
    for turn in rest {
        let before = |to: usize| {
            let reached = (0..KINDS.len()).map(|at| (at, scores[at] - cost(at, to)));
            // The kind itself before others that score the same, so that nothing changes without need.
            reached.fold((to, scores[to]), |best, next| if next.1 > best.1 { next } else { best })
        };
        let reached: [(usize, f32); KINDS.len()] = std::array::from_fn(before);
        from.push(reached.map(|(at, _)| at));
        scores = std::array::from_fn(|to| reached[to].1 + turn[to]);
    }
    let last = (0..KINDS.len()).fold(0, |best, next| if scores[next] > scores[best] { next } else { best });
    let mut path = vec![last];
    for from in from.iter().rev() {
        path.push(from[path[path.len() - 1]]);
    }
    path.reverse();
    path.into_iter().map(|at| KINDS[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallFlow;
    use schema::{Call, Segment};

    fn turns(lines: &[(&str, &str)]) -> Vec<Turn> {
        let call: Call = serde_json::from_str(
            r#"{"call_id": "7", "source_uri": "", "crm": {}, "status": "ready", "participants": [
                {"participant_id": "a", "channel": 0, "role": "agent"}, {"participant_id": "c", "channel": 1, "role": "customer"}]}"#,
        )
        .unwrap();
        let segment = |(i, (role, text)): (usize, &(&str, &str))| -> Segment {
            serde_json::from_value(serde_json::json!({
                "call_id": "7", "channel": i32::from(*role == "customer"), "segment_index": i, "start_ms": i * 5000,
                "end_ms": i * 5000 + 4500, "text": text, "avg_logprob": 0.0, "words": [], "engine": "test"
            }))
            .unwrap()
        };
        let segments: Vec<Segment> = lines.iter().enumerate().map(segment).collect();
        CallFlow::of(&crate::FlowConfig::default(), &call, &segments).turns
    }

    const CALL: [(&str, &str); 17] = [
        ("agent", "Good morning, this is Iris from Lindow Pumps."),
        ("customer", "Hello Iris, thanks for calling."),
        ("agent", "How do you pump the water out of the basement today?"),
        ("customer", "We carry it up in buckets, and on some days that takes all morning."),
        ("agent", "How many people does that keep from their work?"),
        ("customer", "Two of them, sometimes three."),
        ("agent", "The small pump has a price of nine hundred dollars."),
        ("customer", "And what does the hose cost?"),
        ("agent", "Forty dollars, with a discount of ten percent on both."),
        ("customer", "That is too expensive for us, to be honest."),
        ("customer", "I am not convinced, and a neighbour made a better offer."),
        ("customer", "We don't need a hose at all."),
        ("agent", "I'll send you an offer without the hose tomorrow."),
        ("customer", "Please send it to my brother, could you also call him?"),
        ("agent", "Yes, I'll call him on Monday."),
        ("customer", "Thank you, Iris. Bye."),
        ("agent", "Thank you. Have a nice day."),
    ];

    #[test]
    fn a_sales_call_takes_its_course() {
        let turns = turns(&CALL);
        let course = course(&turns, &vec![false; turns.len()], 12);
        let kinds: Vec<Kind> = course.iter().map(|(_, kind)| *kind).collect();
        use Kind::{Closing, Discovery, NextSteps, Objection, Opening, Pricing};
        assert_eq!(kinds, [Opening, Discovery, Pricing, Objection, NextSteps, Closing], "{course:?}");
        assert_eq!((course[1].0.start, course[2].0.start), (2, 6));
        assert_eq!(course.last().map(|(range, _)| range.end), Some(turns.len()));
    }

    #[test]
    fn a_limit_is_kept_and_every_turn_has_one_place() {
        let turns = turns(&CALL);
        for most in 1..8 {
            let course = course(&turns, &vec![false; turns.len()], most);
            assert!(course.len() <= most, "{most}: {course:?}");
            let covered: Vec<usize> = course.iter().flat_map(|(range, _)| range.clone()).collect();
            assert_eq!(covered, (0..turns.len()).collect::<Vec<_>>());
        }
        assert!(course(&[], &[], 3).is_empty());
    }

    #[test]
    fn one_price_is_no_topic() {
        let turns = turns(&[
            ("agent", "The lamp on the left blinks while the device starts."),
            ("customer", "It is green now, and the other one is dark."),
            ("agent", "The old one was sold for forty dollars."),
            ("customer", "It stands in the cellar."),
        ]);
        assert_eq!(course(&turns, &[false; 4], 12), [(0..4, Kind::Body)]);
    }
}
