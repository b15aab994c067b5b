#!/usr/bin/env python3
"""Writes the goldens of crates/eval's measures over texts: what NLTK's stemmer, rouge-score and scikit-learn say.

    pip install nltk==3.10.4 rouge-score==0.1.2 scikit-learn==1.9.1
    scripts/make-goldens-metrics.py VOCABULARY       # crates/eval/tests/data/{stems.tsv,rouge.jsonl,labels.jsonl}
    scripts/make-goldens-metrics.py VOCABULARY --all OUT.tsv   # the stem of every word

VOCABULARY is a text file with a word a line, such as vocab.txt of all-minilm-l6-v2; a part of its words is taken. A line of
stems.tsv is word and stem; of rouge.jsonl [[reference, ...], text, rouge1, rouge2, rougeL], made of the scripts of the
fixtures; of labels.jsonl [meant, said, accuracy, macro F1, weighted F1].
"""

import argparse
import json
import pathlib
import random
import re

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import accuracy_score, f1_score

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "crates" / "eval" / "tests" / "data"

# Every ending and departure of the stemmer.
WORDS = """caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned
falling hissing fizzed failing filing happy sky relational conditional rational valenci hesitanci digitizer conformabli
radicalli differentli vileli analogousli vietnamization predication operator feudalism decisiveness hopefulness callousness
formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival allowance
inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism
activate angulariti homologous effective bowdlerize probate rate cease controll roll skies dying lying tying news innings
inning outings outing cannings canning howe proceed exceed succeed dies died flies spied enjoy enjoyment spy fly fully
carefully really theology geology archaeology psychology yyyy syzygy toy by a is I'm café naïve e-mail year's 2nd x-ray""".split()


def stems(words, path):
    stemmer = PorterStemmer()
    path.write_text("".join(f"{word}\t{stemmer.stem(word)}\n" for word in words))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("vocabulary", type=pathlib.Path)
    ap.add_argument("--all", type=pathlib.Path)
    args = ap.parse_args()
    known = [w for w in args.vocabulary.read_text().split() if re.fullmatch(r"[a-z]{3,}", w)]
    if args.all:
        return stems(known, args.all)
    choice = random.Random(13)
    stems(WORDS + sorted(choice.sample(known, 3000)), DATA / "stems.tsv")

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    texts = []
    for script in sorted((ROOT / "fixtures" / "scripts").glob("*.json")):
        texts += [turn["text"] for turn in json.loads(script.read_text())["turns"]]
    with open(DATA / "rouge.jsonl", "w") as out:
        for _ in range(120):
            references = [" ".join(choice.sample(texts, choice.randint(1, 3))) for _ in range(choice.randint(1, 3))]
            words = references[0].split()
            part = words[choice.randrange(len(words)):] if choice.random() < 0.5 else choice.sample(words, len(words) // 2)
            text = " ".join(part + [choice.choice(texts)])
            best = scorer.score_multi(references, text)
            scores = [best[kind].fmeasure for kind in ("rouge1", "rouge2", "rougeL")]
            out.write(json.dumps([references, text, *scores], ensure_ascii=False) + "\n")

    with open(DATA / "labels.jsonl", "w") as out:
        for _ in range(30):
            labels = ["negative", "neutral", "positive"][: choice.randint(2, 3)]
            meant = choice.choices(labels, k=choice.randint(1, 40))
            said = [m if choice.random() < 0.6 else choice.choice(labels) for m in meant]
            means = [f1_score(meant, said, average=how, zero_division=0) for how in ("macro", "weighted")]
            out.write(json.dumps([meant, said, accuracy_score(meant, said), *means]) + "\n")


main()
