//! Transcripts as files: what the stages over text are measured on.

use crate::Line;
use schema::{Call, Participant, Segment, Turn};
use serde::Deserialize;

/// How long a word takes that has no time: 150 words a minute, an easy pace.
const WORD_MS: i64 = 400;

/// A call, written down.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Transcript {
    /// What was said, in order.
    pub turns: Vec<TranscriptTurn>,
}

/// What one speaker said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TranscriptTurn {
    /// Who: agent, customer or any other name.
    pub role: String,
    /// The words.
    pub text: String,
    /// Seconds from the start of the call, where known.
    #[serde(default)]
    pub start: Option<f64>,
    /// Seconds from the start of the call, where known.
    #[serde(default)]
    pub end: Option<f64>,
}

impl Transcript {
    /// When each turn begins and ends, in milliseconds. One without times begins where those before it end and has 150 words a
    /// minute.
    pub fn spans(&self) -> Vec<(i64, i64)> {
        let ms = |seconds: f64| (seconds.max(0.0) * 1000.0) as i64;
        let span = |now: &mut i64, turn: &TranscriptTurn| {
            let start_ms = turn.start.map_or(*now, ms);
            let words = turn.text.split_whitespace().count() as i64;
            let end_ms = turn.end.map_or(start_ms + words * WORD_MS, ms).max(start_ms);
            *now = end_ms.max(*now);
            Some((start_ms, end_ms))
        };
        self.turns.iter().scan(0, span).collect()
    }

    /// The call and its segments as the stages over text read them: a channel a role in the order of their first turns, a
    /// segment a turn, with the turn's span.
    pub fn rows(&self, call_id: &str) -> (Call, Vec<Segment>) {
        let mut roles: Vec<&str> = Vec::new();
        let mut counts: Vec<i32> = Vec::new();
        let mut segments = Vec::with_capacity(self.turns.len());
        let spans = self.spans();
        for (turn, &(start_ms, end_ms)) in self.turns.iter().zip(&spans) {
            let channel = roles.iter().position(|role| *role == turn.role).unwrap_or_else(|| {
                roles.push(&turn.role);
                counts.push(0);
                roles.len() - 1
            });
            segments.push(Segment {
                call_id: call_id.to_owned(),
                channel: channel as i32,
                segment_index: counts[channel],
                start_ms,
                end_ms,
                text: turn.text.clone(),
                language: None,
                avg_logprob: 0.0,
                no_speech_prob: None,
                words: Vec::new(),
                engine: "transcript".into(),
            });
            counts[channel] += 1;
        }
        segments.sort_by_key(|segment| (segment.channel, segment.segment_index));
        let participants = (0..).zip(&roles).map(|(channel, role)| participant(channel, role)).collect();
        let call = Call {
            call_id: call_id.to_owned(),
            started_on: None,
            source_uri: String::new(),
            content_sha256: None,
            container: None,
            codec: None,
            duration_ms: Some(spans.iter().map(|(_, end_ms)| *end_ms).max().unwrap_or(0)),
            sample_rate_hz: None,
            channel_count: Some(roles.len() as i32),
            started_at: None,
            direction: None,
            language: None,
            participants,
            crm: [].into(),
            status: "ready".into(),
            status_reason: None,
            outcome: None,
            byte_size: None,
            duplicate_of: None,
            decoder: None,
            track: None,
            track_count: None,
            channels: None,
            damage: None,
            r#match: None,
            source_version: None,
        };
        (call, segments)
    }
}

/// Lines of a dialogue, who said each and what, as the stages that read turns take them: a turn a line, with 150 words a
/// minute one after the other. Who calls is the customer; other names than agent and customer are speakers without a role.
pub fn talk<'a>(call_id: &str, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Call, Vec<Turn>) {
    let turn =
        |(role, text): (&str, &str)| TranscriptTurn { role: role.into(), text: text.into(), start: None, end: None };
    let transcript = Transcript { turns: lines.into_iter().map(turn).collect() };
    let (call, _) = transcript.rows(call_id);
    let turns = (0..).zip(&transcript.turns).zip(transcript.spans()).map(|((turn_index, line), (start_ms, end_ms))| {
        let participant = call.participants.iter().find(|p| p.participant_id == line.role);
        Turn {
            call_id: call_id.to_owned(),
            turn_index,
            channel: participant.and_then(|p| p.channel).unwrap_or(0),
            speaker: line.role.clone(),
            role: participant.and_then(|p| p.role.clone()),
            start_ms,
            end_ms,
            text: line.text.clone(),
            language: None,
            overlap_ms: Some(0),
            pause_before_ms: 0,
            words: Vec::new(),
        }
    });
    let turns = turns.collect();
    (call, turns)
}

/// Who calls is the customer; other names than agent and customer are no roles.
fn participant(channel: i32, name: &str) -> Participant {
    let role = match name {
        "agent" => Some("agent"),
        "customer" | "caller" => Some("customer"),
        _ => None,
    };
    Participant {
        participant_id: name.to_owned(),
        channel: Some(channel),
        role: role.map(str::to_owned),
        name: None,
        person_id: None,
        consent: "unknown".into(),
    }
}

impl Line for Transcript {
    const FORM: &'static str = r#"transcript, {"turns": [{"role": ..., "text": ...}]}"#;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<Transcript>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        std::fs::write(&path, content).unwrap();
        crate::read_lines(&path).map_err(|e| e.to_string().replace(&folder.path().display().to_string(), "F"))
    }

    #[test]
    fn times_may_be_missing_and_other_keys_are_passed_over() {
        let line = r#"{"id": "7", "turns": [{"role": "agent", "text": "Hello.", "start": 0.5, "end": 1},"#;
        let found =
            read(&format!("{line} {{\"role\": \"customer\", \"text\": \"Hi.\", \"start\": null}}]}}\n\n")).unwrap();
        assert_eq!(found.len(), 1);
        let [first, second] = &found[0].turns[..] else { panic!("{found:?}") };
        assert_eq!((first.start, first.end, second.start, second.end), (Some(0.5), Some(1.0), None, None));
        assert_eq!((second.role.as_str(), second.text.as_str()), ("customer", "Hi."));
    }

    #[test]
    fn a_transcript_is_a_call_with_a_channel_a_role() {
        let turn =
            |role: &str, text: &str, start, end| TranscriptTurn { role: role.into(), text: text.into(), start, end };
        let turns = vec![
            turn("caller", "it is late", Some(1.0), Some(2.5)),
            turn("agent", "by two days", None, None),
            turn("caller", "oh", None, None),
        ];
        let (call, segments) = Transcript { turns }.rows("7");
        let roles: Vec<_> = call.participants.iter().map(|p| (p.channel, p.role.as_deref())).collect();
        assert_eq!(roles, [(Some(0), Some("customer")), (Some(1), Some("agent"))]);
        let places: Vec<_> =
            segments.iter().map(|s| (s.channel, s.segment_index, s.start_ms, s.end_ms, s.text.as_str())).collect();
        let wanted = [(0, 0, 1000, 2500, "it is late"), (0, 1, 3700, 4100, "oh"), (1, 0, 2500, 3700, "by two days")];
        assert_eq!(places, wanted);
        assert_eq!(call.duration_ms, Some(4100));
    }

    #[test]
    fn a_wrong_line_is_named_and_not_quoted() {
        let error =
            read("{\"turns\": []}\n{\"turns\": [{\"role\": \"agent\", \"text\": {\"secret\": 1}}]}\n").unwrap_err();
        assert!(error.starts_with("F/calls.jsonl: line 2: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(read("no json\n").unwrap_err().contains("line 1"));
    }
}
