//! The stage: turns in, sentiments and trends out.

use crate::courtesy::without_courtesies;
use crate::{Label, Reader, Score, ScoredTurn, Scorer, SentimentConfig, SentimentError, trends};
use rayon::prelude::*;
use schema::{
    Call, Fingerprint, Item, ModelId, Sentiment, Sink, Stage, StageError, StageName, Table, Tables, Turn, guard,
};

/// Raised when the same configuration gives other results.
const VERSION: u32 = 5;

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
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Calls, Table::Turns];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::Sentiments, Table::SentimentTrends];

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

    /// The scores that trends take: those of what a turn says after the courtesies that it opens with.
    fn moods(&self, texts: &[&str], scores: &[(Score, Label)]) -> Result<Vec<Score>, StageError> {
        let mut moods: Vec<Score> = scores.iter().map(|(score, _)| *score).collect();
        let mut others = Vec::new();
        for (mood, text) in moods.iter_mut().zip(texts) {
            let bare = without_courtesies(text);
            if !bare.contains(char::is_alphanumeric) {
                *mood = Score::NEUTRAL;
            } else if bare.len() < text.len() {
                others.push((mood, bare));
            }
        }
        let found = self.scores(&others.iter().map(|(_, bare)| *bare).collect::<Vec<_>>())?;
        others.into_iter().zip(found).for_each(|((mood, _), (score, _))| *mood = score);
        Ok(moods)
    }
}

impl Stage for SentimentStage {
    fn name(&self) -> StageName {
        StageName::Sentiment
    }

    fn inputs(&self) -> &'static [Table] {
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
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
        let scores = self.scores(&texts)?;
        let moods = self.moods(&texts, &scores)?;
        let mut scored = turns.iter().flat_map(|(_, turns)| turns).zip(scores).zip(moods);
        let scored: Vec<(&String, Vec<Scored<'_>>)> = turns
            .iter()
            .map(|(call_id, turns)| {
                let scored = scored.by_ref().take(turns.len());
                (call_id, scored.map(|((turn, said), score)| (said, ScoredTurn { turn, score })).collect())
            })
            .collect();
        let results: Vec<_> = scored
            .par_iter()
            .map(|(call_id, turns)| {
                let duration_ms = calls.get(*call_id).and_then(|rows| rows.first()).and_then(|call| call.duration_ms);
                guard(call_id, || {
                    let rows: Vec<Sentiment> = turns.iter().map(|(said, mood)| row(mood.turn, said)).collect();
                    let moods: Vec<ScoredTurn<'_>> = turns.iter().map(|(_, mood)| *mood).collect();
                    Ok((rows, trends(call_id, &moods, duration_ms)))
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

/// What was said of a turn, and the turn with the score that a trend takes of it.
type Scored<'a> = ((Score, Label), ScoredTurn<'a>);

fn row(turn: &Turn, (score, label): &(Score, Label)) -> Sentiment {
    Sentiment {
        call_id: turn.call_id.clone(),
        turn_index: turn.turn_index,
        role: turn.role.clone(),
        start_ms: Some(turn.start_ms),
        end_ms: Some(turn.end_ms),
        label: label.as_str().to_owned(),
        negative: score.negative,
        neutral: score.neutral,
        positive: score.positive,
    }
}
