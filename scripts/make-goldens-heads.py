#!/usr/bin/env python3
"""Write what the heads make of fifty texts, for the tests of the crates that run them.

    python3 scripts/make-goldens-heads.py MINILM

MINILM is the folder of all-minilm-l6-v2. Writes head_golden.json beside the tests of sentiment and extract: text and logits, in
full precision; for follow-ups also the log odds that a turn is an action item, were all the texts one meeting. Needs
what scripts/train-heads needs.
"""
import json, os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "heads"))
import numpy as np
from safetensors.torch import load_file
import data, follow_ups, sentiment
from encoder import Vectors

ODD = ["", "?!", "42", "Hm.", "THAT IS GREAT NEWS!!!", "it isn't bad not at all", "so sorry :(",
       "Das Gespr\u00e4ch war gut, danke.", "i'll send it to you by friday and you call me back okay", "no " * 300]


def main():
    texts = ODD.copy()
    for name, letters in [("sentiment-work.txt", "-0+"), ("sentiment-short.txt", "-0+"), ("follow-ups-talks.txt", "ncrm")]:
        turns = [turn.text for talk in data.own(name, letters, "abcd"[:len(letters)]) for turn in talk]
        texts += turns[::len(turns) // 14][:14]
    texts = texts[:50]
    talks = [[data.Turn("", text, None)] for text in texts]
    meeting = [turn for talk in talks for turn in talk]
    for name, out in [("sentiment", "sentiment/tests"), ("follow-ups", "extract/tests/extract")]:
        tensors = {key: value.float() for key, value in load_file(
            os.path.join(HERE, "..", "models", "heads", name + ".safetensors")).items()}
        if name == "sentiment":
            x = sentiment.inputs(sentiment.updated(tensors, sys.argv[1]), talks, exact=True)
        else:
            vectors = Vectors(sys.argv[1], exact=True)
            x = follow_ups.of(vectors, talks)
        logits = sentiment.apply(tensors, x)
        rows = [[text, [round(float(v), 5) for v in row]] for text, row in zip(texts, logits)]
        if name == "follow-ups":
            items = follow_ups.scores_of(tensors, vectors, [meeting])[1]
            rows = [[*row, round(float(np.log(p / (1 - p))), 5)] for row, p in zip(rows, items)]
        rows = [json.dumps(row, ensure_ascii=False) for row in rows]
        with open(os.path.join(HERE, "..", "crates", out, "head_golden.json"), "w", encoding="utf8") as file:
            file.write("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
