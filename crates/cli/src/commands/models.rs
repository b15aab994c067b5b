//! `models`: list, pull, verify.

use super::registry;
use crate::{
    Outcome,
    args::{Common, Models, ModelsCommand},
    term::{GREEN, RED, YELLOW, paint},
};
use anyhow::{Result, bail};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use pipeline::{
    Spec,
    models::{ModelState, PullProgress, Registry, Status},
};
use std::{io::IsTerminal, path::Path};

pub fn run(args: &Models, common: &Common) -> Result<Outcome> {
    let registry = registry(common)?;
    match &args.command {
        ModelsCommand::List { json } => list(&registry, *json)?,
        ModelsCommand::Pull { names, from } => pull(&registry, names, from.as_deref(), common)?,
        ModelsCommand::Verify { names } => return verify(&registry, names),
    }
    Ok(Outcome::Done)
}

fn list(registry: &Registry, json: bool) -> Result<()> {
    let models = registry.list();
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&models)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["model", "for", "languages", "size", "licence", "state"]);
    for m in &models {
        let task = m.engine.map_or_else(|| m.task.to_string(), |engine| format!("{} ({engine})", m.task));
        let languages = match m.languages.as_slice() {
            few if few.len() <= 3 => few.join(", "),
            many => format!("{} languages", many.len()),
        };
        let size = HumanBytes(m.size).to_string();
        table.add_row([m.name.clone(), task, languages, size, m.licence.clone(), m.status.to_string()]);
    }
    anstream::println!("{table}");
    for m in models.iter().filter(|m| m.status == Status::Damaged) {
        anstream::println!("{} {}: {}", paint(RED, "damaged"), m.name, m.detail.as_deref().unwrap_or_default());
    }
    anstream::println!("{}", registry.cache().display());
    Ok(())
}

fn pull(registry: &Registry, names: &[String], from: Option<&Path>, common: &Common) -> Result<()> {
    let names = if names.is_empty() { of_default_pipeline()? } else { names.to_vec() };
    let from = from.map(|folder| folder.display().to_string());
    for name in names {
        let bar = Pull::new(common.quiet);
        let pulled = registry.pull(&name, from.as_deref(), &bar);
        bar.bar.finish_and_clear();
        let installed = pulled?;
        if !common.quiet {
            anstream::eprintln!("{} {name}, from {}", paint(GREEN, "installed"), installed.source);
        }
    }
    Ok(())
}

fn verify(registry: &Registry, names: &[String]) -> Result<Outcome> {
    let here = |m: &ModelState| m.status != Status::Missing;
    let names = match names {
        [] => registry.list().into_iter().filter(here).map(|m| m.name).collect(),
        names => names.to_vec(),
    };
    let mut bad = 0;
    for name in &names {
        match registry.verify(name) {
            Ok(found) => anstream::println!("{} {name} {}", paint(GREEN, "right"), found.sha256),
            Err(e) => {
                bad += 1;
                anstream::println!("{} {e}", paint(RED, "wrong"));
            }
        }
    }
    if bad > 0 {
        bail!("{bad} of {} models are not what they should be; nightcall models pull NAME mends them", names.len());
    }
    if names.is_empty() {
        anstream::println!("{}", paint(YELLOW, "no model is installed; nightcall models pull brings the default ones"));
    }
    Ok(Outcome::Done)
}

fn of_default_pipeline() -> Result<Vec<String>> {
    let spec = Spec::load(None)?;
    Ok(spec.transcribe.models.iter().cloned().chain([spec.sentence_encoder]).collect())
}

/// Draws a pull.
struct Pull {
    bar: ProgressBar,
    plain: bool,
}

impl Pull {
    fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let style = ProgressStyle::with_template("{spinner} {msg} {bar:30} {bytes}/{total_bytes}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, plain: !quiet && !terminal }
    }
}

impl PullProgress for Pull {
    fn step(&self, model: &str, what: &str) {
        self.bar.set_message(format!("{model}: {what}"));
        if self.plain {
            anstream::eprintln!("{model}: {what}");
        }
    }

    fn bytes(&self, model: &str, file: &str, done: u64, total: u64) {
        self.bar.set_message(format!("{model}: {file}"));
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}
