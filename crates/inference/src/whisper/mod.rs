//! Whisper (Radford et al., arXiv:2212.04356): speech in a hundred languages to text, in windows of 30 seconds.

mod config;
mod decoder;
mod encoder;
mod fallback;
mod layers;
mod mel;
#[cfg(test)]
mod tests;
mod vocabulary;

use crate::decoding::{self, Decoded, Decoder as _, Rules, Sampling, Task, Timestamps, decode_batch, decode_lanes};
use crate::{InferenceError, Precision, Recognized, align, memory};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use config::Description;
use decoder::Decoder;
use encoder::Encoder;
pub(crate) use mel::Mel;
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;
use vocabulary::Vocabulary;

/// Samples of a frame of the encoder.
const FRAME_SAMPLES: usize = 2 * mel::HOP;
/// Steps of 20 ms that the first time may be late (openai/whisper, `max_initial_timestamp`: one second).
const FIRST_TIME: u32 = 50;
/// Rows of a lane, and the memory that they may take for the frames that they attend to: more rows read the weights for
/// more at once, up to where the frames take longer than the weights.
const LANE_ROWS: usize = 16;
const LANE_BYTES: usize = 192 << 20;

/// A Whisper recognizer. `Send + Sync`: one for the process, shared by reference.
pub struct Whisper {
    mel: Mel,
    encoder: Encoder,
    decoder: Decoder,
    description: Description,
    /// A folder without `tokenizer.json` can be timed, and hears nothing.
    vocabulary: Option<Vocabulary>,
    rules: Rules,
    /// What every window is told before it is heard, as if it had been said.
    previous: Vec<u32>,
    timestamps: bool,
    /// Whether each core works for itself.
    lanes: bool,
}

/// How windows are heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhisperOptions {
    /// Words that the recordings are likely to hold, such as names of products, as one text.
    pub prompt: Option<String>,
    /// Whether times are said among the words. They are not needed for word timings.
    pub timestamps: bool,
}

/// A window to recognize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WhisperWindow<'a> {
    /// 16 kHz mono, at most 30 s.
    pub samples: &'a [f32],
    /// The language's code; a model that knows English alone takes no other.
    pub language: &'a str,
}

/// What [`Whisper::time`] measured, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WhisperTimes {
    /// From features to frames, all windows of the batch together.
    pub encode_s: f64,
    /// From frames to tokens.
    pub decode_s: f64,
}

impl Whisper {
    /// Reads `config.json`, `model.safetensors` (f32 or f16), `generation_config.json` where it is, and `tokenizer.json`
    /// from a folder as the model hub has it.
    pub fn load(
        folder: &Path,
        device: &Device,
        precision: Precision,
        options: &WhisperOptions,
    ) -> Result<Self, InferenceError> {
        Self::load_as(folder, device, precision, precision.dtype(device), device.is_cpu(), options)
    }

    fn load_as(
        folder: &Path,
        device: &Device,
        precision: Precision,
        dtype: DType,
        host: bool,
        options: &WhisperOptions,
    ) -> Result<Self, InferenceError> {
        let description = Description::read(folder)?;
        let (config, marks) = (&description.config, description.marks);
        let path = folder.join("tokenizer.json");
        let vocabulary = path.exists().then(|| Vocabulary::read(&path, marks)).transpose()?;
        let path = folder.join("model.safetensors");
        let bad = |error| InferenceError::bad_file(&path, error);
        let vb = VarBuilder::from_buffered_safetensors(InferenceError::read(&path)?, dtype, device).map_err(bad)?;
        let vb = if vb.contains_tensor("model.encoder.conv1.weight") { vb.pp("model") } else { vb };
        let mut decoder = Decoder::load(config, precision, &vb.pp("decoder")).map_err(bad)?;
        decoder.heads.host = host;

        // A window is told what was said before by a mark, then by half of the decoder's window at most.
        let mut previous = Vec::new();
        if let (Some(prompt), Some(vocabulary)) = (&options.prompt, &vocabulary) {
            let words = vocabulary.tokens(&format!(" {}", prompt.trim()))?;
            let most = config.max_target_positions / 2 - 1;
            previous.push(marks.previous);
            previous.extend(&words[words.len().saturating_sub(most)..]);
        }
        let others = (marks.start..marks.times)
            .chain((!options.timestamps).then_some(marks.times..config.vocab_size as u32).into_iter().flatten());
        let rules = Rules {
            end: marks.end,
            suppressed: description.suppressed.iter().copied().chain(others).collect(),
            not_first: description.not_first.clone(),
            favored: None,
            timestamps: options.timestamps.then_some(Timestamps { begin: marks.times, first_at_most: FIRST_TIME }),
            no_speech: Some(marks.no_speech),
            forced: false,
        };
        Ok(Self {
            mel: Mel::new(config.num_mel_bins),
            encoder: Encoder::load(config, precision, &vb.pp("encoder")).map_err(bad)?,
            decoder,
            vocabulary,
            rules,
            previous,
            timestamps: options.timestamps,
            lanes: host && precision == Precision::Int8,
            description,
        })
    }

    /// Whether it knows more than English.
    pub fn is_multilingual(&self) -> bool {
        self.description.marks.languages.is_some()
    }

    /// The samples of a window: 480,000, which is 30 s.
    pub fn window_samples(&self) -> usize {
        self.description.config.window()
    }

    /// Recognizes windows of 16 kHz mono speech; results stand in the order of the windows.
    ///
    /// A window's result does not depend on its neighbours: in 8 bits not by a bit, in full precision to within 1e-5 in the
    /// log probabilities. Where the likeliest words repeat themselves or are unlikely altogether, words are drawn at rising
    /// temperatures (openai/whisper, `decode_with_fallback`), from random numbers that depend on the window's sound alone.
    /// A window of more than 30 s, with a sample that is not a finite number, or in a language that the model does not know
    /// is refused.
    pub fn recognize(&self, windows: &[WhisperWindow<'_>]) -> Result<Vec<Recognized>, InferenceError> {
        let vocabulary = self.vocabulary()?;
        let prompts: Vec<Vec<u32>> =
            windows.iter().map(|window| self.prompt(window.language)).collect::<Result<_, _>>()?;
        self.check(windows.iter().map(|window| window.samples))?;
        let all: Vec<usize> = (0..windows.len()).collect();
        let hear = |at: &[usize], temperature: f32| {
            self.decode(at, &self.rules, &self.description.alignment_heads, |i| Hearing {
                samples: windows[i].samples,
                prompt: prompts[i].clone(),
                sampling: (temperature > 0.0)
                    .then(|| Sampling::new(temperature, fallback::seed(windows[i].samples, temperature))),
            })
        };
        let text = |row: &Decoded| vocabulary.texts(&row.tokens).concat();
        let rows = fallback::decode(&all, hear, |row| fallback::lost(row, &text(row)))?;
        Ok(rows.into_par_iter().map(|(i, row)| self.read(vocabulary, &row, windows[i].samples.len())).collect())
    }

    /// The language of some windows of one call, with its probability: the mean of what the decoder gives at each window's
    /// start (openai/whisper, `detect_language`). English where the model knows no other.
    pub fn detect(&self, windows: &[&[f32]]) -> Result<(String, f32), InferenceError> {
        let marks = self.description.marks;
        let (Some(count), false) = (marks.languages, windows.is_empty()) else { return Ok(("en".to_owned(), 1.0)) };
        let vocabulary = self.vocabulary()?;
        self.check(windows.iter().copied())?;
        let languages = marks.first_language as usize..(marks.first_language + count) as usize;
        let mut sums = vec![0.0f32; languages.len()];
        for window in windows {
            let frames = self.encoder.forward(vec![self.features(window)])?.remove(0);
            let logits = decoding::first_logits(&self.decoder, &frames, marks.start)?;
            let logits = &logits[languages.clone()];
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
            let total: f32 = powers.iter().sum();
            sums.iter_mut().zip(powers).for_each(|(sum, power)| *sum += power / total);
        }
        let best = (0..sums.len()).fold(0, |best, i| if sums[i] > sums[best] { i } else { best });
        Ok((vocabulary.languages()[best].clone(), sums[best] / windows.len() as f32))
    }

    /// Windows that are worked on together where nobody says how many.
    pub fn usual_batch(&self) -> usize {
        if self.lanes { self.lane_rows() * rayon::current_num_threads() } else { self.batch_rows() }
    }

    /// How long it takes to encode a batch of windows of noise and to decode a forced number of tokens after each; features
    /// are made before the clock starts.
    pub fn time(&self, batch: usize, tokens: usize) -> Result<WhisperTimes, InferenceError> {
        let most = self.description.config.max_target_positions - 3;
        if batch == 0 || tokens > most {
            let asked =
                format!("{batch} windows and {tokens} tokens cannot be timed; ask for a window and {most} tokens");
            return Err(InferenceError::BadRequest(asked));
        }
        let rules = Rules { forced: true, no_speech: None, suppressed: Vec::new(), ..self.rules.clone() };
        let features: Vec<Vec<f32>> = (0..batch).map(|seed| self.noise(seed as u32)).collect();
        let began = Instant::now();
        let frames: Vec<Tensor> = if self.lanes {
            let encoded = features.into_par_iter().map(|one| self.encoder.forward(vec![one]));
            encoded.collect::<Result<Vec<_>, _>>()?.concat()
        } else {
            self.encoder.forward(features)?
        };
        self.finish_work()?;
        let middle = Instant::now();
        let task = |window: usize| {
            let prompt = vec![self.description.marks.start, self.description.marks.no_timestamps];
            let frames = frames[window].clone();
            Ok(Task { window, frames, spoken: 0, prompt, begin: 0, cap: tokens, sampling: None })
        };
        if self.lanes {
            decode_lanes(&self.decoder, batch, self.lane_rows(), task, &rules, &[])?;
        } else {
            let tasks = (0..batch).map(task).collect::<candle_core::Result<_>>()?;
            decode_batch(&self.decoder, tasks, &rules, &[])?;
        }
        self.finish_work()?;
        Ok(WhisperTimes { encode_s: (middle - began).as_secs_f64(), decode_s: middle.elapsed().as_secs_f64() })
    }

    /// Waits for a graphics card.
    fn finish_work(&self) -> Result<(), InferenceError> {
        Ok(self.decoder.heads().device.synchronize()?)
    }

    fn vocabulary(&self) -> Result<&Vocabulary, InferenceError> {
        self.vocabulary.as_ref().ok_or_else(|| {
            InferenceError::BadRequest(
                "the model's folder has no tokenizer.json, so that nothing it says is text".into(),
            )
        })
    }

    fn prompt(&self, language: &str) -> Result<Vec<u32>, InferenceError> {
        let marks = self.description.marks;
        let mut prompt = self.previous.clone();
        prompt.push(marks.start);
        if marks.languages.is_some() {
            let known = self.vocabulary()?.languages();
            let Some(at) = known.iter().position(|known| known.eq_ignore_ascii_case(language)) else {
                let known = known.join(", ");
                return Err(InferenceError::BadRequest(format!(
                    "the model has no language `{language}`; it has {known}"
                )));
            };
            prompt.extend([marks.first_language + at as u32, marks.transcribe]);
        } else if !language.eq_ignore_ascii_case("en") {
            return Err(InferenceError::BadRequest(format!("the model has no language `{language}`; it has en")));
        }
        if !self.timestamps {
            prompt.push(marks.no_timestamps);
        }
        Ok(prompt)
    }

    fn check<'a>(&self, windows: impl Iterator<Item = &'a [f32]>) -> Result<(), InferenceError> {
        let most = self.window_samples();
        for (i, window) in windows.enumerate() {
            if window.len() > most {
                return Err(InferenceError::BadRequest(format!(
                    "window {i} has {} samples; Whisper takes at most {most}, so cut it",
                    window.len()
                )));
            }
            if let Some(at) = window.iter().position(|sample| !sample.is_finite()) {
                return Err(InferenceError::BadRequest(format!(
                    "sample {at} of window {i} is {}; samples must be finite numbers",
                    window[at]
                )));
            }
        }
        Ok(())
    }

    fn features(&self, samples: &[f32]) -> Vec<f32> {
        self.mel.features(samples, 2 * self.description.config.max_source_positions).0
    }

    fn noise(&self, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let count = 2 * self.description.config.max_source_positions * self.description.config.num_mel_bins;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn lane_rows(&self) -> usize {
        (LANE_BYTES / self.decoder.bytes_a_row(self.description.config.max_source_positions)).clamp(1, LANE_ROWS)
    }

    /// Decodes the windows of these places.
    fn decode<'a>(
        &self,
        windows: &[usize],
        rules: &Rules,
        wanted: &[(usize, usize)],
        hearing: impl Fn(usize) -> Hearing<'a> + Sync,
    ) -> Result<Vec<(usize, Decoded)>, InferenceError> {
        let task = |at: usize, hearing: Hearing<'a>, frames: Tensor| {
            let spoken = hearing.samples.len().div_ceil(FRAME_SAMPLES).clamp(1, frames.dims()[0]);
            let begin = self.previous.len();
            let cap = self.description.config.max_target_positions / 2;
            let cap = cap.min(self.description.config.max_target_positions - hearing.prompt.len() - 1);
            Task { window: windows[at], frames, spoken, prompt: hearing.prompt, begin, cap, sampling: hearing.sampling }
        };
        if self.lanes {
            let encode = |at: usize| {
                let hearing = hearing(windows[at]);
                let frames = self.encoder.forward(vec![self.features(hearing.samples)])?.remove(0);
                Ok(task(at, hearing, frames))
            };
            return Ok(rayon::scope(|_| {
                decode_lanes(&self.decoder, windows.len(), self.lane_rows(), encode, rules, wanted)
            })?);
        }
        let prepare = |batch: Range<usize>| -> Vec<(Hearing<'a>, Vec<f32>)> {
            let prepare = |at| {
                let hearing = hearing(windows[at]);
                let features = self.features(hearing.samples);
                (hearing, features)
            };
            batch.into_par_iter().map(prepare).collect()
        };
        let run = |batch: Range<usize>, prepared: Vec<(Hearing<'a>, Vec<f32>)>| {
            let (hearings, features): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
            let frames = self.encoder.forward(features)?;
            let tasks = batch.zip(hearings).zip(frames).map(|((at, hearing), frames)| task(at, hearing, frames));
            decode_batch(&self.decoder, tasks.collect(), rules, wanted)
        };
        Ok(memory::in_batches(windows.len(), self.batch_rows(), prepare, run)?)
    }

    /// The windows that a batch takes where there are no lanes.
    fn batch_rows(&self) -> usize {
        let config = &self.description.config;
        let frames = config.max_source_positions;
        let bytes = self.encoder.bytes_a_window() + self.decoder.bytes_a_row(frames);
        memory::rows(&self.decoder.heads().device, bytes)
    }

    /// The tokens of a window of so many samples as text with times.
    fn read(&self, vocabulary: &Vocabulary, row: &Decoded, samples: usize) -> Recognized {
        const FRAME_S: f32 = FRAME_SAMPLES as f32 / 16_000.0;
        let mut texts = vocabulary.texts(&row.tokens);
        for (text, token) in texts.iter_mut().zip(&row.tokens) {
            if *token >= self.description.marks.end {
                text.clear();
            }
        }
        let heads = self.description.alignment_heads.len();
        let end_s = samples as f32 / 16_000.0;
        let spans = align::spans(&align::shares(&row.attention, heads), heads, row.lead);
        let times = align::times(&spans, &texts, end_s, |frame| (frame as f32 * FRAME_S).min(end_s));
        Recognized::new(row, texts, times)
    }
}

/// A window on its way to the decoder.
struct Hearing<'a> {
    samples: &'a [f32],
    prompt: Vec<u32>,
    sampling: Option<Sampling>,
}
