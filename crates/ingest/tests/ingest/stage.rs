//! The stage: what becomes of good, bad and refused recordings.

use crate::support::{Coding, Collector, correlate, ingest, recording, run, voice, wav, write};
use ingest::IngestConfig;
use schema::{FailureKind, Participant, StageError, Table};

fn participant(role: &str, channel: Option<i32>, consent: &str) -> Participant {
    Participant {
        participant_id: role.into(),
        channel,
        role: Some(role.into()),
        name: Some("Ada".into()),
        person_id: None,
        consent: consent.into(),
    }
}

#[test]
fn sound_then_row_call_after_call() {
    let folder = tempfile::tempdir().unwrap();
    let long =
        write(folder.path(), "long.wav", &wav(Coding::MuLaw, 8000, &[voice(8000, 25.0, 1), voice(8000, 25.0, 2)]));
    let even = write(folder.path(), "even.wav", &wav(Coding::Int(16), 16000, &[voice(16000, 20.0, 1)]));
    let out = ingest(&[recording("b", &long), recording("a", &even)], IngestConfig::default());
    assert_eq!(out.order, ["audio b", "calls b", "audio a", "calls a"]);
    assert!(out.failures.is_empty());

    let places: Vec<_> =
        out.audio.iter().map(|b| (b.call_id.as_str(), b.channel, b.first_sample, b.samples.len(), b.last)).collect();
    let expected = [
        ("b", 0, 0, 160_000, false),
        ("b", 1, 0, 160_000, false),
        ("b", 0, 160_000, 160_000, false),
        ("b", 1, 160_000, 160_000, false),
        ("b", 0, 320_000, 80_000, true),
        ("b", 1, 320_000, 80_000, true),
        ("a", 0, 0, 160_000, false),
        ("a", 0, 160_000, 160_000, false),
        // A recording that ends with a full block has an empty one after it.
        ("a", 0, 320_000, 0, true),
    ];
    assert_eq!(places, expected);

    let call = out.call("b");
    assert_eq!((call.status.as_str(), call.duration_ms), ("ready", Some(25_000)));
    assert_eq!((call.container.as_deref(), call.codec.as_deref()), (Some("wav"), Some("pcm_mulaw")));
    assert_eq!((call.sample_rate_hz, call.channel_count), (Some(8000), Some(2)));
    assert_eq!(call.content_sha256.as_ref().map(String::len), Some(64));
    let roles: Vec<_> = call.participants.iter().map(|p| (p.role.as_deref().unwrap(), p.channel)).collect();
    assert_eq!(roles, [("agent", Some(0)), ("customer", Some(1))]);
    assert!(out.call("a").participants.is_empty());
}

#[test]
fn language_goes_with_the_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.wav", &wav(Coding::Int(16), 16000, &[voice(16000, 0.1, 1)]));
    let mut row = recording("a", &path);
    row.language = Some("de".into());
    let out = ingest(&[row], IngestConfig::default());
    assert_eq!(out.audio[0].language.as_deref(), Some("de"));
    assert_eq!(out.call("a").language.as_deref(), Some("de"));
}

#[test]
fn denied_consent_touches_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wav");
    // Opening a pipe that nobody writes to would never return.
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success());
    assert!(made || cfg!(not(unix)));
    let mut rows = vec![recording("gone", &folder.path().join("gone.wav")), recording("pipe", &pipe)];
    rows[0].problem = Some("no such file".into());
    for row in &mut rows {
        row.participants = vec![participant("agent", Some(0), "granted"), participant("customer", Some(7), "denied")];
    }
    let out = ingest(&rows, IngestConfig::default());
    assert!(out.audio.is_empty() && out.failures.is_empty());
    for call in &out.calls {
        assert_eq!(call.status, "refused");
        assert_eq!(call.status_reason.as_deref(), Some("consent denied by customer"));
        assert_eq!((&call.content_sha256, &call.container, call.duration_ms), (&None, &None, None));
    }
}

#[test]
fn bad_ones_are_rows_and_the_others_finish() {
    let folder = tempfile::tempdir().unwrap();
    let good = wav(Coding::Int(16), 8000, &[voice(8000, 60.0, 1), voice(8000, 60.0, 2)]);
    let path = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
    std::fs::create_dir(folder.path().join("folder.wav")).unwrap();
    let mut absurd = good.clone();
    absurd[24..28].copy_from_slice(&0u32.to_le_bytes());
    let mut fast = good.clone();
    fast[24..28].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    let mut wide = good.clone();
    wide[22..24].copy_from_slice(&255u16.to_le_bytes());
    wide[32..34].copy_from_slice(&510u16.to_le_bytes());
    let cases = [
        ("empty", path("empty.wav", b""), "is empty (0 bytes)"),
        ("text", path("text.wav", &b"dear customer, \n".repeat(4000)), "no audio is found in it"),
        ("head", path("head.wav", &good[..20]), "ends within its header"),
        ("silent", path("silent.wav", &wav(Coding::Int(16), 8000, &[vec![]])), "holds no sound (0 samples)"),
        ("folder", folder.path().join("folder.wav"), "is a folder"),
        ("gone", folder.path().join("gone.wav"), "no such file"),
        ("rate0", path("rate0.wav", &absurd), "rate0.wav"),
        ("fast", path("fast.wav", &fast), "has a sample rate of 2000000000 Hz"),
        ("wide", path("wide.wav", &wide), "wide.wav"),
    ];
    let mut rows: Vec<_> = cases.iter().map(|(id, path, _)| recording(id, path)).collect();
    let fine = path("fine.wav", &good);
    let mut other = recording("8812", &fine);
    other.participants = vec![participant("agent", Some(0), "granted"), participant("customer", Some(2), "granted")];
    rows.push(other);
    rows.push(recording("fine", &fine));

    let out = ingest(&rows, IngestConfig::default());
    for (id, path, reason) in &cases {
        let call = out.call(id);
        let message = call.status_reason.as_deref().unwrap();
        println!("{message}");
        assert_eq!(call.status, "failed", "{id}");
        assert!(message.contains(reason), "{id}: {message}");
        assert!(message.starts_with(path.to_str().unwrap()), "{id}: {message}");
        let failure = out.failures.iter().find(|f| f.call_id == *id).unwrap();
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::BadInput, message));
        assert!(!out.audio.iter().any(|b| b.call_id == *id && b.last), "{id}");
    }
    let want =
        "call 8812: participants[1].channel is 2, but the recording has 2 channels (0 and 1); correct the call list";
    assert_eq!(out.call("8812").status_reason.as_deref(), Some(want));
    assert_eq!(out.failures.len(), cases.len() + 1);
    assert_eq!(out.call("fine").status, "ready");
    assert_eq!(out.samples("fine", 1).len(), 960_000);
    // A failure is told before the row, so that what was pushed can be dropped.
    assert!(out.order.windows(2).any(|w| w == ["fail silent", "calls silent"]));
}

/// What there is of a recording is heard, and its row says what is missing.
#[test]
fn one_that_was_cut_off_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let good = wav(Coding::Int(16), 8000, &[voice(8000, 60.0, 1), voice(8000, 60.0, 2)]);
    let cut = write(folder.path(), "cut.wav", &good[..44 + 32_000 * 12]);
    let whole = write(folder.path(), "whole.wav", &good);
    let out = ingest(&[recording("cut", &cut), recording("whole", &whole)], IngestConfig::default());
    let call = out.call("cut");
    assert_eq!((call.status.as_str(), call.duration_ms), ("ready", Some(12_000)));
    let told: Vec<_> = call.damage.iter().flatten().map(|d| (d.kind.as_str(), d.at_ms, d.length_ms)).collect();
    assert_eq!(told, [("cut_off", 12_000, 48_000)]);
    // But for the last block, whose level is that of what there is.
    assert!(out.samples("cut", 1)[..160_000] == out.samples("whole", 1)[..160_000]);
    assert_eq!(out.samples("cut", 1).len(), 192_000);
    assert_eq!(out.call("whole").damage, Some(Vec::new()));
}

#[test]
fn a_problem_of_discovery_is_a_failure() {
    let mut row = recording("a", std::path::Path::new("a.wav"));
    row.problem = Some("calls.csv:3: agent_channel is \"-1\"".into());
    let out = ingest(&[row], IngestConfig::default());
    assert_eq!(out.call("a").status, "failed");
    assert_eq!(out.failures[0].message, "calls.csv:3: agent_channel is \"-1\"");
}

#[test]
fn a_closed_sink_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.wav", &wav(Coding::Int(16), 16000, &[voice(16000, 30.0, 1)]));
    let mut out = Collector { closes_after: Some(2), ..Collector::default() };
    let ended = run(&[recording("a", &path), recording("b", &path)], IngestConfig::default(), &mut out);
    assert!(matches!(ended, Err(StageError::Closed)));
    assert_eq!(out.audio.len(), 2);
}

#[test]
fn many_channels_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let channels: Vec<_> = (0..5).map(|seed| voice(16000, 1.0, seed)).collect();
    let path = write(folder.path(), "a.wav", &wav(Coding::Int(16), 16000, &channels));
    let out = ingest(&[recording("a", &path)], IngestConfig::default());
    assert_eq!(out.call("a").channel_count, Some(5));
    assert!(out.call("a").participants.is_empty());
    for (number, channel) in (0..).zip(&channels) {
        let got = out.samples("a", number);
        let want: Vec<f32> = channel.iter().map(|s| *s as f32).collect();
        let (correlation, shift) = correlate(&got, &want, 2);
        assert!(correlation > 0.99 && shift == 0, "channel {number}: {correlation} at {shift}");
    }
}

/// A mono call stored as two channels, a channel that nobody is on, and two people each on their own.
#[test]
fn words_on_two_channels_are_heard_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (voice(8000, 24.0, 1), voice(8000, 24.0, 7));
    let quieter: Vec<f64> = one.iter().map(|s| s * 0.4).collect();
    let nothing = vec![0.0; one.len()];
    let cases = [
        ("twice", [one.clone(), quieter], [false, true], (None, Some(0)), 0),
        ("silent", [one.clone(), nothing], [false, true], (None, None), 2),
        ("apart", [one, two], [false, false], (None, None), 2),
    ];
    for (id, channels, empty, copies, participants) in cases {
        let path = write(folder.path(), &format!("{id}.wav"), &wav(Coding::MuLaw, 8000, &channels));
        let out = ingest(&[recording(id, &path)], IngestConfig::default());
        let call = out.call(id);
        let heard = call.channels.as_ref().unwrap();
        assert_eq!((heard[0].copy_of, heard[1].copy_of), copies, "{id}: {heard:?}");
        assert_eq!(heard[1].silent, id == "silent", "{id}: {heard:?}");
        assert_eq!(call.participants.len(), participants, "{id}: {:?}", call.participants);
        for (channel, empty) in (0..).zip(empty) {
            let loudest = out.samples(id, channel).iter().fold(0.0f32, |a, s| a.max(s.abs()));
            // Where the copy falls silent it may be heard for the fade of its first window.
            assert_eq!(loudest < 0.2, empty, "{id} {channel}: {loudest}");
        }
    }
}

#[test]
fn clipped_and_very_quiet_calls_are_flagged() {
    let folder = tempfile::tempdir().unwrap();
    for (id, gain, clipped, quiet) in
        [("fine", 0.5, false, false), ("cut", 6.0, true, false), ("far", 0.008, false, true)]
    {
        let sound: Vec<f64> = voice(8000, 20.0, 2).iter().map(|s| (s * gain).clamp(-1.0, 1.0)).collect();
        let path = write(folder.path(), &format!("{id}.wav"), &wav(Coding::Int(16), 8000, &[sound]));
        let out = ingest(&[recording(id, &path)], IngestConfig::default());
        let heard = &out.call(id).channels.as_ref().unwrap()[0];
        assert_eq!((heard.clipped, heard.quiet, heard.silent), (clipped, quiet, false), "{id}: {heard:?}");
    }
}

#[test]
fn what_the_stage_says_of_itself() {
    use schema::Stage as _;
    let stage = ingest::Ingest::new(IngestConfig::default());
    assert_eq!((stage.inputs(), stage.outputs()), (&[Table::Recordings][..], &[Table::Audio, Table::Calls][..]));
    let other = ingest::Ingest::new(IngestConfig { agent_channel: 1, ..IngestConfig::default() });
    assert_ne!(stage.fingerprint(), other.fingerprint());
    let config: IngestConfig = toml::from_str("language = \"en\"\nagent_channel = 1\n").unwrap();
    assert_eq!(
        (config.language.as_deref(), config.agent_channel, config.consent),
        (Some("en"), 1, ingest::ConsentRule::None)
    );
    assert!(toml::from_str::<IngestConfig>("agent_chanel = 1").unwrap_err().to_string().contains("agent_chanel"));
}
