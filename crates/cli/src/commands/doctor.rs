//! `doctor`: what this machine can do.

use super::registry;
use crate::{
    Outcome,
    args::{Common, Doctor},
    term::{GREEN, YELLOW, paint},
};
use anyhow::Result;
use pipeline::models::Status;
use serde_json::{Value, json};

pub fn run(args: &Doctor, common: &Common) -> Result<Outcome> {
    let registry = registry(common)?;
    let models: Vec<Value> =
        registry.list().into_iter().map(|m| json!({"name": m.name, "task": m.task, "status": m.status})).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cores": cores,
        "simd": simd(),
        "kernels": pipeline::processor(),
        "devices": pipeline::devices(),
        "models_folder": registry.cache().display().to_string(),
        "models": models,
        "codecs": pipeline::codecs(),
        "ffmpeg": pipeline::ffmpeg_version(),
    });
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(Outcome::Done);
    }
    let line = |name: &str, text: &str| anstream::println!("{name:10} {text}");
    line("version", env!("CARGO_PKG_VERSION"));
    line("cores", &cores.to_string());
    line("simd", &simd().join(", "));
    line("kernels", pipeline::processor());
    line("devices", &pipeline::devices().join(", "));
    line("codecs", &pipeline::codecs().join(", "));
    let ffmpeg = pipeline::ffmpeg_version();
    line("ffmpeg", ffmpeg.as_deref().unwrap_or("none: AMR, GSM, WMA, AVI and a few more are not read; install ffmpeg"));
    line("models", &registry.cache().display().to_string());
    for m in registry.list() {
        let style = if m.status == Status::Installed { GREEN } else { YELLOW };
        anstream::println!("{:10} {:20} {:12} {}", "", m.name, m.task, paint(style, m.status));
    }
    Ok(Outcome::Done)
}

/// The instruction sets of this processor that matter here.
fn simd() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),*) => { $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })* };
        }
        look!("avx2", "fma", "f16c", "avx512f", "avx512vnni", "avx512bf16");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! look {
            ($($name:tt),*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
        }
        look!("neon", "dotprod", "fp16", "bf16", "i8mm");
    }
    found
}
