#!/usr/bin/env python3
"""Write crates/inference/tests/data/llm: small random language models, and what the reference computes with them.

    pip install gguf==0.19.0
    python3 scripts/make-goldens-llm.py

Needs torch, transformers, tokenizers and gguf (written with torch 2.9 and transformers 5.24; other versions may differ in
the last bits). The tests that read these files need none of them. Weights are drawn, so that nothing here was learned from
anybody's data. qwen3/ has its tokenizer, of bytes, in the .gguf file, the others (one layer; gemma3/ six narrow ones, of which five see a
window of eight tokens) a tokenizer.json as SentencePiece's; manifests/tiny.toml describes qwen3/ to the store of models. golden.json: `texts` [[text, ids]], `prompt` (ids), `greedy` (ids that follow), `logits` (behind the prompt and behind each greedy token but the
last), rounded to 6 decimals.
"""
import hashlib, json, pathlib
import gguf, numpy, torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM
from transformers import Qwen3Config, Qwen3ForCausalLM

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


def writer(folder, architecture, layers, width=WIDTH, heads=HEADS, key_heads=KEY_HEADS, inner=INNER):
    folder.mkdir(parents=True, exist_ok=True)
    out = gguf.GGUFWriter(folder / "tiny.gguf", architecture)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(key_heads)
    out.add_key_length(HEAD)
    out.add_value_length(HEAD)
    out.add_rope_dimension_count(HEAD)
    out.add_rope_freq_base(1_000_000.0 if architecture == "gemma3" else 10_000.0)
    out.add_layer_norm_rms_eps(1e-6)
    return out


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm", "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"}
# Gemma has norms behind attention and network too.
GEMMA = NAMES | {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
                 "post_feedforward_layernorm": "post_ffw_norm"}


def renamed(name, names=NAMES):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    if name == "lm_head.weight":
        return "output.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{names[rest.removesuffix('.weight')]}.weight"


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


def sentence_pieces(folder):
    """A tokenizer.json as SentencePiece's, and how many tokens it has."""
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
    return tokenizer, len(vocabulary)


def llama():
    folder = DATA / "llama"
    tokenizer, vocabulary = sentence_pieces(folder)
    model = draw(LlamaForCausalLM(LlamaConfig(**sizes(vocabulary, 1, False))), 3)
    out = writer(folder, "llama", 1)
    out.add_eos_token_id(2)
    for name, weight in model.state_dict().items():
        weight = weight.numpy()
        heads = {"q_proj": HEADS, "k_proj": KEY_HEADS}.get(name.split(".")[-2])
        out.add_tensor(renamed(name), numpy.ascontiguousarray(permuted(weight, heads)) if heads else weight)
    finish(out)
    golden(model, tokenizer, folder)


def phi3():
    folder = DATA / "phi3"
    tokenizer, vocabulary = sentence_pieces(folder)
    sized = {**sizes(vocabulary, 1, False), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    del sized["head_dim"]
    model = draw(Phi3ForCausalLM(Phi3Config(**sized)), 11)
    out = writer(folder, "phi3", 1)
    out.add_eos_token_id(2)
    for name, weight in model.state_dict().items():
        out.add_tensor(renamed(name), weight.numpy())
    finish(out)
    golden(model, tokenizer, folder)


def gemma3():
    folder = DATA / "gemma3"
    tokenizer, vocabulary = sentence_pieces(folder)
    layers, width, heads, key_heads, inner, window = 6, 32, 2, 1, 48, 8
    rope = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}}
    model = draw(Gemma3ForCausalLM(Gemma3TextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=key_heads, head_dim=HEAD, query_pre_attn_scalar=HEAD, rms_norm_eps=1e-6, sliding_window=window,
        max_position_embeddings=CONTEXT, rope_parameters=rope, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        layer_types=["sliding_attention"] * 5 + ["full_attention"])), 12)
    out = writer(folder, "gemma3", layers, width, heads, key_heads, inner)
    out.add_sliding_window(window)
    out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    out.add_rope_scaling_factor(8.0)
    out.add_eos_token_id(2)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":            # tied
            continue
        # A norm multiplies by 1 and its weight (convert_hf_to_gguf.py, Gemma3Model.norm_shift).
        out.add_tensor(renamed(name, GEMMA), weight.numpy() + 1 if "norm" in name else weight.numpy())
    finish(out)
    golden(model, tokenizer, folder)


if __name__ == "__main__":
    qwen3()
    manifest()
    llama()
    phi3()
    gemma3()
