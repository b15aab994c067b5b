//! Moonshine, by our own inference core.

use super::{Engine, Recognition, Window};
use crate::{TranscribeConfig, TranscribeError};
use inference::{Device, Moonshine, Precision};
use std::{borrow::Cow, path::Path};

/// One language, windows of any length, batches.
pub(crate) struct MoonshineEngine {
    model: Moonshine,
    one_by_one: bool,
}

impl MoonshineEngine {
    pub fn load(folder: &Path, device: &Device, config: &TranscribeConfig) -> Result<Self, TranscribeError> {
        let one_by_one = device.is_cpu() && config.precision == Precision::Int8;
        let mut model = Moonshine::load(folder, device, config.precision)?;
        model.favor(&config.vocabulary)?;
        Ok(Self { model, one_by_one })
    }
}

impl Engine for MoonshineEngine {
    fn one_by_one(&self) -> bool {
        self.one_by_one
    }

    fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
        let windows: Vec<Cow<'_, [f32]>> = windows.iter().map(|w| long_enough(w.samples)).collect();
        let windows: Vec<&[f32]> = windows.iter().map(AsRef::as_ref).collect();
        Ok(self.model.recognize(&windows)?.into_iter().map(Recognition::from).collect())
    }
}

/// A recording may end right after it began; silence makes it long enough for the model.
fn long_enough(samples: &[f32]) -> Cow<'_, [f32]> {
    if samples.len() >= Moonshine::MIN_SAMPLES {
        return Cow::Borrowed(samples);
    }
    let mut longer = samples.to_vec();
    longer.resize(Moonshine::MIN_SAMPLES, 0.0);
    Cow::Owned(longer)
}
