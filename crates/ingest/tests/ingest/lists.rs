//! Lists as people and their programs write them, and files as they lie about.

use crate::support::{Coding, ingest, voice, wav, write};
use ingest::{BARRED, Discovery, IngestConfig, IngestError, discover};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn find(sources: &[&Path], list: Option<&Path>) -> Result<Discovery, IngestError> {
    let sources: Vec<String> = sources.iter().map(|s| s.to_str().unwrap().to_owned()).collect();
    discover(&sources, list, None, &IngestConfig::default())
}

/// What became of each file: `FILE STATUS MATCH`, files by their names.
fn became(found: &Discovery) -> Vec<String> {
    let out = ingest(&found.recordings, IngestConfig::default());
    let mut lines: Vec<String> = out
        .calls
        .iter()
        .map(|call| {
            let name = call.source_uri.rsplit('/').next().unwrap();
            format!("{name} {} {}", call.status, call.r#match.as_deref().unwrap_or("-"))
        })
        .collect();
    lines.sort();
    lines
}

/// Recordings of these names, each with sound of its own.
fn house(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for (seed, name) in (1..).zip(names) {
        write(&root, name, &wav(Coding::MuLaw, 8000, &[voice(8000, 0.3, seed)]));
    }
    (folder, root)
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn a_denial_is_found_in_every_spelling_of_its_column_and_file() {
    // The list, and what the denied recording is called.
    let lists: &[(&str, &[u8])] = &[
        ("rec/a.wav", b"Recording;Customer-Consent;Call ID\nrec/a.wav;DENIED;7\nrec/b.wav;granted;8\n"),
        ("rec/a.wav", b"sep=;\r\nRECORDING;Customer Consent\r\nrec/a.wav; Denied \r\nrec/b.wav;granted\r\n"),
        ("rec/a.wav", b"\"recording\" ,  \"customer.consent\"\n\"rec/a.wav\" ,  \"denied\"\nrec/b.wav, granted\n"),
        ("rec/a.wav", b"recording\tcustomer\xc2\xa0consent\t\t\nrec/a.wav\tdenied\t\t\nrec/b.wav\tgranted\t\t\n"),
        ("rec/a.wav", b"{\"Recording\": \"rec/a.wav\", \"customer\": {\"consent\": \"denied\"}}\n{\"recording\": \"rec/b.wav\"}\n"),
        ("rec/2026/call 7.wav", b"recording,customer_consent\n..\\rec\\2026\\CALL 7.WAV,denied\nrec/b.wav,\n"),
        ("rec/2026/call 7.wav", b"recording,customer_consent\nhttps://pbx.example/2026/call%207.wav?sig=1%2F2,denied\nrec/b.wav,\n"),
        ("rec/2026/call 7.wav", b"recording,customer_consent\nD:\\Archive\\call 7.wav,denied\nrec/b.wav,\n"),
        ("rec/2026/call 7.wav", b"recording,customer_consent\ncall 7,denied\nrec/b.wav,\n"),
        ("rec/2026/call 7.wav", b"recording,customer_consent\n/mnt/x/call 7.mp3,denied\nrec/b.wav,\n"),
        ("rec/2026/call-7.wav", b"recording,call_id,customer_consent\nlost.wav,call-7,denied\nrec/b.wav,8,\n"),
        ("rec/2026/call-7.wav", b"recording,call_id,customer_consent\n,CALL-7,denied\nrec/b.wav,8,\n"),
        ("rec/Stra\u{df}e.wav", b"recording,customer_consent\nrec/STRASSE.WAV,denied\nrec/b.wav,\n"),
        ("rec/M\u{fc}ller.wav", b"recording,customer_consent\nrec/Mu\xcc\x88ller.wav,denied\nrec/b.wav,\n"),
        ("rec/M\u{fc}ller.wav", b"recording,customer_consent\nrec/M%FCller.wav,denied\nrec/b.wav,\n"),
        ("rec/\u{ff21}.wav", b"recording,customer_consent\nrec/a.wav,denied\nrec/b.wav,\n"),
    ];
    for (name, list) in lists {
        let (_folder, root) = house(&[name, "rec/b.wav"]);
        let list = write(&root, "calls.csv", list);
        let file = root.join(name);
        // Whichever way the source is given.
        let glob = root.join("rec/**/*.wav");
        for sources in [vec![root.as_path()], vec![file.as_path(), &root.join("rec/b.wav")], vec![glob.as_path()]] {
            let found = find(&sources, Some(&list)).unwrap();
            let out = ingest(&found.recordings, IngestConfig::default());
            let rows: Vec<_> = out.calls.iter().filter(|call| call.source_uri == file.to_str().unwrap()).collect();
            assert_eq!(rows.len(), 1, "{name}: {:?}", fs::read_to_string(&list));
            assert_eq!(rows[0].status, "refused", "{name}: {:?}", fs::read_to_string(&list));
            assert_eq!(rows[0].content_sha256, None);
            let other = out.calls.iter().find(|call| call.source_uri.ends_with("/b.wav")).unwrap();
            assert_eq!((other.status.as_str(), other.r#match.as_deref()), ("ready", Some("exact")));
        }
    }
}

#[test]
fn lists_in_every_form_of_unicode() {
    let (_folder, root) = house(&["a.wav", "Zoë.wav"]);
    let text = "recording\tcustomer_consent\tcustomer_name\r\na.wav\tgranted\t電話\r\nZoë.wav\tdenied\tB\r\n";
    let marked = format!("\u{feff}{text}");
    for content in [
        text.as_bytes().to_vec(),
        marked.as_bytes().to_vec(),
        utf16(text, u16::to_le_bytes),
        utf16(text, u16::to_be_bytes),
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
    ] {
        let list = write(&root, "calls.csv", &content);
        assert_eq!(became(&find(&[&root], Some(&list)).unwrap()), ["Zoë.wav refused exact", "a.wav ready exact"]);
    }
}

#[test]
fn workbooks_are_read() {
    let (_folder, root) = house(&["a.wav", "b.wav"]);
    let rows = [
        ["Recording", "Customer Consent", "Deal"],
        ["a.wav", "Denied", "x & y"],
        ["", "", ""],
        ["b.wav", "granted", "7"],
    ];
    let rows = rows.map(|row| row.map(str::to_owned).to_vec());
    let list = write(&root, "calls.bin", &crate::support::workbook(&rows));
    let found = find(&[&root], Some(&list)).unwrap();
    assert_eq!(became(&found), ["a.wav refused exact", "b.wav ready exact"]);
    assert_eq!(found.recordings[0].crm["Deal"].as_deref(), Some("x & y"));
    assert_eq!(found.problems, []);
    let list = write(&root, "calls.xlsx", b"PK\x03\x04 and nothing of a workbook");
    let error = find(&[&root], Some(&list)).unwrap_err().to_string();
    assert!(error.contains("workbook") && error.contains("save it as CSV"), "{error}");
}

#[test]
fn how_a_row_found_its_file() {
    let names = [
        "rec/a.wav",
        "rec/b c.wav",
        "rec/d.wav",
        "rec/É.wav",
        "rec/f.wav",
        "x/g.wav",
        "y/h.wav",
        "z/i.wav",
        "z/77.wav",
    ];
    let (_folder, root) = house(&names);
    let list = "recording,call_id\nrec/a.wav,1\nrec/b%20c.wav,2\nREC/D.WAV,3\nrec/E\u{301}.wav,4\nrec\\f.wav,5\n\
                /export/x/g.wav,6\n/export/h.wav,7\n/export/i.mp3,8\nnone.wav,77\nnothing.wav,99\n";
    let list = write(&root, "calls.csv", list.as_bytes());
    let mut wanted = [
        "a.wav ready exact",
        "b c.wav ready percent",
        "d.wav ready case",
        "É.wav ready unicode",
        "f.wav ready slash",
        "g.wav ready suffix",
        "h.wav ready name",
        "i.wav ready stem",
        "77.wav ready call_id",
        "nothing.wav failed -",
    ];
    wanted.sort_unstable();
    assert_eq!(became(&find(&[&root], Some(&list)).unwrap()), wanted);
}

#[test]
fn who_grants_must_mean_one_file_and_who_denies_bars_all_that_may_be_meant() {
    let (_folder, root) = house(&["mon/a.wav", "tue/a.wav", "tue/b.wav", "own/a.wav"]);
    let own = "own/a.wav,granted\n";
    let list = |rows: &str| write(&root, "calls.csv", format!("recording,customer_consent\n{own}{rows}").as_bytes());
    // A row that may mean several grants none of them, and is told so.
    let found = find(&[&root], Some(&list("/export/a.wav,granted\n"))).unwrap();
    assert_eq!(
        became(&found),
        ["a.wav failed -", "a.wav ready -", "a.wav ready -", "a.wav ready exact", "b.wav ready -"]
    );
    assert!(found.problems.iter().any(|p| p.message.contains("can be") && p.line == Some(3)), "{:?}", found.problems);
    // One that denies bars those that no other row fits better.
    let found = find(&[&root], Some(&list("/export/a.wav,denied\n"))).unwrap();
    let wanted =
        ["a.wav ready exact", "a.wav refused -", "a.wav refused barred", "a.wav refused barred", "b.wav ready -"];
    assert_eq!(became(&found), wanted);
    let reason =
        found.recordings.iter().find(|r| r.r#match.as_deref() == Some(BARRED)).unwrap().problem.clone().unwrap();
    assert!(reason.contains("calls.csv:3: the row denies consent") && reason.contains("/export/a.wav"), "{reason}");
    assert!(found.barred[0].to_string().contains("calls.csv:3: denies consent"), "{:?}", found.barred);
    // What cannot be trusted counts as a denial.
    for row in ["/export/a.wav,perhaps\n", "/export/a.wav,granted,7\n"] {
        assert_eq!(became(&find(&[&root], Some(&list(row))).unwrap())[2..], wanted[2..].to_vec(), "{row}");
    }
    let latin = b"recording,customer_consent\nmon/M\xfcller.wav,granted\n";
    write(&root, "mon/Müller.wav", &wav(Coding::MuLaw, 8000, &[voice(8000, 0.3, 9)]));
    let found = find(&[&root.join("mon/Müller.wav")], Some(&write(&root, "latin.csv", latin))).unwrap();
    assert_eq!(became(&found), ["Müller.wav failed exact"]);
    // A name that was cut in two by its own comma, and a row of JSON that is broken.
    write(&root, "mon/x,y.wav", &wav(Coding::MuLaw, 8000, &[voice(8000, 0.3, 10)]));
    for list in [
        "recording,customer_consent\nmon/x,y.wav,denied\n",
        "{\"recording\": \"mon/x,y.wav\", \"customer_consent\": den\n",
    ] {
        let found = find(&[&root.join("mon/x,y.wav")], Some(&write(&root, "cut.csv", list.as_bytes()))).unwrap();
        let became = became(&found);
        assert!(!became[0].contains("ready"), "{became:?}");
    }
}

#[test]
fn links_of_what_is_denied() {
    let (_folder, root) = house(&["in/a.wav", "in/b.wav"]);
    fs::hard_link(root.join("in/a.wav"), root.join("in/other name.wav")).unwrap();
    std::os::unix::fs::symlink(root.join("in/a.wav"), root.join("in/link.wav")).unwrap();
    for named in ["in/a.wav", "in/link.wav", "in/other name.wav", "in/LINK.WAV", "IN/Other Name"] {
        let list = write(&root, "calls.csv", format!("recording,customer_consent\n{named},denied\n").as_bytes());
        let found = find(&[&root], Some(&list)).unwrap();
        let out = ingest(&found.recordings, IngestConfig::default());
        let heard: Vec<&str> =
            out.calls.iter().filter(|c| c.status == "ready").map(|c| c.source_uri.as_str()).collect();
        assert_eq!(heard, [root.join("in/b.wav").to_str().unwrap()], "{named}");
    }
    // A row that names a folder.
    let list = write(&root, "calls.csv", b"recording,customer_consent\nin,denied\n");
    assert!(became(&find(&[&root], Some(&list)).unwrap()).iter().all(|line| line.contains("refused")));
}

#[test]
fn columns_that_look_like_ours() {
    for (column, value) in [
        ("consent_customer", "denied"),
        ("agent consent given", "no"),
        ("customer_concent", "0"),
        ("Opt-out consent", "yes"),
    ] {
        let (_folder, root) = house(&["a.wav", "b.wav"]);
        let list = write(&root, "calls.csv", format!("recording,{column}\na.wav,{value}\nb.wav,\n").as_bytes());
        let found = find(&[&root], Some(&list)).unwrap();
        assert_eq!(became(&found), ["a.wav refused barred", "b.wav ready exact"], "{column}");
        let said = found.problems[0].to_string();
        assert!(said.contains(&format!("column {column:?} is not known, and looks like")), "{said}");
    }
}

#[test]
fn sources_say_what_is_run() {
    let (_folder, root) = house(&["rec/one.wav", "rec/two.wav", "rec/three.wav"]);
    let list = b"recording,customer_consent\none.wav,granted\ntwo.wav,granted\nthree.wav,denied\ngone.wav,granted\nlost.wav,denied\n";
    let list = write(&root, "rec/calls.csv", list);
    let found = find(&[&root.join("rec/one.wav")], Some(&list)).unwrap();
    assert_eq!(became(&found), ["one.wav ready exact"]);
    let said: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|p| p.contains("1 rows name recordings that are in none of the sources")), "{said:?}");
    assert!(said.iter().any(|p| p.contains("calls.csv:5: recording gone.wav: no such file")), "{said:?}");
    let found = find(&[&root.join("rec/t*.wav")], Some(&list)).unwrap();
    assert_eq!(became(&found), ["three.wav refused exact", "two.wav ready exact"]);
    let found = find(&[&root.join("rec")], Some(&list)).unwrap();
    let all = [
        "gone.wav failed -",
        "lost.wav refused -",
        "one.wav ready exact",
        "three.wav refused exact",
        "two.wav ready exact",
    ];
    assert_eq!(became(&found), all);
    // A copy of a recording that a row denies.
    fs::copy(root.join("rec/three.wav"), root.join("three.wav")).unwrap();
    let found = find(&[&root.join("three.wav")], Some(&list)).unwrap();
    assert_eq!(became(&found), ["three.wav refused barred"]);
}

#[test]
fn a_folder_is_read_by_what_its_files_hold() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sound = wav(Coding::MuLaw, 8000, &[voice(8000, 0.3, 1)]);
    for name in ["a", "b.0007", "c.dat", "d.WAV.old"] {
        write(root, name, &sound);
    }
    for (name, content) in [
        ("notes.txt", &b"called back"[..]),
        ("calls.sqlite", b"SQLite format 3\0\x10"),
        ("x.pdf", b"%PDF-1.7"),
        (".hidden", &sound),
    ] {
        write(root, name, content);
    }
    let found = find(&[root], None).unwrap();
    assert_eq!((found.recordings.len(), found.passed_over.len()), (4, 3));
    // What is beside a denied recording under its name is not opened, and is no second call.
    write(root, "a.json", b"{}");
    let list = write(root, "list.csv", b"recording,customer_consent\nA,denied\n");
    let found = find(&[root], Some(&list)).unwrap();
    assert_eq!((found.recordings.len(), found.passed_over.len()), (4, 4));
}

#[test]
fn nothing_to_hear() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("empty.wav")).unwrap();
    write(root, "text/notes.txt", b"called back");
    write(root, "full/a.wav", &wav(Coding::MuLaw, 8000, &[voice(8000, 0.3, 1)]));
    let list = write(root, "calls.csv", b"recording\na.wav\n");
    for source in ["empty.wav", "text", "text/*"] {
        let error = find(&[&root.join(source)], Some(&list)).unwrap_err();
        assert!(matches!(error, IngestError::NoRecording { .. }), "{error}");
        assert!(error.to_string().contains("found no recording in"), "{error}");
    }
    let found = find(&[&root.join("full"), &root.join("empty.wav")], None).unwrap();
    assert!(found.problems[0].to_string().contains("empty.wav: found no recording in it"), "{:?}", found.problems);
}

#[test]
fn a_long_list_is_matched_at_once() {
    const COUNT: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut list = String::from("recording,customer_consent\n");
    for i in 0..COUNT {
        use std::fmt::Write as _;
        let (day, consent) = (i / 1000, if i % 100 == 0 { "denied" } else { "granted" });
        writeln!(list, "D:\\Export\\day{day}\\Call-{:03}.WAV,{consent}", i % 1000).unwrap();
        if i % 20 == 0 {
            write(root, &format!("day{day}/call-{:03}.wav", i % 1000), b"rubbish");
        }
    }
    let list = write(root, "calls.csv", list.as_bytes());
    let began = std::time::Instant::now();
    let found = find(&[root], Some(&list)).unwrap();
    println!("{:?}", began.elapsed());
    assert_eq!(found.recordings.iter().filter(|r| r.r#match.as_deref() == Some("suffix")).count(), COUNT / 20);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
