#!/usr/bin/env python3
"""Make crates/inference/tests/data/bert: a small random BERT, and what transformers makes of a few texts.

    python3 scripts/make-goldens-sentence.py [MINILM]

Writes config.json, model.safetensors and tokenizer.json of the small model, and golden.json: for each text its token
ids, the first and last row of the last hidden state, and the mean-pooled, normalised vector. With MINILM, the folder of
all-minilm-l6-v2, also writes minilm.json: what sentence-transformers makes of a few texts with the real weights. Needs
torch, transformers, tokenizers and, for MINILM, sentence-transformers (made with 2.15, 5.23, 0.23 and 6.2).
"""
import json, os, shutil, sys, tempfile
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crates", "inference", "tests", "data", "bert")
TEXTS = ["", "yes", "the price is too high", "when will the invoice be sent to me and who can call back on friday",
         "PRICE price Price", "unheard words are unknown", "call, call; call! ... call?", "friday " * 100]
WORDS = "the a is was will be can you i we me to of and in on price invoice call back send sent when who what why " \
        "friday monday high low too not yes no thank ##s ##ing ##ed . , ; ! ?".split()
REAL = ["", "Hello.", "I'll send you the updated quote by Friday.", "The price is simply too high for us this quarter.",
        "Can we talk about the renewal next week? Our contract ends in March.",
        "Das Gespräch wurde auf Deutsch geführt, Straße 12, naïve café.",
        "It has been down since this morning and nobody called me back. " * 40]


def rounded(tensor):
    return [float(f"{x:.8g}") for x in tensor.tolist()]


def small():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = {word: i for i, word in enumerate(special + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    # As the published file does: both must be overridden by whoever reads it.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)

    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocab), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=64, max_position_embeddings=64, type_vocab_size=2, layer_norm_eps=1e-12,
                        initializer_range=0.3)
    model = BertModel(config, add_pooling_layer=False).eval()
    for parameter in model.parameters():            # norms and biases too, which start as ones and zeros
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    os.makedirs(OUT, exist_ok=True)
    model.save_pretrained(OUT)
    tokenizer.save(os.path.join(OUT, "tokenizer.json"))

    tokenizer.no_padding()
    tokenizer.enable_truncation(config.max_position_embeddings)
    golden = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        with torch.no_grad():
            hidden = model(torch.tensor([ids])).last_hidden_state[0]
        vector = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        golden.append({"text": text, "ids": ids, "first": rounded(hidden[0]), "last": rounded(hidden[-1]),
                       "vector": rounded(vector)})
    write("golden.json", golden)


def minilm(folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as parts
    with tempfile.TemporaryDirectory() as copy:      # the three files alone, so that the limit below is what counts
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            shutil.copy(os.path.join(folder, name), copy)
        words = parts.Transformer(copy, max_seq_length=256)
        model = SentenceTransformer(modules=[words, parts.Pooling(words.get_embedding_dimension()), parts.Normalize()],
                                    device="cpu")
        vectors = [model.encode([text])[0] for text in REAL]
    write("minilm.json", [{"text": text, "vector": [float(f"{x:.6g}") for x in v.tolist()]}
                          for text, v in zip(REAL, vectors)])


def write(name, rows):
    with open(os.path.join(OUT, name), "w", encoding="utf8") as f:
        f.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


if __name__ == "__main__":
    small()
    if len(sys.argv) > 1:
        minilm(sys.argv[1])
