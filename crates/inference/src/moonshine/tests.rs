//! Against the reference: `tests/goldens/moonshine`, which `scripts/make-goldens-moonshine.py` writes.

use super::*;
use crate::decoding::replay;
use candle_core::{IndexOp, Tensor};
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/moonshine")
}

fn small_model() -> Moonshine {
    Moonshine::load(&folder(), &Device::Cpu, Precision::F32).unwrap()
}

fn golden() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("golden.safetensors"), &Device::Cpu).unwrap()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
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

#[test]
fn agrees_with_the_reference() {
    let mut model = small_model();
    assert_agreement(&model);
    model.decoder.heads.host = false;
    assert_agreement(&model);
}

fn assert_agreement(model: &Moonshine) {
    let golden = golden();
    for samples in [895, 4001, 24383] {
        let get = |what: &str| &golden[&format!("{samples}.{what}")];
        let window = get("audio").to_vec1::<f32>().unwrap();
        let frames = model.encoder.forward(&[&window]).unwrap();
        let off = difference(&frames[0], get("frames"));
        assert!(off < 1e-4, "{samples} samples: frames differ by {off}");

        let tokens: Vec<u32> = get("tokens").to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect();
        let (layers, heads, ..) = get("attention").dims4().unwrap();
        let every_head: Vec<_> = (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect();
        let given: Vec<u32> = [model.start].into_iter().chain(tokens.iter().copied()).collect();
        let steps = replay(&model.decoder, &frames[0], &given, &every_head).unwrap();
        for (i, (logits, weights)) in steps.iter().enumerate() {
            let off = difference(logits, &get("logits").i(i).unwrap());
            assert!(off < 1e-4, "{samples} samples, step {i}: logits differ by {off}");
            let attention = get("attention").i((.., .., i)).unwrap();
            let ours = Tensor::from_slice(weights, attention.shape(), &Device::Cpu).unwrap();
            let off = difference(&ours, &attention);
            assert!(off < 1e-5, "{samples} samples, step {i}: attention differs by {off}");
        }

        let heard = model.recognize(&[&window]).unwrap();
        assert_eq!(heard[0].tokens.iter().map(|token| token.id).collect::<Vec<_>>(), tokens);
    }
}

#[test]
fn windows_that_cannot_be_heard_are_refused_by_number() {
    let model = small_model();
    let (good, short) = (audio(2000, 1), audio(Moonshine::MIN_SAMPLES - 1, 1));
    let message = model.recognize(&[&good, &short]).unwrap_err().to_string();
    assert!(message.contains("window 1 has 894 samples") && message.contains("895"), "{message}");
    let mut broken = good.clone();
    broken[7] = f32::NAN;
    let message = model.recognize(&[&good, &good, &broken]).unwrap_err().to_string();
    assert!(message.contains("sample 7 of window 2 is NaN"), "{message}");
    assert!(model.recognize(&[]).unwrap().is_empty());
    assert!(model.recognize(&[&vec![0.0; 5000]]).unwrap()[0].avg_logprob.is_finite());
}

#[test]
fn times_go_forward_within_the_window() {
    let model = small_model();
    let window = audio(40_000, 3);
    let heard = model.recognize(&[&window]).unwrap().remove(0);
    assert!(!heard.tokens.is_empty());
    assert_eq!(heard.text, heard.tokens.iter().map(|token| token.text.as_str()).collect::<String>().trim());
    for token in &heard.tokens {
        assert!(0.0 <= token.start_s && token.start_s <= token.end_s && token.end_s <= 2.5, "{token:?}");
    }
    for pair in heard.tokens.windows(2) {
        assert!(pair[0].end_s <= pair[1].start_s, "{pair:?}");
    }
}

#[test]
fn a_folder_that_does_not_fit_is_named() {
    let folder = std::env::temp_dir().join(format!("nightcall-moonshine-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let refusal = || Moonshine::load(&folder, &Device::Cpu, Precision::F32).err().unwrap().to_string();
    assert!(refusal().contains("config.json"), "{}", refusal());
    let config = std::fs::read_to_string(self::folder().join("config.json")).unwrap();
    let write = |from: &str, to: &str| std::fs::write(folder.join("config.json"), config.replace(from, to)).unwrap();
    write("\"silu\"", "\"relu\"");
    assert!(refusal().contains("activations gelu and relu"), "{}", refusal());
    write("\"hidden_size\": 48", "\"hidden_size\": 50");
    assert!(refusal().contains("50 is not a multiple of 3 heads"), "{}", refusal());
    write("\"hidden_size\": 48", "\"hidden_size\": 51");
    for file in ["tokenizer.json", "model.safetensors"] {
        std::fs::copy(self::folder().join(file), folder.join(file)).unwrap();
    }
    assert!(refusal().contains("model.safetensors") && refusal().contains("shape"), "{}", refusal());
    write("\"vocab_size\": 300", "\"vocab_size\": 301");
    assert!(refusal().contains("tokenizer.json") && refusal().contains("id 300"), "{}", refusal());
    std::fs::remove_dir_all(&folder).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In 8 bits a window is heard the same, bit for bit, whatever windows stand beside it and however many cores there are.
    #[test]
    fn in_eight_bits_neighbours_and_cores_change_nothing(
        lengths in proptest::collection::vec(prop_oneof![895usize..1400, 895usize..20_000], 2..40),
        threads in 1usize..5,
        seed in 0u32..1000,
    ) {
        let model = Moonshine::load(&folder(), &Device::Cpu, Precision::Int8).unwrap();
        let windows: Vec<Vec<f32>> =
            lengths.iter().enumerate().map(|(i, &samples)| audio(samples, seed + i as u32)).collect();
        let windows: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let together = pool.install(|| model.recognize(&windows)).unwrap();
        for (window, together) in windows.iter().zip(&together) {
            prop_assert_eq!(&model.recognize(&[window]).unwrap()[0], together);
        }
    }

    /// A row in a batch equals the row alone: tokens are the same, numbers to within 1e-5.
    #[test]
    fn a_row_in_a_batch_equals_the_row_alone(
        lengths in proptest::collection::vec(prop_oneof![895usize..1400, 895usize..20_000], 2..7),
        seed in 0u32..1000,
    ) {
        let model = small_model();
        let windows: Vec<Vec<f32>> =
            lengths.iter().enumerate().map(|(i, &samples)| audio(samples, seed + i as u32)).collect();
        let windows: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
        let frames = model.encoder.forward(&windows).unwrap();
        let together = model.recognize(&windows).unwrap();
        for (i, window) in windows.iter().enumerate() {
            let off = difference(&frames[i], &model.encoder.forward(&[window]).unwrap()[0]);
            prop_assert!(off < 1e-5, "frames of row {i} differ by {off}");
            let alone = model.recognize(&[window]).unwrap().remove(0);
            prop_assert_eq!(&alone.text, &together[i].text);
            prop_assert!((alone.avg_logprob - together[i].avg_logprob).abs() < 1e-5);
            prop_assert_eq!(alone.tokens.len(), together[i].tokens.len());
            for (a, b) in alone.tokens.iter().zip(&together[i].tokens) {
                prop_assert_eq!(a.id, b.id);
                prop_assert!((a.logprob - b.logprob).abs() < 1e-5, "{} {}", a.logprob, b.logprob);
            }
        }
    }
}
