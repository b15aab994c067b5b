//! The stage: sound in, segments out.

use crate::{
    EngineSpec, TranscribeConfig, TranscribeError,
    chunker::{Chunk, Chunker, Rules},
    engines::{self, AUTO, Engine},
    queue::{Done, Pending, Recognizer, Waiting},
    segment::segment,
    sound::Listener,
};
use inference::Device;
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use schema::{
    AudioBlock, CallFailure, FailureKind, Fingerprint, Item, ModelId, SAMPLE_RATE, Segment, Sink, Stage, StageError,
    StageName, Table, guard,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Goes up when the same sound gives other segments.
const VERSION: u32 = 2;

/// Blocks that are read before the cores look for speech in them, each in another channel: 10 MB of sound.
const BLOCKS_AHEAD: usize = 16;

/// The stage that turns `audio` into `segments`.
///
/// Two threads: one cuts sound into chunks and gathers them, the other recognizes what was gathered before, so that the
/// cores go from one batch to the next. Sound is held only until it is recognized: the chunk under way of each open
/// channel, what is being gathered and what is being recognized. Segments are text, and are held until the input ends, so
/// that they come out in the order of `call_id` whatever order the sound came in.
pub struct Transcribe {
    config: TranscribeConfig,
    rules: Rules,
    models: Vec<EngineSpec>,
    recognizers: Vec<Recognizer>,
    listener: Listener,
    /// Of their own, since those of the recognizers are given whole batches.
    listeners: ThreadPool,
}

impl Transcribe {
    /// Loads the models, given in order of preference.
    pub fn new(config: TranscribeConfig, models: Vec<EngineSpec>, device: &Device) -> Result<Self, TranscribeError> {
        let engines = models.iter().map(|spec| engines::load(spec, device, &config)).collect::<Result<_, _>>()?;
        Self::with_engines(config, models, engines)
    }

    pub(crate) fn with_engines(
        config: TranscribeConfig,
        models: Vec<EngineSpec>,
        engines: Vec<Box<dyn Engine>>,
    ) -> Result<Self, TranscribeError> {
        let rules = config.rules()?;
        let recognizers = engines.into_iter().map(|engine| Recognizer::new(engine, config.batch_s)).collect();
        let listeners = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
        let listeners = listeners.thread_name(|i| format!("listener {i}")).build()?;
        Ok(Self { config, rules, models, recognizers, listener: Listener::new(), listeners })
    }
}

impl Stage for Transcribe {
    fn name(&self) -> StageName {
        StageName::Transcribe
    }

    fn inputs(&self) -> &'static [Table] {
        &[Table::Audio]
    }

    fn outputs(&self) -> &'static [Table] {
        &[Table::Segments]
    }

    fn models(&self) -> Vec<ModelId> {
        self.models.iter().map(|m| m.model.clone()).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_stage(VERSION, &self.config, &self.models())
    }

    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let waiting = self.recognizers.iter().map(Waiting::of).collect();
        // No batch waits between the threads: one is gathered while the other is recognized.
        let (next, batches) = sync_channel(0);
        let (models, recognizers) = (&self.models, &mut self.recognizers);
        let (config, rules, listener, threads) = (&self.config, self.rules, &self.listener, &self.listeners);
        let mut shift = Shift { config, rules, models, listener, threads, waiting, next, calls: BTreeMap::new() };
        let (calls, mut words) = thread::scope(|scope| {
            let recognizer = scope.spawn(move || recognize(recognizers, models, &batches));
            let calls = shift.listen(input).map(|()| std::mem::take(&mut shift.calls));
            // Without a sender the recognizer ends.
            drop(shift);
            let words = recognizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (calls, words)
        });
        for (call, state) in calls? {
            match (state, words.remove(call.as_str())) {
                (State::Open(_), None) => {}
                (State::Open(_), Some(Ok(heard))) => out.rows(&numbered(heard))?,
                (State::GivenUp(Some(failure)), _) | (State::Open(_), Some(Err(failure))) => out.fail(failure)?,
                (State::GivenUp(None), _) => log::debug!("transcribe: call {call} was given up before"),
            }
        }
        Ok(())
    }
}

/// What was heard of each call, by channel and the chunk's first sample, or why it cannot be heard.
type Words = BTreeMap<Arc<str>, Result<BTreeMap<(i32, usize), Segment>, CallFailure>>;

/// Work for the model of a number.
enum Work {
    /// What waits.
    Batch(Vec<Pending>),
    /// The first that is heard of a call whose language is to be found out.
    Detect(Arc<str>, Vec<Chunk>),
}

/// Does all work to its end.
fn recognize(recognizers: &mut [Recognizer], models: &[EngineSpec], works: &Receiver<(usize, Work)>) -> Words {
    let mut words = Words::new();
    let mut languages: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for (model, work) in works {
        let mut batch = match work {
            Work::Batch(batch) => batch,
            Work::Detect(call, chunks) => {
                match recognizers[model].detect(&call, &chunks) {
                    Ok(language) => drop(languages.insert(call, language)),
                    Err(failure) => drop(words.insert(call, Err(failure))),
                }
                continue;
            }
        };
        for pending in &mut batch {
            pending.language = pending.language.take().or_else(|| languages.get(&pending.call).cloned());
        }
        let engine = format!("{}/{}", engine_name(&models[model]), models[model].model.name);
        batch.retain(|pending| !words.get(&pending.call).is_some_and(Result::is_err));
        for Done { pending, heard } in recognizers[model].recognize(batch) {
            let call = words.entry(pending.call.clone()).or_insert_with(|| Ok(BTreeMap::new()));
            match (call.as_mut(), heard) {
                (Ok(call), Ok(heard)) => {
                    let segment = segment(&pending, heard, &engine);
                    call.extend(segment.map(|segment| ((pending.channel, pending.chunk.start), segment)));
                }
                (Ok(_), Err(failure)) => *call = Err(failure),
                (Err(_), _) => {}
            }
        }
    }
    words
}

/// The rows of a call in order, each with its index in its channel.
fn numbered(heard: BTreeMap<(i32, usize), Segment>) -> Vec<Segment> {
    let mut counts: BTreeMap<i32, i32> = BTreeMap::new();
    let number = |mut segment: Segment| {
        let count = counts.entry(segment.channel).or_default();
        segment.segment_index = *count;
        *count += 1;
        segment
    };
    heard.into_values().map(number).collect()
}

/// One run over a shard, on the side of who listens.
struct Shift<'a> {
    config: &'a TranscribeConfig,
    rules: Rules,
    models: &'a [EngineSpec],
    listener: &'a Listener,
    threads: &'a ThreadPool,
    /// A model each.
    waiting: Vec<Waiting>,
    next: SyncSender<(usize, Work)>,
    calls: BTreeMap<String, State>,
}

enum State {
    Open(Call),
    /// With the failure that this stage has to tell.
    GivenUp(Option<CallFailure>),
}

/// A call under way.
struct Call {
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
    fn listen(&mut self, input: &mut dyn Iterator<Item = Item>) -> Result<(), StageError> {
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

fn engine_name(spec: &EngineSpec) -> &'static str {
    match spec.engine {
        inference::Engine::Moonshine => "moonshine",
        inference::Engine::Whisper => "whisper",
        inference::Engine::WhisperCpp => "whisper_cpp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::{Recognition, Token, Window};
    use crate::ggml;
    use schema::from_batch;
    use std::path::PathBuf;

    /// Says "sound of N" for a window of N samples, and breaks down over samples of a certain loudness.
    struct Parrot;

    impl Engine for Parrot {
        fn one_by_one(&self) -> bool {
            false
        }

        fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
            let loudest = |w: &Window<'_>| w.samples.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            assert!(windows.iter().all(|w| loudest(w) < 0.9), "too loud");
            let say = |w: &Window<'_>| {
                let texts = [" sound".to_owned(), " of".to_owned(), format!(" {}", w.samples.len())];
                let token = |(i, text)| Token {
                    text,
                    logprob: -0.2,
                    start_s: 0.5 + 0.3 * i as f32,
                    end_s: 0.8 + 0.3 * i as f32,
                };
                let tokens = texts.into_iter().enumerate().map(token).collect();
                Recognition { tokens, avg_logprob: -0.2, truncated: false, no_speech_prob: None }
            };
            Ok(windows.iter().map(say).collect())
        }
    }

    #[derive(Default)]
    struct Kept {
        rows: Vec<Segment>,
        failures: Vec<CallFailure>,
    }

    impl Sink for Kept {
        fn batch(&mut self, table: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
            assert_eq!(table, Table::Segments);
            self.rows.extend(from_batch::<Segment>(&batch)?);
            Ok(())
        }

        fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
            self.failures.push(failure);
            Ok(())
        }
    }

    fn stage() -> Transcribe {
        let model = ModelId { name: "parrot-en".into(), sha256: "00".into() };
        let engine = inference::Engine::Moonshine;
        let spec = EngineSpec { engine, model, folder: PathBuf::new(), languages: vec!["en".into()] };
        let config = TranscribeConfig { batch_s: 20.0, ..TranscribeConfig::default() };
        Transcribe::with_engines(config, vec![spec], vec![Box::new(Parrot)]).unwrap()
    }

    fn blocks(call: &str, channel: i32, samples: &[f32], size: usize) -> Vec<AudioBlock> {
        let count = samples.len().div_ceil(size);
        let block = |(i, part): (usize, &[f32])| AudioBlock {
            call_id: call.into(),
            channel,
            first_sample: (i * size) as i64,
            last: i + 1 == count,
            language: None,
            samples: part.to_vec(),
        };
        samples.chunks(size).enumerate().map(block).collect()
    }

    fn item(block: AudioBlock) -> Item {
        Item::Batch(Table::Audio, block.into_batch().unwrap())
    }

    fn run(items: Vec<Item>) -> Kept {
        let mut kept = Kept::default();
        stage().run(&mut items.into_iter(), &mut kept).unwrap();
        kept
    }

    #[test]
    fn rows_stand_in_order_whatever_order_the_sound_came_in() {
        let voice = ggml::voice(40);
        let mut queues: Vec<Vec<AudioBlock>> = [("b", 0), ("b", 1), ("a", 1), ("a", 0)]
            .into_iter()
            .enumerate()
            .map(|(i, (call, channel))| blocks(call, channel, &voice[i * 1000..], 16_000))
            .collect();
        let one_by_one = run(queues.iter().flatten().cloned().map(item).collect());
        let mut mixed = Vec::new();
        while queues.iter().any(|q| !q.is_empty()) {
            for queue in &mut queues {
                if !queue.is_empty() {
                    mixed.push(item(queue.remove(0)));
                }
            }
        }
        let mixed = run(mixed);
        assert_eq!(one_by_one.rows, mixed.rows);
        assert!(mixed.failures.is_empty() && mixed.rows.len() >= 12, "{} rows", mixed.rows.len());
        let place = |s: &Segment| (s.call_id.clone(), s.channel, s.segment_index);
        assert!(mixed.rows.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])));
        assert!(mixed.rows.iter().filter(|s| s.segment_index == 0).count() == 4);
        for pair in mixed.rows.windows(2) {
            let same = (&pair[0].call_id, pair[0].channel) == (&pair[1].call_id, pair[1].channel);
            assert!(!same || pair[0].end_ms <= pair[1].start_ms);
        }
        let first = &mixed.rows[0];
        assert_eq!((first.engine.as_str(), first.language.as_deref()), ("moonshine/parrot-en", Some("en")));
        assert!(first.text.starts_with("sound of ") && first.words.len() == 3);
        assert_eq!((first.start_ms, first.end_ms), (first.words[0].start_ms, first.words[2].end_ms));
        assert_eq!(first.words[0].probability, 0.819);
    }

    #[test]
    fn one_call_breaks_down_and_the_others_go_on() {
        let voice = ggml::voice(10);
        let top = voice.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let loud: Vec<f32> = voice.iter().map(|x| x * 0.95 / top).collect();
        let items = [("a", &voice), ("b", &loud), ("c", &voice)]
            .into_iter()
            .flat_map(|(call, samples)| blocks(call, 0, samples, 50_000))
            .map(item)
            .collect();
        let kept = run(items);
        assert_eq!(kept.failures.len(), 1);
        assert_eq!((kept.failures[0].call_id.as_str(), kept.failures[0].kind), ("b", FailureKind::Internal));
        assert!(kept.rows.iter().all(|s| s.call_id != "b"));
        assert!(["a", "c"].iter().all(|call| kept.rows.iter().any(|s| s.call_id == *call)));
    }

    #[test]
    fn a_call_given_up_before_leaves_nothing_behind() {
        let voice = ggml::voice(10);
        let mut items: Vec<Item> = blocks("a", 0, &voice, 50_000).into_iter().map(item).collect();
        items.insert(2, Item::Failed("a".into()));
        items.extend(blocks("b", 0, &voice, 50_000).into_iter().map(item));
        let kept = run(items);
        assert!(kept.failures.is_empty());
        assert!(!kept.rows.is_empty() && kept.rows.iter().all(|s| s.call_id == "b"));
    }

    #[test]
    fn sound_that_does_not_fit_together_is_a_failure_that_says_so() {
        let voice = ggml::voice(6);
        let message = |change: fn(&mut Vec<AudioBlock>)| {
            let mut blocks = blocks("7", 1, &voice, 16_000);
            change(&mut blocks);
            let kept = run(blocks.into_iter().map(item).collect());
            assert!(kept.rows.is_empty());
            kept.failures[0].message.clone()
        };
        let gap = message(|blocks| drop(blocks.remove(1)));
        assert_eq!(gap, "call 7: the sound of channel 1 jumps to sample 32000, and 16000 would be next");
        let more = message(|blocks| blocks[2].last = true);
        assert_eq!(more, "call 7: the sound of channel 1 goes on after its last block, at sample 48000");
        let short = message(|blocks| drop(blocks.pop()));
        assert_eq!(short, "call 7: the sound of channel 1 ends without its last block");
    }

    /// Takes windows of 30 s, hears a word a second, speaks German, and notes what it was asked.
    struct Wide(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

    impl Engine for Wide {
        fn one_by_one(&self) -> bool {
            true
        }

        fn window(&self) -> Option<usize> {
            Some(30 * SAMPLE_RATE)
        }

        fn detect(&mut self, windows: &[&[f32]]) -> Result<String, TranscribeError> {
            self.0.lock().unwrap().push(format!("detect {}", windows.len()));
            Ok("de".into())
        }

        fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
            let hear = |w: &Window<'_>| {
                assert_eq!(w.language, "de");
                self.0.lock().unwrap().push(format!("hear {:.0}", w.seconds()));
                let token =
                    |s| Token { text: format!(" word{s}"), logprob: -0.2, start_s: s as f32, end_s: s as f32 + 0.9 };
                Recognition { tokens: (0..w.seconds() as usize).map(token).collect(), ..Recognition::default() }
            };
            Ok(windows.iter().map(hear).collect())
        }
    }

    #[test]
    fn a_window_is_filled_with_speech_and_its_words_keep_their_times() {
        let asked = std::sync::Arc::default();
        let spec = EngineSpec {
            engine: inference::Engine::Whisper,
            model: ModelId { name: "wide".into(), sha256: "00".into() },
            folder: PathBuf::new(),
            languages: vec!["en".into(), "de".into()],
        };
        let config = TranscribeConfig { language: "auto".into(), ..TranscribeConfig::default() };
        let mut stage = Transcribe::with_engines(config, vec![spec], vec![Box::new(Wide(Arc::clone(&asked)))]).unwrap();
        // Ten seconds of speech, fifty of silence, three times, on both channels of two calls.
        let minute = [ggml::voice(10), vec![0.0; 50 * SAMPLE_RATE]].concat();
        let sound = [minute.clone(), minute.clone(), minute].concat();
        let mut hear = |size: usize| {
            let mut items = Vec::new();
            for call in ["a", "b"] {
                let channels = [0, 1].map(|channel| blocks(call, channel, &sound, size));
                let [one, other] = channels;
                items.extend(one.into_iter().zip(other).flat_map(|(one, other)| [item(one), item(other)]));
            }
            let mut kept = Kept::default();
            stage.run(&mut items.into_iter(), &mut kept).unwrap();
            assert!(kept.failures.is_empty());
            (kept.rows, std::mem::take(&mut *asked.lock().unwrap()))
        };
        let (rows, asked) = hear(160_000);
        assert_eq!(asked.iter().filter(|asked| *asked == "detect 2").count(), 2, "{asked:?}");
        // Three chunks of about eleven seconds are a window of two and a window of one.
        assert_eq!(asked.iter().filter(|asked| asked.starts_with("hear ")).count(), 8, "{asked:?}");
        assert_eq!(rows.len(), 8);
        for word in rows.iter().flat_map(|row| &row.words) {
            let within = word.start_ms % 60_000;
            assert!(within < 11_000 && word.start_ms < word.end_ms, "{word:?}");
        }
        assert!(rows.iter().any(|row| row.start_ms < 11_000 && row.end_ms > 60_000));
        assert!(rows.iter().all(|row| row.language.as_deref() == Some("de")));
        assert_eq!(hear(48_000).0, rows, "blocks of another size");
    }

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
