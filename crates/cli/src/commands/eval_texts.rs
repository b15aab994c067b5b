//! `eval flow|summary|follow-ups|keywords|sentiment`: insight beside what people say of the same texts.

use super::{registry, threads};
use crate::{
    Outcome,
    args::{Common, Eval},
};
use anyhow::{Result, ensure};
use eval::{
    FlowItem, FlowReport, FollowUpItem, FollowUpReport, KeywordItem, KeywordReport, Line, SaidFlow, SaidFollowUps,
    SaidKeywords, SaidSentiment, SaidSummary, SaidTopic, SaidTurn, SentimentItem, SentimentReport, SummaryItem,
    SummaryReport, Transcript, read_lines, talk, write_lines,
};
use pipeline::{Assembly, Spec, Talk, rows_of};
use schema::{Call, FollowUp, Keyword, Sentiment, StageName, Topic};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};

pub fn summary(args: &Eval, common: &Common) -> Result<Outcome> {
    let items: Vec<SummaryItem> = read_lines(&args.data)?;
    let said = said(
        args,
        items.len(),
        |_| 1,
        || {
            let talks: Vec<Talk> = talks(items.iter().map(|item| lines(&item.turns, |t| (t.role.as_deref(), &t.text))));
            let words: Vec<Option<usize>> = items.iter().map(|item| args.words.map(|limit| limit.of(item))).collect();
            let texts =
                with_pipeline(args, common, |_| (), |assembly| Ok(pipeline::summarize(assembly, &talks, &words)?))?;
            Ok(items
                .iter()
                .zip(texts)
                .map(|(item, summary)| SaidSummary {
                    id: item.id.clone(),
                    summaries: item.summaries.clone(),
                    summary,
                    method: "extractive".into(),
                })
                .collect())
        },
    )?;
    let r = SummaryReport::new(&items, &said);
    print(args, &r, || {
        format!(
            "ROUGE-1 {:.2}, ROUGE-2 {:.2}, ROUGE-L {:.2} (F1, %): {} dialogues, {:.1} words a summary, {}",
            r.rouge1 * 100.0,
            r.rouge2 * 100.0,
            r.rougel * 100.0,
            r.items,
            r.words,
            r.method
        )
    })
}

pub fn flow(args: &Eval, common: &Common) -> Result<Outcome> {
    let items: Vec<FlowItem> = read_lines(&args.data)?;
    let said = said(
        args,
        items.len(),
        |i| items[i].turns.len(),
        || {
            let transcript =
                |item: &FlowItem| Transcript { turns: item.turns.iter().map(|t| t.turn.clone()).collect() };
            let transcripts: Vec<Transcript> = items.iter().map(transcript).collect();
            let calls: Vec<_> = transcripts.iter().enumerate().map(|(i, t)| t.rows(&format!("{i:06}"))).collect();
            let topics = with_pipeline(args, common, |_| (), |a| Ok(rows_of::<Topic, _>(a, StageName::Flow, &calls)?))?;
            let of = |(call, _): &(Call, _)| topics.get(&call.call_id).map_or(&[][..], Vec::as_slice);
            let said = items.iter().zip(&transcripts).zip(&calls);
            Ok(said.map(|((item, transcript), call)| said_flow(item, transcript, of(call))).collect())
        },
    )?;
    let r = FlowReport::new(&items, &said);
    print(args, &r, || {
        let kinds = r.kind_accuracy.map(|share| format!(", kinds right in {:.1} % of the turns", share * 100.0));
        format!(
            "Pk {:.1} % (of one topic {:.1} %), WindowDiff {:.1} %{}: {} topics, {} said, {} turns",
            r.pk * 100.0,
            r.pk_of_one_topic * 100.0,
            r.window_diff * 100.0,
            kinds.unwrap_or_default(),
            r.topics,
            r.said,
            r.items
        )
    })
}

/// A turn of the set belongs to the last topic that has begun when it begins.
fn said_flow(item: &FlowItem, transcript: &Transcript, topics: &[Topic]) -> SaidFlow {
    let topic = |start_ms: i64| {
        let topic = topics.iter().rposition(|topic| topic.start_ms <= start_ms).unwrap_or(0);
        SaidTopic { topic, kind: topics.get(topic).map(|topic| topic.kind.clone()).unwrap_or_default() }
    };
    SaidFlow {
        id: item.id.clone(),
        topics: item.turns.iter().map(|turn| turn.topic.clone()).collect(),
        turns: transcript.spans().into_iter().map(|(start_ms, _)| topic(start_ms)).collect(),
    }
}

pub fn follow_ups(args: &Eval, common: &Common) -> Result<Outcome> {
    let items: Vec<FollowUpItem> = read_lines(&args.data)?;
    let mut threshold = Spec::load(args.how.pipeline.as_deref())?.extract.follow_up_min_score;
    if let Some(chosen) = args.threshold {
        threshold = chosen;
    }
    let meetings = items.iter().all(|item| {
        let roles: BTreeSet<Option<&str>> = item.turns.iter().map(|turn| turn.role.as_deref()).collect();
        roles.len() > 2
    });
    let said = said(
        args,
        items.len(),
        |i| items[i].turns.len(),
        || {
            let talks = talks(items.iter().map(|item| lines(&item.turns, |t| (t.role.as_deref(), &t.text))));
            if meetings {
                let (scores, from) = with_pipeline(args, common, |_| (), |a| Ok(pipeline::action_items(a, &talks)?))?;
                threshold = args.threshold.unwrap_or(from);
                let said = items.iter().zip(scores).map(|(item, scores)| SaidFollowUps {
                    id: item.id.clone(),
                    labels: item.turns.iter().map(|t| t.label).collect(),
                    scores,
                });
                return Ok(said.collect());
            }
            let set = |spec: &mut Spec| spec.extract.follow_up_min_score = threshold;
            let rows =
                with_pipeline(args, common, set, |a| Ok(rows_of::<FollowUp, _>(a, StageName::Extract, &talks)?))?;
            Ok(items
                .iter()
                .zip(&talks)
                .map(|(item, (call, turns))| {
                    let mut scores = vec![0.0f32; turns.len()];
                    for row in rows.get(&call.call_id).into_iter().flatten() {
                        for evidence in &row.evidence {
                            let score = &mut scores[evidence.turn_index as usize];
                            *score = score.max(row.score);
                        }
                    }
                    SaidFollowUps { id: item.id.clone(), labels: item.turns.iter().map(|t| t.label).collect(), scores }
                })
                .collect())
        },
    )?;
    let r = FollowUpReport::new(&items, &said, f64::from(threshold));
    print(args, &r, || {
        format!(
            "precision {:.1} %, recall {:.1} %, F1 {:.1} % of {} turns, from a confidence of {}",
            r.precision * 100.0,
            r.recall * 100.0,
            r.f1 * 100.0,
            r.items,
            r.threshold
        )
    })
}

pub fn keywords(args: &Eval, common: &Common) -> Result<Outcome> {
    let items: Vec<KeywordItem> = read_lines(&args.data)?;
    let said = said(
        args,
        items.len(),
        |_| 1,
        || {
            let talks = talks(items.iter().map(|item| item.text.lines().map(|line| ("", line)).collect::<Vec<_>>()));
            let set = |spec: &mut Spec| spec.extract.keyphrases = KeywordReport::PHRASES;
            let rows = with_pipeline(args, common, set, |a| Ok(rows_of::<Keyword, _>(a, StageName::Extract, &talks)?))?;
            Ok(items
                .iter()
                .zip(&talks)
                .map(|(item, (call, _))| {
                    let rows = rows.get(&call.call_id).into_iter().flatten().filter(|row| row.kind == "keyphrase");
                    SaidKeywords {
                        id: item.id.clone(),
                        keys: item.keys.clone(),
                        phrases: rows.map(|row| row.phrase.clone()).collect(),
                    }
                })
                .collect())
        },
    )?;
    let r = KeywordReport::new(&items, &said);
    print(args, &r, || {
        let rows = [
            (5, r.macro_f1_at_5, r.micro_f1_at_5),
            (10, r.macro_f1_at_10, r.micro_f1_at_10),
            (15, r.macro_f1_at_15, r.micro_f1_at_15),
        ];
        let line = |(k, mean, micro): (usize, f64, f64)| {
            format!("F1 of the best {k}: {:.2} % (macro), {:.2} % (micro)", mean * 100.0, micro * 100.0)
        };
        let lines: Vec<String> = rows.into_iter().map(line).collect();
        format!("{}\n{} documents", lines.join("\n"), r.items)
    })
}

pub fn sentiment(args: &Eval, common: &Common) -> Result<Outcome> {
    let items: Vec<SentimentItem> = read_lines(&args.data)?;
    let said = said(
        args,
        items.len(),
        |i| items[i].turns.len(),
        || {
            let talks = talks(items.iter().map(|item| lines(&item.turns, |t| (t.role.as_deref(), &t.text))));
            let set = |spec: &mut Spec| {
                if args.how.pipeline.is_none() {
                    spec.sentiment.lexicon_share = 0.0;
                }
            };
            let rows =
                with_pipeline(args, common, set, |a| Ok(rows_of::<Sentiment, _>(a, StageName::Sentiment, &talks)?))?;
            Ok(items
                .iter()
                .zip(&talks)
                .map(|(item, (call, turns))| {
                    let silent = SaidTurn { said: "neutral".into(), neutral: 1.0, ..SaidTurn::default() };
                    let mut said = vec![silent; turns.len()];
                    for row in rows.get(&call.call_id).into_iter().flatten() {
                        said[row.turn_index as usize] = SaidTurn {
                            said: row.label.clone(),
                            negative: row.negative,
                            neutral: row.neutral,
                            positive: row.positive,
                        };
                    }
                    SaidSentiment {
                        id: item.id.clone(),
                        labels: item.turns.iter().map(|t| t.label.clone()).collect(),
                        turns: said,
                    }
                })
                .collect())
        },
    )?;
    let r = SentimentReport::new(&items, &said);
    print(args, &r, || {
        format!(
            "accuracy {:.1} %, macro F1 {:.1} %, weighted F1 {:.1} %, calibration error {:.1} %: {} turns",
            r.accuracy * 100.0,
            r.macro_f1 * 100.0,
            r.weighted_f1 * 100.0,
            r.calibration_error * 100.0,
            r.items
        )
    })
}

/// What was said of each item: from the file of another method, or by `ours`, written where that is wanted. `parts` says
/// how many turns an item has.
fn said<T: Said>(
    args: &Eval,
    items: usize,
    parts: impl Fn(usize) -> usize,
    ours: impl FnOnce() -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let Some(path) = &args.from else {
        threads(&args.how)?;
        let said = ours()?;
        if let Some(path) = &args.predictions {
            write_lines(path, &said)?;
        }
        return Ok(said);
    };
    let said: Vec<T> = read_lines(path)?;
    fits(path, items, said.len(), "items")?;
    for (i, said) in said.iter().enumerate() {
        fits(path, parts(i), said.parts(), &format!("turns in item {}", i + 1))?;
    }
    Ok(said)
}

fn fits(path: &Path, wanted: usize, found: usize, what: &str) -> Result<()> {
    ensure!(
        wanted == found,
        "{}: holds {found} {what}, and the set {wanted}; give the predictions of this set, a line an item in its order",
        path.display()
    );
    Ok(())
}

/// What was said of one item.
trait Said: Serialize + Line {
    /// The turns that it speaks of; 1 where it speaks of the whole.
    fn parts(&self) -> usize {
        1
    }
}

impl Said for SaidSummary {}
impl Said for SaidKeywords {}
impl Said for SaidFlow {
    fn parts(&self) -> usize {
        self.turns.len()
    }
}
impl Said for SaidFollowUps {
    fn parts(&self) -> usize {
        self.scores.len()
    }
}
impl Said for SaidSentiment {
    fn parts(&self) -> usize {
        self.turns.len()
    }
}

/// The pipeline of `--pipeline` with a change, at work.
fn with_pipeline<T>(
    args: &Eval,
    common: &Common,
    change: impl FnOnce(&mut Spec),
    work: impl FnOnce(&mut Assembly<'_>) -> Result<T>,
) -> Result<T> {
    let mut spec = Spec::load(args.how.pipeline.as_deref())?;
    change(&mut spec);
    let registry = registry(common)?;
    work(&mut Assembly::new(&spec, &registry, args.how.device)?)
}

/// Roles and texts.
fn lines<T>(turns: &[T], of: impl Fn(&T) -> (Option<&str>, &str)) -> Vec<(&str, &str)> {
    turns.iter().map(of).map(|(role, text)| (role.unwrap_or_default(), text)).collect()
}

/// Calls that are named by their place, so that they come back in order.
fn talks<'a>(items: impl Iterator<Item = Vec<(&'a str, &'a str)>>) -> Vec<Talk> {
    items.enumerate().map(|(i, lines)| talk(&format!("{i:06}"), lines)).collect()
}

fn print<T: Serialize>(args: &Eval, report: &T, text: impl FnOnce() -> String) -> Result<Outcome> {
    if args.json {
        anstream::println!("{}", serde_json::to_string(report)?);
    } else {
        anstream::println!("{}", text());
    }
    Ok(Outcome::Done)
}
