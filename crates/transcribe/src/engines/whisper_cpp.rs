//! Whisper by whisper.cpp: one context a process, one state a worker.
//!
//! whisper.cpp takes one recording at a time, so a batch is shared out among workers. Facts of whisper-rs 0.16 that shape
//! this file: `set_language` leaks its string, so parameters are made once a language and cloned; token times come in
//! hundredths of a second; audio under 0.1 s gives nothing; a token may end within a character.

use super::{Engine, Recognition, Token, Window};
use crate::TranscribeError;
use inference::whole_characters;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError, WhisperState, get_lang_id,
    get_lang_str, install_logging_hooks,
};

/// Threads that one window can use well; beyond, another worker gives more.
pub(crate) const THREADS_A_WORKER: usize = 4;
/// The most tokens that a second of speech may have, and those beyond (as for Moonshine: fluent English has at most 4.8).
const TOKENS_A_SECOND: f32 = 6.5;
const MORE_TOKENS: usize = 5;

/// Windows of at most 30 s, in any language that the model knows.
pub(crate) struct WhisperCppEngine {
    context: WhisperContext,
    workers: Vec<WhisperState>,
    /// By language.
    parameters: BTreeMap<String, FullParams<'static, 'static>>,
}

impl WhisperCppEngine {
    /// Reads the folder's ggml file, for these languages.
    pub fn load(folder: &Path, languages: &[String]) -> Result<Self, TranscribeError> {
        let threads = rayon::current_num_threads();
        let workers = threads.div_ceil(THREADS_A_WORKER);
        Self::with_workers(&weights(folder)?, languages, workers, threads / workers)
    }

    fn with_workers(
        path: &Path,
        languages: &[String],
        workers: usize,
        threads: usize,
    ) -> Result<Self, TranscribeError> {
        // Without this whisper.cpp writes to the standard error stream.
        install_logging_hooks();
        let load = |source| TranscribeError::WhisperLoad { path: path.to_owned(), source };
        let mut parameters = WhisperContextParameters::default();
        parameters.flash_attn(true);
        let context = WhisperContext::new_with_params(path, parameters).map_err(load)?;
        let states = (0..workers).map(|_| context.create_state()).collect::<Result<_, _>>().map_err(load)?;
        let mut parameters = BTreeMap::new();
        for language in languages {
            // whisper.cpp's own copy of the name lives as long as the process.
            let Some(known) = get_lang_id(language).and_then(get_lang_str) else {
                return Err(TranscribeError::WhisperLanguage { path: path.to_owned(), language: language.clone() });
            };
            parameters.insert(language.to_ascii_lowercase(), full_params(known, threads));
        }
        Ok(Self { context, workers: states, parameters })
    }

    fn hear(
        context: &WhisperContext,
        state: &mut WhisperState,
        parameters: &BTreeMap<String, FullParams<'static, 'static>>,
        window: Window<'_>,
    ) -> Result<Recognition, TranscribeError> {
        let Some(parameters) = parameters.get(window.language) else {
            let language = window.language.to_owned();
            return Err(TranscribeError::Language { language });
        };
        if window.samples.is_empty() {
            return Ok(Recognition::default());
        }
        let cap = (window.seconds() * TOKENS_A_SECOND) as usize + MORE_TOKENS;
        let mut parameters = parameters.clone();
        parameters.set_max_tokens(cap as i32);
        state.full(parameters, window.samples)?;
        read(context, state, cap)
    }
}

impl Engine for WhisperCppEngine {
    fn one_by_one(&self) -> bool {
        true
    }

    fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
        let (context, parameters, next) = (&self.context, &self.parameters, &AtomicUsize::new(0));
        let work = |state: &mut WhisperState| {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&window) = windows.get(at) else { return done };
                done.push((at, Self::hear(context, state, parameters, window)));
            }
        };
        let mut done: Vec<_> = thread::scope(|scope| {
            let handles: Vec<_> = self.workers.iter_mut().map(|state| scope.spawn(|| work(state))).collect();
            let join = |handle: thread::ScopedJoinHandle<'_, _>| match handle.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            handles.into_iter().flat_map(join).collect()
        });
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, heard)| heard).collect()
    }
}

/// The only ggml file of the folder.
pub(crate) fn weights(folder: &Path) -> Result<PathBuf, TranscribeError> {
    let bad = |reason: String| TranscribeError::WhisperFolder { path: folder.to_owned(), reason };
    let entries = folder.read_dir().map_err(|e| bad(e.to_string()))?;
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "bin")).collect();
    match (found.pop(), found.len()) {
        (Some(path), 0) => Ok(path),
        (None, _) => Err(bad("it holds no .bin file".into())),
        (Some(_), more) => Err(bad(format!("it holds {} .bin files, and there must be one", more + 1))),
    }
}

fn full_params(language: &'static str, threads: usize) -> FullParams<'static, 'static> {
    let mut p = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    p.set_language(Some(language));
    p.set_n_threads(threads.max(1) as i32);
    // Each window stands alone: no text of the one before, no retry at another temperature (which draws at random).
    p.set_no_context(true);
    p.set_temperature_inc(0.0);
    p.set_suppress_blank(true);
    p.set_suppress_nst(true);
    p.set_token_timestamps(true);
    p.set_print_special(false);
    p.set_print_progress(false);
    p.set_print_realtime(false);
    p.set_print_timestamps(false);
    p
}

/// What the state holds after a run.
fn read(context: &WhisperContext, state: &WhisperState, cap: usize) -> Result<Recognition, TranscribeError> {
    let end = context.token_eot();
    let mut tokens = Vec::new();
    let mut bytes = Vec::new();
    let (mut no_speech, mut count) = (0.0f32, 0);
    for segment in state.as_iter() {
        no_speech = no_speech.max(segment.no_speech_probability());
        for i in 0..segment.n_tokens() {
            let Some(token) = segment.get_token(i) else { continue };
            // Above the end stand the marks: languages, tasks, times.
            if token.token_id() >= end {
                continue;
            }
            count += 1;
            if count > cap {
                break;
            }
            bytes.extend_from_slice(token.to_bytes()?);
            let data = token.token_data();
            let text = whole_characters(&mut bytes);
            let seconds = |hundredths: i64| hundredths.max(0) as f32 / 100.0;
            tokens.push(Token { text, logprob: data.plog, start_s: seconds(data.t0), end_s: seconds(data.t1) });
        }
    }
    if let Some(last) = tokens.last_mut() {
        last.text.push_str(&String::from_utf8_lossy(&bytes));
    }
    let avg_logprob = tokens.iter().map(|t| t.logprob).sum::<f32>() / tokens.len().max(1) as f32;
    Ok(Recognition { tokens, avg_logprob, truncated: count >= cap, no_speech_prob: Some(no_speech) })
}

impl From<WhisperError> for TranscribeError {
    fn from(source: WhisperError) -> Self {
        Self::Whisper(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ggml;

    fn engine(folder: &Path, workers: usize, threads: usize) -> WhisperCppEngine {
        WhisperCppEngine::with_workers(&weights(folder).unwrap(), &["en".into()], workers, threads).unwrap()
    }

    fn model() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        ggml::write_random_whisper(&folder.path().join("ggml-random.bin")).unwrap();
        folder
    }

    /// Windows of several lengths.
    fn sound() -> Vec<Vec<f32>> {
        let voice = ggml::voice(12);
        [160_000, 32_000, 8000, 190_000, 48_000].map(|n| voice[..n].to_vec()).to_vec()
    }

    fn windows(sound: &[Vec<f32>]) -> Vec<Window<'_>> {
        sound.iter().map(|samples| Window { samples, language: "en" }).collect()
    }

    #[test]
    fn a_model_in_its_own_format_runs_alike_on_any_number_of_workers() {
        let (folder, sound) = (model(), sound());
        let mut alone = engine(folder.path(), 1, 2);
        let first = alone.recognize(&windows(&sound)).unwrap();
        assert_eq!(alone.recognize(&windows(&sound)).unwrap(), first, "a second run differs");
        assert_eq!(engine(folder.path(), 2, 1).recognize(&windows(&sound)).unwrap(), first, "two workers differ");
        assert!(first.iter().any(|heard| !heard.tokens.is_empty()));
        for (heard, window) in first.iter().zip(windows(&sound)) {
            assert!(heard.tokens.len() <= (window.seconds() * TOKENS_A_SECOND) as usize + MORE_TOKENS);
            for token in &heard.tokens {
                // Random weights may place a time anywhere in Whisper's window of 30 s.
                assert!((0.0..=30.0).contains(&token.start_s) && (0.0..=30.0).contains(&token.end_s), "{token:?}");
                assert!(token.logprob <= 0.0 && !token.text.is_empty());
            }
        }
    }

    #[test]
    fn what_is_too_short_gives_nothing() {
        let folder = model();
        let sound = [vec![], vec![0.1; 500]];
        let heard = engine(folder.path(), 1, 1).recognize(&windows(&sound)).unwrap();
        assert!(heard.iter().all(|h| h.tokens.is_empty()));
    }

    #[test]
    fn a_folder_without_a_whole_model_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let load = || WhisperCppEngine::load(folder.path(), &["en".into()]).map(drop).unwrap_err().to_string();
        assert!(load().contains("it holds no .bin file"), "{}", load());
        std::fs::write(folder.path().join("a.bin"), b"no model").unwrap();
        assert!(load().contains("a.bin") && load().contains("models verify"), "{}", load());
        std::fs::write(folder.path().join("b.bin"), b"no model").unwrap();
        assert!(load().contains("it holds 2 .bin files"), "{}", load());
    }

    #[test]
    fn a_language_that_whisper_does_not_know_is_refused() {
        let folder = model();
        let path = weights(folder.path()).unwrap();
        let error = WhisperCppEngine::with_workers(&path, &["tlh".into()], 1, 1).map(drop).unwrap_err().to_string();
        assert!(error.contains("\"tlh\""), "{error}");
    }
}
