//! Any bytes as a call list and as a CRM file: an error or rows, each of them counted.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    let list = folder.path().join("calls");
    let recordings = folder.path().join("recordings");
    if std::fs::create_dir(&recordings).is_err() || std::fs::write(&list, bytes).is_err() {
        return;
    }
    for name in ["a.wav", "b.wav"] {
        if std::fs::write(recordings.join(name), b"").is_err() {
            return;
        }
    }
    let sources = [recordings.to_string_lossy().into_owned()];
    let config = ingest::IngestConfig::default();
    if let Ok(found) = ingest::discover(&sources, Some(&list), Some(&list), &config) {
        // Every recording that is there has its row, whatever the list says, and a call_id of its own.
        assert!(found.recordings.len() >= 2);
        let ids: std::collections::BTreeSet<_> = found.recordings.iter().map(|r| &r.call_id).collect();
        assert_eq!(ids.len(), found.recordings.len());
    }
});
