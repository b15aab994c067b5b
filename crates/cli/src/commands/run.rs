//! `run` and `rerun`.

use super::{registry, threads};
use crate::{
    Outcome,
    args::{Common, How, Rerun, Run},
    progress::Bar,
    term::{self, DIM, GREEN, RED, YELLOW, paint},
};
use anyhow::{Context, Result};
use pipeline::{Assembly, RunOptions, Runner, Spec, Status};
use schema::{Recording, Stage};
use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Instant,
};
use store::Store;

pub fn run(args: &Run, common: &Common) -> Result<Outcome> {
    let (spec, stages) = prepare(&args.how, common)?;
    let mut found = pipeline::discover(&args.sources, args.calls.as_deref(), args.crm.as_deref(), &spec.ingest)?;
    few("warning:", &found.problems);
    let store = Store::open(&args.store)?;
    pipeline::withdraw(&store, &mut found)?;
    pipeline::mark_duplicates(&store, &mut found.recordings, &spec.ingest)?;
    let options = RunOptions { shard_size: usize::from(args.shard_size), again: None };
    let outcome = go(&store, stages, found.recordings, options, args.strict, common)?;
    for path in found.passed_over.iter().filter(|_| common.verbose > 0) {
        anstream::eprintln!("{} {path}", paint(DIM, "passed over:"));
    }
    match found.passed_over.len() {
        _ if common.quiet => {}
        0 => {}
        1 => anstream::eprintln!("passed over: 1 file that is no recording"),
        n => anstream::eprintln!("passed over: {n} files that are no recordings"),
    }
    few("barred:", &found.barred);
    Ok(if args.strict && !found.barred.is_empty() { Outcome::Incomplete } else { outcome })
}

/// Lines that are printed of what may be long; the rest is counted.
const FEW: usize = 10;

fn few(word: &str, lines: &[impl std::fmt::Display]) {
    for line in lines.iter().take(FEW) {
        anstream::eprintln!("{} {line}", paint(YELLOW, word));
    }
    if lines.len() > FEW {
        anstream::eprintln!("{} and {} more like these", paint(YELLOW, word), lines.len() - FEW);
    }
}

pub fn rerun(args: &Rerun, common: &Common) -> Result<Outcome> {
    let (spec, stages) = prepare(&args.how, common)?;
    let store = Store::open_existing(&args.store)?;
    let mut recordings = pipeline::recordings_of(&store, &args.calls)?;
    pipeline::mark_duplicates(&store, &mut recordings, &spec.ingest)?;
    go(&store, stages, recordings, RunOptions { again: Some(args.stage), ..RunOptions::default() }, args.strict, common)
}

fn prepare(how: &How, common: &Common) -> Result<(Spec, Vec<Box<dyn Stage>>)> {
    threads(how)?;
    let spec = Spec::load(how.pipeline.as_deref())?;
    let registry = registry(common)?;
    let stages = Assembly::new(&spec, &registry, how.device)?.stages()?;
    Ok((spec, stages))
}

fn go(
    store: &Store,
    stages: Vec<Box<dyn Stage>>,
    recordings: Vec<Recording>,
    options: RunOptions,
    strict: bool,
    common: &Common,
) -> Result<Outcome> {
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = cancel.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let calls: Vec<String> = recordings.iter().map(|r| r.call_id.clone()).collect();
    let began = Instant::now();
    let bar = Bar::new(common.quiet);
    let mut runner = Runner::new(store, stages, &bar, &cancel)?;
    let summary = runner.run(recordings, options);
    bar.finish();
    let summary = summary?;
    let status = Status::of(store, runner.stages())?;
    let mine: Vec<_> = status.troubles.iter().filter(|t| calls.binary_search(&t.call_id).is_ok()).collect();
    if !common.quiet {
        for trouble in &mine {
            let word = if trouble.is_failure() { paint(RED, "failed ") } else { paint(YELLOW, &trouble.kind) };
            anstream::eprintln!("{word} {} ({}): {}", trouble.call_id, trouble.stage, trouble.message);
        }
        let seconds = began.elapsed().as_secs_f64();
        let audio = bar.audio_ms();
        let head = if summary.cancelled { paint(YELLOW, "stopped") } else { paint(GREEN, "done") };
        let heard = match audio {
            0 => String::new(),
            ms => format!(", {} of audio at {:.1} times real time", term::clock(ms), ms as f64 / 1000.0 / seconds),
        };
        let failed = mine.iter().filter(|t| t.is_failure()).count();
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
        let next = calls.first().map_or("CALL_ID", String::as_str);
        let hint = format!("look at one: nightcall show {next} --store {}", store.location());
        anstream::eprintln!("{}", paint(DIM, hint));
    }
    if summary.cancelled {
        anyhow::bail!("stopped before the end; run the same command again to go on");
    }
    let incomplete = mine.iter().any(|t| t.is_failure() || t.kind == "refused");
    Ok(if strict && incomplete { Outcome::Incomplete } else { Outcome::Done })
}
