//! Who may not be heard is not: held against the calls that the process makes to the system.

use crate::support::{Coding, fixtures, ingest, recording, tool, voice, wav, write};
use ingest::{ConsentRule, IngestConfig, discover};
use schema::{Participant, Recording};
use std::{env, path::Path, process::Command};

fn people(path: &Path, id: &str, agent: (&str, Option<i32>), customer: (&str, Option<i32>)) -> Recording {
    let person = |role: &str, (consent, channel): (&str, Option<i32>)| Participant {
        participant_id: role.into(),
        channel,
        role: Some(role.into()),
        name: None,
        person_id: None,
        consent: consent.into(),
    };
    let mut row = recording(id, path);
    row.participants = vec![person("agent", agent), person("customer", customer)];
    row
}

#[test]
fn a_channel_that_is_withheld() {
    let folder = tempfile::tempdir().unwrap();
    let voices = [voice(8000, 12.0, 1), voice(8000, 12.0, 2)];
    let stereo = write(folder.path(), "stereo.wav", &wav(Coding::MuLaw, 8000, &voices));
    let mono = write(folder.path(), "mono.wav", &wav(Coding::MuLaw, 8000, &voices[..1]));
    let rows = [
        people(&stereo, "agent-denied", ("denied", Some(0)), ("granted", Some(1))),
        people(&stereo, "customer-denied", ("granted", Some(0)), ("denied", Some(1))),
        people(&mono, "mono", ("granted", Some(0)), ("denied", Some(1))),
        people(&mono, "mono-one", ("granted", None), ("denied", Some(0))),
        people(&stereo, "open", ("granted", Some(0)), ("granted", Some(1))),
    ];
    let config = IngestConfig { consent: ConsentRule::AllParties, ..IngestConfig::default() };
    let out = ingest(&rows, config);
    assert!(out.failures.is_empty());
    let status = |id: &str| {
        let call = out.call(id);
        (call.status.clone(), call.status_reason.clone().unwrap_or_default())
    };
    let partial = |reason: &str| ("partial".to_owned(), reason.to_owned());
    let compared = "but for 10 s that were compared with the other channels and dropped";
    let reason = format!("consent denied by agent; not decoded: channel 0, {compared}");
    assert_eq!(status("agent-denied"), partial(&reason));
    let reason = format!("consent denied by customer; not decoded: channel 1, {compared}");
    assert_eq!(status("customer-denied"), partial(&reason));
    let reason = "consent denied by customer, who is not on a channel of their own: there is no channel 1 of 1";
    assert_eq!(status("mono"), ("refused".to_owned(), reason.to_owned()));
    assert_eq!(status("mono-one"), ("refused".to_owned(), "consent denied by customer".to_owned()));
    assert_eq!(status("open").0, "ready");
    let channels = |id: &str| {
        let mut channels: Vec<i32> = out.audio.iter().filter(|b| b.call_id == id).map(|b| b.channel).collect();
        channels.sort_unstable();
        channels.dedup();
        channels
    };
    assert_eq!(channels("agent-denied"), [1]);
    assert_eq!(channels("customer-denied"), [0]);
    assert!(channels("mono").is_empty() && channels("mono-one").is_empty());
    // Who may be heard is heard as ever.
    assert_eq!(out.samples("customer-denied", 0), out.samples("open", 0));
    assert_eq!(out.samples("agent-denied", 1), out.samples("open", 1));
    assert_eq!(out.call("customer-denied").duration_ms, Some(12_000));
}

/// A mono call that is stored as two channels: withholding one of them withholds nothing.
#[test]
fn one_recording_on_both_channels() {
    let folder = tempfile::tempdir().unwrap();
    let mix = voice(8000, 25.0, 1);
    let quieter: Vec<f64> = mix.iter().map(|s| s * 0.3).collect();
    let apart = [mix.clone(), voice(8000, 25.0, 2)];
    let file = |name: &str, channels: &[Vec<f64>]| write(folder.path(), name, &wav(Coding::MuLaw, 8000, channels));
    let copies = file("copies.wav", &[mix.clone(), mix.clone()]);
    let weaker = file("weaker.wav", &[mix.clone(), quieter]);
    let apart = file("apart.wav", &apart);
    let mut rows = vec![
        people(&copies, "customer", ("granted", Some(0)), ("denied", Some(1))),
        people(&copies, "agent", ("denied", Some(0)), ("granted", Some(1))),
        people(&weaker, "loud", ("denied", Some(0)), ("granted", Some(1))),
        people(&weaker, "quiet", ("granted", Some(0)), ("denied", Some(1))),
        people(&copies, "open", ("granted", Some(0)), ("granted", Some(1))),
        people(&apart, "apart", ("granted", Some(0)), ("denied", Some(1))),
    ];
    let lossy = folder.path().join("copies.mp3");
    let made = tool(
        "ffmpeg",
        &["-v", "error", "-i", copies.to_str().unwrap(), "-b:a", "24k", "-joint_stereo", "0", lossy.to_str().unwrap()],
    );
    if made {
        rows.push(people(&lossy, "lossy", ("granted", Some(0)), ("denied", Some(1))));
    }
    let out = ingest(&rows, IngestConfig { consent: ConsentRule::Notified, ..IngestConfig::default() });
    assert!(out.failures.is_empty(), "{:?}", out.failures);
    let refused = |who: &str, channels: &str| {
        format!(
            "consent denied by {who}, who is not on a channel of their own: channels {channels} are one recording stored \
             twice"
        )
    };
    let mut wanted = vec![
        ("customer", refused("customer", "1 and 0")),
        ("agent", refused("agent", "0 and 1")),
        ("loud", refused("agent", "0 and 1")),
        ("quiet", refused("customer", "1 and 0")),
    ];
    if made {
        wanted.push(("lossy", refused("customer", "1 and 0")));
    }
    for (id, reason) in wanted {
        let call = out.call(id);
        assert_eq!((call.status.as_str(), call.status_reason.as_deref()), ("refused", Some(reason.as_str())));
        assert!(!out.audio.iter().any(|block| block.call_id == id), "{id}");
        assert!(call.channels.is_none());
    }
    assert_eq!(out.call("open").status, "ready");
    assert_eq!(out.call("apart").status, "partial");
    assert_eq!(out.samples("apart", 0).len(), 400_000);
}

#[test]
fn rules_that_ask_for_a_row() {
    let gone = Path::new("gone.wav");
    for (rule, wanted) in [("all_parties", "refused"), ("notified", "refused"), ("none", "failed")] {
        let config: IngestConfig = toml::from_str(&format!("consent = {rule:?}")).unwrap();
        let out = ingest(&[recording("a", gone)], config);
        assert_eq!(out.call("a").status, wanted, "{rule}");
    }
    let error = toml::from_str::<IngestConfig>("consent = \"everybody\"").unwrap_err().to_string();
    assert!(error.contains("all_parties"), "{error}");
}

/// The fixture whose customer denied consent, among the others: the system is never asked to open it.
#[test]
fn a_refused_recording_is_never_opened() {
    const TEST: &str = "consent::a_refused_recording_is_never_opened";
    const TRACED: &str = "NIGHTCALL_TEST_TRACED";
    let folder = fixtures();
    if env::var_os(TRACED).is_some() {
        let sources = [folder.to_str().unwrap().to_owned()];
        let config = IngestConfig::default();
        let mut found =
            discover(&sources, Some(&folder.join("calls.csv")), Some(&folder.join("crm.csv")), &config).unwrap();
        ingest::mark_duplicates(&mut found.recordings, &[], &config);
        let out = ingest(&found.recordings, config);
        assert_eq!(out.call("consent-denied").status, "refused");
        assert_eq!(out.calls.iter().filter(|call| call.status == "ready").count(), 10);
        return;
    }
    let trace = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=%file", "-o", trace.path().to_str().unwrap()])
        .arg(env::current_exe().unwrap())
        .args([TEST, "--exact"])
        .env(TRACED, "1")
        .output();
    let Ok(output) = traced else {
        println!("skipped: needs strace");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("PTRACE") || said.contains("not permitted") {
        println!("skipped: strace may not trace here: {said}");
        return;
    }
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let trace = std::fs::read_to_string(trace.path()).unwrap();
    let opened = |name: &str| trace.lines().filter(|l| l.contains("open") && l.contains(name)).count();
    // The trace sees what is opened, and this is not.
    assert!(opened("sales-pricing.wav") > 0 && opened("calls.csv") > 0);
    let wrong: Vec<&str> = trace.lines().filter(|l| l.contains("open") && l.contains("consent-denied")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_same_audio_under_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sound = |seed| wav(Coding::MuLaw, 8000, &[voice(8000, 1.0, seed), voice(8000, 1.0, seed + 1)]);
    for (name, seed) in [("b.wav", 1), ("a.wav", 2), ("copy.wav", 1), ("denied.wav", 1), ("other.wav", 5)] {
        write(root, name, &sound(seed));
    }
    let list = write(root, "calls.csv", b"recording,customer_consent\ndenied.wav,denied\n");
    let config = IngestConfig::default();
    let find = || discover(&[root.to_str().unwrap().into()], Some(&list), None, &config).unwrap().recordings;
    let mut recordings = find();
    ingest::mark_duplicates(&mut recordings, &[], &config);
    let of =
        |recordings: &[Recording], id: &str| recordings.iter().find(|r| r.call_id == id).unwrap().duplicate_of.clone();
    assert_eq!(of(&recordings, "copy").as_deref(), Some("b"));
    assert_eq!(recordings.iter().filter(|r| r.duplicate_of.is_some()).count(), 1);
    let out = ingest(&recordings, config.clone());
    let copy = out.call("copy");
    assert_eq!((copy.status.as_str(), copy.duplicate_of.as_deref()), ("duplicate", Some("b")));
    assert_eq!(copy.status_reason.as_deref(), Some("the same audio as b, whose rows stand for both"));
    assert_eq!(copy.content_sha256, out.call("b").content_sha256);
    assert!(!out.audio.iter().any(|block| block.call_id == "copy"));
    assert_eq!(out.call("denied").status, "refused");

    // Another night: what was heard first stays so, whatever comes before it in the alphabet.
    write(root, "aa.wav", &sound(1));
    let mut again = find();
    ingest::mark_duplicates(&mut again, &out.calls, &config);
    let marked: Vec<_> = again.iter().filter_map(|r| Some((r.call_id.as_str(), r.duplicate_of.as_deref()?))).collect();
    assert_eq!(marked, [("aa", "b"), ("copy", "b")]);
    // What is at hand is held against what the store alone has.
    let mut late: Vec<Recording> = again.into_iter().filter(|r| r.call_id == "aa").collect();
    late[0].duplicate_of = None;
    ingest::mark_duplicates(&mut late, &out.calls, &config);
    assert_eq!(late[0].duplicate_of.as_deref(), Some("b"));
    // The first may not be heard any more: the next takes its place.
    let mut without: Vec<Recording> = find();
    let first = without.iter_mut().find(|r| r.call_id == "b").unwrap();
    *first = people(&root.join("b.wav"), "b", ("granted", None), ("denied", None));
    ingest::mark_duplicates(&mut without, &out.calls, &config);
    assert_eq!((of(&without, "copy").as_deref(), of(&without, "aa")), (Some("aa"), None));
}
