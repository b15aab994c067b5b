//! Whatever a list and a folder look like: who denied is not heard, and the recording is not read.
//!
//! Lists, names and folders are drawn by chance from a seed that is printed where a try fails. The double is the time of the
//! last access that the file system keeps: it is set back before each try, and reading a byte sets it.

use crate::support::{Coding, ingest, voice, wav, write};
use ingest::{IngestConfig, discover, mark_duplicates};
use schema::Recording;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{File, FileTimes},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use unicode_normalization::UnicodeNormalization;

const TRIES: u64 = 10_000;
/// Names of folders and files; each has something that systems spell in several ways.
const FOLDERS: [&str; 8] = ["rec", "2026-03-02", "Süd", "call centre", "A+B", "電話", "Team #2", "x"];
const FILES: [&str; 14] = [
    "a",
    "call 7",
    "Müller",
    "straße",
    "2026.03.02",
    "o'neil, ann",
    "100% sure",
    "agent+customer",
    "Ｆｕｌｌ",
    "電話 3",
    "v1.final",
    "É",
    "8812",
    "semi;colon",
];
const ENDINGS: [&str; 5] = [".wav", ".WAV", ".wave", "", ".0007"];
/// Folders of the machine that wrote the list; none of them is here.
const MACHINES: [&str; 6] =
    ["/export/pbx", "D:\\Recordings", "\\\\server\\share", "https://pbx.example/v2", "file:///srv/in", "../../mnt"];

/// Numbers by chance (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn encoded(text: &str, chance: &mut Chance) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte == b'/' || byte.is_ascii_alphanumeric() && !chance.once_in(9) {
            out.push(char::from(byte));
        } else if byte == b' ' && chance.once_in(5) {
            out.push('+');
        } else {
            write!(out, "%{byte:02x}").unwrap();
        }
    }
    out
}

/// The path as another machine, program or person may spell it.
fn mangled(path: &str, chance: &mut Chance) -> String {
    let mut text = path.to_owned();
    if chance.once_in(5) {
        text = text.rsplit('/').next().unwrap().to_owned();
    }
    if chance.once_in(5) {
        let folder = text.rfind('/').map_or(0, |slash| slash + 1);
        let dot =
            text.rfind('.').filter(|&dot| dot > folder && ENDINGS.contains(&&text[dot..]) && &text[dot..] != ".0007");
        if let Some(dot) = dot {
            text.truncate(dot);
            text += chance.of(&["", ".mp3", ".Opus"]);
        }
    }
    match chance.below(5) {
        0 => text = text.nfd().collect(),
        1 => text = text.nfkc().collect(),
        2 => text = text.nfkd().collect(),
        _ => {}
    }
    match chance.below(6) {
        0 => text = text.to_uppercase(),
        1 => text = text.to_lowercase(),
        2 => text = text.chars().map(|c| if chance.once_in(2) { c.to_ascii_uppercase() } else { c }).collect(),
        _ => {}
    }
    let machine = chance.once_in(2).then(|| chance.of(&MACHINES));
    let url = machine.is_some_and(|machine| machine.contains("://"));
    if url || chance.once_in(6) {
        text = encoded(&text, chance);
    }
    if let Some(machine) = machine {
        text = format!("{machine}/{text}");
        if url && chance.once_in(3) && machine.starts_with("http") {
            text += "?signature=a%2Fb&expires=1";
        }
    } else if chance.once_in(6) {
        text = format!("./{text}");
    }
    if !url && chance.once_in(4) {
        text = text.replace('/', "\\");
    }
    text
}

/// A column as somebody may spell it.
fn header(name: &str, chance: &mut Chance) -> String {
    let words: Vec<String> = name
        .split('_')
        .map(|word| match chance.below(4) {
            0 => word.to_uppercase(),
            1 => word[..1].to_uppercase() + &word[1..],
            _ => word.to_owned(),
        })
        .collect();
    words.join(chance.of(&["_", " ", "-", "", "__", " - ", "\u{a0}"]))
}

/// The rows as one of the programs that write lists would write them; the first is the header.
fn written(rows: &[Vec<String>], chance: &mut Chance) -> Vec<u8> {
    if chance.once_in(6) {
        return crate::support::workbook(rows);
    }
    if chance.once_in(8) && rows.len() > 1 {
        let mut lines = String::new();
        for row in &rows[1..] {
            let pairs = rows[0].iter().zip(row).map(|(key, value)| (key.clone(), value.clone().into()));
            writeln!(lines, "{}", serde_json::Value::Object(pairs.collect())).unwrap();
        }
        return lines.into_bytes();
    }
    let delimiter = chance.of(&[",", ";", "\t", "|"]);
    let (behind, blank) = (chance.below(4) * chance.below(2), chance.once_in(4) && delimiter != "\t");
    let always = blank || chance.once_in(3);
    let mut text = String::new();
    if chance.once_in(8) {
        writeln!(text, "sep={delimiter}").unwrap();
    }
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| {
                let quoted = always || cell.contains([',', ';', '\t', '|', '"', '\n']);
                if quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
            })
            .collect();
        text += &cells.join(&format!("{delimiter}{}", if blank { " " } else { "" }));
        text += &delimiter.repeat(behind);
        text += chance.of(&["\n", "\r\n"]);
    }
    let mark = if chance.once_in(3) { "\u{feff}" } else { "" };
    text = format!("{mark}{text}");
    match chance.below(5) {
        0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => text.into_bytes(),
    }
}

/// One house, its list, and what may not be heard in it.
struct Try {
    root: PathBuf,
    sources: Vec<String>,
    list: PathBuf,
    files: Vec<PathBuf>,
    denied: Vec<PathBuf>,
}

fn draw(folder: &Path, seed: u64, sounds: &[Vec<u8>]) -> Try {
    let mut chance = Chance(seed);
    let mut paths: BTreeSet<String> = BTreeSet::new();
    // Names that differ in case or form alone are of one file to many systems, and lists do not tell them apart.
    let mut forms: BTreeSet<String> = BTreeSet::new();
    for _ in 0..2 + chance.below(4) {
        let mut path = String::new();
        for _ in 0..chance.below(3) {
            path = path + chance.of(&FOLDERS) + "/";
        }
        path = path + chance.of(&FILES) + chance.of(&ENDINGS);
        if chance.once_in(4) {
            path = path.nfd().collect();
        }
        let form: String = path.nfkc().collect::<String>().to_lowercase();
        let stem = form.rsplit_once('.').map_or(form.clone(), |(stem, _)| stem.to_owned());
        if !forms.contains(&form) && !forms.contains(&stem) {
            forms.extend([form, stem]);
            paths.insert(path);
        }
    }
    let root = folder.join(format!("try-{seed}"));
    let paths: Vec<String> = paths.into_iter().collect();
    for path in &paths {
        write(&root, path, &sounds[chance.below(sounds.len())]);
    }
    let denied: Vec<usize> = (0..paths.len()).filter(|_| chance.once_in(3)).collect();
    let consent = chance.of(&["customer_consent", "agent_consent"]);
    let mut columns = vec![header("recording", &mut chance), header(consent, &mut chance)];
    let with_ids = chance.once_in(2);
    if with_ids {
        columns.push(header("call_id", &mut chance));
    }
    let mut rows = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let mut row = if denied.contains(&i) {
            let text = mangled(path, &mut chance);
            // Unless it is by chance the very name of another file.
            let plain = |text: &str| text.replace('\\', "/").trim_start_matches("./").to_lowercase();
            let other = paths.iter().enumerate().any(|(j, p)| j != i && plain(p) == plain(&text));
            let value = chance.of(&["denied", "Denied", "DENIED", " denied ", "refused?"]);
            vec![if other { path.clone() } else { text }, value.to_owned()]
        } else if chance.once_in(2) {
            vec![path.clone(), chance.of(&["granted", "", "Granted"]).to_owned()]
        } else {
            continue;
        };
        if with_ids {
            row.push(format!("id-{i}"));
        }
        rows.push(row);
    }
    for i in (1..rows.len()).rev() {
        rows.swap(i, chance.below(i + 1));
    }
    rows.insert(0, columns);
    let list = write(&root, chance.of(&["calls.csv", "list", "lists/calls.xlsx"]), &written(&rows, &mut chance));
    let all = |pattern: &str| root.join(pattern).to_str().unwrap().to_owned();
    let sources = match chance.below(3) {
        0 => vec![root.to_str().unwrap().to_owned()],
        1 => vec![all("**/*")],
        _ => paths.iter().map(|path| all(path)).collect(),
    };
    let files: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
    let denied = denied.into_iter().map(|i| files[i].clone()).collect();
    Try { root, sources, list, files, denied }
}

fn accessed(path: &Path) -> SystemTime {
    path.metadata().unwrap().accessed().unwrap()
}

#[test]
fn nobody_who_denied_is_heard_however_lists_and_names_are_spelled() {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let shm = Path::new("/dev/shm");
    let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
    let sounds: Vec<Vec<u8>> = (1..4).map(|seed| wav(Coding::MuLaw, 8000, &[voice(8000, 0.05, seed)])).collect();
    let config = IngestConfig::default();
    let first = std::env::var("NIGHTCALL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let (mut denials, mut read, mut heard) = (0, 0, 0);
    for seed in first.map_or(0..TRIES, |seed| seed..seed + 1) {
        let drawn = draw(folder.path(), seed, &sounds);
        let list = || String::from_utf8_lossy(&std::fs::read(&drawn.list).unwrap()).into_owned();
        for path in &drawn.files {
            let file = File::options().append(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_accessed(long_ago)).unwrap();
        }
        let found = discover(&drawn.sources, Some(&drawn.list), None, &config);
        let mut found = found.unwrap_or_else(|e| panic!("NIGHTCALL_TEST_SEED={seed}: {e}\n{}", list()));
        mark_duplicates(&mut found.recordings, &[], &config);
        let out = ingest(&found.recordings, config.clone());
        for path in &drawn.denied {
            denials += 1;
            let wrong = |what: &str| {
                let of = |r: &Recording| format!("{} {:?} {:?}\n", r.source_uri, r.r#match, r.problem);
                let rows: String = found.recordings.iter().map(of).collect();
                format!("NIGHTCALL_TEST_SEED={seed}: {} {what}\n{}\n{rows}", path.display(), list())
            };
            assert_eq!(accessed(path), long_ago, "{}", wrong("was read"));
            let uri = path.to_str().unwrap();
            let calls: Vec<_> = out.calls.iter().filter(|call| call.source_uri == uri).collect();
            assert!(
                calls.iter().all(|call| matches!(call.status.as_str(), "refused" | "failed")),
                "{}",
                wrong("was heard")
            );
            assert!(
                !out.audio.iter().any(|block| calls.iter().any(|call| call.call_id == block.call_id)),
                "{}",
                wrong("has sound")
            );
        }
        for call in out.calls.iter().filter(|call| call.status == "ready") {
            heard += 1;
            read += usize::from(accessed(Path::new(&call.source_uri)) > long_ago);
        }
        std::fs::remove_dir_all(&drawn.root).unwrap();
    }
    println!("{denials} denials; {heard} recordings heard, {read} of them seen to be read");
    assert!(first.is_some() || (denials > TRIES / 2 && heard > TRIES as usize / 2 && read == heard));
}
