//! The real binary, as a user runs it. What needs models says so and is skipped where they are not.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bench;
mod eval;
mod operator;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::{Field, Schema},
};
use assert_cmd::Command;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn nightcall() -> Command {
    let mut command = Command::cargo_bin("nightcall").unwrap();
    command.current_dir(root()).env("NO_COLOR", "1").env("COLUMNS", "100");
    command
}

/// Whether the default pipeline's models are here; says so where they are not.
fn models(test: &str) -> bool {
    let listed = nightcall().args(["models", "list", "--json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let here = |name: &str| listed.as_array().unwrap().iter().any(|m| m["name"] == name && m["status"] == "installed");
    let here = here("moonshine-tiny-en") && here("all-minilm-l6-v2");
    if !here {
        println!("skipped: {test} needs the default models (nightcall models pull)");
    }
    here
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Snapshots without what differs from run to run.
fn filtered(snapshot: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    let root = root().display().to_string();
    settings.add_filter(&root.replace('.', r"\."), "ROOT");
    settings.add_filter(r"(/[\w.-]+)+/\.tmp\w+", "TMP");
    settings.add_filter(r"in \d+\.\d s", "in N s");
    settings.add_filter(r"at \d+(\.\d)? times real time", "at N times real time");
    settings.add_filter(r"\d+ RTFx", "N RTFx");
    settings.bind(snapshot);
}

/// The fixtures, analysed once for all tests of this binary.
static FIXTURES: LazyLock<TempDir> = LazyLock::new(|| {
    let store = tempfile::tempdir().unwrap();
    let run = run_fixtures(store.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    store
});

fn run_fixtures(store: &Path) -> Command {
    let mut command = nightcall();
    command.args(["run", "fixtures/calls", "--calls", "fixtures/calls/calls.csv", "--crm", "fixtures/calls/crm.csv"]);
    command.args(["--pipeline", "pipelines/sales.toml", "--store"]).arg(store);
    command
}

/// Every Parquet file of a store but `stage_errors`, whose rows hold the time.
fn tables(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for table in fs::read_dir(store).unwrap() {
        let table = table.unwrap().path();
        if table.ends_with("stage_errors") {
            continue;
        }
        for file in fs::read_dir(table).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "parquet") {
                files.insert(path.strip_prefix(store).unwrap().display().to_string(), fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn help_shows_every_command() {
    let out = nightcall().arg("--help").output().unwrap();
    filtered(|| insta::assert_snapshot!(text(&out.stdout)));
    for command in ["run", "rerun", "stage", "status", "show", "tables", "eval", "models", "bench", "doctor"] {
        let out = nightcall().args([command, "--help"]).output().unwrap();
        assert!(text(&out.stdout).contains("Example:"), "{command} --help has no example");
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    nightcall().args(["run", "--store"]).assert().code(2);
    nightcall().args(["rerun", "dance", "--store", "x"]).assert().code(2);
    nightcall().args(["run", "x", "--store", "y", "--shard-size", "0"]).assert().code(2);
}

#[test]
fn a_wrong_pipeline_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("night.toml");
    fs::write(&file, "name = \"night\"\n\n[transcribe]\nlangauge = \"en\"\n").unwrap();
    let mut run = nightcall();
    run.args(["run", "fixtures/calls", "--store"]).arg(folder.path().join("store"));
    let out = run.arg("--pipeline").arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    filtered(|| insta::assert_snapshot!(text(&out.stderr)));
}

#[test]
fn a_missing_model_is_named_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = nightcall();
    run.args(["run", "no/such/folder", "--store"]).arg(folder.path().join("store"));
    let out = run.env("NIGHTCALL_MODELS", folder.path().join("models")).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let message = text(&out.stderr);
    assert!(message.contains("nightcall models pull"), "{message}");
    assert!(!folder.path().join("store").exists());
}

#[test]
fn status_and_show_of_no_store_say_so() {
    for args in [["status", "--store", "no/such/store"].as_slice(), &["show", "1", "--store", "no/such/store"]] {
        let out = nightcall().args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains("no/such/store"), "{}", text(&out.stderr));
    }
}

/// What `nightcall tables --markdown` prints is the page in the repository: after a change of the schema,
/// `nightcall tables --markdown > docs/tables.md`.
#[test]
fn the_page_of_tables_is_that_of_the_schema() {
    let out = nightcall().args(["tables", "--markdown"]).output().unwrap();
    let page = fs::read_to_string(root().join("docs/tables.md")).unwrap();
    assert!(
        text(&out.stdout) == page,
        "docs/tables.md is old; write it with: nightcall tables --markdown > docs/tables.md"
    );
}

#[test]
fn tables_are_told_to_people_and_to_programs() {
    let tables = |args: &[&str]| nightcall().arg("tables").args(args).assert().code(0).get_output().stdout.clone();
    filtered(|| insta::assert_snapshot!("tables_call_metrics", text(&tables(&["call_metrics"]))));
    let all = text(&tables(&[]));
    let json: serde_json::Value = serde_json::from_slice(&tables(&["--json"])).unwrap();
    let mut streams = &tables(&["--ipc"])[..];
    for table in schema::Table::ALL {
        assert!(all.contains(&format!("{}  {}", table.name(), table.doc())), "{}", table.name());
        let told = json["tables"].as_array().unwrap().iter().find(|t| t["name"] == table.name()).unwrap();
        assert_eq!(told["columns"].as_array().unwrap().len(), table.schema().fields().len());
        let stream = arrow::ipc::reader::StreamReader::try_new(&mut streams, None).unwrap();
        assert_eq!(stream.schema(), table.schema());
        assert_eq!(stream.count(), 0);
    }
    assert!(streams.is_empty());
    let column = |table: &str, column: &str| {
        let table = json["tables"].as_array().unwrap().iter().find(|t| t["name"] == table).unwrap();
        table["columns"].as_array().unwrap().iter().find(|c| c["name"] == column).unwrap().clone()
    };
    assert_eq!(column("keywords", "amount")["type"], "decimal(18, 2)");
    assert_eq!(column("calls", "sample_rate_hz")["unit"], "Hz");
    assert_eq!(column("turns", "words")["fields"][1]["name"], "start_ms");
    assert_eq!(column("follow_ups", "started_on")["nullable"], true);
    let out = nightcall().args(["tables", "turn"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("the tables are recordings, audio, calls, segments, turns"));
}

#[test]
fn help_of_a_stage_names_its_tables() {
    let help = |stage: &str| text(&nightcall().args(["stage", stage, "--help"]).output().unwrap().stdout);
    for (stage, reads, writes) in [
        ("ingest", vec!["recordings"], vec!["audio", "calls"]),
        ("transcribe", vec!["audio"], vec!["segments"]),
        ("flow", vec!["calls", "segments"], vec!["turns", "speaker_metrics", "call_metrics", "topics"]),
        ("summarize", vec!["calls", "turns", "topics"], vec!["summaries"]),
        ("extract", vec!["calls", "turns"], vec!["follow_ups", "keywords"]),
        ("sentiment", vec!["calls", "turns"], vec!["sentiments", "sentiment_trends"]),
    ] {
        let help = help(stage);
        let about = format!("Reads {}; writes {}", reads.join(", "), writes.join(", "));
        assert!(help.starts_with(&about), "{help}");
        let (before, after) = help.split_once("\nWrites:\n").unwrap();
        for (part, tables) in [(before, reads), (after, writes)] {
            let told = |table: &str| part.lines().any(|line| line.trim_start().starts_with(table));
            assert!(tables.into_iter().all(told), "{part}");
        }
    }
    let all = text(&nightcall().args(["stage", "--help"]).output().unwrap().stdout);
    assert!(all.contains("flow        Reads calls, segments; writes turns,"), "{all}");
}

#[test]
fn a_stream_that_does_not_fit_names_every_column_at_once() {
    if !models("a_stream_that_does_not_fit_names_every_column_at_once") {
        return;
    }
    let stream = |columns: Vec<(&str, ArrayRef)>| {
        let fields: Vec<Field> = columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect();
        let metadata = [("nightcall.table".to_owned(), "turns".to_owned())].into();
        let schema = std::sync::Arc::new(Schema::new_with_metadata(fields, metadata));
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &schema).unwrap();
        writer.write(&RecordBatch::try_new(schema, columns.into_iter().map(|(_, c)| c).collect()).unwrap()).unwrap();
        writer.into_inner().unwrap()
    };
    let texts = |texts: &[&str]| std::sync::Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let numbers = |numbers: &[i64]| std::sync::Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef;
    let wrong =
        stream(vec![("call_id", texts(&["a"])), ("turn_index", numbers(&[5_000_000_000])), ("text", numbers(&[1]))]);
    let out = nightcall().args(["stage", "sentiment"]).write_stdin(wrong).assert().code(1).get_output().clone();
    let message = text(&out.stderr);
    for part in [
        "table turns: ",
        "column turn_index has the value 5000000000, which Int32 has no room for",
        "column channel is missing",
        "column speaker is missing",
        "column text is Int64, not Utf8",
        "column words is missing",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_fixtures_are_understood() {
    if !models("the_fixtures_are_understood") {
        return;
    }
    let store = FIXTURES.path().to_str().unwrap();
    let out = nightcall().args(["eval", "fixtures", "--data", "fixtures", "--store", store]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
}

#[test]
fn a_call_is_shown() {
    if !models("a_call_is_shown") {
        return;
    }
    let store = FIXTURES.path().to_str().unwrap();
    let show = |call: &str| text(&nightcall().args(["show", call, "--store", store]).output().unwrap().stdout);
    filtered(|| {
        insta::assert_snapshot!("show_support", show("support-mended"));
        insta::assert_snapshot!("show_refused", show("consent-denied"));
        insta::assert_snapshot!("show_german", show("language-de"));
        insta::assert_snapshot!("show_hold_music", show("hold-music"));
    });
    let json = nightcall().args(["show", "sales-pricing", "--store", store, "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let turns = json["turns"].as_array().unwrap();
    for row in ["summaries", "follow_ups", "keywords"].iter().flat_map(|table| json[table].as_array().unwrap()) {
        for evidence in row["evidence"].as_array().unwrap() {
            let turn = &turns[evidence["turn_index"].as_u64().unwrap() as usize];
            let (start, end) = (evidence["char_start"].as_u64().unwrap(), evidence["char_end"].as_u64().unwrap());
            assert!(start < end && end <= turn["text"].as_str().unwrap().chars().count() as u64, "{row}");
        }
    }
    let nobody = nightcall().args(["show", "nobody", "--store", store]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(1));
}

#[test]
fn the_store_says_what_it_holds_and_a_second_run_has_nothing_to_do() {
    if !models("the_store_says_what_it_holds_and_a_second_run_has_nothing_to_do") {
        return;
    }
    let store = FIXTURES.path();
    let before = tables(store);
    let again = run_fixtures(store).assert().code(0).get_output().clone();
    assert!(text(&again.stderr).contains("11 calls, 11 up to date"), "{}", text(&again.stderr));
    assert_eq!(before, tables(store));
    run_fixtures(store).arg("--strict").assert().code(3);
    let mut status = nightcall();
    let out = status.args(["status", "--pipeline", "pipelines/sales.toml", "--store"]).arg(store).output().unwrap();
    filtered(|| insta::assert_snapshot!(text(&out.stdout)));
}

#[test]
fn a_refused_call_leaves_nothing_behind() {
    if !models("a_refused_call_leaves_nothing_behind") {
        return;
    }
    let store = FIXTURES.path().to_str().unwrap();
    let json = nightcall().args(["show", "consent-denied", "--store", store, "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["call"]["status"], "refused");
    assert!(json["call"]["content_sha256"].is_null());
    for table in
        ["turns", "speaker_metrics", "call_metrics", "topics", "summaries", "follow_ups", "keywords", "sentiments"]
    {
        assert_eq!(json[table].as_array().unwrap().len(), 0, "{table}");
    }
}

/// Three of the fixtures, with a list.
fn three_calls() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["sales-pricing.wav", "voicemail.m4a", "scheduling.flac"] {
        fs::copy(root().join("fixtures/calls").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

#[test]
fn a_killed_run_goes_on_to_the_same_tables() {
    if !models("a_killed_run_goes_on_to_the_same_tables") {
        return;
    }
    let calls = three_calls();
    let stores = tempfile::tempdir().unwrap();
    let (whole, cut) = (stores.path().join("whole"), stores.path().join("cut"));
    let run = |store: &Path| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("nightcall"));
        command.current_dir(root()).args(["run", "--shard-size", "1", "-q", "--store"]).arg(store).arg(calls.path());
        command
    };
    assert!(run(&whole).status().unwrap().success());
    let mut child = run(&cut).spawn().unwrap();
    let began = Instant::now();
    // Killed once the first shard's words are there and before the last one's.
    let done = || fs::read_dir(cut.join("segments")).map_or(0, Iterator::count);
    while done() == 0 && began.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(tables(&cut).len() < tables(&whole).len(), "the run ended before it was killed");
    assert!(run(&cut).status().unwrap().success());
    assert_eq!(tables(&whole), tables(&cut));
}

/// Every row of a store's tables, in order.
fn rows(store: &Path) -> Vec<String> {
    let store = store::Store::open_existing(store.to_str().unwrap()).unwrap();
    let mut rows = Vec::new();
    macro_rules! add {
        ($($table:ident),*) => {
            $(rows.extend(store.table::<schema::$table>().unwrap().iter().map(|row| format!("{row:?}")));)*
        };
    }
    add!(
        Call,
        Segment,
        Turn,
        SpeakerMetrics,
        CallMetrics,
        Topic,
        Summary,
        FollowUp,
        Keyword,
        Sentiment,
        SentimentTrend
    );
    rows.sort();
    rows
}

#[test]
fn neither_another_run_nor_threads_nor_shards_change_the_tables() {
    if !models("neither_another_run_nor_threads_nor_shards_change_the_tables") {
        return;
    }
    let calls = three_calls();
    let stores = tempfile::tempdir().unwrap();
    let run = |name: &str, args: &[&str]| {
        let store = stores.path().join(name);
        nightcall().arg("run").arg(calls.path()).arg("-q").args(args).arg("--store").arg(&store).assert().code(0);
        store
    };
    let first = run("first", &[]);
    assert!(rows(&first).len() > 50, "{} rows", rows(&first).len());
    assert_eq!(tables(&first), tables(&run("again", &[])), "another run");
    assert_eq!(tables(&first), tables(&run("one thread", &["--jobs", "1"])), "one thread");
    assert_eq!(tables(&first), tables(&run("threads", &["--jobs", "5"])), "five threads");
    assert_eq!(rows(&first), rows(&run("shards", &["--shard-size", "1"])), "a shard a call");
}

#[test]
fn a_stage_of_a_store_made_without_a_list_runs_again_alone() {
    if !models("a_stage_of_a_store_made_without_a_list_runs_again_alone") {
        return;
    }
    let calls = three_calls();
    let store = calls.path().join("store");
    nightcall().arg("run").arg(calls.path()).args(["-q", "--store"]).arg(&store).assert().success();
    let written = |table: &str| {
        let files = fs::read_dir(store.join(table)).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.map(|file| file.modified().unwrap()).max().unwrap()
    };
    let before = ["segments", "summaries"].map(written);
    nightcall().args(["rerun", "summarize", "-q", "--store"]).arg(&store).assert().success();
    let after = ["segments", "summaries"].map(written);
    assert_eq!(before[0], after[0], "recognized again");
    assert!(before[1] < after[1]);
}

#[test]
fn bad_input_costs_its_own_call() {
    if !models("bad_input_costs_its_own_call") {
        return;
    }
    let calls = three_calls();
    let at = |name: &str| calls.path().join(name);
    fs::write(at("empty.wav"), b"").unwrap();
    fs::write(at("text.wav"), b"Dear customer, this is a letter and no sound at all.").unwrap();
    let flac = fs::read(at("scheduling.flac")).unwrap();
    fs::write(at("cut.flac"), &flac[..flac.len() / 3]).unwrap();
    fs::create_dir(at("folder.wav")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(at("nowhere.wav"), at("dangling.wav")).unwrap();
    fs::write(
        at("calls.csv"),
        "recording,call_id,customer_channel\nsales-pricing.wav,sales-pricing,1\nnot-there.wav,not-there,1\n\
         voicemail.m4a,voicemail,7\nscheduling.flac,scheduling,1\n",
    )
    .unwrap();
    let store = tempfile::tempdir().unwrap();
    let run = |strict: bool| {
        let mut command = nightcall();
        command.arg("run").arg(calls.path()).arg("--calls").arg(at("calls.csv")).arg("--store").arg(store.path());
        if strict {
            command.arg("--strict");
        }
        command
    };
    run(false).assert().code(0);
    run(true).assert().code(3);
    let out = nightcall().args(["status", "--json", "--store"]).arg(store.path()).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let troubles = status["troubles"].as_array().unwrap();
    let reason = |call: &str| {
        let found = troubles.iter().find(|t| t["call_id"] == call);
        let found = found.unwrap_or_else(|| panic!("{call} is not among {troubles:?}"));
        assert_eq!(found["kind"], "bad_input", "{found}");
        found["message"].as_str().unwrap().to_owned()
    };
    let reasons =
        ["dangling", "empty", "not-there", "text", "voicemail"].map(|call| format!("{call}: {}", reason(call)));
    filtered(|| insta::assert_snapshot!(reasons.join("\n")));
    // What was cut off is heard as far as it goes.
    assert_eq!(status["done"], 3, "{status}");
    let show = nightcall().args(["show", "cut", "--store"]).arg(store.path()).output().unwrap();
    assert!(text(&show.stdout).contains("damaged: cut off at 0:"), "{}", text(&show.stdout));
}

/// What flow reads, out of a store: calls and segments as two streams, one after the other.
fn calls_and_segments(store: &store::Store) -> Vec<u8> {
    let mut input = Vec::new();
    for table in [schema::Table::Calls, schema::Table::Segments] {
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(input, &table.schema()).unwrap();
        for key in store.list(table).unwrap() {
            store.batches(&key).unwrap().iter().for_each(|batch| writer.write(batch).unwrap());
        }
        input = writer.into_inner().unwrap();
    }
    input
}

#[test]
fn stages_are_filters() {
    if !models("stages_are_filters") {
        return;
    }
    let store = store::Store::open_existing(FIXTURES.path().to_str().unwrap()).unwrap();
    let input = calls_and_segments(&store);
    let out = nightcall().args(["stage", "flow"]).write_stdin(input).assert().code(0).get_output().stdout.clone();
    // One stream after another, a table each; a table may come in several.
    let mut rest = out.as_slice();
    let mut turns = 0;
    while !rest.is_empty() {
        let reader = arrow::ipc::reader::StreamReader::try_new(&mut rest, None).unwrap();
        let is_turns = reader.schema().metadata()["nightcall.table"] == "turns";
        let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
        turns += if is_turns { rows } else { 0 };
    }
    assert_eq!(turns, store.table::<schema::Turn>().unwrap().len());
    nightcall().args(["stage", "sentiment"]).write_stdin("not arrow").assert().code(1);
}

#[test]
fn doctor_knows_this_machine() {
    let out = nightcall().args(["doctor", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(report["cores"].as_u64().unwrap() > 0);
    assert!(report["devices"].as_array().unwrap().iter().any(|d| d == "cpu"));
    assert!(report["codecs"].as_array().unwrap().iter().any(|c| c == "pcm_mulaw"));
}

/// The README's commands run, in their order, and print what it says; its pipeline, query and script are good.
#[test]
fn the_readme_is_true() {
    if !models("the_readme_is_true") {
        return;
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for link in ["fixtures", "pipelines"] {
        std::os::unix::fs::symlink(root().join(link), folder.path().join(link)).unwrap();
    }
    let binary = assert_cmd::cargo::cargo_bin("nightcall");
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path()).env("PATH", &path).env("NO_COLOR", "1").env("COLUMNS", "80");
        let out = command.output().unwrap();
        assert!(out.status.success(), "{program} {arguments:?}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    let mut commands = 0;
    for command in readme.replace("\\\n", "").lines().filter_map(|line| line.strip_prefix("    nightcall ")) {
        // Buckets are tested in crates/store and crates/ingest, on servers of this machine.
        if command.contains("://") {
            continue;
        }
        if command.starts_with("stage") {
            let store = store::Store::open_existing(folder.path().join("store").to_str().unwrap()).unwrap();
            fs::write(folder.path().join("calls-and-segments.arrows"), calls_and_segments(&store)).unwrap();
        }
        let out = run("sh", &["-c", &format!("nightcall {command}")]);
        if command.starts_with("show") {
            let shown: String =
                out.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("    {l}\n") }).collect();
            assert!(readme.contains(&shown), "README.md does not show this:\n{shown}");
        }
        commands += 1;
    }
    assert!(commands >= 6, "{commands} commands");
    let blocks = |language: &str| {
        let open = format!("```{language}\n");
        readme.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for block in blocks("toml") {
        fs::write(folder.path().join("my.toml"), format!("name = \"mine\"\n{block}")).unwrap();
        run("nightcall", &["status", "--store", "store", "--pipeline", "my.toml"]);
    }
    let python = |code: &str| run("python3", &["-c", code]);
    if !Command::new("python3").args(["-c", "import duckdb, pandas, pyarrow"]).output().unwrap().status.success() {
        println!("skipped: the README's SQL and Python need python3 with duckdb, pandas and pyarrow");
        return;
    }
    for block in blocks("sql") {
        assert!(python(&format!("import duckdb\nprint(duckdb.sql('''{block}'''))")).contains("Fernbank"));
    }
    for block in blocks("python") {
        assert!(!python(&block).is_empty());
    }
}
