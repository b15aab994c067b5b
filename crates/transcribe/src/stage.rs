//! The stage: sound in, segments out.

use crate::{
    EngineSpec, TranscribeConfig, TranscribeError,
    chunker::Rules,
    engines::{self, Engine},
    queue::{Done, Recognizer, Waiting},
    segment::segment,
    shift::{Shift, State, Work},
    sound::Listener,
    sure::Sureness,
};
use inference::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};
use schema::{CallFailure, Fingerprint, Item, ModelId, Segment, Sink, Stage, StageError, StageName, Table};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

/// Goes up when the same sound gives other segments.
const VERSION: u32 = 3;

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
    /// The tables that it reads.
    pub const INPUTS: &'static [Table] = &[Table::Audio];
    /// The tables that it writes.
    pub const OUTPUTS: &'static [Table] = &[Table::Segments];

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
        Self::INPUTS
    }

    fn outputs(&self) -> &'static [Table] {
        Self::OUTPUTS
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

/// Does all work to its end.
fn recognize(recognizers: &mut [Recognizer], models: &[EngineSpec], works: &Receiver<(usize, Work)>) -> Words {
    let mut words = Words::new();
    let mut languages: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    let mut sure: BTreeMap<Arc<str>, Sureness> = BTreeMap::new();
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
                    if models[model].engine == inference::Engine::Moonshine {
                        sure.entry(pending.call.clone()).or_default().hear(&pending, &heard);
                    }
                    let segment = segment(&pending, heard, &engine);
                    call.extend(segment.map(|segment| ((pending.channel, pending.chunk.start), segment)));
                }
                (Ok(_), Err(failure)) => *call = Err(failure),
                (Err(_), _) => {}
            }
        }
    }
    for (call, sure) in sure {
        if let (Some(failure), Some(words @ Ok(_))) = (sure.doubt(&call), words.get_mut(&call)) {
            *words = Err(failure);
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
    use schema::{AudioBlock, FailureKind, SAMPLE_RATE, from_batch};
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
}
