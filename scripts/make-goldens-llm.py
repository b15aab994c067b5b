#!/usr/bin/env python3
"""Write crates/inference/tests/data/llm: small random language models, and what the reference computes with them.

    pip install gguf==0.19.0
    python3 scripts/make-goldens-llm.py

Needs torch, transformers, tokenizers and gguf (written with torch 2.9 and transformers 5.24; other versions may differ in
the last bits). The tests that read these files need none of them. Weights are drawn, so that nothing here was learned from
anybody's data. qwen3/ has its tokenizer, of bytes, in the .gguf file, llama/ (one layer) a tokenizer.json as SentencePiece's;
manifests/tiny.toml describes qwen3/ to the store of models. golden.json: `texts` [[text, ids]], `prompt` (ids), `greedy` (ids that follow), `logits` (behind the prompt and behind each greedy token but the
last), rounded to 6 decimals.
"""
import hashlib, json, pathlib
import gguf, numpy, torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

DATA = pathlib.Path(__file__).resolve().parent.parent / "crates/inference/tests/data/llm"
WIDTH, LAYERS, HEADS, KEY_HEADS, HEAD, INNER, CONTEXT = 64, 2, 4, 2, 16, 128, 4096
GREEDY = 12
# tokenizer.json of Qwen2.5 and Qwen3.
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = ["Hello there", "we'll refund 590 dollars", "  two  spaces\n\n\nand lines ", "für Zoë: 5 €, \U0001f600",
         '{"points":[{"text":"a","turns":[3,5]}]}', "<|im_start|>user", "<think>no</think>", ""]
PIECES = ["th", "the", " t", " the", "in", "re", " re", "er", "on", '{"', '":', '":"', '","', "po", "ints", "turns", "ll", "'ll"]


def draw(model, seed):
    """Weights large enough that every part of the model moves the result."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(1 + 0.2 * torch.randn_like(weight) if "norm" in name else 0.25 * torch.randn_like(weight))
    return model.eval()


def golden(model, tokenizer, folder):
    ids = tokenizer.encode("Hello, there is the reason for it.").ids
    said = list(ids)
    rows = []
    with torch.no_grad():
        for _ in range(GREEDY):
            row = model(torch.tensor([said])).logits[0, -1]
            rows.append([round(x, 6) for x in row.tolist()])
            said.append(int(row.argmax()))
    texts = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS]
    value = {"texts": texts, "prompt": ids, "greedy": said[len(ids):], "logits": rows}
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (folder / "golden.json").write_text(text + "\n", encoding="utf8")


def writer(folder, architecture, layers):
    folder.mkdir(parents=True, exist_ok=True)
    out = gguf.GGUFWriter(folder / "tiny.gguf", architecture)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(layers)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KEY_HEADS)
    out.add_key_length(HEAD)
    out.add_value_length(HEAD)
    out.add_rope_dimension_count(HEAD)
    out.add_rope_freq_base(10_000.0)
    out.add_layer_norm_rms_eps(1e-6)
    return out


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}


def renamed(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    if name == "lm_head.weight":
        return "output.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def sizes(vocabulary, layers, tied):
    return dict(vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=layers,
                num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS, head_dim=HEAD, rms_norm_eps=1e-6,
                max_position_embeddings=CONTEXT, tie_word_embeddings=tied, rope_theta=10_000.0,
                rope_parameters={"rope_type": "default", "rope_theta": 10_000.0})


def qwen3():
    folder = DATA / "qwen3"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    written = [piece.replace(" ", "\u0120") for piece in PIECES]
    vocabulary, merges = list(letters), []
    for piece in written:                       # each from the longest known beginning on, letter by letter
        left = piece[0]
        for letter in piece[1:]:
            if left + letter not in vocabulary:
                vocabulary.append(left + letter)
                merges.append((left, letter))
            left += letter
    special, added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<think>", "</think>"]
    kinds = [1] * len(vocabulary) + [3] * len(special) + [4] * len(added)
    plain = len(vocabulary)
    vocabulary += special + added
    while len(vocabulary) < 320:
        vocabulary.append(f"[PAD{len(vocabulary)}]")
        kinds.append(5)
    tokenizer = Tokenizer(models.BPE({v: i for i, v in enumerate(vocabulary)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(s, special=True) for s in special])
    tokenizer.add_tokens([AddedToken(s, special=False) for s in added])
    tokenizer.encode_special_tokens = True      # marks of a chat in a text are text

    model = draw(Qwen3ForCausalLM(Qwen3Config(**sizes(len(vocabulary), LAYERS, True))), 1)
    out = writer(folder, "qwen3", LAYERS)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(vocabulary)
    out.add_token_types(kinds)
    out.add_token_merges([" ".join(pair) for pair in merges])
    out.add_eos_token_id(plain + 2)
    for name, weight in model.state_dict().items():
        if name != "lm_head.weight":            # tied
            out.add_tensor(renamed(name), weight.numpy())
    finish(out)
    golden(model, tokenizer, folder)


def manifest():
    weights = (DATA / "qwen3/tiny.gguf").read_bytes()
    (DATA / "manifests").mkdir(exist_ok=True)
    (DATA / "manifests/tiny.toml").write_text(f"""name = "tiny"
about = "For tests: a language model of random weights."
task = "generation"
architecture = "qwen3"
licence = "Apache-2.0"
languages = ["en"]

[[sources]]
kind = "folder"
path = "/nowhere"
files = [{{ name = "tiny.gguf", size = {len(weights)}, sha256 = "{hashlib.sha256(weights).hexdigest()}" }}]
""")


def permuted(weight, heads):
    """Rotary pairs side by side, as llama.cpp has them (convert_hf_to_gguf.py, LlamaModel.permute)."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def llama():
    folder = DATA / "llama"
    vocabulary = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    vocabulary += ["\u2581"] + sorted(set("abcdefghijklmnopqrstuvwxyz.,:") | set("HTIW"))
    vocabulary += ["\u2581t", "he", "\u2581the", "re"]
    vocabulary += [f"\u2581w{i}" for i in range(320 - len(vocabulary))]
    merges = [("\u2581", "t"), ("h", "e"), ("\u2581t", "he"), ("r", "e")]
    tokenizer = Tokenizer(models.BPE({v: i for i, v in enumerate(vocabulary)}, merges, unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in vocabulary[:3]])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer.encode_special_tokens = True

    model = draw(LlamaForCausalLM(LlamaConfig(**sizes(len(vocabulary), 1, False))), 3)
    out = writer(folder, "llama", 1)
    out.add_eos_token_id(2)
    for name, weight in model.state_dict().items():
        weight = weight.numpy()
        heads = {"q_proj": HEADS, "k_proj": KEY_HEADS}.get(name.split(".")[-2])
        out.add_tensor(renamed(name), numpy.ascontiguousarray(permuted(weight, heads)) if heads else weight)
    finish(out)
    golden(model, tokenizer, folder)


if __name__ == "__main__":
    qwen3()
    manifest()
    llama()
