//! The core's kernels and features: `cargo bench -p nightcall-inference`.

#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros make functions without

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inference::parts;

/// MiniLM's layers over a core's batch of tokens, Moonshine's over ten seconds, and a decoder's over one token.
const PRODUCTS: [(usize, usize, usize); 4] = [(512, 384, 1536), (512, 1536, 384), (415, 288, 864), (1, 288, 32_768)];

fn products(c: &mut Criterion) {
    for (rows, inputs, outputs) in PRODUCTS {
        let mut group = c.benchmark_group(format!("8-bit product {rows} x {inputs} x {outputs}"));
        group.throughput(Throughput::Elements((rows * inputs * outputs) as u64));
        for (level, multiply) in parts::products(rows, inputs, outputs) {
            group.bench_function(level, |b| b.iter(&multiply));
        }
        group.finish();
    }
}

fn layers(c: &mut Criterion) {
    let short = parts::attention(vec![20; 25], 12, 32).unwrap();
    c.bench_function("attention, 25 texts of 20 tokens, 12 heads of 32", |b| b.iter(|| short().unwrap()));
    let long = parts::attention(vec![1250], 8, 36).unwrap();
    c.bench_function("attention, 30 s of Moonshine, 8 heads of 36", |b| b.iter(|| long().unwrap()));
    let norm = parts::norm(512, 384).unwrap();
    c.bench_function("layer norm 512 x 384", |b| b.iter(|| norm().unwrap()));
}

fn features(c: &mut Criterion) {
    let features = parts::features();
    c.bench_function("log-mel of 30 s", |b| b.iter(&features));
}

criterion_group!(benches, products, layers, features);
criterion_main!(benches);
