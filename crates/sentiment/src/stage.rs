//! The stage: turns in, sentiments and trends out.

use crate::{ScoredTurn, Scorer, SentimentConfig, SentimentError, trends};
use rayon::prelude::*;
use schema::{
    Call, Fingerprint, Item, ModelId, Sentiment, Sink, Stage, StageError, StageName, Table, Tables, Turn, guard,
};

/// Raised when the same configuration gives other results.
const VERSION: u32 = 1;

/// Scores the turns of a shard's calls.
#[derive(Debug)]
pub struct SentimentStage {
    config: SentimentConfig,
    scorer: Scorer,
}

impl SentimentStage {
    /// Builds the lexicon of this configuration.
    pub fn new(config: SentimentConfig) -> Result<Self, SentimentError> {
        let scorer = Scorer::new(&config)?;
        Ok(Self { config, scorer })
    }
}

impl Stage for SentimentStage {
    fn name(&self) -> StageName {
        StageName::Sentiment
    }

    fn inputs(&self) -> &'static [Table] {
        &[Table::Calls, Table::Turns]
    }

    fn outputs(&self) -> &'static [Table] {
        &[Table::Sentiments, Table::SentimentTrends]
    }

    fn models(&self) -> Vec<ModelId> {
        Vec::new()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let calls = tables.by_call::<Call>()?;
        let turns: Vec<(String, Vec<Turn>)> = tables.by_call::<Turn>()?.into_iter().collect();
        let scorer = &self.scorer;
        let results: Vec<_> = turns
            .par_iter()
            .map(|(call_id, turns)| {
                let duration_ms = calls.get(call_id).and_then(|rows| rows.first()).and_then(|call| call.duration_ms);
                guard(call_id, || {
                    let scored: Vec<ScoredTurn<'_>> =
                        turns.iter().map(|turn| ScoredTurn { turn, score: scorer.score(&turn.text) }).collect();
                    let rows: Vec<Sentiment> = scored.iter().map(|scored| row(scorer, scored)).collect();
                    Ok((rows, trends(call_id, &scored, duration_ms)))
                })
            })
            .collect();
        for result in results {
            match result {
                Ok((rows, trends)) => {
                    out.rows(&rows)?;
                    out.rows(&trends)?;
                }
                Err(failure) => out.fail(failure)?,
            }
        }
        Ok(())
    }
}

fn row(scorer: &Scorer, scored: &ScoredTurn<'_>) -> Sentiment {
    Sentiment {
        call_id: scored.turn.call_id.clone(),
        turn_index: scored.turn.turn_index,
        role: scored.turn.role.clone(),
        label: scorer.label_of(&scored.score).as_str().to_owned(),
        negative: scored.score.negative,
        neutral: scored.score.neutral,
        positive: scored.score.positive,
    }
}
