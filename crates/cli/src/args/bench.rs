//! Arguments of `bench`.

use super::How;
use clap::{Args, Subcommand, ValueEnum};
use pipeline::{DeviceChoice, Precision};
use std::path::PathBuf;

/// Measure speed
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nightcall bench asr --data refs.tsv --json\n  nightcall bench whisper --weights ggml-tiny.en.bin --engine whisper_cpp"
)]
pub struct Bench {
    #[command(subcommand)]
    pub what: BenchWhat,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchWhat {
    Whisper(BenchWhisper),
    Asr(BenchAsr),
    Encoder(BenchEncoder),
    Text(BenchText),
}

/// An engine for Whisper on windows of noise: any weights will do
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nightcall bench whisper --weights ggml-tiny.en.bin --engine whisper_cpp --tokens 60 --json"
)]
pub struct BenchWhisper {
    /// The weights: for candle a folder with config.json and model.safetensors, for whisper_cpp a ggml file or a folder with one
    #[arg(long, value_name = "PATH")]
    pub weights: PathBuf,
    /// The engine
    #[arg(long, value_enum)]
    pub engine: WhisperEngine,
    /// Windows of 30 s to encode
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub windows: u16,
    /// Windows at a time [default: what fits the cores]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: Option<u16>,
    /// For candle: where it runs: auto, cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// For candle: how exactly it multiplies
    #[arg(long, value_enum, default_value = "int8")]
    pub precision: BenchPrecision,
    /// Greedy tokens to decode after each window, whatever they are
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub tokens: u16,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// In how many bits linear layers multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchPrecision {
    /// As the weights are
    F32,
    /// Half precision, on a graphics card
    F16,
    /// The same with the range of f32
    Bf16,
    /// 8 bits, on the processor
    Int8,
}

impl From<BenchPrecision> for Precision {
    fn from(precision: BenchPrecision) -> Self {
        match precision {
            BenchPrecision::F32 => Self::F32,
            BenchPrecision::F16 => Self::F16,
            BenchPrecision::Bf16 => Self::Bf16,
            BenchPrecision::Int8 => Self::Int8,
        }
    }
}

/// Engines that run Whisper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum WhisperEngine {
    /// Our own inference core
    Candle,
    /// whisper.cpp
    WhisperCpp,
}

/// What the other benches have in common.
#[derive(Debug, Args)]
pub struct Measured {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub how: How,
}

/// Recognition, from samples in memory to words
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nightcall bench asr --data refs.tsv --json")]
pub struct BenchAsr {
    /// A reference set as for `eval asr`: a TSV with the columns audio and text
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    #[command(flatten)]
    pub measured: Measured,
}

/// The sentence encoder, on every turn of a file
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nightcall bench encoder --data transcripts.jsonl --json")]
pub struct BenchEncoder {
    /// Transcripts: {"turns": [{"role", "text", "start", "end"}]}, a call a line
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    #[command(flatten)]
    pub measured: Measured,
}

/// All stages over text: flow, summarize, extract, sentiment
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nightcall bench text --data transcripts.jsonl --json")]
pub struct BenchText {
    /// Transcripts: {"turns": [{"role", "text", "start", "end"}]}, a call a line
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    #[command(flatten)]
    pub measured: Measured,
}
