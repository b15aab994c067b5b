//! The numbers of a call and of its speakers. Each definition stands in `columns.rs` of schema, beside its column.

use crate::{
    FlowConfig,
    apart::told_apart,
    spans::{covered, length, longest_gap},
    speech::{fillers, questions, word_count},
    turns::{Spoken, Utterance, speaker},
};
use schema::{Call, CallMetrics, SpeakerMetrics, Turn};
use std::collections::BTreeSet;

/// An interruption starts at least this long before the other speaker's turn ends; a shorter overlap is the ordinary
/// haste of taking turns.
const INTERRUPTION_MS: i64 = 300;

const HOUR_MS: f32 = 3_600_000.0;
const MINUTE_MS: f32 = 60_000.0;

/// A row for each speaker heard, in the order of channels. `turns` are the rows of `spoken`.
pub(crate) fn speakers(config: &FlowConfig, call: &Call, spoken: &[Spoken], turns: &[Turn]) -> Vec<SpeakerMetrics> {
    let channels: BTreeSet<i32> = spoken.iter().map(Spoken::channel).collect();
    let talk = |channel: i32| -> i64 {
        let own = spoken.iter().filter(|t| t.channel() == channel).flat_map(|t| &t.utterances);
        own.map(|u| u.end() - u.start()).sum()
    };
    let all_talk = channels.iter().map(|&c| talk(c)).sum::<i64>();
    let apart = told_apart(call);
    let row = |&channel: &i32| {
        let own = || spoken.iter().zip(turns).filter(|(_, turn)| turn.channel == channel);
        let words = || own().map(|(_, turn)| turn.words.as_slice());
        let (talk_ms, word_count) = (talk(channel), words().map(word_count).sum::<usize>());
        let (speaker, role) = speaker(call, channel);
        SpeakerMetrics {
            call_id: call.call_id.clone(),
            speaker,
            role,
            talk_ms,
            talk_share: apart.then(|| if all_talk > 0 { (talk_ms as f64 / all_talk as f64) as f32 } else { 0.0 }),
            turn_count: own().count() as i32,
            word_count: word_count as i32,
            words_per_minute: (talk_ms > 0).then(|| word_count as f32 * MINUTE_MS / talk_ms as f32),
            // Backchannels do not end a turn, so that the longest stretch held is the longest turn.
            longest_monologue_ms: apart.then(|| own().map(|(_, t)| t.end_ms - t.start_ms).max().unwrap_or(0)),
            question_count: words().map(|w| questions(w, config.utterance_gap_ms)).sum::<usize>() as i32,
            interruption_count: apart.then(|| own().filter(|(_, turn)| interrupts(turn, turns)).count() as i32),
            pause_median_ms: median(
                own().filter(|(_, t)| t.turn_index > 0 && !late(t, turns)).map(|(_, t)| t.pause_before_ms),
            ),
            filler_share: words().map(fillers).sum::<usize>() as f32 / word_count.max(1) as f32,
        }
    };
    channels.iter().map(row).collect()
}

/// Whether the turn starts well before the end of another speaker's turn and outlasts it.
fn interrupts(turn: &Turn, turns: &[Turn]) -> bool {
    turns.iter().any(|other| {
        other.channel != turn.channel
            && other.start_ms < turn.start_ms
            && turn.start_ms + INTERRUPTION_MS <= other.end_ms
            && turn.end_ms > other.end_ms
    })
}

/// Whether the turn starts while another turn is under way: there is no pause before it to speak of.
fn late(turn: &Turn, turns: &[Turn]) -> bool {
    turns.iter().any(|t| t.turn_index != turn.turn_index && t.start_ms <= turn.start_ms && t.end_ms > turn.start_ms)
}

fn median(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(i64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The row of the call.
pub(crate) fn of_call(call: &Call, spoken: &[Spoken], speakers: &[SpeakerMetrics]) -> CallMetrics {
    let spans = || spoken.iter().flat_map(|t| t.utterances.iter().map(Utterance::span));
    let speech = covered(spans(), 1);
    let last = speech.last().map_or(0, |s| s.1);
    // A word's end may lie a frame behind the recording's.
    let duration = call.duration_ms.unwrap_or(last).max(last);
    let floor: Vec<i32> = spoken.iter().filter(|t| !t.backchannel).map(Spoken::channel).collect();
    let switches = floor.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let talk =
        |role: &str| -> i64 { speakers.iter().filter(|s| s.role.as_deref() == Some(role)).map(|s| s.talk_ms).sum() };
    let (agent, customer) = (talk("agent"), talk("customer"));
    let apart = told_apart(call);
    let per_hour = || if duration > 0 { switches as f32 * HOUR_MS / duration as f32 } else { 0.0 };
    CallMetrics {
        call_id: call.call_id.clone(),
        speech_ms: length(&speech),
        silence_ms: duration - length(&speech),
        longest_silence_ms: longest_gap(&speech, duration),
        overlap_ms: apart.then(|| length(&covered(spans(), 2))),
        switches_per_hour: apart.then(per_hour),
        talk_to_listen: (agent > 0 && customer > 0).then(|| agent as f32 / customer as f32),
    }
}
