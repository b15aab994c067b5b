//! Any name of a file, and any way to write it in a list whose row denies: the recording is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

/// How a list may spell a name; the choice is one byte.
fn spelled(name: &str, how: u8) -> String {
    let encoded = || name.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    match how % 8 {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => name.to_lowercase(),
        3 => encoded(),
        4 => format!("D:\\export\\{name}"),
        5 => format!("https://pbx.example/in/{}?sig=1", encoded()),
        6 => format!("../../elsewhere/{}", name.to_uppercase()),
        _ => format!("./{name}"),
    }
}

fuzz_target!(|input: (u8, &str)| {
    let (how, name) = input;
    // What one file system or a list cannot hold as one name; and a name that is all blanks or points names nothing.
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '"' | '\u{2028}' | '\u{2029}');
    if name.len() > 100 || !name.chars().all(plain) || !name.chars().any(char::is_alphanumeric) || name.starts_with('.') {
        return;
    }
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    let recordings = folder.path().join("recordings");
    let file = recordings.join(name);
    let list = folder.path().join("calls.csv");
    let rows = format!("recording,customer_consent\n\"{}\",denied\n", spelled(name, how));
    if std::fs::create_dir(&recordings).is_err()
        || std::fs::write(&file, b"RIFF\0\0\0\0WAVEfmt ").is_err()
        || std::fs::write(&list, rows).is_err()
    {
        return;
    }
    let sources = [recordings.to_string_lossy().into_owned()];
    let Ok(found) = ingest::discover(&sources, Some(&list), None, &ingest::IngestConfig::default()) else { return };
    for recording in found.recordings.iter().filter(|r| Path::new(&r.source_uri) == file) {
        let denied = recording.participants.iter().any(|person| person.consent == "denied");
        assert!(denied || recording.r#match.as_deref() == Some(ingest::BARRED), "{name:?} {how}");
    }
});
