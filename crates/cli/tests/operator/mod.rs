//! What an operator sees: what went wrong, by name, and commands that can be pasted.

use super::{models, nightcall, root, text};
use std::{fs, path::Path};
use tempfile::TempDir;

/// A folder with these files, each a page of text that is no recording, or a copy of a fixture.
fn folder(broken: &[&str], heard: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in broken {
        // Each of another length: equal ones would be duplicates.
        fs::write(folder.path().join(name), format!("404 not found: {name:.>40}{}", ".".repeat(name.len()))).unwrap();
    }
    for name in heard {
        fs::copy(root().join("fixtures/calls/voicemail.m4a"), folder.path().join(name)).unwrap();
    }
    folder
}

fn run(sources: &Path, store: &Path, more: &[&str]) -> (Option<i32>, String) {
    let out = nightcall().arg("run").arg(sources).arg("--store").arg(store).args(more).output().unwrap();
    (out.status.code(), text(&out.stderr))
}

#[test]
fn failed_calls_are_named_ten_and_a_count() {
    if !models("failed_calls_are_named_ten_and_a_count") {
        return;
    }
    let names: Vec<String> = (0..14).map(|i| format!("page-{i:02}{}.wav", "x".repeat(i))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (calls, stores) = (folder(&names, &[]), tempfile::tempdir().unwrap());
    let store = stores.path().join("the store");
    let (code, said) = run(calls.path(), &store, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("failed  page-")).count(), 10, "{said}");
    let hint = format!("4 more failed; all of them: nightcall status --store '{}'", store.display());
    assert!(said.contains(&hint), "{said}");
    assert!(said.contains("14 failed"), "{said}");
    let (_, said) = run(calls.path(), &store, &["-v"]);
    assert_eq!(said.lines().filter(|line| line.starts_with("failed  page-")).count(), 14, "{said}");
    assert!(said.contains("model moonshine-tiny-en"), "{said}");
}

#[test]
fn quiet_still_says_that_calls_failed() {
    if !models("quiet_still_says_that_calls_failed") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let bad = folder(&["page.wav"], &["good.m4a"]);
    let (code, said) = run(bad.path(), &store.path().join("bad"), &["-q"]);
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
    assert!(said.contains("1 failed"), "{said}");
    let good = folder(&[], &["good.m4a"]);
    let (code, said) = run(good.path(), &store.path().join("good"), &["-q"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn hints_can_be_pasted() {
    if !models("hints_can_be_pasted") {
        return;
    }
    for (name, words) in [
        ("a b.m4a", "show 'a b' --store"),
        ("-x.m4a", "show --store"),
        ("it's.m4a", "show \"it's\" --store"),
        ("$HOME.m4a", "show '$HOME' --store"),
        ("a;b&c.m4a", "show 'a;b&c' --store"),
    ] {
        let (calls, stores) = (folder(&[], &[name]), tempfile::tempdir().unwrap());
        let (code, said) = run(calls.path(), &stores.path().join("my store"), &[]);
        assert_eq!(code, Some(0), "{said}");
        let hint = said.lines().find_map(|line| line.strip_prefix("look at one: nightcall ")).unwrap();
        assert!(hint.starts_with(words), "{hint}");
        let shell = std::process::Command::new("sh")
            .args(["-c", &format!("\"$0\" {hint}")])
            .arg(assert_cmd::cargo::cargo_bin("nightcall"))
            .current_dir(root())
            .output()
            .unwrap();
        assert!(shell.status.success(), "{hint}: {}", text(&shell.stderr));
        assert!(text(&shell.stdout).starts_with(name.trim_end_matches(".m4a")), "{}", text(&shell.stdout));
    }
}

#[test]
fn a_name_commands_no_terminal() {
    if !models("a_name_commands_no_terminal") {
        return;
    }
    let calls = folder(&["\u{1b}[2Jpage.wav"], &["\u{1b}]0;title\u{7}.m4a"]);
    let stores = tempfile::tempdir().unwrap();
    let (code, said) = run(calls.path(), stores.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}']) && said.contains("\\u{1b}[2Jpage"), "{said}");
    let mut status = nightcall();
    let out = status.args(["status", "--store"]).arg(stores.path()).output().unwrap();
    assert!(!text(&out.stdout).contains('\u{1b}'), "{}", text(&out.stdout));
    let mut show = nightcall();
    let out = show.args(["show", "\u{1b}]0;title\u{7}", "--store"]).arg(stores.path()).output().unwrap();
    assert!(out.status.success() && !text(&out.stdout).contains(['\u{1b}', '\u{7}']), "{}", text(&out.stdout));
    let mut show = nightcall();
    let out = show.args(["show", "nobody\u{1b}[2J", "--store"]).arg(stores.path()).output().unwrap();
    assert!(!text(&out.stderr).contains('\u{1b}'), "{}", text(&out.stderr));
}

#[test]
fn a_store_that_cannot_be_written_is_told_before_work() {
    if !models("a_store_that_cannot_be_written_is_told_before_work") {
        return;
    }
    let calls = folder(&["page.wav"], &[]);
    let file = calls.path().join("page.wav");
    for store in [Path::new("/proc"), Path::new("/proc/nightcall"), &file, &file.join("store")] {
        let (code, said) = run(calls.path(), store, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("store {}: cannot", store.display())), "{said}");
        assert!(said.contains("--store") && !said.contains("up to date"), "{said}");
    }
}

#[test]
fn a_copy_of_a_failed_file_fails_too() {
    if !models("a_copy_of_a_failed_file_fails_too") {
        return;
    }
    let (calls, store) = (folder(&["page.wav"], &[]), tempfile::tempdir().unwrap());
    for copy in ["again.wav", "zuletzt.mp3"] {
        fs::copy(calls.path().join("page.wav"), calls.path().join(copy)).unwrap();
    }
    let (_, said) = run(calls.path(), store.path(), &[]);
    assert!(said.contains("3 failed"), "{said}");
    for call in ["again", "page", "zuletzt"] {
        let line = said.lines().find(|line| line.starts_with(&format!("failed  {call} "))).unwrap();
        assert!(line.contains("no audio"), "{line}");
    }
}

#[test]
fn a_user_without_a_home_is_told_how_to_name_the_models() {
    let out = nightcall().args(["doctor"]).env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap();
    let said = text(&out.stderr);
    assert!(out.status.success() || said.contains("--models"), "{said}");
}
