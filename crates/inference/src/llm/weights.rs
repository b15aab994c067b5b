//! The networks, as candle-transformers runs them over quantized weights.

use super::gemma3::Gemma3;
use crate::InferenceError;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_phi3, quantized_qwen3};
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

/// What `general.architecture` may say.
const KNOWN: &str = "qwen3, llama, gemma3, phi3";

/// Longest text in tokens, prompt and answer together: the llama of candle-transformers knows no further positions, and a
/// worker of Qwen3 holds keys and values for so many from the start.
const MOST_TOKENS: usize = 4096;

/// A network with the keys and values of one text. A clone shares the weights.
#[derive(Clone)]
pub(super) enum Weights {
    Qwen3(quantized_qwen3::ModelWeights),
    Llama(quantized_llama::ModelWeights),
    Gemma3(Gemma3),
    Phi3(quantized_phi3::ModelWeights),
}

/// What a .gguf file says of its model.
pub(super) struct Gguf {
    content: Content,
    reader: BufReader<File>,
    pub(super) architecture: String,
    /// Longest text in tokens.
    pub(super) room: usize,
}

impl Gguf {
    pub(super) fn open(path: &Path) -> Result<Self, InferenceError> {
        let file = File::open(path).map_err(|source| InferenceError::Read { path: path.to_owned(), source })?;
        let mut reader = BufReader::new(file);
        let mut content = Content::read(&mut reader).map_err(|error| InferenceError::bad_file(path, error))?;
        let architecture = match content.metadata.get("general.architecture").map(Value::to_string) {
            Some(Ok(name)) => name.clone(),
            _ => return Err(InferenceError::bad_file(path, "general.architecture is missing")),
        };
        if !KNOWN.split(", ").any(|known| known == architecture) {
            let reason = format!("general.architecture is `{architecture}`; Nightcall runs {KNOWN}");
            return Err(InferenceError::bad_file(path, reason));
        }
        let context = content.metadata.get(&format!("{architecture}.context_length")).and_then(|v| v.to_u32().ok());
        let room = context.map_or(MOST_TOKENS, |tokens| (tokens as usize).min(MOST_TOKENS));
        // Without it candle-transformers counts positions in 16 bits, which cannot tell 2049 from 2048.
        content.metadata.insert("general.dtype".into(), Value::U32(0));
        Ok(Self { content, reader, architecture, room })
    }

    /// A value of the metadata.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// Reads the weights.
    pub(super) fn weights(mut self, device: &Device) -> candle_core::Result<Weights> {
        let (content, reader) = (self.content, &mut self.reader);
        reader.seek(SeekFrom::Start(0))?;
        Ok(match self.architecture.as_str() {
            "qwen3" => Weights::Qwen3(quantized_qwen3::ModelWeights::from_gguf(content, reader, device)?),
            "gemma3" => Weights::Gemma3(Gemma3::read(&content, reader, self.room, device)?),
            "phi3" => Weights::Phi3(quantized_phi3::ModelWeights::from_gguf(false, content, reader, device)?),
            // `open` lets no other name through.
            _ => Weights::Llama(quantized_llama::ModelWeights::from_gguf(content, reader, device)?),
        })
    }
}

impl Weights {
    /// Forgets the text. Phi 3 does so at position 0.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Qwen3(model) => model.clear_kv_cache(),
            Self::Llama(model) => model.clear_kv_cache(),
            Self::Gemma3(model) => model.clear(),
            Self::Phi3(_) => {}
        }
    }

    /// Takes tokens that stand at `position` of the text; gives the logits of the token behind them, `[vocabulary]`.
    pub(super) fn forward(
        &mut self,
        tokens: &[u32],
        position: usize,
        device: &Device,
    ) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::new(tokens, device)?.unsqueeze(0)?;
        let logits = match self {
            Self::Qwen3(model) => model.forward(&input, position),
            Self::Llama(model) => model.forward(&input, position),
            Self::Gemma3(model) => model.forward(tokens, position),
            Self::Phi3(model) => model.forward(&input, position),
        }?;
        logits.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
    }
}
