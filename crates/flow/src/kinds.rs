//! What a topic between greeting and goodbye is in the course of a call: discovery, pricing, an objection, next steps, or none
//! of these.
//!
//! Turns tell by what they say: an agent's open question and its answer discover, amounts and the words of a quotation are about
//! the price, a customer who doubts objects, promises and arrangements are next steps. One such turn makes no topic: a kind is
//! that of two turns at least, and of [`SHARE`] of a topic's turns. It was chosen on the scripts of the fixtures, as the words were.

use crate::{topics::Kind, vocabulary::formula_share};
use regex::Regex;
use schema::Turn;
use std::sync::LazyLock;

/// The share of a topic's turns that bear the sign of its kind, at least.
const SHARE: f32 = 0.4;

/// Of kinds whose signs as many turns bear, the first.
const KINDS: [Kind; 4] = [Kind::Objection, Kind::Pricing, Kind::NextSteps, Kind::Discovery];

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

/// The kind of a topic from its turns; `light` ones (backchannels and the like) tell nothing.
pub(crate) fn kind(turns: &[Turn], light: &[bool]) -> Kind {
    let (mut asked, mut objected, mut telling) = (false, false, 0.0f32);
    let mut signs = [0.0f32; KINDS.len()];
    for (turn, _) in turns.iter().zip(light).filter(|(turn, light)| !**light && formula_share(&turn.text) < 0.5) {
        let text = turn.text.as_str();
        let agent = turn.role.as_deref() == Some("agent");
        let asks = agent && text.contains('?') && OPEN_QUESTION.is_match(text);
        let objects = !agent && OBJECTION.is_match(text);
        // An objection is answered, and a question too.
        let found = [
            objects || (objected && agent),
            PRICING.is_match(text),
            NEXT_STEPS.is_match(text),
            asks || (asked && !agent),
        ];
        signs.iter_mut().zip(found).for_each(|(sum, found)| *sum += f32::from(u8::from(found)));
        (asked, objected) = (asks, objects);
        telling += 1.0;
    }
    let best = (0..KINDS.len()).fold(0, |best, next| if signs[next] > signs[best] { next } else { best });
    if signs[best] >= 2.0 && signs[best] >= SHARE * telling { KINDS[best] } else { Kind::Body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind_of(lines: &[(&str, &str)]) -> Kind {
        let turn = |(i, (role, text)): (usize, &(&str, &str))| -> Turn {
            serde_json::from_value(json!({
                "call_id": "7", "turn_index": i, "channel": 0, "speaker": role, "role": role, "start_ms": i * 5000,
                "end_ms": i * 5000 + 4500, "text": text, "overlap_ms": 0, "pause_before_ms": 0, "words": []
            }))
            .unwrap()
        };
        let turns: Vec<Turn> = lines.iter().enumerate().map(turn).collect();
        kind(&turns, &vec![false; turns.len()])
    }

    #[test]
    fn topics_of_a_sales_call() {
        let discovery = [
            ("agent", "How do you pump the water out of the basement today?"),
            ("customer", "We carry it up in buckets, and on some days that takes all morning."),
            ("agent", "How many people does that keep from their work?"),
            ("customer", "Two of them, sometimes three."),
        ];
        let pricing = [
            ("agent", "The small pump has a price of nine hundred dollars."),
            ("customer", "And what does the hose cost?"),
            ("agent", "Forty dollars, with a discount of ten percent on both."),
        ];
        let objection = [
            ("customer", "That is too expensive for us, to be honest."),
            ("agent", "It lasts for ten years."),
            ("customer", "I am not convinced, and a neighbour made a better offer."),
        ];
        let next_steps = [
            ("agent", "I'll send you an offer without the hose tomorrow."),
            ("customer", "Please send it to my brother, could you also call him?"),
            ("agent", "Yes, I'll call him on Monday."),
        ];
        assert_eq!(kind_of(&discovery), Kind::Discovery);
        assert_eq!(kind_of(&pricing), Kind::Pricing);
        assert_eq!(kind_of(&objection), Kind::Objection);
        assert_eq!(kind_of(&next_steps), Kind::NextSteps);
    }

    #[test]
    fn one_price_is_no_topic() {
        let lamp = [
            ("agent", "The lamp on the left blinks while the device starts."),
            ("customer", "It is green now, and the other one is dark."),
            ("agent", "The old one was sold for forty dollars."),
            ("customer", "It stands in the cellar."),
        ];
        assert_eq!(kind_of(&lamp), Kind::Body);
        assert_eq!(kind_of(&[]), Kind::Body);
    }
}
