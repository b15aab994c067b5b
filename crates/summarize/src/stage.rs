//! The stage: the calls of a shard, summarised together.

use crate::{
    Dialogue, Line, Part, Point, SummarizeConfig, Summarizer,
    abstractive::{self, Writes, Written},
};
use inference::{LanguageModel, SentenceEncoder};
use schema::{
    Call, Evidence, Fingerprint, Item, ModelId, Sink, Stage, StageError, StageName, Summary, Table, Tables, Topic, Turn,
};
use std::sync::Arc;

/// Raised when the same input gives another output.
const VERSION: u32 = 5;

/// What `summaries.method` says.
const EXTRACTIVE: &str = "extractive";
const ABSTRACTIVE: &str = "abstractive";

/// The stage `summarize`: turns and topics in; points discussed out.
pub struct Summarize {
    config: SummarizeConfig,
    summarizer: Summarizer,
    model: ModelId,
    writer: Option<(Arc<dyn Writes>, ModelId)>,
}

impl Summarize {
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Calls, Table::Turns, Table::Topics];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::Summaries];

    /// A stage that embeds sentences with `encoder`, whose weights `model` names.
    pub fn new(config: SummarizeConfig, encoder: Arc<SentenceEncoder>, model: ModelId) -> Self {
        Self { summarizer: Summarizer::new(config.clone(), encoder), config, model, writer: None }
    }

    /// The same, with points in the words of a language model, whose weights `model` names, where it gives any that the
    /// turns support. `summaries.method` says of each row which one it is: `abstractive` or `extractive`.
    #[must_use]
    pub fn with_model(self, writer: Arc<LanguageModel>, model: ModelId) -> Self {
        Self { writer: Some((writer, model)), ..self }
    }

    /// The points of the calls that the model gave any for. A model that fails costs its wording and no summary.
    fn written(&self, dialogues: &[Dialogue]) -> Vec<Vec<Written>> {
        let none = || vec![Vec::new(); dialogues.len()];
        self.writer.as_ref().map_or_else(none, |(writer, _)| {
            abstractive::write(&**writer, &self.config, dialogues).unwrap_or_else(|_| none())
        })
    }
}

impl Stage for Summarize {
    fn name(&self) -> StageName {
        StageName::Summarize
    }

    fn inputs(&self) -> &'static [Table] {
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
    }

    fn models(&self) -> Vec<ModelId> {
        let writer = self.writer.iter().map(|(_, model)| model.clone());
        std::iter::once(self.model.clone()).chain(writer).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let calls = tables.by_call::<Call>()?;
        let mut topics = tables.by_call::<Topic>()?;
        let ready = |id: &str| calls.get(id).and_then(|rows| rows.first()).is_some_and(schema::Call::is_heard);
        let turns: Vec<(String, Vec<Turn>)> =
            tables.english(self.name(), &calls, out)?.into_iter().filter(|(id, _)| ready(id)).collect();
        let dialogues: Vec<Dialogue> =
            turns.iter().map(|(id, turns)| dialogue(turns, &topics.remove(id).unwrap_or_default())).collect();
        let written = self.written(&dialogues);
        let rest = dialogues.into_iter().zip(&written).filter(|(_, written)| written.is_empty());
        let rest: Vec<Dialogue> = rest.map(|(dialogue, _)| dialogue).collect();
        let points = self.summarizer.summarize(&rest).map_err(|e| StageError::Model(e.to_string()))?;
        let mut points = rest.iter().zip(points);
        for ((call_id, turns), written) in turns.iter().zip(&written) {
            let rows: Vec<Summary> = if written.is_empty() {
                let said = |(dialogue, points): (&Dialogue, Vec<Point>)| {
                    let row = |(i, p): (usize, &Point)| row(call_id, i, &RowOf::said(p, &dialogue.lines), turns);
                    points.iter().enumerate().map(row).collect()
                };
                points.next().map(said).unwrap_or_default()
            } else {
                written.iter().enumerate().map(|(i, w)| row(call_id, i, &RowOf::written(w), turns)).collect()
            };
            out.rows(&rows)?;
        }
        Ok(())
    }
}

fn dialogue(turns: &[Turn], topics: &[Topic]) -> Dialogue {
    // Topics name turns by turn_index; a turn's place in the table is the same, but a foreign table may start elsewhere.
    let first = turns.first().map_or(0, |t| t.turn_index);
    let place = |index: i32| usize::try_from(index - first).unwrap_or(0);
    Dialogue {
        lines: turns
            .iter()
            .map(|t| Line { role: t.role.clone(), text: t.text.clone(), words: t.words.clone() })
            .collect(),
        topics: topics.iter().map(|t| place(t.first_turn)..place(t.last_turn) + 1).collect(),
        max_words: None,
    }
}

/// What a row says, whoever worded it.
struct RowOf<'a> {
    kind: &'static str,
    text: String,
    /// Whose point it is: the turn that the row names the speaker of.
    turn: usize,
    score: f32,
    method: &'static str,
    parts: &'a [Part],
}

impl<'a> RowOf<'a> {
    fn said(point: &'a Point, lines: &[Line]) -> Self {
        let (kind, text, turn) = (point.kind.as_str(), point.said(lines), point.turn());
        Self { kind, text, turn, score: point.score, method: EXTRACTIVE, parts: &point.parts }
    }

    fn written(point: &'a Written) -> Self {
        let (kind, text, turn) = (point.kind.as_str(), point.text.clone(), point.parts[0].turn);
        Self { kind, text, turn, score: point.score, method: ABSTRACTIVE, parts: &point.parts }
    }
}

fn row(call_id: &str, index: usize, point: &RowOf<'_>, turns: &[Turn]) -> Summary {
    let turn = &turns[point.turn];
    let evidence: Vec<Evidence> = point
        .parts
        .iter()
        .map(|part| Evidence {
            turn_index: turns[part.turn].turn_index,
            char_start: part.chars.start as i32,
            char_end: part.chars.end as i32,
        })
        .collect();
    let (start_ms, end_ms) = Evidence::span(&evidence, turns);
    Summary {
        call_id: call_id.to_owned(),
        point_index: index as i32,
        kind: point.kind.to_owned(),
        text: point.text.clone(),
        speaker: Some(turn.speaker.clone()),
        role: turn.role.clone(),
        score: point.score,
        method: point.method.to_owned(),
        start_ms,
        end_ms,
        evidence,
    }
}
