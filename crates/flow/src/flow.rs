//! The history of one call.

use crate::{FlowConfig, metrics, turns};
use schema::{Call, CallMetrics, Segment, SpeakerMetrics, Turn};

/// The history of one call, topics left out.
#[derive(Clone, Debug, PartialEq)]
pub struct CallFlow {
    /// The turns in the order of start, then channel; `turn_index` counts them.
    pub turns: Vec<Turn>,
    /// Whether the turn of the same index is a backchannel.
    pub backchannels: Vec<bool>,
    /// A row for each speaker heard, in the order of channels.
    pub speakers: Vec<SpeakerMetrics>,
    /// The call's own numbers.
    pub call: CallMetrics,
}

impl CallFlow {
    /// The history of a call, from its segments in any order. Without speech: no turns, no speakers, and a call row that
    /// says so.
    pub fn of(config: &FlowConfig, call: &Call, segments: &[Segment]) -> Self {
        let spoken = turns::turns(config, turns::utterances(segments, config.utterance_gap_ms));
        let rows = turns::rows(call, segments, &spoken);
        let speakers = metrics::speakers(config, call, &spoken, &rows);
        let call = metrics::of_call(call, &spoken, &speakers);
        Self { turns: rows, backchannels: spoken.iter().map(|t| t.backchannel).collect(), speakers, call }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::{Participant, Word};

    fn call(duration_ms: i64) -> Call {
        let participant = |channel: i32, role: &str| Participant {
            participant_id: role.to_owned() + "-1",
            channel: Some(channel),
            role: Some(role.into()),
            name: None,
            person_id: None,
            consent: "granted".into(),
        };
        Call {
            call_id: "8812".into(),
            started_on: None,
            source_uri: "8812.wav".into(),
            content_sha256: None,
            container: None,
            codec: None,
            duration_ms: Some(duration_ms),
            sample_rate_hz: None,
            channel_count: Some(2),
            started_at: None,
            direction: None,
            language: None,
            participants: vec![participant(0, "agent"), participant(1, "customer")],
            crm: [].into(),
            status: "ready".into(),
            status_reason: None,
            outcome: None,
            source_version: None,
            byte_size: None,
            duplicate_of: None,
            decoder: None,
            track: None,
            track_count: None,
            channels: None,
            damage: None,
            r#match: None,
        }
    }

    /// A segment whose words follow each other without a pause.
    fn said(channel: i32, start_ms: i64, end_ms: i64, text: &str) -> Segment {
        let count = text.split_whitespace().count() as i64;
        let at = |i: usize| start_ms + (end_ms - start_ms) * i as i64 / count;
        let word =
            |(i, text): (usize, &str)| Word { text: text.into(), start_ms: at(i), end_ms: at(i + 1), probability: 0.9 };
        Segment {
            call_id: "8812".into(),
            channel,
            segment_index: 0,
            start_ms,
            end_ms,
            text: text.into(),
            language: None,
            avg_logprob: -0.1,
            no_speech_prob: None,
            words: text.split_whitespace().enumerate().map(word).collect(),
            engine: "test".into(),
        }
    }

    fn of(duration_ms: i64, segments: &[Segment]) -> CallFlow {
        CallFlow::of(&FlowConfig::default(), &call(duration_ms), segments)
    }

    fn texts(flow: &CallFlow) -> Vec<&str> {
        flow.turns.iter().map(|t| t.text.as_str()).collect()
    }

    /// Agent 0..4 s and 4.6..6 s (one turn), customer 7..9 s, agent 8..12 s (interrupts), customer 12.5..13 s.
    fn talk() -> Vec<Segment> {
        vec![
            said(1, 7000, 9000, "So, um, we pay"),
            said(0, 0, 4000, "Good morning to you"),
            said(0, 4600, 6000, "May I help?"),
            said(0, 8000, 12_000, "Sorry, which plan do you have?"),
            said(1, 12_500, 13_000, "Basic."),
        ]
    }

    #[test]
    fn turns_in_time_order() {
        let flow = of(20_000, &talk());
        let indices: Vec<i32> = flow.turns.iter().map(|t| t.turn_index).collect();
        assert_eq!(indices, [0, 1, 2, 3]);
        assert_eq!(
            texts(&flow),
            ["Good morning to you May I help?", "So, um, we pay", "Sorry, which plan do you have?", "Basic."]
        );
        let times: Vec<(i64, i64)> = flow.turns.iter().map(|t| (t.start_ms, t.end_ms)).collect();
        assert_eq!(times, [(0, 6000), (7000, 9000), (8000, 12_000), (12_500, 13_000)]);
        let speakers: Vec<&str> = flow.turns.iter().map(|t| t.speaker.as_str()).collect();
        assert_eq!(speakers, ["agent-1", "customer-1", "agent-1", "customer-1"]);
        assert_eq!(flow.turns[1].role.as_deref(), Some("customer"));
        assert_eq!(flow.turns[0].words.len(), 7);
    }

    #[test]
    fn overlaps_and_pauses() {
        let flow = of(20_000, &talk());
        let overlaps: Vec<Option<i64>> = flow.turns.iter().map(|t| t.overlap_ms).collect();
        assert_eq!(overlaps, [0, 1000, 1000, 0].map(Some));
        let pauses: Vec<i64> = flow.turns.iter().map(|t| t.pause_before_ms).collect();
        assert_eq!(pauses, [0, 1000, 0, 500]);
    }

    #[test]
    fn talk_and_share() {
        // Agent 4000 + 1400 + 4000 = 9400, customer 2000 + 500 = 2500.
        let [agent, customer] = &of(20_000, &talk()).speakers[..] else { panic!("two speakers") };
        assert_eq!((agent.talk_ms, customer.talk_ms), (9400, 2500));
        assert!((agent.talk_share.expect("apart") - 9400.0 / 11_900.0).abs() < 1e-6);
        assert!((customer.talk_share.expect("apart") - 2500.0 / 11_900.0).abs() < 1e-6);
        assert_eq!((agent.turn_count, customer.turn_count), (2, 2));
        assert_eq!((agent.word_count, customer.word_count), (13, 5));
        assert!((agent.words_per_minute.expect("talk") - 13.0 * 60_000.0 / 9400.0).abs() < 1e-3);
    }

    #[test]
    fn questions_fillers_interruptions_pauses() {
        let [agent, customer] = &of(20_000, &talk()).speakers[..] else { panic!("two speakers") };
        assert_eq!((agent.question_count, customer.question_count), (2, 0));
        assert!((customer.filler_share - 0.2).abs() < 1e-6);
        assert_eq!((agent.interruption_count, customer.interruption_count), (Some(1), Some(0)));
        // The agent's turns open the call and overlap: no pause. The customer's: 1000 and 500.
        assert_eq!((agent.pause_median_ms, customer.pause_median_ms), (None, Some(750)));
    }

    #[test]
    fn an_interruption_starts_early_and_outlasts() {
        let count = |start: i64, end: i64| {
            let flow =
                of(20_000, &[said(0, 0, 5000, "We sell the basic plan"), said(1, start, end, "But I want more")]);
            flow.speakers[1].interruption_count.expect("apart")
        };
        assert_eq!(count(4700, 6000), 1);
        assert_eq!(count(4701, 6000), 0);
        assert_eq!(count(3000, 5000), 0);
    }

    #[test]
    fn the_call() {
        // Speech 0..4000, 4600..6000, 7000..12000, 12500..13000; both speak 8000..9000.
        let call = of(20_000, &talk()).call;
        assert_eq!((call.speech_ms, call.silence_ms), (10_900, 9100));
        assert_eq!(call.longest_silence_ms, 7000);
        assert_eq!(call.overlap_ms, Some(1000));
        assert!((call.switches_per_hour.expect("apart") - 3.0 * 180.0).abs() < 1e-3);
        assert!((call.talk_to_listen.expect("both") - 9400.0 / 2500.0).abs() < 1e-6);
    }

    #[test]
    fn a_backchannel_is_a_turn_and_breaks_nothing() {
        let segments = [
            said(1, 0, 10_000, "We have sixty people in two offices and they type everything into a form."),
            said(0, 4000, 4600, "Uh huh."),
            said(1, 10_600, 15_000, "It is a lot of typing."),
            said(0, 10_100, 10_500, "Right."),
            said(0, 15_700, 17_000, "How long does it take?"),
        ];
        let flow = of(20_000, &segments);
        assert_eq!(flow.backchannels, [false, true, true, false]);
        assert_eq!(flow.turns[0].end_ms, 15_000);
        assert_eq!(flow.turns[1].overlap_ms, Some(600));
        assert_eq!(flow.turns[2].pause_before_ms, 100);
        let [agent, customer] = &flow.speakers[..] else { panic!("two speakers") };
        assert_eq!((customer.longest_monologue_ms, customer.turn_count), (Some(15_000), 1));
        assert_eq!((agent.turn_count, agent.talk_ms), (3, 2300));
        assert!((flow.call.switches_per_hour.expect("apart") - 180.0).abs() < 1e-3);
    }

    #[test]
    fn a_misheard_aside_is_a_backchannel_and_a_question_is_none() {
        let with = |text: &str| {
            let long = "We have sixty people in two offices and they type everything into a form";
            of(20_000, &[said(1, 0, 9000, long), said(0, 4000, 4500, text)]).backchannels
        };
        assert_eq!(with("That's what."), [false, true]);
        assert_eq!(with("Sixty people?"), [false, false]);
        assert_eq!(with("wait wait wait wait"), [false, false]);
    }

    #[test]
    fn an_answer_is_no_backchannel() {
        let flow = of(
            20_000,
            &[said(0, 0, 2000, "Is it working now?"), said(1, 2300, 2700, "Yes."), said(0, 3000, 5000, "I am glad.")],
        );
        assert_eq!(flow.backchannels, [false; 3]);
        assert_eq!(flow.speakers[0].longest_monologue_ms, Some(2000));
    }

    #[test]
    fn speech_of_the_other_ends_a_turn_even_when_it_began_before() {
        let flow = of(
            30_000,
            &[
                said(1, 0, 12_000, "We have sixty people in two offices and a lot of typing"),
                said(0, 3000, 4500, "One moment, I write that down"),
                said(0, 11_800, 14_000, "How long does it take"),
            ],
        );
        assert_eq!(flow.turns.len(), 3);
    }

    #[test]
    fn a_long_silence_ends_a_turn() {
        let flow = of(20_000, &[said(0, 0, 2000, "One moment."), said(0, 5000, 6000, "It is back.")]);
        assert_eq!(texts(&flow), ["One moment.", "It is back."]);
        assert_eq!(flow.call.switches_per_hour, Some(0.0));
    }

    #[test]
    fn nobody_speaks() {
        let flow = of(60_000, &[]);
        assert!(flow.turns.is_empty() && flow.speakers.is_empty());
        assert_eq!((flow.call.speech_ms, flow.call.silence_ms, flow.call.longest_silence_ms), (0, 60_000, 60_000));
        assert_eq!((flow.call.switches_per_hour, flow.call.talk_to_listen), (Some(0.0), None));
    }

    #[test]
    fn unknown_speakers_are_named_after_their_channel() {
        let mut mono = call(10_000);
        mono.participants.iter_mut().for_each(|p| p.channel = Some(0));
        let flow = CallFlow::of(&FlowConfig::default(), &mono, &[said(0, 0, 1000, "Hello there.")]);
        assert_eq!((flow.turns[0].speaker.as_str(), flow.turns[0].role.as_deref()), ("channel-0", None));
        assert_eq!(flow.call.talk_to_listen, None);
    }

    #[test]
    fn what_a_shared_channel_cannot_tell_is_null() {
        let segments = [said(0, 0, 4000, "Good morning, how can I help?"), said(0, 7500, 10_000, "My line is down.")];
        let shared = |change: fn(&mut Call)| {
            let mut call = call(20_000);
            call.channel_count = Some(1);
            call.participants[1].channel = None;
            change(&mut call);
            CallFlow::of(&FlowConfig::default(), &call, &segments)
        };
        // The agent is on channel 0, and so is the customer.
        for flow in [shared(|_| {}), shared(|c| c.participants.iter_mut().for_each(|p| p.channel = None))] {
            assert!(flow.turns.iter().all(|t| t.overlap_ms.is_none() && t.role.is_none() && t.speaker == "channel-0"));
            assert_eq!((flow.call.overlap_ms, flow.call.switches_per_hour), (None, None));
            let [speaker] = &flow.speakers[..] else { panic!("one channel") };
            assert_eq!(
                (speaker.talk_share, speaker.interruption_count, speaker.longest_monologue_ms),
                (None, None, None)
            );
            // What the channel tells all the same.
            assert_eq!((speaker.talk_ms, speaker.word_count, speaker.question_count), (6500, 10, 1));
            assert_eq!((flow.call.speech_ms, flow.turns[1].pause_before_ms), (6500, 3500));
        }
        // A voicemail of which it is said that only the customer takes part.
        let alone = shared(|call| {
            call.participants.remove(0);
            call.participants[0].channel = Some(0);
        });
        assert_eq!((alone.speakers[0].talk_share, alone.speakers[0].role.as_deref()), (Some(1.0), Some("customer")));
        assert_eq!((alone.call.overlap_ms, alone.call.switches_per_hour), (Some(0), Some(0.0)));
        // The other's channel was withheld: who speaks is known, and what the other did meanwhile is not.
        let withheld = shared(|call| {
            call.status = "partial".into();
            (call.channel_count, call.participants[1].channel) = (Some(2), Some(1));
        });
        assert_eq!((withheld.speakers[0].role.as_deref(), withheld.speakers[0].talk_share), (Some("agent"), None));
        assert_eq!((withheld.call.overlap_ms, withheld.call.switches_per_hour), (None, None));
    }

    #[test]
    fn words_without_times_are_spread() {
        let mut segment = said(0, 1000, 3000, "abcd ef gh");
        segment.words.clear();
        let flow = of(10_000, &[segment]);
        let times: Vec<(i64, i64)> = flow.turns[0].words.iter().map(|w| (w.start_ms, w.end_ms)).collect();
        assert_eq!(times, [(1000, 2000), (2000, 2500), (2500, 3000)]);
    }

    fn any_segment() -> impl Strategy<Value = Segment> {
        let text = proptest::sample::select(vec![
            "Uh huh.",
            "Yes.",
            "How much is it?",
            "So, um, we pay twice",
            "The invoice of March is wrong.",
            "no",
        ]);
        (0..3i32, 0..60_000i64, 0..8000i64, text)
            .prop_map(|(channel, start, length, text)| said(channel, start, start + length, text))
    }

    proptest! {
        #[test]
        fn sums_hold(segments in proptest::collection::vec(any_segment(), 0..40)) {
            let flow = of(50_000, &segments);
            let spoken: usize = segments.iter().map(|s| s.words.len()).sum();
            prop_assert_eq!(flow.turns.iter().map(|t| t.words.len()).sum::<usize>(), spoken);
            let last = flow.turns.iter().map(|t| t.end_ms).max().unwrap_or(0);
            prop_assert_eq!(flow.call.speech_ms + flow.call.silence_ms, last.max(50_000));
            prop_assert!(flow.call.silence_ms >= 0 && flow.call.longest_silence_ms <= flow.call.silence_ms);
            let overlap_ms = flow.call.overlap_ms.expect("apart");
            prop_assert!(overlap_ms <= flow.call.speech_ms);
            let talk: i64 = flow.speakers.iter().map(|s| s.talk_ms).sum();
            prop_assert!(flow.call.speech_ms + overlap_ms <= talk);
            prop_assert!(talk <= 3 * flow.call.speech_ms);
            if talk > 0 {
                let shares: f32 = flow.speakers.iter().filter_map(|s| s.talk_share).sum();
                prop_assert!((shares - 1.0).abs() < 1e-5);
            }
            for (i, turn) in flow.turns.iter().enumerate() {
                prop_assert_eq!(turn.turn_index, i as i32);
                prop_assert!(turn.start_ms <= turn.end_ms && turn.pause_before_ms >= 0);
                prop_assert!(turn.overlap_ms.expect("apart") <= turn.end_ms - turn.start_ms);
            }
            prop_assert!(flow.turns.windows(2).all(|t| (t[0].start_ms, t[0].channel) <= (t[1].start_ms, t[1].channel)));
            for s in &flow.speakers {
                prop_assert!(s.longest_monologue_ms <= Some(last) && s.interruption_count <= Some(s.turn_count));
                prop_assert!((0.0..=1.0).contains(&s.filler_share));
            }
            let mut reversed = segments.clone();
            reversed.reverse();
            // Segments of equal channel and start keep their order; all else must not matter.
            reversed.sort_by_key(|s| (s.channel, s.start_ms));
            let mut sorted = segments;
            sorted.sort_by_key(|s| (s.channel, s.start_ms));
            if sorted == reversed {
                prop_assert_eq!(of(50_000, &sorted), flow);
            }
        }
    }
}
