//! Segments to utterances to turns.

use crate::{
    FlowConfig,
    apart::{is_alone_on, told_apart},
    spans::{Span, covered, shared},
    speech::{ends_with_question, is_backchannel},
};
use schema::{Call, Segment, Turn, Word};
use std::collections::{BTreeMap, BTreeSet};

/// Backchannels are shorter than this; the definition of a monologue in `speaker_metrics` rests on it.
pub(crate) const BACKCHANNEL_MS: i64 = 1000;

/// One speaker between two silences.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Utterance {
    pub(crate) channel: i32,
    pub(crate) words: Vec<Word>,
}

impl Utterance {
    pub(crate) fn start(&self) -> i64 {
        self.words.first().map_or(0, |w| w.start_ms)
    }

    pub(crate) fn end(&self) -> i64 {
        self.words.last().map_or(0, |w| w.end_ms)
    }

    pub(crate) fn span(&self) -> Span {
        (self.start(), self.end())
    }
}

/// One speaker's consecutive utterances.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spoken {
    pub(crate) utterances: Vec<Utterance>,
    /// Whether the turn only says that its speaker listens, while the other keeps the floor.
    pub(crate) backchannel: bool,
}

impl Spoken {
    pub(crate) fn channel(&self) -> i32 {
        self.utterances.first().map_or(0, |u| u.channel)
    }

    pub(crate) fn span(&self) -> Span {
        (self.utterances.first().map_or(0, Utterance::start), self.utterances.last().map_or(0, Utterance::end))
    }
}

/// The utterances of all channels, in the order of start, then channel.
pub(crate) fn utterances(segments: &[Segment], gap_ms: i64) -> Vec<Utterance> {
    let mut channels: BTreeMap<i32, Vec<&Segment>> = BTreeMap::new();
    for segment in segments {
        channels.entry(segment.channel).or_default().push(segment);
    }
    let mut all: Vec<Utterance> = Vec::new();
    for (channel, mut segments) in channels {
        segments.sort_by_key(|s| (s.start_ms, s.segment_index));
        let mut last_end = i64::MIN;
        for mut word in segments.into_iter().flat_map(timed_words) {
            let apart = last_end == i64::MIN || word.start_ms.saturating_sub(last_end) >= gap_ms;
            // Alignment can step back by a frame or two; time within a channel only goes on.
            word.start_ms = word.start_ms.max(last_end).max(0);
            word.end_ms = word.end_ms.max(word.start_ms);
            last_end = word.end_ms;
            match all.last_mut() {
                Some(utterance) if !apart => utterance.words.push(word),
                _ => all.push(Utterance { channel, words: vec![word] }),
            }
        }
    }
    all.sort_by_key(|u| (u.start(), u.channel));
    all
}

/// A segment's words. Where the engine gave none, its text's, spread over its time by their length.
fn timed_words(segment: &Segment) -> Vec<Word> {
    let trimmed = |w: &Word| Word { text: w.text.trim().to_owned(), ..w.clone() };
    if !segment.words.is_empty() {
        return segment.words.iter().map(trimmed).filter(|w| !w.text.is_empty()).collect();
    }
    let letters = |text: &str| text.chars().count() as i64;
    let total = segment.text.split_whitespace().map(letters).sum::<i64>().max(1);
    let (length, probability) = ((segment.end_ms - segment.start_ms).max(0), segment.avg_logprob.exp().clamp(0.0, 1.0));
    let mut done = 0;
    let spread = |text: &str| {
        let start_ms = segment.start_ms + length * done / total;
        done += letters(text);
        Word { text: text.to_owned(), start_ms, end_ms: segment.start_ms + length * done / total, probability }
    };
    segment.text.split_whitespace().map(spread).collect()
}

/// Longest aside, in words, that is a backchannel whatever its words: "uh-huh" is easily misheard.
const ASIDE_WORDS: usize = 3;

/// Which utterances are backchannels, all of them shorter than [`BACKCHANNEL_MS`]: words that only say "I am listening",
/// said while another speaker keeps the floor (still speaks when they end, or is the next to go on) and no answer to a
/// question; and asides of a few words that lie within another speaker's utterance and ask nothing.
fn backchannels(all: &[Utterance], turn_gap_ms: i64) -> Vec<bool> {
    let short: Vec<bool> = all.iter().map(|u| u.end() - u.start() < BACKCHANNEL_MS).collect();
    let like: Vec<bool> = all.iter().zip(&short).map(|(u, short)| *short && is_backchannel(&u.words)).collect();
    let mut floor: Option<usize> = None;
    let mut flags = vec![false; all.len()];
    for (i, utterance) in all.iter().enumerate() {
        let holder = floor.map(|f| &all[f]).filter(|holder| short[i] && holder.channel != utterance.channel);
        flags[i] = holder.is_some_and(|holder| {
            let within = holder.start() < utterance.start() && holder.end() > utterance.end();
            let aside = within && utterance.words.len() <= ASIDE_WORDS && !ends_with_question(&utterance.words);
            let answers = holder.end() <= utterance.start() && ends_with_question(&holder.words);
            let next = (i + 1..all.len()).find(|&j| !like[j] || all[j].channel == holder.channel);
            let goes_on = within
                || next.is_some_and(|j| {
                    all[j].channel == holder.channel && all[j].start() - utterance.end() < turn_gap_ms
                });
            aside || (like[i] && !answers && goes_on)
        });
        if !flags[i] {
            floor = Some(i);
        }
    }
    flags
}

/// The turns, in the order of start, then channel. A backchannel is a turn of its own and does not end the turn that it
/// accompanies. Otherwise a turn ends when somebody else speaks or after a silence of `turn_gap_ms`.
pub(crate) fn turns(config: &FlowConfig, all: Vec<Utterance>) -> Vec<Spoken> {
    let flags = backchannels(&all, config.turn_gap_ms);
    let mut turns: Vec<Spoken> = Vec::new();
    // The turn that an utterance may go on with, and where each channel's speech ends so far.
    let (mut open, mut ends): (Option<usize>, BTreeMap<i32, i64>) = (None, BTreeMap::new());
    for (utterance, backchannel) in all.into_iter().zip(flags) {
        if backchannel {
            turns.push(Spoken { utterances: vec![utterance], backchannel });
            continue;
        }
        let channel = utterance.channel;
        let others = ends.iter().filter(|(c, _)| **c != channel).map(|(_, end)| *end).max().unwrap_or(i64::MIN);
        let goes_on = open.filter(|&t| {
            let end = turns[t].span().1;
            turns[t].channel() == channel
                && utterance.start() - end < config.turn_gap_ms
                // Somebody who began before this turn may have gone on through its pause.
                && others.min(utterance.start()).saturating_sub(end) < config.utterance_gap_ms
        });
        let end = utterance.end();
        if let Some(turn) = goes_on {
            turns[turn].utterances.push(utterance);
        } else {
            open = Some(turns.len());
            turns.push(Spoken { utterances: vec![utterance], backchannel });
        }
        ends.entry(channel).and_modify(|e| *e = end.max(*e)).or_insert(end);
    }
    turns.sort_by_key(|t| (t.span().0, t.channel()));
    turns
}

/// Who is heard on a channel: the one participant the call list puts there, where nobody else can be on it, else `channel-N`.
pub(crate) fn speaker(call: &Call, channel: i32) -> (String, Option<String>) {
    let mut there = call.participants.iter().filter(|p| p.channel == Some(channel));
    match (there.next(), there.next()) {
        (Some(p), None) if is_alone_on(call, channel) => (p.participant_id.clone(), p.role.clone()),
        _ => (format!("channel-{channel}"), None),
    }
}

/// The turns as rows.
pub(crate) fn rows(call: &Call, segments: &[Segment], turns: &[Spoken]) -> Vec<Turn> {
    let mut speech: Vec<Span> = turns.iter().flat_map(|t| t.utterances.iter().map(Utterance::span)).collect();
    speech.sort_unstable();
    let others: BTreeMap<i32, Vec<Span>> = turns
        .iter()
        .map(Spoken::channel)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|channel| (channel, covered(turns.iter().filter(|t| t.channel() != channel).map(Spoken::span), 1)))
        .collect();
    let apart = told_apart(call);
    let row = |(index, turn): (usize, &Spoken)| {
        let (channel, span) = (turn.channel(), turn.span());
        let (speaker, role) = speaker(call, channel);
        let before = speech[..speech.partition_point(|s| s.0 < span.0)].iter().map(|s| s.1).max().unwrap_or(0);
        let words: Vec<Word> = turn.utterances.iter().flat_map(|u| u.words.iter().cloned()).collect();
        Turn {
            call_id: call.call_id.clone(),
            turn_index: index as i32,
            channel,
            speaker,
            role,
            start_ms: span.0,
            end_ms: span.1,
            text: words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "),
            language: segments
                .iter()
                .find(|s| s.channel == channel && s.end_ms >= span.0)
                .and_then(|s| s.language.clone()),
            overlap_ms: apart.then(|| others.get(&channel).map_or(0, |others| shared(span, others))),
            pause_before_ms: (span.0 - before).max(0),
            words,
        }
    };
    turns.iter().enumerate().map(row).collect()
}
