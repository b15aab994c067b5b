//! The stage: all calls of a shard, their texts embedded together.

use crate::{
    CallFlow, FlowConfig,
    kinds::course,
    labels::{Phrase, candidates, label},
    speech::{ends_with_question, is_backchannel, plain},
    topics::{Kind, Unit, boundaries, edges},
    vocabulary::is_stop_word,
};
use inference::{InferenceError, SentenceEncoder, Vector, cosine};
use rayon::prelude::*;
use schema::{
    Call, CallFailure, Fingerprint, Item, ModelId, Segment, Sink, Stage, StageError, StageName, Table, Tables, Topic,
    guard,
};
use std::{collections::HashSet, ops::Range, sync::Arc};

/// Raised when the same input gives another output.
const VERSION: u32 = 4;

/// The stage `flow`: segments in; turns, metrics and topics out.
pub struct Flow {
    config: FlowConfig,
    encoder: Arc<SentenceEncoder>,
    model: ModelId,
}

impl Flow {
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Calls, Table::Segments];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::Turns, Table::SpeakerMetrics, Table::CallMetrics, Table::Topics];

    /// A stage that embeds turns with `encoder`, whose weights `model` names.
    pub fn new(config: FlowConfig, encoder: Arc<SentenceEncoder>, model: ModelId) -> Self {
        Self { config, encoder, model }
    }
}

/// A call on its way through the stage.
struct Work {
    flow: CallFlow,
    names: HashSet<String>,
    /// Turns that carry content: those that are embedded.
    heavy: Vec<usize>,
    /// The heavy turns as the segmentation sees them.
    units: Vec<Unit>,
    stretches: Vec<Stretch>,
}

/// A topic on its way to a row.
struct Stretch {
    turns: Range<usize>,
    kind: Kind,
    /// Mean vector of its heavy turns.
    vector: Vec<f32>,
    pool: Vec<Phrase>,
}

impl Stage for Flow {
    fn name(&self) -> StageName {
        StageName::Flow
    }

    fn inputs(&self) -> &'static [Table] {
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
    }

    fn models(&self) -> Vec<ModelId> {
        vec![self.model.clone()]
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let mut segments = tables.by_call::<Segment>()?;
        let calls: Vec<(Call, Vec<Segment>)> = tables
            .by_call::<Call>()?
            .into_iter()
            .filter_map(|(id, rows)| Some((rows.into_iter().next()?, segments.remove(&id).unwrap_or_default())))
            .filter(|(call, _)| call.is_heard())
            .collect();
        let mut works: Vec<Result<Work, CallFailure>> =
            calls.par_iter().map(|(call, segments)| guard(&call.call_id, || Ok(self.start(call, segments)))).collect();

        self.embed_turns(&mut works)?;
        let mut works: Vec<Result<Work, CallFailure>> = works
            .into_par_iter()
            .map(|work| work.and_then(|w| guard(&w.flow.call.call_id.clone(), || Ok(self.part(w)))))
            .collect();
        let likeness = self.embed_phrases(&works)?;

        for (work, likeness) in works.drain(..).zip(likeness) {
            let work = match work {
                Ok(work) => work,
                Err(failure) => {
                    out.fail(failure)?;
                    continue;
                }
            };
            let topics = self.topics(&work, likeness);
            out.rows(&work.flow.turns)?;
            out.rows(&work.flow.speakers)?;
            out.rows(&[work.flow.call])?;
            out.rows(&topics)?;
        }
        Ok(())
    }
}

impl Flow {
    fn start(&self, call: &Call, segments: &[Segment]) -> Work {
        let flow = CallFlow::of(&self.config, call, segments);
        let names = call.participants.iter().filter_map(|p| p.name.as_deref());
        let names = names.flat_map(str::split_whitespace).map(plain).collect();
        let heavy: Vec<usize> = (0..flow.turns.len())
            .filter(|&i| !flow.backchannels[i] && content_words(&flow.turns[i].text) > 0)
            .collect();
        Work { flow, names, heavy, units: Vec::new(), stretches: Vec::new() }
    }

    fn embed_turns(&self, works: &mut [Result<Work, CallFailure>]) -> Result<(), StageError> {
        let texts: Vec<&str> =
            works.iter().flatten().flat_map(|w| w.heavy.iter().map(|&i| w.flow.turns[i].text.as_str())).collect();
        let mut vectors = self.encoder.embed_cached(&texts).map_err(|e| model_error(&e))?.into_iter();
        for work in works.iter_mut().flatten() {
            let turns = &work.flow.turns;
            let unit = |(&i, vector): (&usize, Vector)| Unit {
                vector,
                words: content_words(&turns[i].text),
                start_ms: turns[i].start_ms,
                end_ms: turns[i].end_ms,
                asks: ends_with_question(&turns[i].words),
            };
            work.units = work.heavy.iter().zip(vectors.by_ref()).map(unit).collect();
        }
        Ok(())
    }

    /// Parts the call into stretches, each with the phrases that its label is chosen from.
    fn part(&self, mut work: Work) -> Work {
        let turns = &work.flow.turns;
        let light: Vec<bool> =
            turns.iter().zip(&work.flow.backchannels).map(|(t, b)| *b || is_backchannel(&t.words)).collect();
        let (mut opening, mut closing) = edges(turns, &light);
        if turns.len() < opening + closing + self.config.topics.min_turns {
            (opening, closing) = (0, 0);
        }
        let body = opening..turns.len() - closing;
        let inside: Vec<usize> = (0..work.heavy.len()).filter(|&u| body.contains(&work.heavy[u])).collect();
        let units: Vec<Unit> = inside.iter().map(|&u| work.units[u].clone()).collect();
        let cuts = boundaries(&self.config.topics, &units).into_iter().map(|cut| work.heavy[inside[cut]]);

        let mut starts: Vec<usize> = [body.start].into_iter().chain(cuts).collect();
        starts.push(body.end);
        let within = |edges: &[usize]| {
            let (start, range) = (edges[0], edges[0]..edges[1]);
            let course = course(&turns[range.clone()], &light[range]).into_iter();
            course.map(move |(part, kind)| (start + part.start..start + part.end, kind))
        };
        let mut parts: Vec<(Range<usize>, Kind)> = starts.windows(2).flat_map(within).collect();
        parts.insert(0, (0..opening, Kind::Opening));
        parts.push((body.end..turns.len(), Kind::Closing));
        parts.retain(|(turns, _)| !turns.is_empty());

        let texts: Vec<Vec<&str>> =
            parts.iter().map(|(range, _)| turns[range.clone()].iter().map(|t| t.text.as_str()).collect()).collect();
        let pools = candidates(&texts, &work.names);
        let vector = |range: &Range<usize>| {
            let mut sum = Vec::new();
            for (unit, _) in work.units.iter().zip(&work.heavy).filter(|(_, turn)| range.contains(turn)) {
                sum.resize(unit.vector.len(), 0.0);
                sum.iter_mut().zip(&*unit.vector).for_each(|(s, v)| *s += v * unit.words as f32);
            }
            sum
        };
        work.stretches = parts
            .into_iter()
            .zip(pools)
            .map(|((turns, kind), pool)| Stretch { vector: vector(&turns), turns, kind, pool })
            .collect();
        work
    }

    /// How like its topic each phrase is: a list for each stretch of each call, failed calls having none.
    fn embed_phrases(&self, works: &[Result<Work, CallFailure>]) -> Result<Vec<Vec<Vec<f32>>>, StageError> {
        let stretches = || works.iter().flatten().flat_map(|w| &w.stretches);
        let texts: Vec<&str> = stretches().flat_map(|s| s.pool.iter().map(|p| p.text.as_str())).collect();
        let mut vectors = self.encoder.embed_cached(&texts).map_err(|e| model_error(&e))?.into_iter();
        let mut of_stretch =
            |s: &Stretch| -> Vec<f32> { vectors.by_ref().take(s.pool.len()).map(|v| cosine(&v, &s.vector)).collect() };
        Ok(works.iter().map(|work| work.iter().flat_map(|w| &w.stretches).map(&mut of_stretch).collect()).collect())
    }

    fn topics(&self, work: &Work, likeness: Vec<Vec<f32>>) -> Vec<Topic> {
        let turns = &work.flow.turns;
        let row = |(index, (stretch, likeness)): (usize, (&Stretch, Vec<f32>))| {
            let range = &stretch.turns;
            let found = || label(stretch.pool.clone(), &likeness, self.config.topics.label_phrases);
            Topic {
                call_id: work.flow.call.call_id.clone(),
                topic_index: index as i32,
                start_ms: turns[range.start].start_ms,
                end_ms: turns[range.clone()].iter().map(|t| t.end_ms).max().unwrap_or(0),
                first_turn: range.start as i32,
                last_turn: range.end as i32 - 1,
                label: match stretch.kind {
                    Kind::Opening => "greeting".to_owned(),
                    Kind::Closing => "goodbye".to_owned(),
                    // Nothing but words of conversation: a call that is about nothing nameable.
                    _ => Some(found()).filter(|l| !l.is_empty()).unwrap_or_else(|| "conversation".to_owned()),
                },
                kind: stretch.kind.as_str().to_owned(),
            }
        };
        work.stretches.iter().zip(likeness).enumerate().map(row).collect()
    }
}

fn content_words(text: &str) -> usize {
    text.split_whitespace().map(plain).filter(|w| w.chars().any(char::is_alphanumeric) && !is_stop_word(w)).count()
}

fn model_error(error: &InferenceError) -> StageError {
    StageError::Model(error.to_string())
}
