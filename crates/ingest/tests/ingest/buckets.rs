//! Recordings in a bucket, on real servers that fail on purpose: all finish, and a refused one is never asked for.

use crate::{
    servers::{Proxy, again, environment, is_child, put_s3, server},
    support::{Coding, ingest, voice, wav},
};
use ingest::{ConsentRule, IngestConfig, IngestError, discover, mark_duplicates};
use std::{collections::HashSet, fmt::Write as _, path::Path};

/// 500 to be heard, and two more.
const COUNT: usize = 502;
/// These are refused: one whose customer denied, one whose row says nothing of consent.
const REFUSED: [usize; 2] = [123, 321];

/// Every twentieth is longer than what is asked for at once; each is another.
fn recording_of(i: usize) -> Vec<u8> {
    let seconds = if i % 20 == 7 { 70.0 } else { 0.5 };
    let mut voices = [voice(8000, seconds, 3), voice(8000, seconds, 4)];
    for (bit, sample) in voices[0][..9].iter_mut().enumerate() {
        *sample = if i >> bit & 1 == 1 { 0.5 } else { -0.5 };
    }
    wav(Coding::MuLaw, 8000, &voices)
}

fn name_of(i: usize) -> String {
    format!("call-{i:03}.wav")
}

/// With one request in twenty failing, 500 recordings are read whole, 2 are refused, and nothing is asked of those.
#[test]
fn five_hundred_recordings_in_a_bucket_that_fails() {
    const TEST: &str = "buckets::five_hundred_recordings_in_a_bucket_that_fails";
    if is_child() {
        read_them_all();
        return;
    }
    let Some(address) = server("NIGHTCALL_TEST_S3") else { return };
    let mut list = "recording,call_id,agent_consent,customer_consent,crm.deal\n".to_owned();
    for i in 0..COUNT {
        put_s3(&address, &format!("five-hundred/2026/{}", name_of(i)), &recording_of(i));
        let consent = [("denied", 123), ("", 321)].iter().find(|(_, refused)| *refused == i).map_or("granted", |c| c.0);
        writeln!(list, "2026/{},{i:03},granted,{consent},{}", name_of(i), i * 7).unwrap();
    }
    put_s3(&address, "five-hundred/calls.csv", list.as_bytes());
    let proxy = Proxy::start(address, 20);
    again(TEST, &environment("s3", &proxy.address));
    let (requests, faults) = (proxy.requests(), proxy.faults());
    println!("{requests} requests, {faults} failed on purpose");
    assert!(faults * 21 >= requests && faults > 40, "{faults} of {requests}");
    let log = proxy.log.lock().unwrap();
    let asked: HashSet<&str> = log.iter().filter_map(|(line, _)| line.split('/').next_back()).collect();
    let (refused, others): (Vec<usize>, Vec<usize>) = (0..COUNT).partition(|i| REFUSED.contains(i));
    assert!(others.into_iter().all(|i| asked.contains(name_of(i).as_str())));
    for i in refused {
        assert!(!asked.contains(name_of(i).as_str()), "{} was asked for", name_of(i));
    }
}

fn read_them_all() {
    let config = IngestConfig { consent: ConsentRule::AllParties, ..IngestConfig::default() };
    let list = Path::new("s3://nightcall/five-hundred/calls.csv");
    let mut found = discover(&["s3://nightcall/five-hundred/".into()], Some(list), None, &config).unwrap();
    assert_eq!(found.problems, []);
    assert_eq!(found.recordings.len(), COUNT);
    mark_duplicates(&mut found.recordings, &[], &config);
    assert!(found.recordings.iter().all(|r| r.duplicate_of.is_none()));
    let out = ingest(&found.recordings, config);
    assert!(out.failures.is_empty(), "{:?}", out.failures);
    assert_eq!(out.calls.iter().filter(|call| call.status == "ready").count(), 500);
    for i in 0..COUNT {
        let call = out.call(&format!("{i:03}"));
        assert_eq!(call.source_uri, format!("s3://nightcall/five-hundred/2026/{}", name_of(i)));
        assert_eq!(call.crm["deal"], Some((i * 7).to_string()));
        if REFUSED.contains(&i) {
            assert_eq!((call.status.as_str(), &call.content_sha256), ("refused", &None));
            continue;
        }
        let wanted = recording_of(i);
        assert_eq!(call.status, "ready", "{:?}", call.status_reason);
        assert_eq!(call.byte_size, Some(wanted.len() as i64));
        assert_eq!(call.duration_ms, Some(if i % 20 == 7 { 70_000 } else { 500 }));
        assert_eq!(call.content_sha256.as_deref(), Some(crate::support::sha256(&wanted).as_str()));
    }
}

/// Sources of every kind that a URL can name, and what is wrong with others.
#[test]
fn urls_as_sources() {
    const TEST: &str = "buckets::urls_as_sources";
    let Some(address) = server("NIGHTCALL_TEST_S3") else { return };
    if !is_child() {
        for name in ["a.wav", "deep/b.wav", "deep/.c.wav", "d.txt", "e.raw", "odd%20%5B1%5D.wav"] {
            put_s3(&address, &format!("sources/{name}"), &recording_of(1));
        }
        let list = "recording,call_id\ns3://nightcall/sources/e.raw,e\nnone.wav,n\ns3://nightcall/sources/none.wav,u\n";
        put_s3(&address, "sources/lists/calls.csv", list.as_bytes());
        again(TEST, &environment("s3", &address));
        return;
    }
    let config = IngestConfig::default();
    let find = |source: &str| discover(&[source.to_owned()], None, None, &config);
    let ids = |source: &str| -> Vec<String> {
        find(source).unwrap().recordings.into_iter().map(|recording| recording.call_id).collect()
    };
    assert_eq!(ids("s3://nightcall/sources"), ["a", "b", "e", "odd [1]"]);
    assert_eq!(ids("s3://nightcall/sources/e.raw"), ["e"]);
    assert_eq!(ids("s3://nightcall/sources/*.raw"), ["e"]);
    assert_eq!(ids("s3://nightcall/sources/*"), ["a", "e", "odd [1]"]);
    assert_eq!(ids("s3://nightcall/sources/**/[ab].wav"), ["a", "b"]);
    assert_eq!(ids("s3://nightcall/sources/odd [1].wav"), ["odd [1]"]);
    for nothing in ["s3://nightcall/nowhere", "s3://nightcall/sources/*.ogg"] {
        assert!(matches!(find(nothing), Err(IngestError::NoSuchSource { .. })), "{nothing}");
    }
    assert!(matches!(find("s3://no-such-bucket/calls"), Err(IngestError::Store(_) | IngestError::NoSuchSource { .. })));
    let list = Path::new("s3://nightcall/sources/lists/calls.csv");
    let found = discover(&["s3://nightcall/sources".into()], Some(list), None, &config).unwrap();
    let of = |id: &str| found.recordings.iter().find(|r| r.call_id == id).unwrap();
    assert_eq!(of("e").problem, None);
    let (none, url) = (of("n").problem.clone().unwrap(), of("u").problem.clone().unwrap());
    assert!(none.contains("calls.csv:3: recording none.wav: no such file"), "{none}");
    assert!(url.contains("calls.csv:4: recording s3://nightcall/sources/none.wav: no such object"), "{url}");
    // Gone between the listing and the reading: this call fails, and says so.
    let gone = crate::support::recording("gone", Path::new("s3://nightcall/sources/gone.wav"));
    let out = ingest(&[gone], config);
    assert_eq!(out.failures[0].kind, schema::FailureKind::BadInput);
    assert!(out.failures[0].message.contains("s3://nightcall/sources/gone.wav"), "{:?}", out.failures);
}

/// A server that fails for good is no fault of the recording: the next run is to try again.
#[test]
fn a_bucket_that_stops_answering() {
    const TEST: &str = "buckets::a_bucket_that_stops_answering";
    let Some(address) = server("NIGHTCALL_TEST_S3") else { return };
    if !is_child() {
        put_s3(&address, "silent/a.wav", &recording_of(1));
        let proxy = Proxy::start(address, 1);
        again(TEST, &environment("s3", &proxy.address));
        return;
    }
    let row = crate::support::recording("a", Path::new("s3://nightcall/silent/a.wav"));
    let out = ingest(&[row], IngestConfig::default());
    assert_eq!((out.call("a").status.as_str(), out.failures[0].kind), ("failed", schema::FailureKind::Unavailable));
    assert!(out.failures[0].message.contains("silent/a.wav"), "{:?}", out.failures);
}
