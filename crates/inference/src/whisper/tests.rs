//! Against the references: `tests/goldens/whisper`, which `scripts/make-goldens-whisper.py` writes.

use super::*;
use crate::decoding::replay;
use candle_core::IndexOp;
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/whisper")
}

fn model(precision: Precision) -> Whisper {
    Whisper::load(&folder(), &Device::Cpu, precision, &WhisperOptions::default()).unwrap()
}

/// As it runs on a graphics card, in these numbers, but on the processor.
fn card(dtype: DType) -> Whisper {
    Whisper::load_as(&folder(), &Device::Cpu, Precision::F32, dtype, false, &WhisperOptions::default()).unwrap()
}

fn golden() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("golden.safetensors"), &Device::Cpu).unwrap()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let a = a.to_dtype(DType::F32).unwrap();
    a.sub(b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

/// Noise with a swinging tone, of any length.
fn audio(samples: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..samples)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            0.3 * noise + 0.3 * (i as f32 * (0.05 + 0.02 * (i as f32 * 1e-3).sin())).sin()
        })
        .collect()
}

const LENGTHS: [usize; 3] = [2000, 19_111, 32_000];

#[test]
fn features_are_those_of_the_reference() {
    let golden = golden();
    for samples in LENGTHS {
        let audio = golden[&format!("{samples}.audio")].to_vec1::<f32>().unwrap();
        for (bands, name) in [(80, format!("{samples}.features")), (128, format!("{samples}.features128"))] {
            let Some(theirs) = golden.get(&name) else { continue };
            let ours = Tensor::from_vec(Mel::new(bands).features(&audio, 200).0, (200, bands), &Device::Cpu).unwrap();
            let off = difference(&ours.t().unwrap(), theirs);
            assert!(off < 1e-4, "{name} differ by {off}");
        }
    }
}

#[test]
fn frames_logits_attention_and_tokens_are_those_of_the_reference() {
    // Logits here reach 40. Half a precision keeps 2^-11 and 2^-8 of a number, and loses more over some layers.
    for (model, frames, logits, attention) in [
        (model(Precision::F32), 1e-4, 2e-4, 1e-5),
        (card(DType::F32), 1e-4, 2e-4, 1e-5),
        (card(DType::F16), 0.02, 0.3, 0.01),
        (card(DType::BF16), 0.2, 3.0, 0.1),
    ] {
        assert_agreement(&model, frames, logits, attention);
    }
}

fn assert_agreement(model: &Whisper, most_frames: f32, most_logits: f32, most_attention: f32) {
    let golden = golden();
    let dtype = model.decoder.heads.dtype;
    for samples in LENGTHS {
        let get = |what: &str| &golden[&format!("{samples}.{what}")];
        let window = get("audio").to_vec1::<f32>().unwrap();
        let frames = model.encoder.forward(vec![model.features(&window)]).unwrap();
        let off = difference(&frames[0], get("frames"));
        assert!(off < most_frames, "{samples} samples in {dtype:?}: frames differ by {off}");

        let tokens: Vec<u32> = get("tokens").to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect();
        let (layers, heads, ..) = get("attention").dims4().unwrap();
        let every_head: Vec<_> = (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect();
        let steps = replay(&model.decoder, &frames[0], &tokens, &every_head).unwrap();
        for (i, (logits, weights)) in steps.iter().enumerate() {
            let off = difference(logits, &get("logits").i(i).unwrap());
            assert!(off < most_logits, "{samples} samples in {dtype:?}, step {i}: logits differ by {off}");
            let attention = get("attention").i((.., .., i)).unwrap();
            let ours = Tensor::from_slice(weights, attention.shape(), &Device::Cpu).unwrap();
            let off = difference(&ours, &attention);
            assert!(off < most_attention, "{samples} samples in {dtype:?}, step {i}: attention differs by {off}");
        }
        if dtype == DType::F32 {
            let rows = decode(model, &window);
            assert_eq!(rows.tokens[..], tokens[4..], "{samples} samples");
            let spans = align::spans(&align::shares(&rows.attention, 3), 3, rows.lead);
            let starts = get("starts").to_vec1::<i64>().unwrap();
            let ours: Vec<i64> = spans.iter().map(|(start, _)| *start as i64).collect();
            // Where the reference stopped at its cap, it has no step for the end.
            assert_eq!(ours[..starts.len().min(ours.len())], starts[..starts.len().min(ours.len())]);
        }
    }
}

fn decode(model: &Whisper, window: &[f32]) -> Decoded {
    let prompt = model.prompt("en").unwrap();
    let rows = model
        .decode(&[0], &Rules { no_speech: None, ..model.rules.clone() }, &model.description.alignment_heads, |_| {
            Hearing { samples: window, prompt: prompt.clone(), sampling: None }
        })
        .unwrap();
    rows.into_iter().next().unwrap().1
}

#[test]
fn eight_bits_are_near_full_precision() {
    let (ours, full) = (model(Precision::Int8), model(Precision::F32));
    for samples in LENGTHS {
        let window = audio(samples, 5);
        let frames = [&ours, &full].map(|model| {
            let frames = model.encoder.forward(vec![model.features(&window)]).unwrap().remove(0);
            frames.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        });
        let cosine = crate::cosine(&frames[0], &frames[1]);
        assert!(cosine > 0.998, "{samples} samples: cosine {cosine}");
    }
}

#[test]
fn every_token_has_its_time_within_the_window() {
    let model = model(Precision::Int8);
    let window = audio(30_000, 3);
    let heard = model.recognize(&[WhisperWindow { samples: &window, language: "de" }]).unwrap().remove(0);
    assert!(!heard.tokens.is_empty() && heard.no_speech_prob.is_some_and(|p| (0.0..=1.0).contains(&p)));
    assert_eq!(heard.text, heard.tokens.iter().map(|token| token.text.as_str()).collect::<String>().trim());
    for token in &heard.tokens {
        assert!(0.0 <= token.start_s && token.start_s <= token.end_s && token.end_s <= 1.875, "{token:?}");
    }
    for pair in heard.tokens.windows(2) {
        assert!(pair[0].end_s <= pair[1].start_s, "{pair:?}");
    }
}

#[test]
fn times_are_said_in_pairs_where_they_are_asked_for() {
    let options = WhisperOptions { timestamps: true, ..WhisperOptions::default() };
    let model = Whisper::load(&folder(), &Device::Cpu, Precision::F32, &options).unwrap();
    let row = decode(&model, &audio(32_000, 9));
    let times = model.description.marks.times;
    assert!((times..=times + FIRST_TIME).contains(&row.tokens[0]), "{:?}", row.tokens);
    let said: Vec<u32> = row.tokens.iter().copied().filter(|token| *token >= times).collect();
    assert!(said.is_sorted(), "{said:?}");
}

#[test]
fn a_prompt_is_told_before_the_window_and_changes_what_is_heard() {
    let options = WhisperOptions { prompt: Some("aa bb".into()), ..WhisperOptions::default() };
    let told = Whisper::load(&folder(), &Device::Cpu, Precision::F32, &options).unwrap();
    let prompt = told.prompt("fr").unwrap();
    let marks = told.description.marks;
    assert_eq!(prompt[0], marks.previous);
    assert_eq!(prompt[prompt.len() - 4..], [marks.start, marks.start + 3, marks.transcribe, marks.no_timestamps]);
    assert_eq!(told.vocabulary().unwrap().texts(&prompt[1..prompt.len() - 4]).concat(), " aa bb");
    let window = audio(20_000, 4);
    let (told, plain) = (decode(&told, &window), decode(&model(Precision::F32), &window));
    assert_ne!(told.logprobs, plain.logprobs);
    assert_eq!(told.lead, plain.lead);
}

#[test]
fn a_language_is_found_among_those_of_the_model() {
    for model in [model(Precision::F32), card(DType::F32)] {
        let (window, other) = (audio(20_000, 1), audio(9000, 2));
        let (language, probability) = model.detect(&[&window, &other]).unwrap();
        assert!(["en", "de", "fr"].contains(&language.as_str()) && probability > 1.0 / 3.0 && probability <= 1.0);
        assert_eq!(model.detect(&[]).unwrap(), ("en".to_owned(), 1.0));
    }
}

#[test]
fn what_cannot_be_heard_is_refused_by_number() {
    let model = model(Precision::F32);
    let message =
        |samples: &[f32], language| model.recognize(&[WhisperWindow { samples, language }]).unwrap_err().to_string();
    assert!(message(&vec![0.0; 32_001], "en").contains("window 0 has 32001 samples; Whisper takes at most 32000"));
    assert!(message(&[0.0, f32::NAN], "en").contains("sample 1 of window 0 is NaN"));
    assert!(message(&[0.0; 100], "xx").contains("no language `xx`; it has en, de, fr"));
    assert!(model.recognize(&[]).unwrap().is_empty());
    let silence = model.recognize(&[WhisperWindow { samples: &[], language: "en" }]).unwrap();
    assert!(silence[0].avg_logprob.is_finite());
}

#[test]
fn a_bench_decodes_what_it_is_told_to() {
    for model in [model(Precision::Int8), card(DType::F32)] {
        let times = model.time(3, 10).unwrap();
        assert!(times.encode_s > 0.0 && times.decode_s > 0.0);
        assert!(model.usual_batch() > 0);
        assert!(model.time(1, 46).unwrap_err().to_string().contains("45 tokens"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// In 8 bits a window is heard the same, bit for bit, whatever windows stand beside it and however many cores there are;
    /// those that are decoded again too.
    #[test]
    fn in_eight_bits_neighbours_and_cores_change_nothing(
        lengths in proptest::collection::vec(0usize..=32_000, 2..20), threads in 1usize..5, seed in 0u32..1000,
    ) {
        let model = model(Precision::Int8);
        let windows: Vec<Vec<f32>> =
            lengths.iter().enumerate().map(|(i, &samples)| audio(samples, seed + i as u32)).collect();
        let languages = ["en", "de", "fr"];
        let windows: Vec<WhisperWindow<'_>> = windows
            .iter()
            .enumerate()
            .map(|(i, samples)| WhisperWindow { samples, language: languages[i % 3] })
            .collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let together = pool.install(|| model.recognize(&windows)).unwrap();
        for (window, together) in windows.iter().zip(&together) {
            prop_assert_eq!(&model.recognize(&[*window]).unwrap()[0], together);
        }
    }

    /// As on a graphics card, rows of a batch equal the rows alone: tokens are the same, numbers to within 1e-4.
    #[test]
    fn a_row_in_a_batch_equals_the_row_alone(
        lengths in proptest::collection::vec(100usize..=32_000, 2..6), seed in 0u32..1000,
    ) {
        let model = card(DType::F32);
        let windows: Vec<Vec<f32>> =
            lengths.iter().enumerate().map(|(i, &samples)| audio(samples, seed + i as u32)).collect();
        let prompt = model.prompt("en").unwrap();
        let hear = |places: &[usize]| {
            let mut rows = model.decode(places, &model.rules, &model.description.alignment_heads, |i| Hearing {
                samples: &windows[i], prompt: prompt.clone(), sampling: None,
            }).unwrap();
            rows.sort_by_key(|(window, _)| *window);
            rows
        };
        let all: Vec<usize> = (0..windows.len()).collect();
        for (i, together) in hear(&all) {
            let (_, alone) = hear(&[i]).remove(0);
            prop_assert_eq!(&alone.tokens, &together.tokens);
            prop_assert_eq!(alone.attention.len(), together.attention.len());
            let off = alone.attention.concat().iter().zip(together.attention.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(off < 1e-4, "attention differs by {off}");
            prop_assert!((alone.avg_logprob() - together.avg_logprob()).abs() < 1e-4);
        }
    }
}
