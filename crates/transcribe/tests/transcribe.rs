//! The stage as the pipeline runs it: whole recordings in, rows out.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests are tests.

#[path = "support/ggml.rs"]
mod ggml;

use inference::{Device, Engine, Precision};
use schema::{
    AudioBlock, CallFailure, FailureKind, Item, ModelId, Segment, Sink, Stage, StageError, Table, from_batch,
};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};
use transcribe::{EngineSpec, Transcribe, TranscribeConfig};

#[derive(Default)]
struct Kept {
    rows: Vec<Segment>,
    failures: Vec<CallFailure>,
}

impl Sink for Kept {
    fn batch(&mut self, _: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
        self.rows.extend(from_batch::<Segment>(&batch)?);
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        self.failures.push(failure);
        Ok(())
    }
}

fn model(name: &str, engine: Engine, folder: &Path) -> EngineSpec {
    let model = ModelId { name: name.into(), sha256: "00".into() };
    EngineSpec { engine, model, folder: folder.into(), languages: vec!["en".into()] }
}

/// Moonshine, where it is installed.
fn moonshine() -> Option<Transcribe> {
    moonshine_with(TranscribeConfig::default())
}

fn moonshine_with(config: TranscribeConfig) -> Option<Transcribe> {
    let cache = || {
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.or_else(|| env::home_dir().map(|home| home.join(".cache"))).map(|base| base.join("nightcall/models"))
    };
    let models = env::var_os("NIGHTCALL_MODELS").map(PathBuf::from).or_else(cache)?;
    let folder = models.join("moonshine-tiny-en");
    if !folder.join("model.safetensors").exists() {
        println!("skipped: needs the model moonshine-tiny-en (`nightcall models pull moonshine-tiny-en`)");
        return None;
    }
    let spec = model("moonshine-tiny-en", Engine::Moonshine, &folder);
    Some(Transcribe::new(config, vec![spec], &Device::Cpu).unwrap())
}

/// A call of some channels, in blocks of ten seconds, channel after channel.
fn call(id: &str, channels: &[Vec<f32>], size: usize) -> Vec<Item> {
    let mut items = Vec::new();
    for (channel, samples) in channels.iter().enumerate() {
        let count = samples.len().div_ceil(size);
        for (i, part) in samples.chunks(size).enumerate() {
            let block = AudioBlock {
                call_id: id.into(),
                channel: channel as i32,
                first_sample: (i * size) as i64,
                last: i + 1 == count,
                language: None,
                samples: part.to_vec(),
            };
            items.push(Item::Batch(Table::Audio, block.into_batch().unwrap()));
        }
    }
    items
}

fn run(stage: &mut Transcribe, items: Vec<Item>) -> Kept {
    let mut kept = Kept::default();
    stage.run(&mut items.into_iter(), &mut kept).unwrap();
    kept
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The channels of a mu-law WAV at 8 kHz (ITU-T G.711), at 16 kHz by straight lines between its samples.
fn telephone(name: &str) -> Vec<Vec<f32>> {
    let bytes = fs::read(fixtures().join("calls").join(name)).unwrap();
    let channels = usize::from(bytes[22]);
    assert_eq!(
        (bytes[20], bytes[24..28].as_ref()),
        (7, 8000u32.to_le_bytes().as_ref()),
        "{name} is no mu-law at 8 kHz"
    );
    let mut at = 12;
    while &bytes[at..at + 4] != b"data" {
        at += 8 + u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    }
    let linear = |code: u8| {
        let code = !code;
        let magnitude = (((i32::from(code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
        (if code & 0x80 == 0 { magnitude } else { -magnitude }) as f32 / 32_768.0
    };
    (0..channels)
        .map(|channel| {
            let slow: Vec<f32> = bytes[at + 8..].iter().skip(channel).step_by(channels).map(|&c| linear(c)).collect();
            slow.iter().zip(slow[1..].iter().chain(slow.last())).flat_map(|(&a, &b)| [a, f32::midpoint(a, b)]).collect()
        })
        .collect()
}

fn random(count: usize) -> impl Iterator<Item = f32> {
    let mut state = 1u32;
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// A minute each of what callers hear while nobody speaks.
fn wordless() -> Vec<(&'static str, Vec<f32>)> {
    const MINUTE: usize = 60 * 16_000;
    let at = |i: usize, pitch: f32| (std::f32::consts::TAU * (i as f32 * pitch / 16_000.0).fract()).sin();
    let tones = |pitches: &'static [f32], on: usize, off: usize| -> Vec<f32> {
        let sum = move |i: usize| pitches.iter().map(|&p| 0.2 * at(i, p)).sum::<f32>();
        (0..MINUTE).map(|i| if i % (on + off) < on { sum(i) } else { 0.0 }).collect()
    };
    let keys: Vec<f32> = (0..MINUTE)
        .map(|i| {
            let key = i / 3200 % 10;
            let (low, high) = ([697.0, 770.0, 852.0, 941.0][key / 3], [1209.0, 1336.0, 1477.0][key % 3]);
            if i % 3200 < 1600 { 0.2 * (at(i, low) + at(i, high)) } else { 0.0 }
        })
        .collect();
    let music: Vec<f32> = (0..MINUTE)
        .map(|i| {
            let (chord, beat) = (i / 32_000 % 4, i % 4000);
            let root = [261.6, 220.0, 174.6, 196.0][chord];
            let note = root * [1.0, 1.25, 1.5, 2.0, 1.5, 1.25, 1.0, 0.5][i / 4000 % 8];
            let held: f32 = [1.0, 1.25, 1.5]
                .iter()
                .map(|k| (1..6).map(|h| at(i, root * k * h as f32) / h as f32).sum::<f32>())
                .sum();
            0.03 * held + 0.2 * at(i, note) * (-(beat as f32) / 1500.0).exp()
        })
        .collect();
    let mut low = 0.0;
    let rumble = random(MINUTE).map(|x| {
        low = 0.99 * low + 0.01 * x;
        low
    });
    // Noise that comes and goes: `shape` gives its size at a time in seconds, `low` how dull it is.
    let gusts = |low: f32, shape: fn(f32) -> f32| -> Vec<f32> {
        let mut state = 0.0;
        let noise = random(MINUTE).enumerate().map(|(i, x)| {
            state += low * (x - state);
            state * shape(i as f32 / 16_000.0)
        });
        noise.collect()
    };
    let clicks = |every: usize, pitch: f32| -> Vec<f32> {
        let click = |i: usize| 0.5 * (-((i % every) as f32) / 60.0).exp() * at(i % every, pitch);
        (0..MINUTE).map(|i| click(i) + 0.0005 * at(i, 1234.5)).collect()
    };
    vec![
        ("bursts", gusts(1.0, |t| if t % 0.21 < 0.12 { 0.15 } else { 0.0 })),
        ("dull bursts", gusts(0.3, |t| 0.4 * (t * 4.3 * std::f32::consts::PI).sin().max(0.0).powi(2))),
        ("a keyboard", gusts(0.7, |t| if t % 0.17 < 0.03 && t % 1.9 < 1.4 { 0.3 } else { 0.0 })),
        (
            "breaths",
            gusts(0.5, |t| if t % 2.3 < 1.2 { 0.1 * (t % 2.3 / 1.2 * std::f32::consts::PI).sin() } else { 0.0 }),
        ),
        ("wind", gusts(0.05, |t| 0.6 * (0.5 + 0.5 * (t * 1.7).sin() * (t * 0.63).cos()).powi(2))),
        ("clicks", clicks(5000, 1800.0)),
        ("fast clicks", clicks(1700, 900.0)),
        ("fast busy", tones(&[480.0, 620.0], 4000, 4000)),
        ("congestion", tones(&[425.0], 3840, 3840)),
        ("silence", vec![0.0; MINUTE]),
        ("faint noise", random(MINUTE).map(|x| x * 0.001).collect()),
        ("white noise", random(MINUTE).map(|x| x * 0.1).collect()),
        ("rumble", rumble.collect()),
        ("tone", tones(&[440.0], 1, 0)),
        ("ringing", tones(&[440.0, 480.0], 32_000, 64_000)),
        ("busy", tones(&[480.0, 620.0], 8000, 8000)),
        ("keys", keys),
        ("music", music),
        ("hold-music.wav", telephone("hold-music.wav").swap_remove(0)),
    ]
}

#[test]
fn nobody_speaks_and_no_word_comes_out() {
    let Some(mut stage) = moonshine() else { return };
    for (name, samples) in wordless() {
        let kept = run(&mut stage, call(name, &[samples], 160_000));
        assert!(kept.failures.is_empty(), "{name}: {:?}", kept.failures);
        assert!(kept.rows.is_empty(), "{name}: {:?}", kept.rows.iter().map(|s| &s.text).collect::<Vec<_>>());
    }
}

/// The line is cut, and the exchange's tone is recorded, or somebody's breath, until the recording ends.
#[test]
fn what_follows_speech_adds_no_words() {
    let Some(mut stage) = moonshine() else { return };
    let speech = telephone("discovery.wav").swap_remove(0);
    let speech = &speech[..20 * 16_000];
    let count =
        |rows: &[Segment], id: &str| rows.iter().filter(|s| s.call_id == id).map(|s| s.words.len()).sum::<usize>();
    let alone = count(&run(&mut stage, call("alone", &[[speech, &vec![0.0; 80_000]].concat()], 160_000)).rows, "alone");
    assert!(alone >= 10, "{alone} words");
    for (name, sound) in wordless().into_iter().filter(|(name, _)| !name.contains("music")) {
        let kept = run(&mut stage, call(name, &[[speech, &vec![0.0; 8000], &sound[..20 * 16_000]].concat()], 160_000));
        let words = count(&kept.rows, name);
        assert!(words <= alone + 1, "{name}: {words} words for {alone}");
    }
}

/// Speech played backwards is none that a recognizer knows, whoever speaks; as little as another language.
#[test]
fn speech_that_is_not_known_is_not_guessed() {
    let Some(mut stage) = moonshine() else { return };
    for name in ["discovery.wav", "sales-pricing.wav", "renewal-dates.wav"] {
        for (number, mut channel) in telephone(name).into_iter().enumerate() {
            let forth = run(&mut stage, call("forth", std::slice::from_ref(&channel), 160_000));
            assert!(forth.failures.is_empty() && !forth.rows.is_empty(), "{name} {number}: {:?}", forth.failures);
            channel.reverse();
            let back = run(&mut stage, call("back", &[channel], 160_000));
            let words: usize = back.rows.iter().map(|s| s.words.len()).sum();
            assert!(words <= 6, "{name} {number}: {words} words");
            assert!(
                back.failures.iter().all(|f| f.kind == FailureKind::Model && f.message.contains("name the language"))
            );
        }
    }
}

#[test]
fn a_silent_hour_has_no_words() {
    let Some(mut stage) = moonshine() else { return };
    let block = |i: i64| AudioBlock {
        call_id: "silence".into(),
        channel: 0,
        first_sample: i * 160_000,
        last: i == 359,
        language: None,
        samples: vec![0.0; 160_000],
    };
    let mut kept = Kept::default();
    let mut hour = (0..360).map(|i| Item::Batch(Table::Audio, block(i).into_batch().unwrap()));
    stage.run(&mut hour, &mut kept).unwrap();
    assert!(kept.rows.is_empty() && kept.failures.is_empty(), "{} rows, {:?}", kept.rows.len(), kept.failures);
}

/// A phrase of up to eight words that stands at one place more often than people say one in a row: six times a word, four
/// times two, three times any longer (as `guards.rs` allows).
fn loops(text: &str) -> bool {
    let words: Vec<String> = text.split_whitespace().map(plain).collect();
    let repeated = |length: usize, at: usize| {
        let mut parts = words[at..].chunks_exact(length);
        let first = parts.next();
        first.map_or(0, |first| 1 + parts.take_while(|part| *part == first).count())
    };
    let most = |length: usize| [6, 4].get(length - 1).copied().unwrap_or(3);
    (1..=8).any(|length| (0..words.len()).any(|at| repeated(length, at) > most(length)))
}

/// What makes recognizers loop: speech that drowns in noise, music and tones, and a word cut off and played over and over.
#[test]
fn no_phrase_is_repeated_over_and_over() {
    let six = "no ".repeat(6);
    assert!(!["", &six, "a b a b a b", "I see I say"].into_iter().any(loops));
    assert!([&format!("{six} no"), "a b a b a b a b a b", "x a b c a b c a b c a b c"].into_iter().all(loops));
    let Some(mut stage) = moonshine() else { return };
    let speech = telephone("discovery.wav").swap_remove(0);
    let level = |sound: &[f32]| (sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32).sqrt().max(1e-6);
    let mut sounds: Vec<(String, Vec<f32>)> = Vec::new();
    for (name, noise) in wordless().into_iter().filter(|(name, _)| !name.contains("silence")) {
        for louder in [0.5, 1.0, 3.0] {
            let gain = louder * level(&speech) / level(&noise);
            let mix = speech.iter().zip(noise.iter().cycle()).map(|(s, n)| (s + gain * n).clamp(-1.0, 1.0));
            sounds.push((format!("speech and {name} at {louder}"), mix.take(30 * 16_000).collect()));
        }
    }
    let loud = speech.iter().position(|x| x.abs() > 0.1).unwrap();
    let syllable = &speech[loud..loud + 3000];
    sounds.push(("a syllable over and over".into(), syllable.iter().copied().cycle().take(60 * 16_000).collect()));
    let items = sounds.iter().flat_map(|(name, samples)| call(name, std::slice::from_ref(samples), 160_000)).collect();
    let kept = run(&mut stage, items);
    // Speech that drowns may be taken for none of its language; nothing else may be wrong with it.
    assert!(kept.failures.iter().all(|f| f.kind == schema::FailureKind::Model), "{:?}", kept.failures);
    for segment in &kept.rows {
        assert!(!loops(&segment.text), "{}: {}", segment.call_id, segment.text);
    }
}

/// A stretch of the fixtures in blocks of any size, as a call.
fn stretch(id: &str, samples: &[f32], size: usize) -> Vec<Item> {
    call(id, &[samples.to_vec()], size)
}

#[test]
fn neither_order_nor_blocks_nor_batches_change_what_is_heard() {
    let Some(mut stage) = moonshine() else { return };
    let channels = [telephone("sales-pricing.wav"), telephone("renewal-dates.wav")].concat();
    let mut state = 7u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let clips: Vec<(String, &[f32])> = (0..24)
        .map(|i| {
            let channel = &channels[i % channels.len()];
            let length = 8000 + random(14 * 16_000);
            let start = random(channel.len() - length);
            (format!("clip {i:02}"), &channel[start..start + length])
        })
        .collect();
    let items = |order: &[usize], size: usize| -> Vec<Item> {
        order.iter().flat_map(|&i| stretch(&clips[i].0, clips[i].1, size)).collect()
    };
    let order: Vec<usize> = (0..clips.len()).collect();
    let first = run(&mut stage, items(&order, 160_000));
    assert!(first.failures.is_empty() && first.rows.len() >= clips.len() / 2, "{} rows", first.rows.len());
    let mut alone = Vec::new();
    for &i in &order {
        alone.extend(run(&mut stage, items(&[i], 160_000)).rows);
    }
    assert_eq!(first.rows, alone, "a call alone");
    for size in [30_000, 77_777] {
        let mut shuffled = order.clone();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, random(i + 1));
        }
        assert_eq!(first.rows, run(&mut stage, items(&shuffled, size)).rows, "blocks of {size} in another order");
    }
    // In full precision batches are padded: what is said and when is the same, and its log probability to a thousandth.
    let exact = |batch_s, order: &[usize]| {
        let config = TranscribeConfig { batch_s, precision: Precision::F32, ..TranscribeConfig::default() };
        run(&mut moonshine_with(config).unwrap(), items(order, 160_000)).rows
    };
    let reversed: Vec<usize> = order[..8].iter().rev().copied().collect();
    let (wide, narrow) = (exact(300.0, &order[..8]), exact(16.0, &reversed));
    let said = |rows: &[Segment]| {
        let words = |s: &Segment| s.words.iter().map(|w| (w.text.clone(), w.start_ms, w.end_ms)).collect::<Vec<_>>();
        rows.iter().map(|s| (s.call_id.clone(), s.segment_index, words(s))).collect::<Vec<_>>()
    };
    assert_eq!(said(&wide), said(&narrow));
    assert!(wide.iter().zip(&narrow).all(|(a, b)| (a.avg_logprob - b.avg_logprob).abs() < 2e-3));
}

#[test]
fn a_model_that_guesses_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    ggml::write_random_whisper(&folder.path().join("ggml.bin")).unwrap();
    let spec = model("whisper-random", Engine::WhisperCpp, folder.path());
    let mut stage = Transcribe::new(TranscribeConfig::default(), vec![spec], &Device::Cpu).unwrap();
    let kept = run(&mut stage, call("a", &[ggml::voice(8)], 160_000));
    assert_eq!((kept.rows, kept.failures), (vec![], vec![]));
}

#[test]
fn a_call_in_another_language_is_not_taken_for_english() {
    let mut stage = Transcribe::new(TranscribeConfig::default(), vec![], &Device::Cpu).unwrap();
    let block = AudioBlock {
        call_id: "language-de".into(),
        channel: 0,
        first_sample: 0,
        last: true,
        language: Some("de".into()),
        samples: ggml::voice(2),
    };
    let kept = run(&mut stage, vec![Item::Batch(Table::Audio, block.into_batch().unwrap())]);
    assert!(kept.rows.is_empty());
    assert_eq!(kept.failures[0].kind, FailureKind::Model);
    assert!(kept.failures[0].message.contains("\"de\"") && kept.failures[0].message.contains("models pull"));
}

#[test]
fn the_fingerprint_tells_configurations_and_models_apart() {
    let print = |config: TranscribeConfig| Transcribe::new(config, vec![], &Device::Cpu).unwrap().fingerprint();
    let same = TranscribeConfig::default();
    let other = TranscribeConfig { padding_ms: 300, ..TranscribeConfig::default() };
    assert_eq!(print(same.clone()), print(same.clone()));
    assert_ne!(print(same), print(other));
}

/// The words said on a channel of a fixture, with their start and end.
fn truth(id: &str, channel: i64) -> Vec<(String, i64, i64)> {
    let text = fs::read_to_string(fixtures().join("truth").join(format!("{id}.json"))).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let turns = value["turns"].as_array().unwrap().iter().filter(|t| t["channel"] == channel);
    let words = turns.flat_map(|t| t["words"].as_array().unwrap());
    let word = |w: &serde_json::Value| {
        (plain(w["text"].as_str().unwrap()), w["start_ms"].as_i64().unwrap(), w["end_ms"].as_i64().unwrap())
    };
    words.map(word).collect()
}

fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[test]
fn a_telephone_call_is_heard_word_by_word_and_in_time() {
    let Some(mut stage) = moonshine() else { return };
    let channels = telephone("sales-pricing.wav");
    let kept = run(&mut stage, call("sales-pricing", &channels, 160_000));
    assert!(kept.failures.is_empty());
    let (mut off, mut said) = (Vec::new(), 0);
    for channel in 0..2 {
        let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for word in kept.rows.iter().filter(|s| i64::from(s.channel) == channel).flat_map(|s| &s.words) {
            assert!(word.start_ms < word.end_ms && word.end_ms <= (channels[0].len() / 16) as i64);
            assert!((0.0..=1.0).contains(&word.probability));
            found.entry(plain(&word.text)).or_default().push(word.start_ms);
        }
        for (word, start, _) in truth("sales-pricing", channel) {
            said += 1;
            let near = found.get(&word).and_then(|starts| starts.iter().map(|s| (s - start).abs()).min());
            off.extend(near.filter(|&ms| ms < 2000));
        }
    }
    off.sort_unstable();
    assert!(off.len() * 10 >= said * 7, "{} of {said} words were heard", off.len());
    assert!(off[off.len() / 2] <= 120, "half of the words start more than {} ms off", off[off.len() / 2]);
    // The same sound in other blocks, beside another call, gives the same rows.
    let mut items = call("other", &telephone("renewal-dates.wav"), 80_000);
    items.extend(call("sales-pricing", &channels, 48_000));
    let again = run(&mut stage, items);
    let again: Vec<Segment> = again.rows.into_iter().filter(|s| s.call_id == "sales-pricing").collect();
    let texts =
        |rows: &[Segment]| rows.iter().map(|s| (s.channel, s.segment_index, s.text.clone())).collect::<Vec<_>>();
    assert_eq!(texts(&kept.rows), texts(&again));
}
