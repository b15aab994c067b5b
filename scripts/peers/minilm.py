"""all-MiniLM-L6-v2 by other engines: embeds every turn of transcripts, tokenizing included, and prints one JSON object with
the keys of `nightcall bench encoder --json`.

    python scripts/peers/minilm.py torch MODEL CALLS.jsonl [--batch 32] [--threads 2]
    python scripts/peers/minilm.py onnx MODEL CALLS.jsonl [--batch 8] [--workers 2] [--vectors OUT.npy]

MODEL is a folder with config.json, model.safetensors and tokenizer.json, such as ~/.cache/nightcall/models/all-minilm-l6-v2.
`torch` is sentence-transformers in f32, which sorts by length itself. `onnx` is ONNX Runtime with int8 weights (its BERT
fusions, then its dynamic quantization, a scale a channel), texts sorted by length, each batch padded to its longest, and
workers that share the threads. Both normalize, and cut at 256 tokens.
"""
import argparse, concurrent.futures, json, os, tempfile, time
import numpy as np, torch

MAX_TOKENS = 256


def torch_f32(a, texts):
    from sentence_transformers import SentenceTransformer, models
    torch.set_num_threads(a.threads)
    bert = models.Transformer(a.model, max_seq_length=MAX_TOKENS)
    pooling = models.Pooling(384, "mean")
    model = SentenceTransformer(modules=[bert, pooling, models.Normalize()], device="cpu")
    embed = lambda texts: model.encode(texts, batch_size=a.batch, show_progress_bar=False)
    import sentence_transformers
    return embed, f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__} f32"


class Pooled(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def export(folder, out):
    """The encoder as an ONNX file, fused and quantized."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import AutoConfig, AutoModel
    config = AutoConfig.from_pretrained(folder)
    bert = Pooled(AutoModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval())
    example = torch.ones((2, 16), dtype=torch.long)
    axes = {name: {0: "rows", 1: "tokens"} for name in ("input_ids", "attention_mask", "hidden")}
    plain, fused, small = (os.path.join(out, name) for name in ("plain.onnx", "fused.onnx", "int8.onnx"))
    torch.onnx.export(bert, (example, example), plain, input_names=["input_ids", "attention_mask"], output_names=["hidden"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    model = optimizer.optimize_model(plain, model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
    model.save_model_to_file(fused)
    # The types of what the fused operators give are not known to it.
    quantize_dynamic(fused, small, weight_type=QuantType.QInt8, per_channel=True,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    return small


def onnx_int8(a, texts):
    import onnxruntime as ort
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    cached = os.path.join(tempfile.gettempdir(), f"minilm-int8-{ort.__version__}.onnx")
    if not os.path.exists(cached):
        with tempfile.TemporaryDirectory() as folder:
            os.replace(export(a.model, folder), cached)
    options = ort.SessionOptions()
    options.intra_op_num_threads = max(1, a.threads // a.workers)
    session = ort.InferenceSession(cached, options)

    def batch(ids):
        longest = max(map(len, ids))
        tokens, mask = np.zeros((len(ids), longest), np.int64), np.zeros((len(ids), longest), np.int64)
        for row, text in enumerate(ids):
            tokens[row, :len(text)], mask[row, :len(text)] = text, 1
        hidden = session.run(None, {"input_ids": tokens, "attention_mask": mask})[0]
        sums = (hidden * mask[:, :, None]).sum(1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def embed(texts):
        ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        parts = [order[at:at + a.batch] for at in range(0, len(order), a.batch)]
        vectors = np.empty((len(ids), 384), np.float32)
        with concurrent.futures.ThreadPoolExecutor(a.workers) as workers:
            for part, found in zip(parts, workers.map(lambda part: batch([ids[i] for i in part]), parts)):
                vectors[part] = found
        return vectors

    return embed, f"onnxruntime {ort.__version__} int8"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("engine", choices=["torch", "onnx"])
    ap.add_argument("model")
    ap.add_argument("data")
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--workers", type=int, default=1)
    ap.add_argument("--vectors", help="write them to this file")
    a = ap.parse_args()
    with open(a.data, encoding="utf8") as lines:
        texts = [turn["text"] for line in lines if line.strip() for turn in json.loads(line)["turns"]]
    embed, kernel = {"torch": torch_f32, "onnx": onnx_int8}[a.engine](a, texts)
    embed(texts[:64])
    began = time.perf_counter()
    vectors = embed(texts)
    seconds = time.perf_counter() - began
    if a.vectors:
        np.save(a.vectors, vectors)
    print(json.dumps({"items": len(texts), "seconds": seconds, "items_per_s": len(texts) / seconds,
                      "words": sum(len(text.split()) for text in texts), "batch": a.batch, "kernel": kernel}))


if __name__ == "__main__":
    main()
