//! `status`.

use super::registry;
use crate::{
    Outcome,
    args::{Common, Status},
    term,
};
use anyhow::Result;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use pipeline::{Assembly, DeviceChoice, Spec};
use store::Store;

pub fn run(args: &Status, common: &Common) -> Result<Outcome> {
    let store = Store::open_existing(&args.store)?;
    let spec = Spec::load(args.pipeline.as_deref())?;
    let registry = registry(common)?;
    let stages = Assembly::new(&spec, &registry, DeviceChoice::Cpu)?.stages()?;
    let status = pipeline::Status::of(&store, &stages)?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(Outcome::Done);
    }
    let rare: Vec<String> = [("partial", status.partial), ("duplicate", status.duplicate)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!(", {count} {kind}"))
        .collect();
    anstream::println!(
        "{}: {} calls in {} shards; {} done ({} of audio), {} failed, {} refused{}",
        store.location(),
        status.calls,
        status.shards,
        status.done,
        term::clock(status.audio_ms),
        status.failed,
        status.refused,
        rare.concat()
    );
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["stage", "shards done", "stale", "missing", "calls failed"]);
    for s in &status.stages {
        let numbers = [s.done, s.stale, s.missing, s.failed].map(|n| n.to_string());
        table.add_row(std::iter::once(s.stage.clone()).chain(numbers));
    }
    anstream::println!("{table}");
    for t in &status.troubles {
        let line = format!("{} {} ({}, try {}): {}", t.kind, t.call_id, t.stage, t.attempt, t.message);
        anstream::println!("{}", term::one_line(&line));
    }
    Ok(Outcome::Done)
}
