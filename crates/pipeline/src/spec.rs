//! The pipeline file: which models run, and every stage's configuration.

use crate::PipelineError;
use extract::ExtractConfig;
use flow::FlowConfig;
use ingest::IngestConfig;
use sentiment::SentimentConfig;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use summarize::SummarizeConfig;
use transcribe::TranscribeConfig;

/// A pipeline file. Every key has a default; a key that is not known is an error that names it and its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Name of the pipeline.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Model that embeds sentences, for topics, summaries and keyphrases.
    pub sentence_encoder: String,
    /// Section `[ingest]`.
    pub ingest: IngestConfig,
    /// Section `[transcribe]`.
    pub transcribe: TranscribeConfig,
    /// Section `[flow]`.
    pub flow: FlowConfig,
    /// Section `[summarize]`.
    pub summarize: SummarizeConfig,
    /// Section `[extract]`.
    pub extract: ExtractConfig,
    /// Section `[sentiment]`.
    pub sentiment: SentimentConfig,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            name: "unnamed".into(),
            description: String::new(),
            sentence_encoder: "all-minilm-l6-v2".into(),
            ingest: IngestConfig::default(),
            transcribe: TranscribeConfig::default(),
            flow: FlowConfig::default(),
            summarize: SummarizeConfig::default(),
            extract: ExtractConfig::default(),
            sentiment: SentimentConfig::default(),
        }
    }
}

/// The pipeline that runs where none is named.
const DEFAULT: &str = include_str!("../../../pipelines/default.toml");

impl Spec {
    /// Reads a pipeline file; the ready-made default where none is named.
    pub fn load(file: Option<&Path>) -> Result<Self, PipelineError> {
        match file {
            None => Self::parse(DEFAULT, Path::new("pipelines/default.toml")),
            Some(file) => {
                let text =
                    fs::read_to_string(file).map_err(|source| PipelineError::Read { file: file.into(), source })?;
                Self::parse(&text, file)
            }
        }
    }

    /// Parses the text of a pipeline file; `file` is for messages.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PipelineError> {
        toml::from_str(text)
            .map_err(|e| PipelineError::Spec { file: file.into(), message: e.to_string().trim_end().to_owned() })
    }
}
