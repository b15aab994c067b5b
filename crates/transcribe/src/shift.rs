//! A run over a shard on the side that listens: sound is cut into chunks, and speech gathered until it fills a batch.

use crate::{
    EngineSpec, TranscribeConfig,
    chunker::{Chunk, Chunker, Rules},
    engines::AUTO,
    queue::{Pending, Waiting},
    sound::Listener,
};
use rayon::{ThreadPool, prelude::*};
use schema::{AudioBlock, CallFailure, FailureKind, Item, SAMPLE_RATE, StageError, Table, guard};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, mpsc::SyncSender},
};

/// Blocks that are read before the cores look for speech in them, each in another channel: 10 MB of sound.
const BLOCKS_AHEAD: usize = 16;

/// Work for the model of a number.
pub(crate) enum Work {
    /// What waits.
    Batch(Vec<Pending>),
    /// The first that is heard of a call whose language is to be found out.
    Detect(Arc<str>, Vec<Chunk>),
}

/// One run over a shard, on the side of who listens.
pub(crate) struct Shift<'a> {
    pub config: &'a TranscribeConfig,
    pub rules: Rules,
    pub models: &'a [EngineSpec],
    pub listener: &'a Listener,
    pub threads: &'a ThreadPool,
    /// A model each.
    pub waiting: Vec<Waiting>,
    pub next: SyncSender<(usize, Work)>,
    pub calls: BTreeMap<String, State>,
}

pub(crate) enum State {
    Open(Call),
    /// With the failure that this stage has to tell.
    GivenUp(Option<CallFailure>),
}

/// A call under way.
pub(crate) struct Call {
    id: Arc<str>,
    model: usize,
    /// None where it is to be found out.
    language: Option<Arc<str>>,
    /// What was heard before the recognizer could be asked for the language, by channel; none afterwards, and where the
    /// language is known.
    held: Option<Vec<(i32, Chunk)>>,
    channels: BTreeMap<i32, Channel>,
}

/// A channel under way.
struct Channel {
    /// None once the channel has ended.
    chunker: Option<Chunker>,
    /// Samples seen.
    samples: i64,
    /// Speech on its way to fill a window.
    gathered: Option<Chunk>,
}

impl Shift<'_> {
    /// Reads sound to its end.
    pub fn listen(&mut self, input: &mut dyn Iterator<Item = Item>) -> Result<(), StageError> {
        let mut blocks = Vec::new();
        for item in input {
            match item {
                Item::Batch(Table::Audio, batch) => {
                    blocks.extend(AudioBlock::from_batch(&batch)?);
                    if blocks.len() >= BLOCKS_AHEAD {
                        self.hear(std::mem::take(&mut blocks))?;
                    }
                }
                Item::Batch(table, _) => {
                    let name = table.name();
                    return Err(StageError::Internal(format!("transcribe was given the table {name}; it reads audio")));
                }
                Item::Failed(call) => {
                    self.hear(std::mem::take(&mut blocks))?;
                    self.give_up(&call, None);
                }
            }
        }
        self.hear(blocks)?;
        self.finish()
    }

    /// Cuts blocks into chunks, channels side by side, and queues these in the order of calls and channels.
    fn hear(&mut self, blocks: Vec<AudioBlock>) -> Result<(), StageError> {
        let mut work: BTreeMap<(String, i32), (Channel, Vec<AudioBlock>)> = BTreeMap::new();
        for block in blocks {
            let rules = self.rules;
            let Some(call) = self.call(&block) else { continue };
            let mut channel = || call.channels.remove(&block.channel).unwrap_or_else(|| Channel::new(rules));
            let key = (block.call_id.clone(), block.channel);
            work.entry(key).or_insert_with(|| (channel(), Vec::new())).1.push(block);
        }
        let listener = self.listener;
        let cut = |((call, number), (mut channel, blocks)): ((String, i32), (Channel, Vec<AudioBlock>))| {
            let chunks = guard(&call, || channel.cut(&blocks, listener));
            (call, number, channel, chunks)
        };
        let heard: Vec<_> = self.threads.install(|| work.into_par_iter().map(cut).collect());
        // All channels of a call first, so that what follows sees them as far as they have come.
        let mut cut: BTreeMap<String, Vec<(i32, Chunk)>> = BTreeMap::new();
        for (id, number, channel, chunks) in heard {
            let Some(State::Open(call)) = self.calls.get_mut(&id) else { continue };
            call.channels.insert(number, channel);
            match chunks {
                Ok(chunks) => cut.entry(id).or_default().extend(chunks.into_iter().map(|chunk| (number, chunk))),
                Err(failure) => self.give_up(&id, Some(failure)),
            }
        }
        for (id, chunks) in cut {
            let Some(State::Open(call)) = self.calls.get_mut(&id) else { continue };
            let (chunks, detect) = call.ready(chunks);
            if let Some(detect) = detect {
                let (model, call) = (call.model, call.id.clone());
                self.send(model, Work::Detect(call, detect))?;
            }
            self.gather(&id, chunks)?;
        }
        Ok(())
    }

    /// Fills the windows of engines that take so much at once, and queues what is full or the last of its channel.
    fn gather(&mut self, id: &str, chunks: Vec<(i32, Chunk)>) -> Result<(), StageError> {
        let Some(State::Open(call)) = self.calls.get_mut(id) else { return Ok(()) };
        let (model, language, name) = (call.model, call.language.clone(), call.id.clone());
        let window = self.waiting[model].window;
        let mut full: Vec<(i32, Chunk)> = Vec::new();
        for (number, chunk) in chunks {
            let Some(channel) = call.channels.get_mut(&number) else { continue };
            full.extend(channel.gather(chunk, window).map(|chunk| (number, chunk)));
        }
        if call.held.is_none() {
            for (number, channel) in call.channels.iter_mut().filter(|(_, channel)| channel.chunker.is_none()) {
                full.extend(channel.gathered.take().map(|chunk| (*number, chunk)));
            }
        }
        for (channel, chunk) in full {
            let pending = Pending { call: name.clone(), channel, language: language.clone(), chunk, again: false };
            if let Some(batch) = self.waiting[model].push(pending) {
                self.send(model, Work::Batch(batch))?;
            }
        }
        Ok(())
    }

    /// The recognizer ends early only by a bug.
    fn send(&self, model: usize, work: Work) -> Result<(), StageError> {
        self.next.send((model, work)).map_err(|_| StageError::Internal("the recognizer has ended early".into()))
    }

    /// The call of a block, opened with its first; none where it was given up.
    fn call(&mut self, block: &AudioBlock) -> Option<&mut Call> {
        if !self.calls.contains_key(&block.call_id) {
            let state = match choose(self.config, self.models, &block.call_id, block.language.as_deref()) {
                Ok((model, language)) => State::Open(Call::new(&block.call_id, model, language)),
                Err(failure) => State::GivenUp(Some(failure)),
            };
            self.calls.insert(block.call_id.clone(), state);
        }
        match self.calls.get_mut(&block.call_id) {
            Some(State::Open(call)) => Some(call),
            _ => None,
        }
    }

    /// Hands on what still waits.
    fn finish(&mut self) -> Result<(), StageError> {
        let open = |(id, state): (&String, &State)| match state {
            State::Open(call) => call.unfinished().map(|failure| (id.clone(), failure)),
            State::GivenUp(_) => None,
        };
        let unfinished: Vec<(String, CallFailure)> = self.calls.iter().filter_map(open).collect();
        for (call, failure) in unfinished {
            self.give_up(&call, Some(failure));
        }
        for model in 0..self.waiting.len() {
            let batch = self.waiting[model].take();
            self.send(model, Work::Batch(batch))?;
        }
        Ok(())
    }

    /// Drops what waits of a call; what was heard of it is not written.
    fn give_up(&mut self, call: &str, failure: Option<CallFailure>) {
        for waiting in &mut self.waiting {
            waiting.forget(call);
        }
        self.calls.insert(call.to_owned(), State::GivenUp(failure));
    }
}

impl Channel {
    fn new(rules: Rules) -> Self {
        Self { chunker: Some(Chunker::new(rules)), samples: 0, gathered: None }
    }

    /// Takes a chunk; gives what is gathered, where a window has no room for both. Without a window, gives the chunk.
    fn gather(&mut self, chunk: Chunk, window: Option<usize>) -> Option<Chunk> {
        let Some(window) = window else { return Some(chunk) };
        match &mut self.gathered {
            Some(gathered) if gathered.samples.len() + chunk.samples.len() <= window => {
                gathered.join(chunk);
                None
            }
            gathered => gathered.replace(chunk),
        }
    }

    /// The chunks that some blocks complete.
    fn cut(&mut self, blocks: &[AudioBlock], listener: &Listener) -> Result<Vec<Chunk>, CallFailure> {
        let mut chunks = Vec::new();
        for block in blocks {
            let internal = |what: String| {
                let (call, at) = (&block.call_id, block.channel);
                CallFailure::new(call, FailureKind::Internal, format!("call {call}: the sound of channel {at} {what}"))
            };
            let Some(chunker) = &mut self.chunker else {
                return Err(internal(format!("goes on after its last block, at sample {}", block.first_sample)));
            };
            if block.first_sample != self.samples {
                let (found, wanted) = (block.first_sample, self.samples);
                return Err(internal(format!("jumps to sample {found}, and {wanted} would be next")));
            }
            self.samples += block.samples.len() as i64;
            chunker.push(&block.samples, &mut chunks);
            if block.last {
                chunker.finish(&mut chunks);
                self.chunker = None;
            }
        }
        let speech = |mut chunk: Chunk| {
            let speech = listener.speech(&chunk.samples)?;
            chunk.trim(&speech);
            // A tone or a breath at either end is no part of what is said.
            let said = |span: &&Range<usize>| !listener.is_wordless(&chunk.samples[(*span).clone()]);
            let (first, last) = (chunk.spans.iter().find(said)?, chunk.spans.iter().rfind(said)?);
            let before = chunk.spans.iter().rfind(|span| span.end <= first.start).map_or(0, |span| span.end);
            let after = chunk.spans.iter().find(|span| span.start >= last.end);
            let after = after.map_or(chunk.samples.len(), |span| span.start);
            chunk.trim(&(before..after));
            Some(chunk)
        };
        Ok(chunks.into_iter().filter_map(speech).collect())
    }
}

/// A language is found out from what is heard in so many seconds from the first word on.
const DETECT_FROM_S: usize = 30;
/// Once all channels are so many seconds further than the first word, no chunk that begins in those seconds is still under
/// way: a chunk has at most 30 s, and ends at most 3 s after it.
const DETECT_AFTER_S: usize = 70;
/// Chunks that are enough to tell.
const DETECT_CHUNKS: usize = 4;

impl Call {
    fn new(id: &str, model: usize, language: Option<Arc<str>>) -> Self {
        let held = language.is_none().then(Vec::new);
        Self { id: id.into(), model, language, held, channels: BTreeMap::new() }
    }

    /// Takes chunks, by channel; gives those that may be recognized, and those by which the language is to be found out
    /// before. Which these are depends on the call alone.
    fn ready(&mut self, chunks: Vec<(i32, Chunk)>) -> (Vec<(i32, Chunk)>, Option<Vec<Chunk>>) {
        let Some(held) = &mut self.held else { return (chunks, None) };
        held.extend(chunks);
        let first = held.iter().map(|(_, chunk)| chunk.start).min();
        let open = self.channels.values().filter(|channel| channel.chunker.is_some());
        let heard = open.map(|channel| channel.samples as usize).min();
        let enough = |first: usize| heard.is_none_or(|heard| heard >= first + DETECT_AFTER_S * SAMPLE_RATE);
        let Some(first) = first.filter(|first| enough(*first)) else { return (Vec::new(), None) };
        let mut held = self.held.take().unwrap_or_default();
        held.sort_by_key(|(number, chunk)| (chunk.start, *number));
        let early = held.iter().take_while(|(_, chunk)| chunk.start < first + DETECT_FROM_S * SAMPLE_RATE);
        let detect = early.take(DETECT_CHUNKS).map(|(_, chunk)| chunk.clone()).collect();
        (held, Some(detect))
    }

    /// What is wrong with a call whose sound ended before its channels did.
    fn unfinished(&self) -> Option<CallFailure> {
        let (channel, _) = self.channels.iter().find(|(_, channel)| channel.chunker.is_some())?;
        let message = format!("call {}: the sound of channel {channel} ends without its last block", self.id);
        Some(CallFailure::new(&*self.id, FailureKind::Internal, message))
    }
}

/// The model for a call in this language, and the language as models name it.
fn choose(
    config: &TranscribeConfig,
    models: &[EngineSpec],
    call: &str,
    language: Option<&str>,
) -> Result<(usize, Option<Arc<str>>), CallFailure> {
    let tag = language.unwrap_or(&config.language);
    if tag == AUTO {
        let detects = |model: &EngineSpec| model.engine == inference::Engine::Whisper && model.languages.len() > 1;
        return models.iter().position(detects).map(|at| (at, None)).ok_or_else(|| {
            let message = format!(
                "call {call}: no model of this pipeline finds out a language; name the language in the call list or in \
                 [transcribe] language, or add a model that does to [transcribe] models, such as whisper-base-candle"
            );
            CallFailure::new(call, FailureKind::Model, message)
        });
    }
    let primary = tag.split(['-', '_']).next().unwrap_or(tag).to_ascii_lowercase();
    if let Some(at) = models.iter().position(|model| model.speaks(&primary)) {
        return Ok((at, Some(primary.into())));
    }
    let known: Vec<String> = models.iter().map(|m| format!("{} ({})", m.model.name, m.languages.join(", "))).collect();
    let known = if known.is_empty() { "none".into() } else { known.join(", ") };
    let message = format!(
        "call {call} is in the language \"{tag}\", which no model of this pipeline speaks (models: {known}); bring one \
         that does, such as `nightcall models pull whisper-tiny`, and add it to [transcribe] models"
    );
    Err(CallFailure::new(call, FailureKind::Model, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::ModelId;
    use std::path::PathBuf;

    #[test]
    fn the_first_model_that_speaks_the_language_is_taken() {
        let spec = |name: &str, languages: &[&str]| EngineSpec {
            engine: inference::Engine::WhisperCpp,
            model: ModelId { name: name.into(), sha256: String::new() },
            folder: PathBuf::new(),
            languages: languages.iter().map(|&l| l.to_owned()).collect(),
        };
        let models = vec![spec("small", &["en"]), spec("large", &["en", "de", "yue"])];
        let config = TranscribeConfig::default();
        let chosen = |language| {
            choose(&config, &models, "7", language).map(|(at, language)| (at, language.unwrap().to_string()))
        };
        assert_eq!(chosen(None), Ok((0, "en".into())));
        assert_eq!(chosen(Some("EN-us")), Ok((0, "en".into())));
        assert_eq!(chosen(Some("de_AT")), Ok((1, "de".into())));
        assert_eq!(chosen(Some("yue-Hant-HK")), Ok((1, "yue".into())));
        assert!(chosen(Some("auto")).unwrap_err().message.contains("no model of this pipeline finds out a language"));
        let failure = chosen(Some("fr-CA")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Model);
        for part in ["call 7", "\"fr-CA\"", "small (en)", "large (en, de, yue)", "nightcall models pull whisper-tiny"] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}
