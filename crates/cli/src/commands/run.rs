//! `run` and `rerun`.

use super::{hint, registry, threads};
use crate::{
    Outcome,
    args::{Common, How, Rerun, Run},
    progress::Bar,
    term::{self, DIM, GREEN, RED, YELLOW, one_line, paint},
};
use anyhow::{Context, Result};
use pipeline::{Assembly, RunOptions, RunSummary, Runner, Spec, Status, Trouble};
use schema::{Recording, Stage};
use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Instant,
};
use store::Store;

/// Lines of one kind that are printed before the rest are counted; -v prints all.
const FEW: usize = 10;

pub fn run(args: &Run, common: &Common) -> Result<Outcome> {
    let (spec, stages) = prepare(&args.how, common)?;
    let mut found = pipeline::discover(&args.sources, args.calls.as_deref(), args.crm.as_deref(), &spec.ingest)?;
    let all = common.verbose > 0;
    let warned = found.problems.iter().map(|problem| (paint(YELLOW, "warning:"), problem.to_string()));
    print_few(warned, all, "more warnings; -v prints all");
    let store = Store::open(&args.store)?;
    store.check_writable()?;
    pipeline::withdraw(&store, &mut found)?;
    pipeline::mark_duplicates(&store, &mut found.recordings, &spec.ingest)?;
    let options = RunOptions { shard_size: usize::from(args.shard_size), again: None };
    let going = Going { store: &store, how: &args.how, strict: args.strict, common };
    let outcome = going.go(stages, found.recordings, options)?;
    for path in &found.passed_over {
        log::info!("passed over: {path}");
    }
    match found.passed_over.len() {
        _ if common.quiet => {}
        0 => {}
        _ if common.quiet => {}
        1 => anstream::eprintln!("passed over: 1 file that is no recording"),
        n => anstream::eprintln!("passed over: {n} files that are no recordings"),
    }
    let barred = found.barred.iter().map(|row| (paint(YELLOW, "barred:"), row.to_string()));
    print_few(barred, all, "more recordings barred; -v prints all");
    Ok(if args.strict && !found.barred.is_empty() { Outcome::Incomplete } else { outcome })
}

pub fn rerun(args: &Rerun, common: &Common) -> Result<Outcome> {
    let (spec, stages) = prepare(&args.how, common)?;
    let store = Store::open_existing(&args.store)?;
    store.check_writable()?;
    let mut recordings = pipeline::recordings_of(&store, &args.calls)?;
    pipeline::mark_duplicates(&store, &mut recordings, &spec.ingest)?;
    let options = RunOptions { again: Some(args.stage), ..RunOptions::default() };
    Going { store: &store, how: &args.how, strict: args.strict, common }.go(stages, recordings, options)
}

fn prepare(how: &How, common: &Common) -> Result<(Spec, Vec<Box<dyn Stage>>)> {
    threads(how)?;
    let spec = Spec::load(how.pipeline.as_deref())?;
    let registry = registry(common)?;
    let stages = Assembly::new(&spec, &registry, how.device)?.stages()?;
    for stage in &stages {
        for model in stage.models() {
            log::info!("{}: model {} ({})", stage.name(), model.name, &model.sha256[..model.sha256.len().min(12)]);
        }
    }
    Ok((spec, stages))
}

/// Prints lines, each with its heading: the first few of them, unless all are asked for, and then how many more there are.
fn print_few(lines: impl ExactSizeIterator<Item = (String, String)>, all: bool, more: impl Display) {
    let few = if all { usize::MAX } else { FEW };
    let rest = lines.len().saturating_sub(few);
    for (heading, line) in lines.take(few) {
        anstream::eprintln!("{heading} {}", one_line(&line));
    }
    if rest > 0 {
        anstream::eprintln!("{}", paint(DIM, format!("{rest} {more}")));
    }
}

/// A run that is under way.
struct Going<'a> {
    store: &'a Store,
    how: &'a How,
    strict: bool,
    common: &'a Common,
}

impl Going<'_> {
    fn go(&self, stages: Vec<Box<dyn Stage>>, recordings: Vec<Recording>, options: RunOptions) -> Result<Outcome> {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = cancel.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
        let calls: Vec<String> = recordings.iter().map(|r| r.call_id.clone()).collect();
        let began = Instant::now();
        let bar = Bar::new(self.common.quiet);
        let mut runner = Runner::new(self.store, stages, &bar, &cancel)?;
        let summary = runner.run(recordings, options);
        bar.finish();
        let summary = summary?;
        let status = Status::of(self.store, runner.stages())?;
        let mine: Vec<&Trouble> = status.troubles.iter().filter(|t| calls.binary_search(&t.call_id).is_ok()).collect();
        let failed = mine.iter().any(|t| t.is_failure());
        let incomplete = failed || mine.iter().any(|t| t.kind == "refused");
        if !self.common.quiet {
            self.name(&mine);
        }
        if !self.common.quiet || failed || self.strict && incomplete {
            last_line(&summary, &mine, began.elapsed().as_secs_f64(), bar.audio_ms());
        }
        if !self.common.quiet {
            self.suggest(&calls, &mine);
        }
        if summary.cancelled {
            anyhow::bail!("stopped before the end; run the same command again to go on");
        }
        Ok(if self.strict && incomplete { Outcome::Incomplete } else { Outcome::Done })
    }

    /// Names the calls that failed, and then those that were not heard in full for another reason.
    fn name(&self, mine: &[&Trouble]) {
        let all = self.common.verbose > 0;
        let more = |what: &str| match hint::command(&self.with_place(&["status"])) {
            Some(status) => format!("more {what}; all of them: {status}"),
            None => format!("more {what}; -v prints all"),
        };
        let line = |t: &&&Trouble| {
            let heading = if t.is_failure() { paint(RED, "failed ") } else { paint(YELLOW, &t.kind) };
            (heading, format!("{} ({}): {}", t.call_id, t.stage, t.message))
        };
        let (failed, others): (Vec<&Trouble>, Vec<&Trouble>) = mine.iter().partition(|t| t.is_failure());
        print_few(failed.iter().map(|t| line(&t)), all, more("failed"));
        print_few(others.iter().map(|t| line(&t)), all, more("refused, partial or duplicate"));
    }

    /// A command that shows one of the calls, a heard one where there is one.
    fn suggest(&self, calls: &[String], mine: &[&Trouble]) {
        let troubled = |call: &String| mine.iter().any(|t| t.call_id == *call && t.kind != "partial");
        let mut by_worth: Vec<&String> = calls.iter().collect();
        by_worth.sort_by_key(|call| troubled(call));
        let show = |call: &&String| {
            let store = self.store.location();
            let words: &[&str] = if call.starts_with('-') {
                &["show", "--store", store, "--", call]
            } else {
                &["show", call, "--store", store]
            };
            hint::command(words)
        };
        if let Some(show) = by_worth.iter().find_map(show) {
            anstream::eprintln!("{}", paint(DIM, format!("look at one: {show}")));
        }
    }

    /// The words of a command with the store, the pipeline and the models of this run.
    fn with_place<'b>(&'b self, words: &[&'b str]) -> Vec<&'b str> {
        let mut words = words.to_vec();
        words.extend(["--store", self.store.location()]);
        if let Some(pipeline) = self.how.pipeline.as_deref().and_then(|path| path.to_str()) {
            words.extend(["--pipeline", pipeline]);
        }
        words
    }
}

/// What the run came to.
fn last_line(summary: &RunSummary, mine: &[&Trouble], seconds: f64, audio_ms: i64) {
    let head = if summary.cancelled { paint(YELLOW, "stopped") } else { paint(GREEN, "done") };
    let heard = match audio_ms {
        0 => String::new(),
        ms => format!(", {} of audio at {:.1} times real time", term::clock(ms), ms as f64 / 1000.0 / seconds),
    };
    // A call may have failed at several stages.
    let failed: BTreeSet<&str> = mine.iter().filter(|t| t.is_failure()).map(|t| t.call_id.as_str()).collect();
    let failed = failed.len();
    let of = |kind: &str| mine.iter().filter(|t| t.kind == kind).count();
    let rare: Vec<String> = ["partial", "duplicate"]
        .into_iter()
        .filter(|kind| of(kind) > 0)
        .map(|kind| format!(", {} {kind}", of(kind)))
        .collect();
    anstream::eprintln!(
        "{head}: {} calls ({} up to date, {failed} failed, {} refused{}) in {seconds:.1} s{heard}",
        summary.calls,
        summary.up_to_date,
        of("refused"),
        rare.concat(),
    );
}
