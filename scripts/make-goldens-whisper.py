#!/usr/bin/env python3
"""Write crates/inference/tests/goldens/whisper: what the references compute with small random weights.

    python3 scripts/make-goldens-whisper.py

Needs torch, transformers, safetensors and openai-whisper (written with torch 2.13, transformers 5.23 and openai-whisper
20250625; other versions may differ in the last bits). The tests that read these files need none of them. Weights are drawn, so that
nothing here was learned from anybody's data; they are stored in f16 and the reference computes with exactly the stored
values, in f32. The window is 2 s instead of 30 and the vocabulary small; all else is laid out as in the published models.
"""
import json, pathlib
import numpy as np, torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from whisper.timing import dtw, median_filter

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "crates/inference/tests/goldens/whisper"
SECONDS, LANGUAGES, WORDS = 2, ["en", "de", "fr"], 44
END = 256 + WORDS
START, TIMES = END + 1, END + 2 + len(LANGUAGES) + 6
VOCABULARY = TIMES + 1501


def byte_characters():
    """How byte-level tokenizers write the 256 bytes."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(b) if b in seen else chr(next(others)) for b in range(256)]


def tokenizer():
    marks = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), "<|translate|>",
             "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
             *(f"<|{i * 0.02:.2f}|>" for i in range(1501))]
    pairs = [chr(ord("a") + i) + chr(ord("a") + i % 5) for i in range(WORDS // 2)]
    words = byte_characters() + pairs + ["\u0120" + pair for pair in pairs]
    merges = [" ".join(pair) for pair in pairs] + [f"\u0120 {pair}" for pair in pairs]
    special = [{"id": END + i, "content": mark, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for i, mark in enumerate(marks)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                      "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {w: i for i, w in enumerate(words)}, "merges": merges}}


def draw(model, random):
    """Weights large enough that every part of the model moves the result."""
    for name, weight in model.named_parameters():
        drawn = torch.randn(weight.shape, generator=random)
        if weight.dim() == 1:
            drawn = 0.2 * drawn + (0.0 if name.endswith("bias") else 1.0)
        elif "embed" not in name:
            drawn = drawn * 1.5 / weight[0].numel() ** 0.5
        weight.data = drawn.half().float()


def write_json(name, value):
    (GOLDEN / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def main():
    config = WhisperConfig(
        vocab_size=VOCABULARY, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128, num_mel_bins=80,
        max_source_positions=50 * SECONDS, max_target_positions=48, decoder_start_token_id=START, eos_token_id=END,
        bos_token_id=END, pad_token_id=END, suppress_tokens=[7, 9], begin_suppress_tokens=[32, END])
    config._attn_implementation = "eager"
    random = torch.Generator().manual_seed(17)
    model = WhisperForConditionalGeneration(config).eval()
    draw(model, random)

    GOLDEN.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.half().contiguous() for name, weight in model.state_dict().items() if name != "proj_out.weight"}
    save_file(weights, GOLDEN / "model.safetensors", metadata={"format": "pt"})
    write_json("config.json", config.to_dict())
    heads = [[0, 1], [1, 0], [1, 3]]
    write_json("generation_config.json", {"alignment_heads": heads})
    write_json("tokenizer.json", tokenizer())

    extract = WhisperFeatureExtractor(feature_size=80, chunk_length=SECONDS)
    wide = WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS)
    language = START + 1
    prompt = [START, language, START + len(LANGUAGES) + 2, TIMES - 1]
    golden = {}
    for samples in (2000, 19_111, 32_000):
        time = torch.arange(samples) / 16000
        audio = 0.3 * torch.sin(2 * torch.pi * (200 + 400 * time) * time) + 0.1 * torch.randn(samples, generator=random)
        features = extract(audio.numpy(), sampling_rate=16000, return_tensors="pt").input_features
        with torch.no_grad():
            frames = model.model.encoder(features).last_hidden_state
            tokens = list(prompt)
            while True:
                said = model(input_features=features, decoder_input_ids=torch.tensor([tokens]), output_attentions=True,
                             use_cache=False)
                logits = said.logits[0, -1].clone()
                logits[[*config.suppress_tokens, *range(START, VOCABULARY)]] = -torch.inf
                if len(tokens) == len(prompt):
                    logits[config.begin_suppress_tokens] = -torch.inf
                best = int(logits.argmax())
                if best == END or len(tokens) - len(prompt) >= 24:
                    break
                tokens.append(best)
        attention = torch.stack([a[0] for a in said.cross_attentions])     # [layers, heads, steps, frames]
        # As whisper.timing.find_alignment, over the frames in which there is sound.
        spoken = -(-samples // 320)
        weights = torch.stack([attention[layer, head] for layer, head in heads])[:, :, :spoken]
        weights = weights / weights.sum(dim=-1, keepdim=True)
        std, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
        matrix = median_filter((weights - mean) / std, 7).mean(axis=0)[len(prompt) - 1:]
        text_indices, time_indices = dtw(-matrix)
        jumps = np.pad(np.diff(text_indices), (1, 0), constant_values=1).astype(bool)
        golden |= {f"{samples}.audio": audio, f"{samples}.features": features[0],
                   f"{samples}.frames": frames[0], f"{samples}.logits": said.logits[0],
                   f"{samples}.tokens": torch.tensor(tokens), f"{samples}.attention": attention,
                   f"{samples}.starts": torch.tensor(time_indices[jumps].copy())}
        if samples == 2000:
            golden["2000.features128"] = wide(audio.numpy(), sampling_rate=16000, return_tensors="pt").input_features[0]
        print(f"{samples} samples: {len(tokens) - len(prompt)} tokens")
    save_file({k: v.contiguous() for k, v in golden.items()}, GOLDEN / "golden.safetensors")


if __name__ == "__main__":
    main()
