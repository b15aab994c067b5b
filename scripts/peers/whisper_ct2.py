"""Whisper on CTranslate2, the core of faster-whisper: milliseconds to encode a window of 30 s, and for N greedy tokens after.

    python scripts/peers/random_whisper.py tiny.en OUT --ct2
    python scripts/peers/whisper_ct2.py OUT/ct2 [--compute int8] [--batch 4] [--windows 32] [--tokens 60] [--threads 2]

The windows hold noise, and the number of tokens is forced, so that any weights will do. Prints one JSON object with the keys
that `nightcall bench whisper --json` has: medians over the batches, a window, the first batch left out.
"""
import argparse, json, statistics, time
import ctranslate2, numpy as np

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("model")
ap.add_argument("--compute", default="int8")
ap.add_argument("--batch", type=int, default=4)
ap.add_argument("--windows", type=int, default=32)
ap.add_argument("--tokens", type=int, default=60)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--device", default="cpu")
ap.add_argument("--mels", type=int, default=80)
ap.add_argument("--prompt", default="50257,50362", help="as it is for English alone")
a = ap.parse_args()
prompt = [int(token) for token in a.prompt.split(",")]
model = ctranslate2.models.Whisper(a.model, device=a.device, compute_type=a.compute, intra_threads=a.threads)
noise = np.random.default_rng(0).standard_normal((a.batch, a.mels, 3000), np.float32)
windows = ctranslate2.StorageView.from_array(noise)
encode, decode = [], []
for _ in range(1 + max(1, -(-a.windows // a.batch))):
    began = time.perf_counter()
    hidden = model.encode(windows)
    between = time.perf_counter()
    # Half of max_length is what prompt and tokens may have beside two; the end is suppressed, so nothing ends earlier.
    result = model.generate(hidden, [prompt] * a.batch, beam_size=1, max_length=2 * (a.tokens + len(prompt) - 2),
                            suppress_tokens=[prompt[0] - 1], suppress_blank=False)
    encode.append(between - began)
    decode.append(time.perf_counter() - between)
tokens = {len(row.sequences_ids[0]) for row in result}
if tokens != {a.tokens}:
    raise SystemExit(f"{a.tokens} tokens were wanted, and {tokens} came")
print(json.dumps({
    "engine": "ctranslate2", "encode_ms": 1e3 * statistics.median(encode[1:]) / a.batch,
    "decode_ms": 1e3 * statistics.median(decode[1:]) / a.batch, "windows": a.windows, "tokens": a.tokens, "batch": a.batch,
    "threads": a.threads, "kernel": f"ctranslate2 {ctranslate2.__version__} {model.compute_type}"}))
