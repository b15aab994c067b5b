//! The stage: from recordings to sound and a row a call.

use crate::{
    Decoder, IngestConfig, IngestError, Sound,
    decoder::{BLOCK_SAMPLES, open_file},
};
use schema::{
    AudioBlock, Call, CallFailure, FailureKind, Fingerprint, Item, ModelId, Participant, Recording, Sink, Stage,
    StageError, StageName, Table, from_batch, guard,
};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs::File,
    io::{Read, Seek},
    path::Path,
};

/// Raised when the same recordings give other rows.
const VERSION: u32 = 2;

/// Reads recordings: pushes their sound as `audio`, channel by channel in blocks of 10 s, and then their row of `calls`.
///
/// A call whose participant denied consent is refused and its file not touched; a recording that cannot be read is failed,
/// and what was pushed of its sound is void. Calls come in the order in which their recordings do.
#[derive(Debug)]
pub struct Ingest {
    config: IngestConfig,
}

impl Ingest {
    /// The stage with this configuration.
    pub fn new(config: IngestConfig) -> Self {
        Self { config }
    }

    fn ingest(&self, recording: Recording, out: &mut dyn Sink) -> Result<(), StageError> {
        let problem = recording.problem.clone();
        let without_row = recording.participants.is_empty();
        let mut call = unread(recording);
        let denied = call.participants.iter().find(|p| p.consent == "denied");
        let refusal = match denied {
            Some(who) => Some(format!("consent denied by {}", who.role.as_ref().unwrap_or(&who.participant_id))),
            None if self.config.require_row && without_row => {
                Some("no row of the call list names it, and [ingest] require_row is set".into())
            }
            None => None,
        };
        let failure = if let Some(reason) = refusal {
            (call.status, call.status_reason) = ("refused".into(), Some(reason));
            None
        } else if let Some(problem) = problem {
            Some(CallFailure::new(&call.call_id, FailureKind::BadInput, problem))
        } else {
            let id = call.call_id.clone();
            match guard(&id, || self.read(&mut call, out)) {
                Ok(pushed) => pushed.map(|()| None)?,
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
    fn read(&self, call: &mut Call, out: &mut dyn Sink) -> Result<Result<(), StageError>, CallFailure> {
        let id = call.call_id.clone();
        let bad = |message: String| CallFailure::new(&id, FailureKind::BadInput, message);
        let failed = |error: IngestError| bad(error.to_string());
        let path = Path::new(call.source_uri.strip_prefix("file://").unwrap_or(&call.source_uri)).to_owned();
        let mut file = open_file(&path).map_err(failed)?;
        let hash = hash(&mut file).map_err(|e| bad(format!("{}: cannot be read: {e}", path.display())))?;
        call.content_sha256 = Some(hash);
        let track = call.track.map_or(0, |track| track as usize);
        let mut sound = Sound::new(Decoder::of_file(&path, file, track).map_err(failed)?);
        let info = sound.info();
        let channels = info.channel_count;
        (call.container, call.codec) = (Some(info.container.clone()), Some(info.codec.clone()));
        (call.sample_rate_hz, call.channel_count) = (Some(info.sample_rate_hz as i32), Some(channels as i32));
        (call.decoder, call.track_count) = (Some(info.decoder.clone()), Some(info.track_count as i32));
        check_channels(&id, &call.participants, channels).map_err(bad)?;
        let listed = call.participants.clone();
        assign_channels(&mut call.participants, channels, self.config.agent_channel);

        let mut first_sample = 0;
        loop {
            let block = sound.next_block().map_err(failed)?.unwrap_or_else(|| vec![Vec::new(); channels]);
            let last = block[0].len() < BLOCK_SAMPLES;
            let next = first_sample + block[0].len() as i64;
            for (channel, samples) in (0..).zip(block) {
                let language = call.language.clone();
                let block = AudioBlock { call_id: id.clone(), channel, first_sample, last, language, samples };
                let pushed = block.into_batch().map_err(StageError::from).and_then(|b| out.batch(Table::Audio, b));
                if pushed.is_err() {
                    return Ok(pushed);
                }
            }
            if last {
                break;
            }
            first_sample = next;
        }
        call.duration_ms = Some(sound.duration_ms());
        let heard = sound.channels();
        if heard.iter().any(|channel| channel.copy_of.is_some()) {
            // Both are on both channels: what the rule says of a channel a speaker does not hold.
            call.participants = listed;
        }
        call.channels = Some(heard);
        Ok(Ok(()))
    }
}

impl Stage for Ingest {
    fn name(&self) -> StageName {
        StageName::Ingest
    }

    fn inputs(&self) -> &'static [Table] {
        &[Table::Recordings]
    }

    fn outputs(&self) -> &'static [Table] {
        &[Table::Audio, Table::Calls]
    }

    fn models(&self) -> Vec<ModelId> {
        Vec::new()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &[])
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
        source_uri: recording.source_uri,
        content_sha256: None,
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
        decoder: None,
        track: recording.track,
        track_count: None,
        channels: None,
    }
}

/// SHA-256 of the file's bytes in hexadecimal; the file is left at its start.
fn hash(file: &mut File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match file.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    file.rewind()?;
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
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
