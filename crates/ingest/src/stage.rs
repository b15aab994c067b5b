//! The stage: from recordings to sound and a row a call.

use crate::{
    BARRED, Decoder, IngestConfig, IngestError, Sound,
    consent::{Verdict, verdict},
    decoder::BLOCK_SAMPLES,
    sound::stored_twice,
    source::Source,
};
use schema::{
    AudioBlock, Call, CallFailure, FailureKind, Fingerprint, Item, ModelId, Participant, Recording, Sink, Stage,
    StageError, StageName, Table, from_batch, guard,
};
use std::{
    io::{self, Seek as _},
    path::Path,
};

/// Raised when the same recordings give other rows.
const VERSION: u32 = 5;

/// Reads recordings: pushes their sound as `audio`, channel by channel in blocks of 10 s, and then their row of `calls`.
///
/// A call that the consent rule refuses is a row, and its recording is not touched; a channel that it withholds is not decoded
/// and not pushed, but for what it takes to see that the others are not copies of it: where one is, the call is refused as a
/// mono one is. A duplicate is a row too. A recording that cannot be read is failed, and what was pushed of its sound
/// is void. Calls come in the order in which their recordings do.
#[derive(Debug)]
pub struct Ingest {
    config: IngestConfig,
}

/// How reading a recording ended where it is not at fault.
enum Read {
    /// All its sound was pushed, but for withheld channels, of which this many milliseconds were compared with the others.
    Pushed(i64),
    /// Once open, it turned out not to have the channels that would let it be heard in part.
    Refused(String),
}

impl Ingest {
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Recordings];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::Audio, Table::Calls];

    /// The stage with this configuration.
    pub fn new(config: IngestConfig) -> Self {
        Self { config }
    }

    fn ingest(&self, recording: Recording, out: &mut dyn Sink) -> Result<(), StageError> {
        let (problem, duplicate_of) = (recording.problem.clone(), recording.duplicate_of.clone());
        let mut call = unread(recording);
        if call.r#match.as_deref() == Some(BARRED) {
            (call.status, call.status_reason) = ("refused".into(), problem);
            return out.rows(&[call]);
        }
        let (withheld, mut reason) = match verdict(self.config.consent, &call.participants) {
            Verdict::Refused(reason) => {
                // Which row was taken for the recording's own, where it names it otherwise.
                let row = problem.filter(|_| call.r#match.as_deref().is_some_and(|how| how != "exact"));
                let reason = [Some(reason), row].into_iter().flatten().collect::<Vec<_>>().join("; ");
                (call.status, call.status_reason) = ("refused".into(), Some(reason));
                return out.rows(&[call]);
            }
            Verdict::Open => (Vec::new(), None),
            Verdict::Partial { withheld, reason } => (withheld, Some(reason)),
        };
        // A copy of a recording that cannot be read is told as one that cannot be read itself: no rows stand for either.
        if let Some(first) = duplicate_of.filter(|_| begins(&call)) {
            reason = Some(format!("the same audio as {first}, whose rows stand for both"));
            (call.status, call.status_reason) = ("duplicate".into(), reason);
            return out.rows(&[call]);
        }
        let failure = if let Some(problem) = problem {
            Some(CallFailure::new(&call.call_id, FailureKind::BadInput, problem))
        } else {
            let id = call.call_id.clone();
            match guard(&id, || self.read(&mut call, &withheld, out)) {
                Ok(read) => {
                    match (read?, reason) {
                        (Read::Pushed(_), None) => {}
                        (Read::Pushed(compared_ms), Some(reason)) => {
                            let channels: Vec<String> = withheld.iter().map(usize::to_string).collect();
                            let reason = format!(
                                "{reason}; not decoded: channel {}, but for {:.0} s that were compared with the other \
                                 channels and dropped",
                                channels.join(", "),
                                compared_ms as f64 / 1000.0
                            );
                            (call.status, call.status_reason) = ("partial".into(), Some(reason));
                        }
                        (Read::Refused(why), reason) => {
                            let reason = format!("{}{why}", reason.unwrap_or_default());
                            (call.status, call.status_reason) = ("refused".into(), Some(reason));
                        }
                    }
                    None
                }
                Err(failure) => Some(failure),
            }
        };
        if let Some(failure) = failure {
            (call.status, call.status_reason) = ("failed".into(), Some(failure.message.clone()));
            out.fail(failure)?;
        }
        out.rows(&[call])
    }

    /// Pushes the call's sound and fills in what its file says. The outer error is the call's, the inner the sink's.
    fn read(
        &self,
        call: &mut Call,
        withheld: &[usize],
        out: &mut dyn Sink,
    ) -> Result<Result<Read, StageError>, CallFailure> {
        let id = call.call_id.clone();
        let mut source = Source::open(&call.source_uri).map_err(|e| CallFailure::new(&id, kind(&e), e))?;
        let trouble = source.trouble();
        // A store that has stopped answering is no fault of the recording, whatever the decoder makes of it.
        let bad = |message: String| match trouble.get() {
            Some(trouble) => CallFailure::new(&id, FailureKind::Unavailable, trouble),
            None => CallFailure::new(&id, FailureKind::BadInput, message),
        };
        let failed = |error: IngestError| bad(error.to_string());
        let path = Path::new(call.source_uri.strip_prefix("file://").unwrap_or(&call.source_uri)).to_owned();
        let unreadable = |e: io::Error| bad(format!("{}: cannot be read: {e}", path.display()));
        let hash = source.hash().map_err(unreadable)?;
        call.content_sha256 = Some(hash);
        let track = call.track.map_or(0, |track| track as usize);
        let (twice, compared_ms) = if withheld.is_empty() {
            (None, 0)
        } else {
            let again = source.again().map_err(unreadable)?;
            let twice =
                stored_twice(Decoder::of_source(&path, again, track).map_err(failed)?, withheld).map_err(failed)?;
            source.rewind().map_err(unreadable)?; // files share their position
            twice
        };
        let mut sound = Sound::new(Decoder::of_source(&path, source, track).map_err(failed)?);
        let info = sound.info();
        let channels = info.channel_count;
        (call.container, call.codec) = (Some(info.container.clone()), Some(info.codec.clone()));
        (call.sample_rate_hz, call.channel_count) = (Some(info.sample_rate_hz as i32), Some(channels as i32));
        (call.decoder, call.track_count) = (Some(info.decoder.clone()), Some(info.track_count as i32));
        if let Some(channel) = withheld.iter().find(|&&channel| channel >= channels) {
            let why = format!(", who is not on a channel of their own: there is no channel {channel} of {channels}");
            return Ok(Ok(Read::Refused(why)));
        }
        if let Some((channel, other)) = twice {
            let why = format!(
                ", who is not on a channel of their own: channels {channel} and {other} are one recording stored twice"
            );
            return Ok(Ok(Read::Refused(why)));
        }
        check_channels(&id, &call.participants, channels).map_err(bad)?;
        let listed = call.participants.clone();
        assign_channels(&mut call.participants, channels, self.config.agent_channel);
        sound.withhold(withheld);

        let mut first_sample = 0;
        loop {
            let block = sound.next_block().map_err(failed)?.unwrap_or_else(|| vec![Vec::new(); channels]);
            let last = block[0].len() < BLOCK_SAMPLES;
            let next = first_sample + block[0].len() as i64;
            for (channel, samples) in (0..).zip(block) {
                if withheld.iter().any(|&withheld| withheld as i32 == channel) {
                    continue;
                }
                let language = call.language.clone();
                let block = AudioBlock { call_id: id.clone(), channel, first_sample, last, language, samples };
                let pushed = block.into_batch().map_err(StageError::from).and_then(|b| out.batch(Table::Audio, b));
                if let Err(closed) = pushed {
                    return Ok(Err(closed));
                }
            }
            if last {
                break;
            }
            first_sample = next;
        }
        if let Some(trouble) = trouble.get() {
            // What came of the recording is not what there is of it.
            return Err(CallFailure::new(&id, FailureKind::Unavailable, trouble));
        }
        call.duration_ms = Some(sound.duration_ms());
        call.damage = Some(sound.damage());
        let mut heard = sound.channels();
        heard.retain(|sound| !withheld.iter().any(|&withheld| withheld as i32 == sound.channel));
        if heard.iter().any(|channel| channel.copy_of.is_some()) {
            // Both are on both channels: what the rule says of a channel a speaker does not hold.
            call.participants = listed;
        }
        call.channels = Some(heard);
        Ok(Ok(Read::Pushed(compared_ms)))
    }
}

impl Stage for Ingest {
    fn name(&self) -> StageName {
        StageName::Ingest
    }

    fn inputs(&self) -> &'static [Table] {
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
    }

    fn models(&self) -> Vec<ModelId> {
        Vec::new()
    }

    fn fingerprint(&self) -> Fingerprint {
        // The rest of the configuration shows in the recordings that discovery makes.
        Fingerprint::of_stage(VERSION, &(self.config.agent_channel, self.config.consent), &[])
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        for item in input {
            if let Item::Batch(Table::Recordings, batch) = item {
                for recording in from_batch::<Recording>(&batch)? {
                    self.ingest(recording, out)?;
                }
            }
        }
        Ok(())
    }
}

/// The call's row before its file is opened.
fn unread(recording: Recording) -> Call {
    Call {
        call_id: recording.call_id,
        started_on: recording.started_on,
        source_uri: recording.source_uri,
        content_sha256: recording.content_sha256,
        container: None,
        codec: None,
        duration_ms: None,
        sample_rate_hz: None,
        channel_count: None,
        started_at: recording.started_at,
        direction: recording.direction,
        language: recording.language,
        participants: recording.participants,
        crm: recording.crm,
        status: "ready".into(),
        status_reason: None,
        outcome: None,
        source_version: recording.source_version,
        byte_size: recording.byte_size,
        duplicate_of: recording.duplicate_of,
        decoder: None,
        track: recording.track,
        track_count: None,
        channels: None,
        damage: None,
        r#match: recording.r#match,
    }
}

/// Whether a recording opens and gives sound, which takes no more than its first block.
fn begins(call: &Call) -> bool {
    let path = Path::new(call.source_uri.strip_prefix("file://").unwrap_or(&call.source_uri));
    let track = call.track.map_or(0, |track| track as usize);
    let decoder = Source::open(&call.source_uri).and_then(|source| Decoder::of_source(path, source, track));
    decoder.and_then(|mut decoder| decoder.next_block()).is_ok_and(|block| block.is_some())
}

/// Whose fault it is that a recording cannot be opened.
fn kind(error: &IngestError) -> FailureKind {
    match error {
        IngestError::Store(error) if !error.is_not_found() => FailureKind::Unavailable,
        _ => FailureKind::BadInput,
    }
}

/// Puts the agent and the customer of a stereo recording on their channels where the row does not: the agent on
/// `agent_channel` and the customer on the other, or each beside the one whose channel is given (0 or 1).
fn assign_channels(participants: &mut Vec<Participant>, channels: usize, agent_channel: i32) {
    if channels != 2 || !(0..2).contains(&agent_channel) {
        return;
    }
    if participants.is_empty() {
        participants.extend(["agent", "customer"].map(|role| Participant {
            participant_id: role.into(),
            channel: None,
            role: Some(role.into()),
            name: None,
            person_id: None,
            consent: "unknown".into(),
        }));
    }
    let given = participants.iter().find_map(|p| Some((p.role.clone(), p.channel?)));
    for participant in participants.iter_mut().filter(|p| p.channel.is_none()) {
        participant.channel = match (&given, participant.role.as_deref()) {
            (Some((role, channel)), Some("agent" | "customer")) if *role != participant.role => Some(1 - *channel),
            (None, Some("agent")) => Some(agent_channel),
            (None, Some("customer")) => Some(1 - agent_channel),
            _ => None,
        };
    }
}

/// Whether the recording has every participant's channel.
fn check_channels(call: &str, participants: &[Participant], channels: usize) -> Result<(), String> {
    for (i, participant) in participants.iter().enumerate() {
        if let Some(channel) = participant.channel.filter(|&c| usize::try_from(c).map_or(true, |c| c >= channels)) {
            let has = match channels {
                1 => "1 channel (0)".to_owned(),
                2 => "2 channels (0 and 1)".to_owned(),
                n => format!("{n} channels (0 to {})", n - 1),
            };
            return Err(format!(
                "call {call}: participants[{i}].channel is {channel}, but the recording has {has}; correct the call list"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(channels: [Option<i32>; 2]) -> Vec<Participant> {
        ["agent", "customer"]
            .into_iter()
            .zip(channels)
            .map(|(role, channel)| Participant {
                participant_id: role.into(),
                channel,
                role: Some(role.into()),
                name: None,
                person_id: None,
                consent: "granted".into(),
            })
            .collect()
    }

    fn assigned(given: [Option<i32>; 2], channels: usize, agent: i32) -> Vec<Option<i32>> {
        let mut people = people(given);
        assign_channels(&mut people, channels, agent);
        people.into_iter().map(|p| p.channel).collect()
    }

    #[test]
    fn channels_of_a_stereo_recording() {
        assert_eq!(assigned([None, None], 2, 0), [Some(0), Some(1)]);
        assert_eq!(assigned([None, None], 2, 1), [Some(1), Some(0)]);
        assert_eq!(assigned([Some(1), None], 2, 0), [Some(1), Some(0)]);
        assert_eq!(assigned([None, Some(0)], 2, 0), [Some(1), Some(0)]);
        assert_eq!(assigned([None, None], 1, 0), [None, None]);
        assert_eq!(assigned([None, Some(3)], 4, 0), [None, Some(3)]);
        let mut nobody = Vec::new();
        assign_channels(&mut nobody, 2, 0);
        assert_eq!(nobody.len(), 2);
    }

    #[test]
    fn a_channel_that_is_not_there() {
        let error = check_channels("8812", &people([Some(0), Some(2)]), 2).unwrap_err();
        let want = "call 8812: participants[1].channel is 2, but the recording has 2 channels (0 and 1); correct the call list";
        assert_eq!(error, want);
        assert!(check_channels("8812", &people([Some(0), None]), 1).is_ok());
    }
}
