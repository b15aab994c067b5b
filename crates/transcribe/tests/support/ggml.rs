//! A Whisper with random weights in whisper.cpp's own file format, small enough for a test: width 64, one head, one layer on
//! each side. The layout is that of whisper.cpp's loader (ggml-org/whisper.cpp, src/whisper.cpp, `whisper_model_load`).

use std::{
    f32::consts::PI,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

const WIDTH: usize = 64;
const VOCABULARY: usize = 51_864;
/// Tokens with a text; the others are marks that the loader names itself.
const TEXTS: usize = 50_256;
const AUDIO_FRAMES: usize = 1500;
const TEXT_PLACES: usize = 448;
const MELS: usize = 80;
const SPECTRUM: usize = 201;

/// Writes the model of English alone to `path`: 7 MB.
pub fn write_random_whisper(path: &Path) -> io::Result<()> {
    let mut file = Writer { out: BufWriter::new(fs::File::create(path)?), state: 7 };
    file.numbers(&[0x6767_6D6C])?;
    let (width, places) = (WIDTH as i32, TEXT_PLACES as i32);
    file.numbers(&[VOCABULARY as i32, AUDIO_FRAMES as i32, width, 1, 1, places, width, 1, 1, MELS as i32, 1])?;
    file.numbers(&[MELS as i32, SPECTRUM as i32])?;
    file.floats(&slaney_filters())?;
    file.numbers(&[TEXTS as i32])?;
    for i in 0..TEXTS {
        // whisper.cpp looks the space up by its text, and throws where there is none.
        let text = match i {
            220 => " ".into(),
            i if i % 3 == 0 => format!(" word{i}"),
            i => format!("part{i}"),
        };
        file.numbers(&[text.len() as i32])?;
        file.out.write_all(text.as_bytes())?;
    }
    file.plain("encoder.positional_embedding", &[AUDIO_FRAMES, WIDTH], 0.1)?;
    file.half("encoder.conv1.weight", &[WIDTH, MELS, 3], 0.1)?;
    file.plain("encoder.conv1.bias", &[WIDTH, 1], 0.1)?;
    file.half("encoder.conv2.weight", &[WIDTH, WIDTH, 3], 0.1)?;
    file.plain("encoder.conv2.bias", &[WIDTH, 1], 0.1)?;
    file.norm("encoder.ln_post")?;
    file.block("encoder.blocks.0", &["attn"])?;
    file.plain("decoder.positional_embedding", &[TEXT_PLACES, WIDTH], 0.3)?;
    file.half("decoder.token_embedding.weight", &[VOCABULARY, WIDTH], 0.3)?;
    file.norm("decoder.ln")?;
    file.block("decoder.blocks.0", &["attn", "cross_attn"])?;
    file.out.flush()
}

struct Writer {
    out: BufWriter<fs::File>,
    state: u32,
}

impl Writer {
    fn numbers(&mut self, numbers: &[i32]) -> io::Result<()> {
        numbers.iter().try_for_each(|n| self.out.write_all(&n.to_le_bytes()))
    }

    fn floats(&mut self, values: &[f32]) -> io::Result<()> {
        values.iter().try_for_each(|v| self.out.write_all(&v.to_le_bytes()))
    }

    fn block(&mut self, name: &str, attentions: &[&str]) -> io::Result<()> {
        for attention in attentions {
            self.norm(&format!("{name}.{attention}_ln"))?;
            for part in ["query", "key", "value", "out"] {
                self.half(&format!("{name}.{attention}.{part}.weight"), &[WIDTH, WIDTH], 0.2)?;
                if part != "key" {
                    self.plain(&format!("{name}.{attention}.{part}.bias"), &[WIDTH], 0.1)?;
                }
            }
        }
        self.norm(&format!("{name}.mlp_ln"))?;
        self.half(&format!("{name}.mlp.0.weight"), &[4 * WIDTH, WIDTH], 0.2)?;
        self.plain(&format!("{name}.mlp.0.bias"), &[4 * WIDTH], 0.1)?;
        self.half(&format!("{name}.mlp.2.weight"), &[WIDTH, 4 * WIDTH], 0.2)?;
        self.plain(&format!("{name}.mlp.2.bias"), &[WIDTH], 0.1)
    }

    fn norm(&mut self, name: &str) -> io::Result<()> {
        self.head(&format!("{name}.weight"), &[WIDTH], 0)?;
        self.floats(&[1.0; WIDTH])?;
        self.plain(&format!("{name}.bias"), &[WIDTH], 0.1)
    }

    /// Random f32 values.
    fn plain(&mut self, name: &str, shape: &[usize], scale: f32) -> io::Result<()> {
        self.head(name, shape, 0)?;
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.random() * scale).collect();
        self.floats(&values)
    }

    /// Random f16 values.
    fn half(&mut self, name: &str, shape: &[usize], scale: f32) -> io::Result<()> {
        self.head(name, shape, 1)?;
        for _ in 0..shape.iter().product::<usize>() {
            let value = half_bits(self.random() * scale);
            self.out.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    }

    /// A tensor's head; dimensions stand in reverse.
    fn head(&mut self, name: &str, shape: &[usize], kind: i32) -> io::Result<()> {
        self.numbers(&[shape.len() as i32, name.len() as i32, kind])?;
        shape.iter().rev().try_for_each(|&n| self.numbers(&[n as i32]))?;
        self.out.write_all(name.as_bytes())
    }

    /// From -1 to 1.
    fn random(&mut self) -> f32 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.state >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The bits of a half-precision number; what is too small for a normal one becomes zero.
fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xFF) as i32 - 112;
    if exponent <= 0 { sign } else { sign | (exponent as u16) << 10 | (bits >> 13 & 0x3FF) as u16 }
}

/// Mel filters on Slaney's scale (linear to 1 kHz, logarithmic above), each of area one, as librosa makes them.
fn slaney_filters() -> Vec<f32> {
    const LINEAR: f32 = 200.0 / 3.0;
    let step = 6.4f32.ln() / 27.0;
    let hertz = |mel: f32| if mel < 15.0 { mel * LINEAR } else { 1000.0 * ((mel - 15.0) * step).exp() };
    let top = 15.0 + 8.0f32.ln() / step;
    let edges: Vec<f32> = (0..MELS + 2).map(|i| hertz(top * i as f32 / (MELS + 1) as f32)).collect();
    let mut filters = Vec::with_capacity(MELS * SPECTRUM);
    for edge in edges.windows(3) {
        for bin in 0..SPECTRUM {
            let at = bin as f32 * 40.0;
            let rise = (at - edge[0]) / (edge[1] - edge[0]);
            let fall = (edge[2] - at) / (edge[2] - edge[1]);
            filters.push(rise.min(fall).max(0.0) * 2.0 / (edge[2] - edge[0]));
        }
    }
    filters
}

/// Something like a voice: a buzz that glides in pitch and swings in loudness, with a pause every three seconds.
pub fn voice(seconds: usize) -> Vec<f32> {
    let mut phase = 0.0f32;
    (0..seconds * 16_000)
        .map(|i| {
            let t = i as f32 / 16_000.0;
            phase += (130.0 + 30.0 * (2.0 * PI * 0.9 * t).sin() + 20.0 * (2.0 * PI * 2.3 * t).sin()) / 16_000.0;
            let loud = (0.5 - 0.5 * (2.0 * PI * 4.0 * t).cos()).powi(2) * f32::from(t % 3.0 < 2.2);
            let vowel = 500.0 + 300.0 * (2.0 * PI * 1.7 * t).sin();
            let formant = |pitch: f32| 1.0 / (1.0 + ((pitch - vowel) / 200.0).powi(2)) + 0.05;
            0.1 * loud * (1..28).map(|k| formant(k as f32 * 130.0) * (2.0 * PI * k as f32 * phase).sin()).sum::<f32>()
        })
        .collect()
}
