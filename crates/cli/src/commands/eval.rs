//! `eval`: accuracy on reference sets.

use super::{eval_texts, registry, threads};
use crate::{
    Outcome,
    args::{Common, Eval, EvalKind},
    term::{GREEN, RED, paint},
};
use anyhow::{Context, Result, bail};
use comfy_table::{Table as Grid, presets::UTF8_HORIZONTAL_ONLY};
use eval::{AsrItem, AsrReport, FixtureReport, Listed};
use pipeline::{Assembly, Clip, Spec};
use schema::{Item, Table, Tables};
use std::fs::File;
use store::Store;

pub fn run(args: &Eval, common: &Common) -> Result<Outcome> {
    match args.what {
        EvalKind::Asr => asr(args, common),
        EvalKind::Fixtures => fixtures(args),
        EvalKind::Summary => eval_texts::summary(args, common),
        EvalKind::Flow => eval_texts::flow(args, common),
        EvalKind::FollowUps => eval_texts::follow_ups(args, common),
        EvalKind::Keywords => eval_texts::keywords(args, common),
        EvalKind::Sentiment => eval_texts::sentiment(args, common),
    }
}

fn asr(args: &Eval, common: &Common) -> Result<Outcome> {
    threads(&args.how)?;
    let items = eval::asr_set(&args.data)?;
    let mut spec = Spec::load(args.how.pipeline.as_deref())?;
    let registry = registry(common)?;
    if let Some(model) = &args.model {
        spec.transcribe.models = vec![model.clone()];
    } else if let Some(engine) = &args.engine {
        let runs =
            |name: &String| registry.manifest(name).is_ok_and(|m| m.engine.is_some_and(|e| e.to_string() == *engine));
        let Some(model) = registry.list().into_iter().map(|m| m.name).find(runs) else {
            bail!("--engine {engine}: no known model runs on it; the engines are moonshine and whisper_cpp");
        };
        spec.transcribe.models = vec![model];
    }
    let mut stage = Assembly::new(&spec, &registry, args.how.device)?.transcribe()?;
    let clips: Vec<Clip> = items.iter().map(clip).collect();
    let heard = pipeline::recognize(&clips, &mut stage)?;
    let (engine, model) = heard.engine.split_once('/').unwrap_or((&heard.engine, &spec.transcribe.models[0]));
    let texts = || items.iter().zip(heard.texts.iter().map(String::as_str));
    let pairs = || texts().map(|(item, text)| (item.text.as_str(), text));
    let mut report = AsrReport::new(pairs(), heard.audio_s, heard.compute_s, engine, model);
    let vocabulary = &spec.transcribe.vocabulary;
    report.vocabulary = (!vocabulary.is_empty()).then(|| Listed::of(vocabulary, pairs()));
    if let Some(path) = &args.hypotheses {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        eval::write_hypotheses(file, texts()).with_context(|| path.display().to_string())?;
    }
    if args.json {
        anstream::println!("{}", serde_json::to_string(&report)?);
        return Ok(Outcome::Done);
    }
    let e = report.edits;
    anstream::println!(
        "WER {:.2} % of {} words (after the Whisper English normalizer): {} deletions, {} insertions, {} substitutions",
        report.wer * 100.0,
        e.words,
        e.deletions,
        e.insertions,
        e.substitutions
    );
    if let Some(listed) = &report.vocabulary {
        anstream::println!(
            "vocabulary: {} of {} words heard, {} invented; WER of the rest {:.2} %",
            listed.heard,
            listed.listed,
            listed.invented,
            listed.rest.wer() * 100.0
        );
    }
    anstream::println!(
        "{:.1} s of audio in {:.1} s of compute: {:.1} RTFx, {} with {}",
        report.audio_s,
        report.compute_s,
        report.rtfx,
        report.engine,
        report.model
    );
    Ok(Outcome::Done)
}

/// The stretch of sound of an item.
pub fn clip(item: &AsrItem) -> Clip {
    Clip {
        path: item.audio.clone(),
        channel: item.channel.and_then(|c| usize::try_from(c).ok()),
        start_s: item.start_s,
        end_s: item.end_s,
    }
}

fn fixtures(args: &Eval) -> Result<Outcome> {
    let fixtures = eval::load_fixtures(&args.data)?;
    let store = Store::open_existing(args.store.as_deref().unwrap_or_default())?;
    let mut items = Vec::new();
    for table in Table::ALL.into_iter().filter(|t| t.stored() && *t != Table::StageErrors) {
        for key in store.list(table)? {
            items.extend(store.batches(&key)?.into_iter().map(|batch| Item::Batch(table, batch)));
        }
    }
    let report = eval::score_fixtures(&fixtures, &Tables::collect(&mut items.into_iter()))?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let mut grid = Grid::new();
        grid.load_style(UTF8_HORIZONTAL_ONLY).set_header(FixtureReport::COLUMNS);
        for row in report.rows() {
            grid.add_row(row);
        }
        anstream::println!("{grid}");
        for call in report.calls.iter().filter(|call| !call.misses.is_empty()) {
            for miss in &call.misses {
                anstream::println!("{}: {miss}", call.call_id);
            }
        }
        for check in &report.checks {
            let mark = if check.passed { paint(GREEN, "holds") } else { paint(RED, "fails") };
            anstream::println!("{mark} {}: {} (at least {} %)", check.name, check.measured, check.least_percent);
        }
    }
    if report.passed() { Ok(Outcome::Done) } else { Ok(Outcome::Incomplete) }
}
