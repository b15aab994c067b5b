//! Stages from a pipeline file: the one place where configuration, models and stages meet.

use crate::{PipelineError, Spec};
use extract::Extract;
use flow::Flow;
use inference::{Device, DeviceChoice, Precision, Registry, SentenceEncoder, TurnVectors, open_device};
use ingest::Ingest;
use schema::{ModelId, Stage, StageName};
use sentiment::SentimentStage;
use std::{fmt::Display, sync::Arc};
use summarize::Summarize;
use transcribe::{EngineSpec, Transcribe};

/// Makes stages, loading each model once.
pub struct Assembly<'a> {
    spec: &'a Spec,
    registry: &'a Registry,
    device: Device,
    encoder: Option<(Arc<SentenceEncoder>, ModelId)>,
    vectors: Option<Arc<TurnVectors>>,
}

impl<'a> Assembly<'a> {
    /// For this pipeline, with models from this registry, on this device.
    pub fn new(spec: &'a Spec, registry: &'a Registry, device: DeviceChoice) -> Result<Self, PipelineError> {
        let device = open_device(device).map_err(setup)?;
        Ok(Self { spec, registry, device, encoder: None, vectors: None })
    }

    /// All stages, in order. A model that is missing is named, with the command that brings it, before any is loaded.
    pub fn stages(&mut self) -> Result<Vec<Box<dyn Stage>>, PipelineError> {
        self.registry.find(&self.spec.sentence_encoder).map_err(setup)?;
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
                Box::new(Summarize::new(spec.summarize.clone(), encoder, model))
            }
            StageName::Extract => {
                let (encoder, model) = self.encoder()?;
                let vectors = self.turn_vectors()?;
                Box::new(Extract::new(spec.extract.clone(), encoder, vectors, model).map_err(setup)?)
            }
            StageName::Sentiment => {
                let (_, model) = self.encoder()?;
                let vectors = self.turn_vectors()?;
                Box::new(SentimentStage::new(spec.sentiment.clone(), vectors, model).map_err(setup)?)
            }
        })
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

    /// The vectors of turns that the heads share.
    pub(crate) fn turn_vectors(&mut self) -> Result<Arc<TurnVectors>, PipelineError> {
        if let Some(vectors) = &self.vectors {
            return Ok(vectors.clone());
        }
        let (encoder, _) = self.encoder()?;
        Ok(self.vectors.insert(Arc::new(TurnVectors::new(encoder))).clone())
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
