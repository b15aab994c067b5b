//! The stage: turns in, follow-ups and keywords out.

use crate::{
    ExtractConfig, ExtractError, Utterance, follow_ups,
    keywords::{self, Ask},
    trackers::Trackers,
};
use chrono::NaiveDate;
use inference::{SentenceEncoder, Vector};
use rayon::prelude::*;
use schema::{
    Call, CallFailure, Evidence, Fingerprint, FollowUp, Item, Keyword, ModelId, Sink, Stage, StageError, StageName,
    Table, Tables, Turn, guard,
};
use std::{collections::HashSet, sync::Arc};

/// Raised when the same configuration and models give other results.
const VERSION: u32 = 5;

/// The roles of a call, also where one of the two says nothing (a voicemail).
const ROLES: [&str; 2] = ["agent", "customer"];

/// What is found in one call.
type Rows = (Vec<FollowUp>, Vec<Keyword>);

/// Finds follow-ups and keywords in a shard's calls.
pub struct Extract {
    config: ExtractConfig,
    trackers: Trackers,
    encoder: Option<(Arc<SentenceEncoder>, ModelId)>,
}

impl Extract {
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Calls, Table::Turns];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::FollowUps, Table::Keywords];

    /// Builds the trackers. The encoder, `model`, weighs keyphrases by their similarity to the call.
    pub fn new(config: ExtractConfig, encoder: Arc<SentenceEncoder>, model: ModelId) -> Result<Self, ExtractError> {
        Ok(Self { encoder: Some((encoder, model)), ..Self::without_encoder(config)? })
    }

    /// The same without a model: statistics alone weigh keyphrases.
    pub fn without_encoder(config: ExtractConfig) -> Result<Self, ExtractError> {
        config.validate()?;
        let trackers = Trackers::new(&config.trackers);
        Ok(Self { config, trackers, encoder: None })
    }

    fn follow_ups(&self, call_id: &str, call: Option<&Call>, turns: &[Turn], day: Option<NaiveDate>) -> Vec<FollowUp> {
        let said: Vec<Utterance<'_>> = turns
            .iter()
            .map(|turn| Utterance {
                turn_index: turn.turn_index,
                role: turn.role.as_deref().unwrap_or(&turn.speaker),
                text: &turn.text,
            })
            .collect();
        let mut rows = follow_ups(call_id, &said, day, self.config.follow_up_min_score);
        for row in &mut rows {
            let participants = call.map_or(&[][..], |call| &call.participants);
            let owner = participants.iter().find(|p| p.role.is_some() && p.role == row.owner_role);
            row.owner_name = owner.and_then(|owner| owner.name.clone());
            // Whoever has no role is known by a channel, which is nobody's name.
            let is_role = |role: &String| {
                ROLES.contains(&role.as_str()) || turns.iter().any(|turn| turn.role.as_ref() == Some(role))
            };
            row.owner_role = row.owner_role.take().filter(is_role);
            (row.start_ms, row.end_ms) = Evidence::span(&row.evidence, turns);
        }
        rows
    }

    /// The vectors that the calls' keyphrases need, in the order of the calls; embedded together, so that batches fill up.
    fn vectors(&self, asks: &[(&str, Ask<'_>)]) -> Result<Option<Vec<Vector>>, StageError> {
        let Some((encoder, _)) = &self.encoder else { return Ok(None) };
        let texts: Vec<String> = asks.iter().flat_map(|(_, ask)| ask.texts()).collect();
        encoder.embed_cached(&texts).map(Some).map_err(|error| StageError::Model(error.to_string()))
    }

    /// The rows of one call.
    fn read(
        &self,
        call_id: &str,
        call: Option<&Call>,
        turns: &[Turn],
        ask: &Ask<'_>,
        vectors: Option<&[Vector]>,
    ) -> Rows {
        let day = call.and_then(|call| call.started_on.or_else(|| Some(call.started_at?.date_naive())));
        let chosen = ask.choose(vectors, self.config.keyphrases, self.config.keyphrase_diversity);
        let keywords = keywords::rows(call_id, turns, day, &self.trackers, ask, chosen);
        (self.follow_ups(call_id, call, turns, day), keywords)
    }
}

impl Stage for Extract {
    fn name(&self) -> StageName {
        StageName::Extract
    }

    fn inputs(&self) -> &'static [Table] {
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
    }

    fn models(&self) -> Vec<ModelId> {
        self.encoder.iter().map(|(_, id)| id.clone()).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let calls = tables.by_call::<Call>()?;
        let turns = tables.english(self.name(), &calls, out)?;
        // A call whose text cannot be read at all fails alone, before the shard's texts go to the encoder together.
        let read: Vec<Result<(&str, Ask<'_>), CallFailure>> = turns
            .par_iter()
            .map(|(id, turns)| {
                let names = names(calls.get(id).and_then(|rows| rows.first()));
                guard(id, || Ok((id.as_str(), Ask::of_turns(turns, &names))))
            })
            .collect();
        let mut asks = Vec::with_capacity(read.len());
        for ask in read {
            match ask {
                Ok(ask) => asks.push(ask),
                Err(failure) => out.fail(failure)?,
            }
        }
        let vectors = self.vectors(&asks)?;
        let starts: Vec<usize> = asks
            .iter()
            .scan(0, |sum, (_, ask)| {
                let start = *sum;
                *sum += ask.len();
                Some(start)
            })
            .collect();
        let this = &*self;
        let results: Vec<Result<Rows, CallFailure>> = asks
            .par_iter()
            .zip(&starts)
            .map(|((id, ask), &start)| {
                let call = calls.get(*id).and_then(|rows| rows.first());
                let vectors = vectors.as_ref().map(|all| &all[start..start + ask.len()]);
                guard(id, || Ok(this.read(id, call, &turns[*id], ask, vectors)))
            })
            .collect();
        for result in results {
            match result {
                Ok((follow_ups, keywords)) => {
                    out.rows(&follow_ups)?;
                    out.rows(&keywords)?;
                }
                Err(failure) => out.fail(failure)?,
            }
        }
        Ok(())
    }
}

/// The words of the participants' names: who speaks is known, and is not what the call is about.
fn names(call: Option<&Call>) -> HashSet<String> {
    let participants = call.map_or(&[][..], |call| &call.participants);
    let names = participants.iter().filter_map(|p| p.name.as_deref());
    names.flat_map(str::split_whitespace).map(str::to_lowercase).collect()
}
