//! Whisper engines on windows of noise, timed: speed depends on neither what was said nor what a model has learned, so
//! any weights will do.

use crate::{
    TranscribeError,
    engines::{WHISPER_CPP_THREADS, whisper_cpp_weights},
};
use inference::{Device, Precision, Whisper, WhisperOptions, processor};
use schema::SAMPLE_RATE;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};
use whisper_rs::{WhisperContext, WhisperContextParameters, WhisperError, WhisperState, install_logging_hooks};

/// Samples of one of Whisper's windows.
const WINDOW: usize = 30 * SAMPLE_RATE;

/// How long an engine took.
#[derive(Clone, Debug, PartialEq)]
pub struct WhisperTimes {
    /// Milliseconds that the encoder takes for a window, the log-mel features left out: the median over the batches.
    pub encode_ms: f64,
    /// Milliseconds that the prompt and the forced tokens take for a window: the median over the batches.
    pub decode_ms: f64,
    /// Windows at a time.
    pub batch: usize,
    /// Threads, those of all workers together.
    pub threads: usize,
    /// What computes: the engine's library and its type of weights.
    pub kernel: String,
}

/// Encodes so many windows of noise by our own inference core, and decodes so many greedy tokens after each, whatever they
/// are. `weights` is a folder with config.json and model.safetensors. The first batch warms up and is not counted.
///
/// # Errors
/// Weights that are not Whisper's, more tokens than the model has places for, a device that is not there.
pub fn bench_whisper(
    weights: &Path,
    windows: usize,
    batch: Option<usize>,
    tokens: usize,
    device: &Device,
    precision: Precision,
) -> Result<WhisperTimes, TranscribeError> {
    let model = Whisper::load(weights, device, precision, &WhisperOptions::default())?;
    let batch = batch.unwrap_or_else(|| model.usual_batch().min(windows)).max(1);
    let (mut encode, mut decode) = (Vec::new(), Vec::new());
    for _ in 0..=windows.div_ceil(batch).max(1) {
        let times = model.time(batch, tokens)?;
        encode.push(Duration::from_secs_f64(times.encode_s));
        decode.push(Duration::from_secs_f64(times.decode_s));
    }
    let kernel = if device.is_cpu() { processor().to_owned() } else { format!("{:?}", device.location()) };
    Ok(WhisperTimes {
        encode_ms: a_window(encode, batch),
        decode_ms: a_window(decode, batch),
        batch,
        threads: rayon::current_num_threads(),
        kernel,
    })
}

/// The median over the batches, without the first, in milliseconds a window.
fn a_window(mut times: Vec<Duration>, batch: usize) -> f64 {
    times.remove(0);
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0 / batch as f64
}

/// Encodes so many windows of noise by whisper.cpp, and decodes so many greedy tokens after each, whatever they are.
///
/// `weights` is a ggml file or a folder with one. whisper.cpp takes one window at a time, so a `batch` is a worker a
/// window with the threads shared out among them; without one, as many workers as the engine has. The first batch
/// warms up and is not counted.
///
/// # Errors
/// Weights that whisper.cpp does not read, more tokens than the model has places for.
pub fn bench_whisper_cpp(
    weights: &Path,
    windows: usize,
    batch: Option<usize>,
    tokens: usize,
) -> Result<WhisperTimes, TranscribeError> {
    install_logging_hooks();
    let path = if weights.is_dir() { whisper_cpp_weights(weights)? } else { weights.to_owned() };
    let load = |source| TranscribeError::WhisperLoad { path: path.clone(), source };
    let mut parameters = WhisperContextParameters::default();
    parameters.flash_attn(true);
    let context = WhisperContext::new_with_params(&path, parameters).map_err(load)?;
    let prompt = prompt(&context);
    let most = usize::try_from(context.n_text_ctx()).unwrap_or(0).saturating_sub(prompt.len());
    if tokens == 0 || tokens > most {
        return Err(TranscribeError::Tokens { tokens, most });
    }

    let all = rayon::current_num_threads();
    let batch = batch.unwrap_or(all.div_ceil(WHISPER_CPP_THREADS)).max(1);
    let threads = (all / batch).max(1);
    let mut workers = Vec::with_capacity(batch);
    for i in 0..batch {
        let mut state = context.create_state().map_err(load)?;
        state.pcm_to_mel(&noise(i as u32), threads)?;
        workers.push(state);
    }
    let (mut encode, mut decode) = (Vec::new(), Vec::new());
    for _ in 0..=windows.div_ceil(batch).max(1) {
        encode.push(timed(&mut workers, |state| state.encode(0, threads))?);
        decode.push(timed(&mut workers, |state| greedy(state, &prompt, tokens, threads))?);
    }
    Ok(WhisperTimes {
        encode_ms: a_window(encode, batch),
        decode_ms: a_window(decode, batch),
        batch,
        threads: threads * batch,
        kernel: format!("whisper.cpp {}", type_name(context.model_ftype())),
    })
}

/// What Whisper is asked to do: speech to text without times, in English where it knows other languages too.
fn prompt(context: &WhisperContext) -> Vec<i32> {
    if context.is_multilingual() {
        vec![context.token_sot(), context.token_sot() + 1, context.token_transcribe(), context.token_not()]
    } else {
        vec![context.token_sot(), context.token_not()]
    }
}

/// How long the workers take, side by side.
fn timed(
    workers: &mut [WhisperState],
    work: impl Fn(&mut WhisperState) -> Result<(), WhisperError> + Sync,
) -> Result<Duration, TranscribeError> {
    let began = Instant::now();
    let done: Vec<Result<(), WhisperError>> = match workers {
        [alone] => vec![work(alone)],
        workers => thread::scope(|scope| {
            let handles: Vec<_> = workers.iter_mut().map(|state| scope.spawn(|| work(state))).collect();
            let join = |handle: thread::ScopedJoinHandle<'_, _>| match handle.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            handles.into_iter().map(join).collect()
        }),
    };
    let took = began.elapsed();
    done.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(took)
}

/// So many of the likeliest tokens one after another, marks and the end among them.
fn greedy(state: &mut WhisperState, prompt: &[i32], tokens: usize, threads: usize) -> Result<(), WhisperError> {
    let mut input = prompt.to_vec();
    let mut past = 0;
    for _ in 0..tokens {
        state.decode(&input, past, threads)?;
        past += input.len();
        let likeliest = state.get_logits()?.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        input = vec![likeliest.map_or(0, |(token, _)| token as i32)];
    }
    Ok(())
}

/// A window of noise at -20 dB.
fn noise(seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_add(1);
    let mut next = || {
        // The linear congruential generator of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..WINDOW).map(|_| 0.1 * next()).collect()
}

/// The weights' type by ggml's number for it (ggml-org/ggml, include/ggml.h, `enum ggml_ftype`).
fn type_name(number: i32) -> String {
    let known = [(0, "f32"), (1, "f16"), (2, "q4_0"), (3, "q4_1"), (7, "q8_0"), (8, "q5_0"), (9, "q5_1")];
    known.iter().find(|(n, _)| *n == number).map_or_else(|| format!("type {number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ggml;

    #[test]
    fn a_file_and_its_folder_are_measured_on_any_number_of_workers() {
        let folder = tempfile::tempdir().unwrap();
        ggml::write_random_whisper(&folder.path().join("ggml-random.bin")).unwrap();
        let both = bench_whisper_cpp(folder.path(), 3, Some(2), 3).unwrap();
        let alone = bench_whisper_cpp(&folder.path().join("ggml-random.bin"), 1, None, 3).unwrap();
        assert_eq!((both.batch, alone.threads), (2, rayon::current_num_threads()));
        assert!([&both, &alone].iter().all(|times| times.encode_ms > 0.0 && times.decode_ms > 0.0));
        assert_eq!(alone.kernel, "whisper.cpp f16");
    }

    #[test]
    fn more_tokens_than_the_model_has_places_for_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        ggml::write_random_whisper(&folder.path().join("ggml-random.bin")).unwrap();
        let problem = |tokens| bench_whisper_cpp(folder.path(), 1, Some(1), tokens).unwrap_err().to_string();
        assert_eq!(problem(447), "447 tokens cannot be decoded after the prompt; ask for 1 to 446");
        assert!(problem(0).starts_with("0 tokens "));
    }
}
