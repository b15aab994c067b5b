//! The inference core.

mod align;
mod attention;
mod bert;
mod device;
mod error;
mod kernels;
mod linear;
mod moonshine;
mod precision;
mod registry;
mod sentence;

pub use candle_core::Device;
pub use device::{DeviceChoice, open_device};
pub use error::InferenceError;
pub use kernels::processor;
pub use moonshine::{Moonshine, Recognized, RecognizedToken};
pub use precision::Precision;
pub use registry::{
    Attempt, Conversion, Engine, Installed, Manifest, ModelFile, ModelState, PullProgress, Registry, RegistryError,
    Script, Source, Status, Task,
};
pub use sentence::{SentenceEncoder, cosine};
