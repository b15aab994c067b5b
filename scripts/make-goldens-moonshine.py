#!/usr/bin/env python3
"""Write crates/inference/tests/goldens/moonshine: what the reference computes with small random weights.

    python3 scripts/make-goldens-moonshine.py

Needs torch, transformers and safetensors (written with torch 2.9 and transformers 5.23; other versions may differ in the
last bits). The tests that read these files need none of them. Weights are drawn, so that nothing here was learned
from anybody's data; they are stored in f16 and the reference computes with exactly the stored values, in f32.
"""
import json, pathlib
import torch
from safetensors.torch import save_file
from transformers import MoonshineConfig, MoonshineForConditionalGeneration

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "crates/inference/tests/goldens"
TOKENS_PER_SECOND, MORE_TOKENS = 6.5, 5         # the cap on tokens, as crates/inference/src/moonshine/mod.rs has it


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def tokenizer(size):
    """A tokenizer.json of Moonshine's kind: three marks, the bytes, then pieces."""
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    words += [("\u2581" if i % 2 == 0 else "") + f"w{i}" for i in range(size - len(words))]
    special = [{"id": i, "content": words[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for i in range(3)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {w: i for i, w in enumerate(words)}, "merges": []}}


def draw(model, random):
    """Weights large enough that every part of the model moves the result."""
    for name, weight in model.named_parameters():
        drawn = torch.randn(weight.shape, generator=random)
        if weight.dim() == 1:
            drawn = 0.2 * drawn + (0.0 if name.endswith("bias") else 1.0)
        elif "embed_tokens" not in name:
            drawn = drawn * 1.5 / weight[0].numel() ** 0.5
        weight.data = drawn.half().float()


def moonshine():
    # Heads of 16 of which int(16 * 0.9) = 14 dimensions turn: the partial rotation of the real model's 32 of 36.
    config = MoonshineConfig(
        vocab_size=300, hidden_size=48, intermediate_size=96, encoder_num_hidden_layers=2, decoder_num_hidden_layers=2,
        encoder_num_attention_heads=3, decoder_num_attention_heads=3, encoder_hidden_act="gelu",
        decoder_hidden_act="silu", pad_head_dim_to_multiple_of=8, tie_word_embeddings=True, pad_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.9})
    config._attn_implementation = "eager"
    random = torch.Generator().manual_seed(13)
    model = MoonshineForConditionalGeneration(config).eval()
    draw(model, random)

    out = GOLDENS / "moonshine"
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.half().contiguous() for name, weight in model.state_dict().items() if name != "proj_out.weight"}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", config.to_dict())
    write_json(out / "tokenizer.json", tokenizer(config.vocab_size))

    golden = {}
    for samples in (895, 4001, 24383):          # the shortest, and odd lengths
        time = torch.arange(samples) / 16000
        audio = 0.3 * torch.sin(2 * torch.pi * (200 + 400 * time) * time) + 0.1 * torch.randn(samples, generator=random)
        with torch.no_grad():
            frames = model.model.encoder(audio[None]).last_hidden_state
            tokens = [config.decoder_start_token_id]
            cap = int(samples / 16000 * TOKENS_PER_SECOND) + MORE_TOKENS
            while True:
                said = model(input_values=audio[None], decoder_input_ids=torch.tensor([tokens]), output_attentions=True,
                             use_cache=False)
                best = int(said.logits[0, -1].argmax())
                if best == config.eos_token_id or len(tokens) > cap:
                    break
                tokens.append(best)
        golden |= {f"{samples}.audio": audio, f"{samples}.frames": frames[0], f"{samples}.logits": said.logits[0],
                   f"{samples}.tokens": torch.tensor(tokens[1:]),
                   # [layers, heads, steps, frames]
                   f"{samples}.attention": torch.stack([a[0] for a in said.cross_attentions])}
        print(f"moonshine, {samples} samples: {frames.shape[1]} frames, {len(tokens) - 1} tokens of {cap}")
    save_file({k: v.contiguous() for k, v in golden.items()}, out / "golden.safetensors")


if __name__ == "__main__":
    moonshine()
