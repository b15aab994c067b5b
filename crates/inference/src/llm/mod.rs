//! Language models that write a short answer of a given form: from .gguf files, over candle-transformers.
//!
//! A [`LanguageModel`] answers many [`Prompt`]s at once. Decoding is greedy, so that the same prompt has the same answer,
//! whatever stands beside it; only a prompt that runs out of time depends on the machine. `form.rs` says which bytes may
//! follow, `vocabulary.rs` which bytes a token is, `weights.rs` runs the networks, of which `gemma3.rs` is our own.

mod form;
mod gemma3;
mod vocabulary;
mod weights;

pub use form::Form;

use crate::InferenceError;
use candle_core::Device;
use form::Place;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use vocabulary::Vocabulary;
use weights::{Gguf, Weights};

/// Prompts under way at once on the processor: decoding waits for memory more than for cores, a network's products use all
/// cores anyway, and a worker of Qwen3 0.6B may hold a gigabyte of keys and values.
const MOST_WORKERS: usize = 4;

/// What a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What it is to do.
    pub system: String,
    /// What it is to do it with. Marks of a chat in it are text and nothing else.
    pub user: String,
    /// The form that the answer must have; none: whatever the model writes, up to a token that ends a text.
    pub form: Option<Form>,
}

/// How much an answer may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens of an answer.
    pub tokens: usize,
    /// Most time for a prompt, from when its work begins. It is looked at between tokens: the reading of the prompt itself
    /// is one step.
    pub time: Duration,
}

/// What a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text; of one that ran out, what there is.
    pub text: String,
    /// Why it ends.
    pub end: End,
    /// Tokens written.
    pub tokens: usize,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is whole.
    Whole,
    /// It has as many tokens as it may have, or the model has no room for more.
    Tokens,
    /// Its time is over.
    Time,
    /// No token fits its form: the vocabulary lacks a byte, or the logits are no numbers.
    Stuck,
}

/// A language model. `Send + Sync`.
pub struct LanguageModel {
    vocabulary: Vocabulary,
    /// Networks that no prompt uses just now; at least one is behind a running prompt or here.
    idle: Mutex<Vec<Weights>>,
    original: Weights,
    device: Device,
    room: usize,
    /// Tokens that end a text.
    ends: Vec<u32>,
}

impl LanguageModel {
    /// Reads the one `.gguf` file of a folder, and `tokenizer.json` where it has one; else the tokenizer is the .gguf
    /// file's own, which must be of bytes (Qwen, Llama 3).
    pub fn load(folder: &Path, device: &Device) -> Result<Self, InferenceError> {
        let path = weights_file(folder)?;
        let gguf = Gguf::open(&path)?;
        let vocabulary = Vocabulary::load(folder, &path, &gguf)?;
        let named = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];
        let ends = named.iter().filter_map(|key| gguf.get(key)?.to_u32().ok()).collect();
        let room = gguf.room;
        let original = gguf.weights(device).map_err(|error| InferenceError::bad_file(&path, error))?;
        Ok(Self { vocabulary, idle: Mutex::default(), original, device: device.clone(), room, ends })
    }

    /// Longest text in tokens: prompt, marks of the chat and answer together.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Tokens of a text.
    pub fn count(&self, text: &str) -> Result<usize, InferenceError> {
        self.encode(text).map(|ids| ids.len())
    }

    /// The token ids of a text: for tests against the reference.
    #[doc(hidden)]
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, InferenceError> {
        self.vocabulary.encode(text)
    }

    /// The answers, in the order of the prompts; each is what it would be alone. One that fails costs itself.
    ///
    /// # Errors
    /// Of each: a prompt that leaves no room for an answer, or a computation that fails. Running out of tokens or time is no
    /// error.
    pub fn generate(&self, prompts: &[Prompt], limits: Limits) -> Vec<Result<Answer, InferenceError>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = if self.device.is_cpu() { cores.min(MOST_WORKERS) } else { 1 };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = idle().pop();
            let mut weights = taken.unwrap_or_else(|| self.original.clone());
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(prompt) = prompts.get(i) else { break };
                done.push((i, self.answer(&mut weights, prompt, limits)));
            }
            weights.clear();
            idle().push(weights);
            done
        };
        // Threads of their own: on one of rayon's, a product's pause would begin another prompt, and its keys and values.
        let mut answers: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..most.min(prompts.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for worker in workers {
                done.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        answers.sort_by_key(|(i, _)| *i);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn answer(&self, weights: &mut Weights, prompt: &Prompt, limits: Limits) -> Result<Answer, InferenceError> {
        let begun = Instant::now();
        let prompted = self.vocabulary.prompt(prompt)?;
        if prompted.is_empty() || prompted.len() >= self.room {
            return Err(InferenceError::BadRequest(format!(
                "a prompt has {} tokens; the model has room for {}, and the answer needs some",
                prompted.len(),
                self.room
            )));
        }
        let mut bytes = Vec::new();
        let mut tokens = 0;
        let mut place = Place::START;
        let (mut input, mut position) = (prompted, 0);
        weights.clear();
        let end = loop {
            if begun.elapsed() >= limits.time {
                break End::Time;
            }
            if tokens >= limits.tokens || position + input.len() > self.room {
                break End::Tokens;
            }
            let logits = weights.forward(&input, position, &self.device)?;
            position += input.len();
            let Some((token, after)) = self.likeliest(&logits, prompt.form.as_ref().map(|form| (form, place))) else {
                break End::Stuck;
            };
            tokens += 1;
            if prompt.form.is_none() && self.ends.contains(&token) {
                break End::Whole;
            }
            bytes.extend_from_slice(self.vocabulary.bytes(token as usize));
            place = after;
            if place.is_end() {
                break End::Whole;
            }
            input = vec![token];
        };
        // A form gives whole characters but where it was cut off.
        let text = String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned();
        Ok(Answer { text, end, tokens })
    }

    /// The likeliest token that fits, the first of equals, and the place behind it. Only a token that is likelier than the
    /// best one so far is spelled, so that the whole vocabulary costs little more than reading its logits.
    fn likeliest(&self, logits: &[f32], form: Option<(&Form, Place)>) -> Option<(u32, Place)> {
        let mut best: Option<(f32, usize, Place)> = None;
        for (token, &logit) in logits.iter().enumerate() {
            if logit.is_nan() || best.is_some_and(|(most, ..)| logit <= most) {
                continue;
            }
            let after = match form {
                None => Some(Place::START),
                Some((form, place)) => place.after(self.vocabulary.bytes(token), form),
            };
            best = after.map(|after| (logit, token, after)).or(best);
        }
        best.map(|(_, token, after)| (token as u32, after))
    }

    /// The logits behind each of some tokens, `[tokens, vocabulary]`: for tests against the reference.
    #[doc(hidden)]
    pub fn logits(&self, first: &[u32], then: &[u32]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut weights = self.original.clone();
        let mut rows = vec![weights.forward(first, 0, &self.device)?];
        for (i, token) in then.iter().enumerate() {
            rows.push(weights.forward(&[*token], first.len() + i, &self.device)?);
        }
        Ok(rows)
    }

    /// The token ids of a prompt: for tests against the reference.
    #[doc(hidden)]
    pub fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>, InferenceError> {
        self.vocabulary.prompt(prompt)
    }
}

/// The one .gguf file of a folder.
fn weights_file(folder: &Path) -> Result<PathBuf, InferenceError> {
    let read = |source| InferenceError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") {
            found.push(path);
        }
    }
    match &mut found[..] {
        [path] => Ok(std::mem::take(path)),
        _ => Err(InferenceError::bad_file(folder, format!("it holds {} .gguf files; a model is one", found.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> LanguageModel {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm/qwen3");
        LanguageModel::load(&folder, &Device::Cpu).unwrap()
    }

    fn limits(tokens: usize) -> Limits {
        Limits { tokens, time: Duration::from_secs(600) }
    }

    /// Logits of noise in place of the network's: the answer has the form all the same.
    #[test]
    fn random_logits_give_an_answer_that_reads() {
        let model = tiny();
        let form = form::tests::form(7..=112);
        let mut random = 1u64;
        for _ in 0..40 {
            let (mut place, mut answer) = (Place::START, Vec::new());
            while !place.is_end() {
                let noise = |_| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    (random >> 40) as f32
                };
                let logits: Vec<f32> = (0..320).map(noise).collect();
                let (token, after) = model.likeliest(&logits, Some((&form, place))).expect("a token that fits");
                answer.extend_from_slice(model.vocabulary.bytes(token as usize));
                place = after;
            }
            let read: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert!(read["points"].as_array().unwrap().len() <= form.points);
        }
        // No number, no token.
        assert_eq!(model.likeliest(&[f32::NAN; 320], None), None);
    }

    #[test]
    fn the_likeliest_token_is_the_first_of_equals_that_fits() {
        let model = tiny();
        let mut logits = vec![0.0; 320];
        let fits =
            |token: usize| Place::START.after(model.vocabulary.bytes(token), &form::tests::form(0..=1)).is_some();
        let fit: Vec<usize> = (0..320).filter(|&token| fits(token)).collect();
        let wrong = (0..320).find(|token| !fit.contains(token)).unwrap();
        logits[wrong] = 5.0;
        let form = form::tests::form(0..=1);
        let chosen =
            |logits: &[f32]| model.likeliest(logits, Some((&form, Place::START))).map(|(token, _)| token as usize);
        assert_eq!(chosen(&logits), Some(fit[0]));
        let last = fit[fit.len() - 1];
        logits[last] = 1.0;
        assert_eq!(chosen(&logits), Some(last));
        assert_eq!(model.likeliest(&logits, None).map(|(token, _)| token as usize), Some(wrong));
    }

    #[test]
    fn running_out_is_a_result() {
        let model = tiny();
        let prompt = Prompt { user: "Hello".into(), form: Some(form::tests::form(0..=9)), ..Prompt::default() };
        let answer = model.generate(std::slice::from_ref(&prompt), limits(3)).remove(0).unwrap();
        assert_eq!((answer.end, answer.tokens), (End::Tokens, 3));
        assert!(r#"{"points":["#.starts_with(&answer.text));
        let late = Limits { tokens: 3, time: Duration::ZERO };
        let answer = model.generate(std::slice::from_ref(&prompt), late).remove(0).unwrap();
        assert_eq!((answer.end, answer.tokens, answer.text.as_str()), (End::Time, 0, ""));
        let long = Prompt { user: "word ".repeat(5000), ..prompt.clone() };
        let mut answers = model.generate(&[prompt, long], limits(3));
        let message = answers.pop().unwrap().unwrap_err().to_string();
        assert!(message.contains("has room for") && !message.contains("word"), "{message}");
        assert_eq!(answers.pop().unwrap().unwrap().tokens, 3, "its neighbour has its answer");
    }
}
