//! A Whisper folder's `config.json` and `generation_config.json`, in the words of transformers' `WhisperConfig`.

use crate::InferenceError;
use serde::Deserialize;
use std::path::Path;

/// The keys that the computation needs; the files' other keys are not read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub vocab_size: usize,
    pub d_model: usize,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    encoder_attention_heads: usize,
    decoder_attention_heads: usize,
    pub encoder_ffn_dim: usize,
    pub decoder_ffn_dim: usize,
    pub num_mel_bins: usize,
    /// Frames of the encoder's window: 1500.
    pub max_source_positions: usize,
    /// Tokens of the decoder's window: 448.
    pub max_target_positions: usize,
    #[serde(default = "gelu")]
    activation_function: String,
    pub decoder_start_token_id: u32,
    pub eos_token_id: u32,
    #[serde(default)]
    suppress_tokens: Option<Vec<i64>>,
    #[serde(default)]
    begin_suppress_tokens: Option<Vec<i64>>,
}

/// What a folder says of how to decode; all of it can be missing.
#[derive(Debug, Clone, Default, Deserialize)]
struct Generation {
    #[serde(default)]
    alignment_heads: Option<Vec<(usize, usize)>>,
    #[serde(default)]
    suppress_tokens: Option<Vec<i64>>,
    #[serde(default)]
    begin_suppress_tokens: Option<Vec<i64>>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// The tokens that are no text, by the layout of openai/whisper, `whisper/tokenizer.py`: after the text come the end, the
/// start, the languages, then six marks, then the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub end: u32,
    pub start: u32,
    pub first_language: u32,
    /// None where the model knows English alone.
    pub languages: Option<u32>,
    pub transcribe: u32,
    pub previous: u32,
    pub no_speech: u32,
    pub no_timestamps: u32,
    /// Time 0; a token is 20 ms later than the one before.
    pub times: u32,
}

/// Tokens of time: 0 to 30 s.
const TIMES: u32 = 1501;
/// Translate, transcribe, start of a language model, start of what was said before, no speech, no timestamps.
const MARKS: u32 = 6;

/// All that is said of a model but its weights.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub config: Config,
    pub marks: Marks,
    /// Never said as text.
    pub suppressed: Vec<u32>,
    /// Not said first.
    pub not_first: Vec<u32>,
    /// The cross-attention whose weights say when a token was said, as (layer, head): what the folder names, else, as
    /// openai/whisper does for models that it has not measured, all of the layers' second half.
    pub alignment_heads: Vec<(usize, usize)>,
}

impl Description {
    /// Reads the files and refuses what this code does not compute.
    pub fn read(folder: &Path) -> Result<Self, InferenceError> {
        let path = folder.join("config.json");
        let config: Config = serde_json::from_slice(&InferenceError::read(&path)?)
            .map_err(|error| InferenceError::bad_file(&path, error))?;
        config.check().map_err(|reason| InferenceError::bad_file(&path, reason))?;
        let marks = config.marks().map_err(|reason| InferenceError::bad_file(&path, reason))?;
        let path = folder.join("generation_config.json");
        let generation: Generation = if path.exists() {
            serde_json::from_slice(&InferenceError::read(&path)?)
                .map_err(|error| InferenceError::bad_file(&path, error))?
        } else {
            Generation::default()
        };
        let ids = |lists: [&Option<Vec<i64>>; 2]| -> Vec<u32> {
            let list = lists.into_iter().flatten().next();
            list.into_iter().flatten().filter_map(|id| u32::try_from(*id).ok()).collect()
        };
        let (layers, heads) = (config.decoder_layers, config.heads());
        let alignment_heads = generation.alignment_heads.unwrap_or_else(|| {
            (layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect()
        });
        if let Some((layer, head)) = alignment_heads.iter().find(|(layer, head)| *layer >= layers || *head >= heads) {
            let reason = format!("alignment_heads names head {head} of layer {layer}; there are {layers} of {heads}");
            return Err(InferenceError::bad_file(&path, reason));
        }
        Ok(Self {
            suppressed: ids([&generation.suppress_tokens, &config.suppress_tokens]),
            not_first: ids([&generation.begin_suppress_tokens, &config.begin_suppress_tokens]),
            alignment_heads,
            marks,
            config,
        })
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        let heads = self.encoder_attention_heads;
        if heads == 0 || !self.d_model.is_multiple_of(heads) {
            return Err(format!("d_model {} is not a multiple of {heads} heads", self.d_model));
        }
        if self.decoder_attention_heads != heads {
            return Err("encoder and decoder must have the same number of heads".to_owned());
        }
        if self.activation_function != "gelu" {
            return Err(format!("activation_function {} is not supported, only gelu", self.activation_function));
        }
        if self.max_source_positions == 0 || self.num_mel_bins == 0 || self.max_target_positions < 8 {
            return Err("the windows of encoder and decoder are empty".to_owned());
        }
        Ok(())
    }

    /// Attention heads, of encoder and decoder.
    pub fn heads(&self) -> usize {
        self.encoder_attention_heads
    }

    /// The samples of a window.
    pub fn window(&self) -> usize {
        self.max_source_positions * super::FRAME_SAMPLES
    }

    fn marks(&self) -> Result<Marks, String> {
        let (start, end) = (self.decoder_start_token_id, self.eos_token_id);
        let size = self.vocab_size as u32;
        let first_language = start + 1;
        let languages = size.checked_sub(first_language + MARKS + TIMES).filter(|_| start == end + 1);
        let Some(languages) = languages.filter(|languages| *languages > 0) else {
            return Err(format!(
                "vocab_size {size}, eos_token_id {end} and decoder_start_token_id {start} are not laid out as Whisper's"
            ));
        };
        let translate = first_language + languages;
        Ok(Marks {
            end,
            start,
            first_language,
            // The vocabulary of the English models is a token shorter.
            languages: (end > 50_256 || size < 50_000).then_some(languages),
            transcribe: translate + 1,
            previous: translate + 3,
            no_speech: translate + 4,
            no_timestamps: translate + 5,
            times: translate + 6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vocab_size: usize, end: u32) -> Config {
        let text = format!(
            r#"{{"vocab_size": {vocab_size}, "d_model": 4, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 1, "decoder_attention_heads": 1, "encoder_ffn_dim": 4, "decoder_ffn_dim": 4,
            "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448,
            "decoder_start_token_id": {}, "eos_token_id": {end}}}"#,
            end + 1
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn marks_stand_where_the_published_models_have_them() {
        let english = config(51_864, 50_256).marks().unwrap();
        assert_eq!((english.start, english.languages), (50_257, None));
        assert_eq!((english.transcribe, english.no_timestamps, english.times), (50_358, 50_362, 50_363));
        let tiny = config(51_865, 50_257).marks().unwrap();
        assert_eq!((tiny.first_language, tiny.languages), (50_259, Some(99)));
        assert_eq!((tiny.transcribe, tiny.previous, tiny.no_speech), (50_359, 50_361, 50_362));
        assert_eq!((tiny.no_timestamps, tiny.times), (50_363, 50_364));
        let large = config(51_866, 50_257).marks().unwrap();
        assert_eq!((large.languages, large.transcribe, large.times), (Some(100), 50_360, 50_365));
        assert!(config(1000, 50_257).marks().is_err());
    }
}
