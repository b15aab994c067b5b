//! The stage: turns in, sentiments and trends out.

use crate::{Label, Reader, Score, ScoredTurn, Scorer, SentimentConfig, SentimentError, trends};
use rayon::prelude::*;
use schema::{
    Call, Fingerprint, Item, ModelId, Sentiment, Sink, Stage, StageError, StageName, Table, Tables, Turn, guard,
};

/// Raised when the same configuration gives other results.
const VERSION: u32 = 3;

/// Scores the turns of a shard's calls.
pub struct SentimentStage {
    config: SentimentConfig,
    by: By,
}

/// What turns are scored by.
enum By {
    Lexicons(Scorer),
    /// The head, with the identity of the encoder below it.
    Head(Box<Reader>, ModelId),
}

impl SentimentStage {
    /// Builds the lexicon of this configuration.
    pub fn new(config: SentimentConfig) -> Result<Self, SentimentError> {
        Ok(Self { by: By::Lexicons(Scorer::new(&config)?), config })
    }

    /// Scores by a head over the encoder `model`.
    pub fn with_head(config: SentimentConfig, reader: Reader, model: ModelId) -> Self {
        Self { config, by: By::Head(Box::new(reader), model) }
    }

    fn scores(&self, texts: &[&str]) -> Result<Vec<(Score, Label)>, StageError> {
        match &self.by {
            By::Lexicons(scorer) => {
                let score = |text: &&str| {
                    let score = scorer.score(text);
                    (score, scorer.label_of(&score))
                };
                Ok(texts.par_iter().map(score).collect())
            }
            By::Head(reader, _) => {
                let scores = reader.scores(texts).map_err(|error| StageError::Model(error.to_string()))?;
                Ok(scores.into_iter().map(|score| (score, Reader::label_of(&score))).collect())
            }
        }
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
        match &self.by {
            By::Lexicons(_) => Vec::new(),
            By::Head(reader, encoder) => {
                vec![encoder.clone(), ModelId { name: "head-sentiment".to_owned(), sha256: reader.sha256().to_owned() }]
            }
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let calls = tables.by_call::<Call>()?;
        let turns: Vec<(String, Vec<Turn>)> = tables.english(self.name(), &calls, out)?.into_iter().collect();
        let texts: Vec<&str> = turns.iter().flat_map(|(_, turns)| turns).map(|turn| turn.text.as_str()).collect();
        let mut scores = self.scores(&texts)?.into_iter();
        let scored: Vec<(&String, Vec<(ScoredTurn<'_>, Label)>)> = turns
            .iter()
            .map(|(call_id, turns)| {
                let scores = turns.iter().zip(scores.by_ref());
                (call_id, scores.map(|(turn, (score, label))| (ScoredTurn { turn, score }, label)).collect())
            })
            .collect();
        let results: Vec<_> = scored
            .par_iter()
            .map(|(call_id, turns)| {
                let duration_ms = calls.get(*call_id).and_then(|rows| rows.first()).and_then(|call| call.duration_ms);
                guard(call_id, || {
                    let rows: Vec<Sentiment> = turns.iter().map(|(scored, label)| row(scored, *label)).collect();
                    let scored: Vec<ScoredTurn<'_>> = turns.iter().map(|(scored, _)| *scored).collect();
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

fn row(scored: &ScoredTurn<'_>, label: Label) -> Sentiment {
    Sentiment {
        call_id: scored.turn.call_id.clone(),
        turn_index: scored.turn.turn_index,
        role: scored.turn.role.clone(),
        label: label.as_str().to_owned(),
        negative: scored.score.negative,
        neutral: scored.score.neutral,
        positive: scored.score.positive,
    }
}
