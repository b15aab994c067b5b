//! The inference core.

mod align;
mod attention;
mod bert;
mod decoding;
mod device;
mod error;
mod kernels;
mod linear;
mod llm;
mod memory;
mod moonshine;
mod norm;
#[doc(hidden)]
pub mod parts;
mod precision;
mod recognized;
mod registry;
mod sentence;
mod text;
mod turns;
mod update;
mod whisper;

pub use candle_core::Device;
pub use device::{DeviceChoice, open_device};
pub use error::InferenceError;
pub use kernels::processor;
pub use llm::{Answer, End, Form, LanguageModel, Limits, Prompt};
pub use moonshine::Moonshine;
pub use precision::Precision;
pub use recognized::{Recognized, RecognizedToken};
pub use registry::{
    Attempt, Conversion, Engine, Installed, Manifest, ModelFile, ModelState, PullProgress, Registry, RegistryError,
    Script, Source, Status, Task,
};
pub use sentence::{SentenceEncoder, Vector, cosine};
pub use text::whole_characters;
pub use turns::TurnReader;
pub use whisper::{Whisper, WhisperOptions, WhisperTimes, WhisperWindow};
