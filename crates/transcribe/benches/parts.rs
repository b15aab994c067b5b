//! What the stage does beside its engine: `cargo bench -p nightcall-transcribe`.

#![allow(missing_docs)] // criterion's macros make functions without.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use transcribe::parts;

#[allow(dead_code)] // Of the tests' support the voice alone is of use here.
#[path = "../tests/support/ggml.rs"]
mod ggml;

const MINUTE: usize = 60 * 16_000;

fn voice_activity(c: &mut Criterion) {
    let voice = ggml::voice(60);
    let mut group = c.benchmark_group("a minute of a channel");
    group.throughput(Throughput::Elements(MINUTE as u64));
    group.bench_function("voice activity and cutting", |b| b.iter(|| parts::cut(black_box(&voice))));
    group.bench_function("speech or music", |b| b.iter(|| parts::is_speech(black_box(&voice))));
    group.finish();
}

fn batcher(c: &mut Criterion) {
    let lengths: Vec<usize> = (0..500).map(|i| 16_000 + i * 7919 % (14 * 16_000)).collect();
    c.bench_function("gather and batch 500 windows", |b| b.iter(|| parts::batch(black_box(&lengths), 300.0)));
}

criterion_group!(benches, voice_activity, batcher);
criterion_main!(benches);
