//! The stage: the calls of a shard, summarised together.

use crate::{Dialogue, Line, Point, SummarizeConfig, Summarizer};
use inference::SentenceEncoder;
use schema::{
    Call, Evidence, Fingerprint, Item, ModelId, Sink, Stage, StageError, StageName, Summary, Table, Tables, Topic, Turn,
};
use std::sync::Arc;

/// Raised when the same input gives another output.
const VERSION: u32 = 2;

/// The stage `summarize`: turns and topics in; points discussed out.
pub struct Summarize {
    config: SummarizeConfig,
    summarizer: Summarizer,
    model: ModelId,
}

impl Summarize {
    /// A stage that embeds sentences with `encoder`, whose weights `model` names.
    pub fn new(config: SummarizeConfig, encoder: Arc<SentenceEncoder>, model: ModelId) -> Self {
        Self { summarizer: Summarizer::new(config.clone(), encoder), config, model }
    }
}

impl Stage for Summarize {
    fn name(&self) -> StageName {
        StageName::Summarize
    }

    fn inputs(&self) -> &'static [Table] {
        &[Table::Calls, Table::Turns, Table::Topics]
    }

    fn outputs(&self) -> &'static [Table] {
        &[Table::Summaries]
    }

    fn models(&self) -> Vec<ModelId> {
        vec![self.model.clone()]
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
            tables.by_call::<Turn>()?.into_iter().filter(|(id, _)| ready(id)).collect();
        let dialogues: Vec<Dialogue> =
            turns.iter().map(|(id, turns)| dialogue(turns, &topics.remove(id).unwrap_or_default())).collect();
        let points = self.summarizer.summarize(&dialogues).map_err(|e| StageError::Model(e.to_string()))?;
        for (((call_id, turns), dialogue), points) in turns.iter().zip(&dialogues).zip(&points) {
            let row = |(i, p): (usize, &Point)| row(call_id, i, p, &p.said(&dialogue.lines), turns);
            let rows: Vec<Summary> = points.iter().enumerate().map(row).collect();
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

fn row(call_id: &str, index: usize, point: &Point, text: &str, turns: &[Turn]) -> Summary {
    let turn = &turns[point.turn()];
    Summary {
        call_id: call_id.to_owned(),
        point_index: index as i32,
        kind: point.kind.as_str().to_owned(),
        text: text.to_owned(),
        speaker: Some(turn.speaker.clone()),
        role: turn.role.clone(),
        score: point.score,
        method: "extractive".to_owned(),
        evidence: point
            .parts
            .iter()
            .map(|part| Evidence {
                turn_index: turns[part.turn].turn_index,
                char_start: part.chars.start as i32,
                char_end: part.chars.end as i32,
            })
            .collect(),
    }
}
