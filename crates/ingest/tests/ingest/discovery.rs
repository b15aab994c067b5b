//! Sources, call list and CRM file together.

use crate::support::{Coding, fixtures, voice, wav, write};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use ingest::{Discovery, IngestConfig, IngestError, discover};
use parquet::arrow::ArrowWriter;
use schema::Recording;
use std::{path::Path, sync::Arc};

fn find(sources: &[&Path], calls: Option<&Path>, crm: Option<&Path>) -> Discovery {
    let sources: Vec<String> = sources.iter().map(|s| s.to_str().unwrap().to_owned()).collect();
    discover(&sources, calls, crm, &IngestConfig::default()).unwrap()
}

fn ids(found: &Discovery) -> Vec<&str> {
    found.recordings.iter().map(|r| r.call_id.as_str()).collect()
}

fn row<'a>(found: &'a Discovery, id: &str) -> &'a Recording {
    found.recordings.iter().find(|r| r.call_id == id).unwrap()
}

#[test]
fn the_fixtures() {
    let folder = fixtures();
    let found = find(&[&folder], Some(&folder.join("calls.csv")), Some(&folder.join("crm.csv")));
    assert_eq!(found.problems, []);
    assert_eq!(found.recordings.len(), 11);
    let call = row(&found, "renewal-dates");
    assert_eq!(call.started_at.unwrap().to_rfc3339(), "2026-03-02T14:30:00+00:00");
    assert_eq!((call.direction.as_deref(), call.language.as_deref()), (Some("outbound"), Some("en")));
    assert_eq!(call.participants[0].person_id.as_deref(), Some("agt-02"));
    assert_eq!(call.participants[1].channel, Some(1));
    assert_eq!(call.crm["opportunity_id"].as_deref(), Some("opp-502"));
    assert_eq!(call.crm["stage"].as_deref(), Some("Renewal"));
    // Both files name the account; the list's counts.
    assert_eq!(row(&found, "billing-question").crm["account"].as_deref(), Some("Ashdown Travel"));
    assert_eq!(row(&found, "consent-denied").participants[1].consent, "denied");
    assert!(call.source_version.is_some());
}

#[test]
fn folders_files_and_globs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a.wav", "deep/er/b.MP3", "c.txt", "d.json", ".hidden.wav", "._a.wav", "e.raw", "rubbish.flac"] {
        write(root, name, b"rubbish");
    }
    let found = find(&[root], None, None);
    assert_eq!(ids(&found), ["a", "b", "e", "rubbish"]);
    assert_eq!(found.passed_over, ["c.txt", "d.json"].map(|name| root.join(name).to_str().unwrap().to_owned()));
    // Named itself, anything is a recording; named twice, it is one.
    assert_eq!(ids(&find(&[&root.join("e.raw"), &root.join("a.wav"), root], None, None)), ["a", "b", "e", "rubbish"]);
    assert_eq!(ids(&find(&[&root.join("*.raw")], None, None)), ["e"]);
    assert_eq!(ids(&find(&[&root.join("[a-z]*")], None, None)), ["a", "b", "e", "rubbish"]);
    assert_eq!(ids(&find(&[&root.join("**/*.MP3")], None, None)), ["b"]);
    let missing = discover(&[root.join("*.ogg").to_str().unwrap().into()], None, None, &IngestConfig::default());
    assert!(matches!(missing, Err(IngestError::NoSuchSource { .. })));
    let url = discover(&["ftp://host/calls".into()], None, None, &IngestConfig::default());
    assert!(url.unwrap_err().to_string().contains("ftp:// is not known"));
}

#[test]
fn names_are_unique_and_do_not_depend_on_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["mon/1.wav", "tue/1.wav", "tue/1.mp3", "tue/2.wav"] {
        write(root, name, b"rubbish");
    }
    let all = find(&[root], None, None);
    assert_eq!(ids(&all), ["2", "mon/1", "tue/1.mp3", "tue/1.wav"]);
    let one = find(&[&root.join("tue"), &root.join("mon")], None, None);
    let other = find(&[&root.join("mon"), &root.join("tue")], None, None);
    assert_eq!(one.recordings, other.recordings);
    // A name that the list gives is taken.
    let list = write(root, "calls.csv", b"recording,call_id\nmon/1.wav,2\n");
    let listed = find(&[root], Some(&list), None);
    assert_eq!(ids(&listed), ["2", "tue/1.mp3", "tue/1.wav", "tue/2"]);
}

#[cfg(unix)]
#[test]
fn links() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "in/a.wav", b"rubbish");
    symlink(root, root.join("in/loop")).unwrap();
    symlink(root.join("in/a.wav"), root.join("same.wav")).unwrap();
    symlink(root.join("nowhere.wav"), root.join("dangling.wav")).unwrap();
    let found = find(&[root], None, None);
    assert_eq!(ids(&found), ["a", "dangling"]);
    assert!(row(&found, "dangling").problem.as_ref().unwrap().contains("dangling.wav: No such file"));
}

#[test]
fn rows_and_files_that_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["audio/a.wav", "audio/b.wav", "audio/c.wav", "audio/d.wav", "audio/rowless.wav"] {
        write(root, name, b"rubbish");
    }
    std::fs::create_dir_all(root.join("audio/folder.wav")).unwrap();
    let list = write(
        root,
        "lists/calls.csv",
        b"recording,call_id,agent_channel,customer_consent,note\n\
          a.wav,1,0,granted,from the source folder\n\
          ../audio/b.wav,2,-1,granted,\n\
          nowhere.wav,3,0,granted,\n\
          c.wav,4,0,granted,first\n\
          ./c.wav,5,0,denied,second\n\
          d.wav,1,,granted,\n\
          ftp://host/e.wav,6,,granted,\n",
    );
    let found = find(&[&root.join("audio")], Some(&list), None);
    assert_eq!(ids(&found), ["1", "2", "3", "4", "6", "d", "rowless"]);
    let problem = |id: &str| row(&found, id).problem.clone().unwrap_or_default();
    let file = list.display();
    assert_eq!(problem("1"), "");
    assert_eq!(row(&found, "1").source_uri, root.join("audio/a.wav").to_str().unwrap());
    assert_eq!(row(&found, "1").crm["note"].as_deref(), Some("from the source folder"));
    assert_eq!(problem("2"), format!("{file}:3: agent_channel is \"-1\"; channels are numbered 0, 1, ..."));
    assert!(problem("3").starts_with(&format!("{file}:4: recording nowhere.wav: no such file")));
    assert_eq!(problem("4"), format!("{file}:6: names the recording of line 5 again and differs; keep one of the two"));
    // Whichever row is right, a denial counts.
    assert_eq!(row(&found, "4").participants[1].consent, "denied");
    assert!(problem("6").contains("ftp:// is not known"), "{}", problem("6"));
    assert_eq!(problem("d"), format!("{file}:7: call_id \"1\" is that of line 2; give each call its own"));
    assert_eq!(problem("rowless"), "");
    let lines: Vec<_> = found.problems.iter().map(|p| p.line.unwrap()).collect();
    assert_eq!(lines, [3, 4, 6, 7, 8]);
}

#[test]
fn the_same_row_twice_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.wav", b"rubbish");
    let list = write(folder.path(), "calls.csv", b"recording,call_id\na.wav,1\na.wav,1\n");
    let found = find(&[folder.path()], Some(&list), None);
    assert_eq!((ids(&found), &found.recordings[0].problem), (vec!["1"], &None));
    assert_eq!(found.problems[0].line, Some(3));
}

#[test]
fn a_list_is_read_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "a.wav", b"rubbish");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("recording", Arc::new(StringArray::from(vec!["a.wav"]))),
        ("call_id", Arc::new(Int64Array::from(vec![8812]))),
        ("started_at", Arc::new(TimestampMillisecondArray::from(vec![1_772_461_800_000]).with_timezone("UTC"))),
        ("agent_channel", Arc::new(Int64Array::from(vec![1]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let json = br#"{"recording": "a.wav", "call_id": 8812, "started_at": "2026-03-02T14:30:00Z", "agent_channel": 1}"#;
    let csv = b"recording;call_id;started_at;agent_channel\na.wav;8812;2026-03-02T14:30:00Z;1\n";
    let lists = [write(root, "one.list", &parquet), write(root, "two.list", json), write(root, "three.list", csv)];
    let found = lists.map(|list| find(&[root], Some(&list), None));
    for found in &found {
        assert_eq!(found.problems, []);
        assert_eq!(found.recordings, ids(found).iter().map(|_| row(found, "8812").clone()).collect::<Vec<_>>());
        assert_eq!(row(found, "8812").started_at.unwrap().timestamp_millis(), 1_772_461_800_000);
        assert_eq!(row(found, "8812").participants[0].channel, Some(1));
    }
    assert_eq!(found[0].recordings, found[1].recordings);
    assert_eq!(found[0].recordings, found[2].recordings);
}

#[test]
fn lists_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = |list: &Path| discover(&[], Some(list), None, &IngestConfig::default()).unwrap_err().to_string();
    let list = write(root, "calls.csv", b"file,agent\na.wav,x\n");
    assert!(
        error(&list).contains("has no column recording (path or URL of the recording); its columns are file, agent")
    );
    assert!(error(&root.join("none.csv")).contains("none.csv: No such file"));
    assert!(error(root).contains("is not a file"));
}

#[test]
fn crm_keys() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "a.wav", b"rubbish");
    write(root, "b.wav", b"rubbish");
    let list = write(root, "calls.csv", b"recording,crm.deal,stage\na.wav,7,mine\nb.wav,9,\n");
    let crm =
        write(root, "crm.jsonl", b"{\"id\": 7, \"stage\": \"theirs\", \"amount\": 12.5}\n{\"id\": 7, \"amount\": 1}\n");
    let join = |config: IngestConfig| discover(&[], Some(&list), Some(&crm), &config);
    let set = |key: &str, in_calls: &str| IngestConfig {
        crm_key: Some(key.into()),
        crm_key_in_calls: Some(in_calls.into()),
        ..IngestConfig::default()
    };
    let found = join(set("id", "crm.deal")).unwrap();
    let crm_of_a = &row(&found, "a").crm;
    assert_eq!((crm_of_a["stage"].as_deref(), crm_of_a["amount"].as_deref()), (Some("mine"), Some("12.5")));
    let problems: Vec<String> = found.problems.iter().map(|p| p.message.clone()).collect();
    assert!(problems[0].ends_with("has the id \"9\""), "{problems:?}");
    assert!(problems[1].ends_with("is that of line 1; left out"), "{problems:?}");
    assert!(
        join(set("key", "deal")).unwrap_err().to_string().contains("has no column key, which [ingest] crm_key names")
    );
    assert!(join(set("id", "crm.nothing")).unwrap_err().to_string().contains("joined on nothing"));
    // `stage` is the first column that both have.
    assert!(join(IngestConfig::default()).unwrap().problems.iter().any(|p| p.message.contains("the stage \"mine\"")));
    let other = write(root, "other.csv", b"colour\nred\n");
    let error = discover(&[], Some(&list), Some(&other), &IngestConfig::default()).unwrap_err().to_string();
    assert!(error.contains("shares no column with the call list"), "{error}");
    // Without a list the file's name is the key.
    let by_call = write(root, "by-call.csv", b"call_id,stage\na,won\n");
    let found = discover(&[root.to_str().unwrap().into()], None, Some(&by_call), &IngestConfig::default()).unwrap();
    assert_eq!(row(&found, "a").crm["stage"].as_deref(), Some("won"));
}

#[test]
fn columns_are_mapped_and_times_have_zones() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a.wav", "b.wav", "c.wav"] {
        write(root, name, b"rubbish");
    }
    let list = write(
        root,
        "calls.csv",
        b"File;Begin;Case;customer_consent\n\
          a.wav;2026-07-02 14:30:00;7;\n\
          b.wav;2026-10-25 02:30:00;8;granted\n",
    );
    let crm = write(
        root,
        "crm.jsonl",
        br#"{"CaseNo": 7, "AccountName": "Larkfield", "Contact": {"Name": "Cora"}, "Optin": "Denied", "Owner": "Max"}
{"CaseNo": 8, "AccountName": "Fernbank", "Optin": "denied"}
{"CaseNo": "c", "AccountName": "Unlisted", "Optin": "granted"}
{"CaseNo": "c", "AccountName": "Unlisted", "Optin": "denied"}"#,
    );
    let text = r#"
        time_zone = "Europe/Berlin"
        crm_key = "CaseNo"
        crm_key_in_calls = "Case"
        [columns]
        recording = "File"
        started_at = "Begin"
        account = "crm.AccountName"
        customer_name = "crm.Contact.Name"
        customer_consent = "crm.Optin"
    "#;
    let config: IngestConfig = toml::from_str(text).unwrap();
    let sources = [root.to_str().unwrap().to_owned()];
    let found = discover(&sources, Some(&list), Some(&crm), &config).unwrap();
    let a = row(&found, "a");
    assert_eq!(a.started_at.unwrap().to_rfc3339(), "2026-07-02T12:30:00+00:00");
    assert_eq!((a.participants[1].name.as_deref(), a.participants[1].consent.as_str()), (Some("Cora"), "denied"));
    let keys: Vec<&str> = a.crm.keys().map(String::as_str).collect();
    assert_eq!(keys, ["Case", "Owner", "account"]);
    assert_eq!(a.crm["account"].as_deref(), Some("Larkfield"));
    // The list's own consent counts before the CRM file's; the hour that the clocks showed twice is reported by its line.
    let b = row(&found, "b");
    assert_eq!((b.participants[1].consent.as_str(), b.started_at), ("granted", None));
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].contains("calls.csv:3: started_at") && problems[0].contains("showed twice or never"),
        "{problems:?}"
    );
    assert!(problems[1].contains("crm.jsonl:4: CaseNo \"c\" is that of line 3; left out"), "{problems:?}");

    // Without a list the file's name is the key, and a denial in the CRM file counts all the same, even in a second row.
    let unlisted = text
        .replace("\"Case\"", "\"call_id\"")
        .replace("recording = \"File\"", "")
        .replace("started_at = \"Begin\"", "");
    let found = discover(&sources, None, Some(&crm), &toml::from_str(&unlisted).unwrap()).unwrap();
    assert_eq!(row(&found, "c").participants[1].consent, "denied");
    assert!(row(&found, "b").participants.is_empty());

    // Columns that are not there are named: consent may stand in them.
    let error = |crm: Option<&Path>, text: &str| {
        discover(&sources, Some(&list), crm, &toml::from_str(text).unwrap()).unwrap_err().to_string()
    };
    assert!(error(None, text).ends_with("no CRM file is given; give one with --crm"));
    assert!(
        error(Some(&crm), &text.replace("Optin", "Consented"))
            .contains(r#"customer_consent = "crm.Consented": the CRM file has no such column"#)
    );
    assert!(
        error(Some(&crm), &text.replace("File", "Datei"))
            .contains(r#"recording = "Datei": the call list has no such column"#)
    );
    assert!(
        error(Some(&crm), &text.replace("Berlin", "Atlantis"))
            .starts_with("[ingest] time_zone: \"Europe/Atlantis\" is no")
    );
}

#[test]
fn found_recordings_go_through_the_stage() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "day/a.wav", &wav(Coding::MuLaw, 8000, &[voice(8000, 1.0, 1), voice(8000, 1.0, 2)]));
    let list = write(folder.path(), "calls.csv", b"recording,agent_name,language\nday/a.wav,Ada,en\n");
    let found = find(&[folder.path()], Some(&list), None);
    let out = crate::support::ingest(&found.recordings, IngestConfig::default());
    assert_eq!(out.call("a").status, "ready");
    assert_eq!(out.call("a").participants[0].channel, Some(0));
    assert_eq!(out.samples("a", 1).len(), 16000);
}

#[test]
fn a_recording_that_is_not_there_has_one_row_however_many_name_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rec/a.wav", &wav(Coding::Int(16), 8000, &[voice(8000, 1.0, 1)]));
    for rows in [
        "gone.wav,granted\ngone.wav,granted\n",
        "gone.wav,granted\n./gone.wav,denied\n",
        "gone.,1,2\ngone.,1,2\n",
        "b.wav,denied\nb.wav,denied\nb.wav,denied\n",
        "c.wav,maybe\nc.wav,granted\n",
    ] {
        let list = write(folder.path(), "calls.csv", format!("recording,customer_consent\n{rows}").as_bytes());
        let found = find(&[&folder.path().join("rec")], Some(&list), None);
        let mut ids = ids(&found);
        ids.dedup();
        assert_eq!((ids.len(), found.recordings.len()), (2, 2), "{rows}: {:?}", found.recordings);
        assert!(found.problems.iter().any(|p| p.message.contains("names the recording of line 2 again")), "{rows}");
    }
}
