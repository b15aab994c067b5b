//! `calls.outcome` says what all stages together made of a call, whichever way they came to it.

use super::{House, Quiet, calls};
use pipeline::{Event, Progress};
use schema::{Call, StageName, Table, to_batch};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};
use store::Key;

fn outcomes(house: &House) -> BTreeMap<String, Option<String>> {
    house.store.table::<Call>().unwrap().into_iter().map(|call| (call.call_id, call.outcome)).collect()
}

fn wanted(pairs: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
    pairs.iter().map(|(call, outcome)| ((*call).to_owned(), Some((*outcome).to_owned()))).collect()
}

#[test]
fn one_column_says_what_became_of_each_call() {
    let house = House::new();
    house.run(&calls(&["a", "bad", "mute", "silent", "upset"]), None);
    let all = [
        ("a", "complete"),
        ("bad", "failed"),
        ("mute", "not_understood"),
        ("silent", "not_understood"),
        ("upset", "partial"),
    ];
    assert_eq!(outcomes(&house), wanted(&all));
}

#[test]
fn a_later_run_of_a_stage_changes_the_outcome_both_ways() {
    let house = House::new();
    house.run(&calls(&["a", "b"]), None);
    let good = house.files();
    house.broken.store(true, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), Some(StageName::Transcribe));
    assert_eq!(outcomes(&house), wanted(&[("a", "failed"), ("b", "failed")]));
    house.broken.store(false, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), None);
    assert_eq!(good, house.files());
    // A stage over text alone, which does not read a recording again.
    assert_eq!(house.run(&calls(&["a", "b"]), Some(StageName::Flow)), ["flow a", "flow b"]);
    assert_eq!(good, house.files());
}

/// Stops the run once a stage has begun on a shard, so that nothing of it is committed.
struct StopAt<'a>(StageName, &'a AtomicBool);

impl Progress for StopAt<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Stage { stage, .. } if stage == self.0) {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_run_that_is_cut_off_leaves_it_open_and_the_next_settles_it() {
    let (whole, cut) = (House::new(), House::new());
    whole.run(&calls(&["a", "b"]), None);
    let cancel = AtomicBool::new(false);
    cut.run_with(&calls(&["a", "b"]), None, &StopAt(StageName::Flow, &cancel), &cancel);
    assert!(outcomes(&cut).values().all(Option::is_none), "{:?}", outcomes(&cut));
    assert_eq!(cut.run(&calls(&["a", "b"]), None), ["flow a", "flow b"]);
    assert_eq!(whole.files(), cut.files());

    // Again a stage over text, cut off: what was settled is open again.
    let cancel = AtomicBool::new(false);
    cut.run_with(&calls(&["a", "b"]), Some(StageName::Flow), &StopAt(StageName::Flow, &cancel), &cancel);
    assert!(outcomes(&cut).values().all(Option::is_none));
    assert!(cut.run(&calls(&["a", "b"]), None).is_empty(), "nothing but to settle");
    assert_eq!(whole.files(), cut.files());
}

#[test]
fn a_run_that_was_killed_right_before_it_settled_is_settled_by_the_next() {
    let house = House::new();
    house.run(&calls(&["a", "b", "c"]), None);
    let whole = house.files();
    // As such a run leaves them: every table is there, and the calls are marked.
    for key in house.store.list(Table::Calls).unwrap() {
        let mut stamp = house.store.stamp(&key).unwrap().unwrap();
        let mut rows = house.store.rows::<Call>(&key).unwrap();
        assert!(!stamp.open);
        stamp.open = true;
        for call in &mut rows {
            call.outcome = None;
        }
        house.store.write(&Key::new(Table::Calls, key.shard()), &[to_batch(&rows).unwrap()], &stamp).unwrap();
    }
    assert!(house.run_with(&calls(&["a", "b", "c"]), None, &Quiet, &AtomicBool::new(false)).is_empty());
    assert_eq!(whole, house.files());
}
