"""A Whisper of a real size with random weights, in the formats that engines read: what an engine's speed and its agreement
with another depend on is not what a model has learned.

    python scripts/peers/random_whisper.py tiny.en OUT [--ggml f16,q8_0,q5_0] [--ct2] [--seed 0]

Writes OUT/hf (config.json, model.safetensors: transformers, candle), OUT/ggml-TYPE.bin (whisper.cpp) and, with --ct2,
OUT/ct2 (CTranslate2, faster-whisper). The layout of a ggml file is that of ggml-org/whisper.cpp, models/convert-h5-to-ggml.py;
that of its blocks that of ggml-org/ggml, src/ggml-quants.c.
"""
import argparse, base64, json, os, struct
import numpy as np, torch, whisper
from transformers import WhisperConfig, WhisperForConditionalGeneration

SIZES = {  # width, encoder layers, decoder layers, heads, mel bins, vocabulary
    "tiny.en": (384, 4, 4, 6, 80, 51864), "tiny": (384, 4, 4, 6, 80, 51865),
    "base.en": (512, 6, 6, 8, 80, 51864), "base": (512, 6, 6, 8, 80, 51865),
    "small.en": (768, 12, 12, 12, 80, 51864), "small": (768, 12, 12, 12, 80, 51865),
    "large-v3-turbo": (1280, 32, 4, 20, 128, 51866), "large-v3": (1280, 32, 32, 20, 128, 51866),
}
IN_BLOCK = {
    "self_attn.q_proj": "attn.query", "self_attn.k_proj": "attn.key", "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out", "self_attn_layer_norm": "attn_ln",
    "encoder_attn.q_proj": "cross_attn.query", "encoder_attn.k_proj": "cross_attn.key",
    "encoder_attn.v_proj": "cross_attn.value", "encoder_attn.out_proj": "cross_attn.out",
    "encoder_attn_layer_norm": "cross_attn_ln", "fc1": "mlp.0", "fc2": "mlp.2", "final_layer_norm": "mlp_ln",
}
OUTSIDE = {
    "encoder.layer_norm": "encoder.ln_post", "decoder.layer_norm": "decoder.ln",
    "encoder.embed_positions.weight": "encoder.positional_embedding",
    "decoder.embed_positions.weight": "decoder.positional_embedding",
    "decoder.embed_tokens": "decoder.token_embedding",
}
# Of a file and of a tensor: ggml's numbers for the type; files of blocks say by which version of them (2).
TYPES = {"f16": (1, 1), "q8_0": (2007, 8), "q5_0": (2008, 6)}
BLOCK = 32


def ggml_name(name):
    part = name.split(".")
    if part[1] == "layers":
        return ".".join([part[0], "blocks", part[2], IN_BLOCK[".".join(part[3:-1])], part[-1]])
    for ours, theirs in OUTSIDE.items():
        if name.startswith(ours):
            return theirs + name[len(ours):]
    return name


def q8_0(a):
    """Blocks of 32 values: a scale in f16, and a byte a value."""
    x = a.reshape(-1, BLOCK).astype(np.float32)
    scale = np.abs(x).max(1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.hstack([scale.astype("<f2").view(np.uint8), np.rint(x * inverse).astype(np.int8).view(np.uint8)]).tobytes()


def q5_0(a):
    """Blocks of 32 values: a scale in f16, the fifth bits, and the lower four of value i beside those of value i + 16."""
    x = a.reshape(-1, BLOCK).astype(np.float32)
    extreme = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
    scale = extreme / -16
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    q = np.clip((x * inverse + 16.5).astype(np.int32), 0, 31)
    fifth = ((q >> 4).astype(np.uint32) << np.arange(BLOCK, dtype=np.uint32)).sum(1, dtype=np.uint32)
    nibbles = ((q[:, :16] & 15) | ((q[:, 16:] & 15) << 4)).astype(np.uint8)
    return np.hstack([scale.astype("<f2").view(np.uint8), fifth.astype("<u4")[:, None].view(np.uint8), nibbles]).tobytes()


def write_ggml(model, size, kind, path):
    width, encoder, decoder, heads, mels, vocabulary = size
    assets = os.path.join(os.path.dirname(whisper.__file__), "assets")
    filters = np.load(os.path.join(assets, "mel_filters.npz"))[f"mel_{mels}"].astype(np.float32)
    ranks = "gpt2.tiktoken" if vocabulary == 51864 else "multilingual.tiktoken"
    with open(os.path.join(assets, ranks), "rb") as lines:
        tokens = [base64.b64decode(line.split()[0]) for line in lines if line.strip()]
    of_file, of_tensor = TYPES[kind]
    with open(path, "wb") as f:
        f.write(struct.pack("<I", 0x67676D6C))
        f.write(struct.pack("<11i", vocabulary, 1500, width, heads, encoder, 448, width, heads, decoder, mels, of_file))
        f.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        f.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            f.write(struct.pack("<i", len(token)) + token)
        for name, tensor in model.state_dict().items():
            if name == "proj_out.weight":  # the embedding once more
                continue
            name, a = ggml_name(name.removeprefix("model.")), tensor.numpy()
            if name.endswith(("conv1.bias", "conv2.bias")):
                a = a.reshape(-1, 1)
            if a.ndim < 2 or name.endswith(("positional_embedding", "conv1.bias", "conv2.bias")):
                number, raw = 0, a.astype("<f4").tobytes()
            elif a.ndim == 2 and kind != "f16":
                number, raw = of_tensor, {"q8_0": q8_0, "q5_0": q5_0}[kind](a)
            else:
                number, raw = 1, a.astype("<f2").tobytes()
            f.write(struct.pack("<3i", a.ndim, len(name), number))
            f.write(struct.pack(f"<{a.ndim}i", *reversed(a.shape)) + name.encode() + raw)


def write_ct2(hf, out, vocabulary, end):
    from ctranslate2.converters import TransformersConverter
    TransformersConverter(hf).convert(out, force=True)
    # Its vocabulary is made of the tokenizer's files, which random weights do not have.
    plain = 50362 if vocabulary == 51864 else vocabulary - 1502  # <|notimestamps|>; 1501 times follow
    names = [f"t{i}" for i in range(end)] + ["<|endoftext|>", "<|startoftranscript|>"]
    names += [f"<|{i}|>" for i in range(len(names), plain)] + ["<|notimestamps|>"]
    names += [f"<|{0.02 * i:.2f}|>" for i in range(vocabulary - len(names))]
    with open(os.path.join(out, "vocabulary.json"), "w") as f:
        json.dump(names, f)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("size", choices=SIZES)
    ap.add_argument("out")
    ap.add_argument("--ggml", default="f16", help="types, with commas between them: " + ", ".join(TYPES))
    ap.add_argument("--ct2", action="store_true")
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    size = width, encoder, decoder, heads, mels, vocabulary = SIZES[a.size]
    start, end = (50257, 50256) if vocabulary == 51864 else (50258, 50257)
    torch.manual_seed(a.seed)
    model = WhisperForConditionalGeneration(WhisperConfig(
        vocab_size=vocabulary, d_model=width, encoder_layers=encoder, decoder_layers=decoder, num_mel_bins=mels,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
        decoder_start_token_id=start, eos_token_id=end, bos_token_id=end, pad_token_id=end,
        suppress_tokens=[], begin_suppress_tokens=[])).eval()
    os.makedirs(a.out, exist_ok=True)
    hf = os.path.join(a.out, "hf")
    model.save_pretrained(hf)
    for kind in filter(None, a.ggml.split(",")):
        write_ggml(model, size, kind, os.path.join(a.out, f"ggml-{kind}.bin"))
    if a.ct2:
        write_ct2(hf, os.path.join(a.out, "ct2"), vocabulary, end)


if __name__ == "__main__":
    main()
