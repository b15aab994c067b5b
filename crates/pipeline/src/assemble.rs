//! Stages from a pipeline file: the one place where configuration, models and stages meet.

use crate::{PipelineError, Spec};
use extract::{Extract, Likelihood};
use flow::Flow;
use inference::{Device, DeviceChoice, LanguageModel, Precision, Registry, SentenceEncoder, Task, open_device};
use ingest::Ingest;
use schema::{ModelId, Stage, StageName};
use sentiment::{Reader, SentimentStage};
use std::{fmt::Display, sync::Arc};
use summarize::{Summarize, Summarizer};
use transcribe::{EngineSpec, Transcribe};

/// Makes stages, loading each model once.
pub struct Assembly<'a> {
    spec: &'a Spec,
    registry: &'a Registry,
    device: Device,
    encoder: Option<(Arc<SentenceEncoder>, ModelId)>,
}

impl<'a> Assembly<'a> {
    /// For this pipeline, with models from this registry, on this device.
    pub fn new(spec: &'a Spec, registry: &'a Registry, device: DeviceChoice) -> Result<Self, PipelineError> {
        let device = open_device(device).map_err(setup)?;
        Ok(Self { spec, registry, device, encoder: None })
    }

    /// All stages, in order. A model that is missing is named, with the command that brings it, before any is loaded.
    pub fn stages(&mut self) -> Result<Vec<Box<dyn Stage>>, PipelineError> {
        self.registry.find(&self.spec.sentence_encoder).map_err(setup)?;
        if let Some(model) = &self.spec.summarize.model {
            self.registry.find(model).map_err(setup)?;
        }
        StageName::ALL.into_iter().map(|name| self.stage(name)).collect()
    }

    /// One stage.
    pub fn stage(&mut self, name: StageName) -> Result<Box<dyn Stage>, PipelineError> {
        let spec = self.spec;
        Ok(match name {
            StageName::Ingest => Box::new(Ingest::new(spec.ingest.clone())),
            StageName::Transcribe => Box::new(self.transcribe()?),
            StageName::Flow => {
                let (encoder, model) = self.encoder()?;
                Box::new(Flow::new(spec.flow.clone(), encoder, model))
            }
            StageName::Summarize => {
                let (encoder, model) = self.encoder()?;
                let stage = Summarize::new(spec.summarize.clone(), encoder, model);
                Box::new(match &spec.summarize.model {
                    None => stage,
                    Some(name) => {
                        let (writer, model) = self.writer(name)?;
                        stage.with_model(writer, model)
                    }
                })
            }
            StageName::Extract => {
                let (encoder, model) = self.encoder()?;
                Box::new(Extract::new(spec.extract.clone(), encoder, model).map_err(setup)?)
            }
            StageName::Sentiment => Box::new(self.sentiment()?),
        })
    }

    /// What the stage summarize works with, without the stage.
    pub(crate) fn summarizer(&mut self) -> Result<Summarizer, PipelineError> {
        let (encoder, _) = self.encoder()?;
        Ok(Summarizer::new(self.spec.summarize.clone(), encoder))
    }

    fn sentiment(&self) -> Result<SentimentStage, PipelineError> {
        let config = self.spec.sentiment.clone();
        if config.lexicon_share >= 1.0 {
            return SentimentStage::new(config).map_err(setup);
        }
        let found = self.registry.find(&self.spec.sentence_encoder).map_err(setup)?;
        let reader = Reader::load(&config, &found.folder, &self.device, Precision::Int8).map_err(setup)?;
        let model = ModelId { name: found.manifest.name.clone(), sha256: found.sha256.clone() };
        Ok(SentimentStage::with_head(config, reader, model))
    }

    /// What tells the action items of a meeting.
    pub(crate) fn likelihood(&self) -> Result<Likelihood, PipelineError> {
        let found = self.registry.find(&self.spec.sentence_encoder).map_err(setup)?;
        Likelihood::load(&found.folder, &self.device, Precision::Int8).map_err(setup)
    }

    /// The language model of the summaries.
    fn writer(&self, name: &str) -> Result<(Arc<LanguageModel>, ModelId), PipelineError> {
        let found = self.registry.find(name).map_err(setup)?;
        if found.manifest.task != Task::Generation {
            return Err(PipelineError::Setup(format!(
                "[summarize] model = \"{name}\" writes no text; name a model of the task generation (`nightcall models list`)"
            )));
        }
        let writer = LanguageModel::load(&found.folder, &self.device).map_err(setup)?;
        Ok((Arc::new(writer), ModelId { name: found.manifest.name.clone(), sha256: found.sha256.clone() }))
    }

    /// The recognizer.
    pub fn transcribe(&mut self) -> Result<Transcribe, PipelineError> {
        let mut engines = Vec::new();
        for name in &self.spec.transcribe.models {
            let found = self.registry.find(name).map_err(setup)?;
            engines.push(EngineSpec::installed(&found).map_err(setup)?);
        }
        Transcribe::new(self.spec.transcribe.clone(), engines, &self.device).map_err(setup)
    }

    /// The sentence encoder that the stages share.
    pub(crate) fn encoder(&mut self) -> Result<(Arc<SentenceEncoder>, ModelId), PipelineError> {
        if let Some(encoder) = &self.encoder {
            return Ok(encoder.clone());
        }
        let found = self.registry.find(&self.spec.sentence_encoder).map_err(setup)?;
        let encoder = SentenceEncoder::load(&found.folder, &self.device, Precision::Int8).map_err(setup)?;
        let model = ModelId { name: found.manifest.name.clone(), sha256: found.sha256.clone() };
        Ok(self.encoder.insert((Arc::new(encoder), model)).clone())
    }
}

fn setup(e: impl Display) -> PipelineError {
    PipelineError::Setup(e.to_string())
}

/// How many threads the stages share; 0 for one a core. Once a process.
pub fn set_threads(count: usize) -> Result<(), PipelineError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|i| format!("lane {i}"))
        .build_global()
        .map_err(setup)
}

/// The devices that this build and machine can run models on.
pub fn devices() -> Vec<String> {
    [DeviceChoice::Cpu, DeviceChoice::Cuda(0), DeviceChoice::Metal]
        .into_iter()
        .filter(|&choice| open_device(choice).is_ok())
        .map(|choice| choice.to_string())
        .collect()
}
