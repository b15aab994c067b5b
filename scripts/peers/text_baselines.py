#!/usr/bin/env python3
"""Baselines of `nightcall eval`: what simple and published methods say of the same sets.

    pip install -r scripts/peers/requirements.txt
    scripts/peers/text_baselines.py summary lead --data SET.jsonl --words reference --out OUT.jsonl
    nightcall eval summary --data SET.jsonl --from OUT.jsonl --json

    summary     lead, longest (turns; without --words the first or longest 3), textrank, lexrank (sentences; sumy),
                oracle (sentences that raise ROUGE-1 most, one after the other: the most that choosing sentences can reach)
    follow-ups  majority (none), rule (words that promise or ask)
    keywords    tfidf (scikit-learn, document frequencies of the set), yake, rake (rake-nltk), textrank (summa)
    sentiment   vader, majority

--words cuts the last sentence where the words end, so that every summary has its full length. A line of OUT is what
`nightcall eval KIND --predictions` writes.
"""

import argparse
import collections
import json
import re

MARK = re.compile(r"(?<=[.!?])\s+")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def limit(item, words):
    if words == "reference":
        counts = [len(s.split()) for s in item["summaries"]]
        return max(1, int(sum(counts) / max(1, len(counts)) + 0.5))
    return int(words) if words else None


def said(units, chosen):
    """The chosen (turn, role, text) in order, each turn's role once."""
    parts = []
    for turn, role, text in (units[i] for i in sorted(chosen)):
        if parts and parts[-1][0] == turn:
            parts[-1][1].append(text)
        else:
            parts.append((turn, [f"{role[:1].upper()}{role[1:]}: {text}" if role else text]))
    return " ".join(" ".join(texts) for _, texts in parts)


def fill(units, ranked, words):
    """The best units, the last cut where `words` end; the best three where no length is given."""
    if words is None:
        return said(units, ranked[:3])
    chosen = []
    for i in ranked:
        more = said(units, [*chosen, i])
        if len(more.split()) >= words:
            over = len(more.split()) - words
            turn, role, text = units[i]
            cut = dict(enumerate(units)) | {i: (turn, role, " ".join(text.split()[: max(0, len(text.split()) - over)]))}
            return said(cut, [*chosen, i] if cut[i][2] else chosen)
        chosen.append(i)
    return said(units, chosen)


def graph(units, method):
    """Units by TextRank or LexRank, best first."""
    from nltk.stem.porter import PorterStemmer
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.summarizers.lex_rank import LexRankSummarizer
    from sumy.summarizers.text_rank import TextRankSummarizer

    class Words:
        def to_words(self, text):
            return tuple(WORD.findall(text))

    stemmer = PorterStemmer()
    summarizer = (TextRankSummarizer if method == "textrank" else LexRankSummarizer)(stemmer.stem)
    summarizer.stop_words = STOP
    sentences = [Sentence(text, Words()) for _, _, text in units]
    if method == "textrank":
        scores = summarizer.power_method(
            summarizer._create_matrix(ObjectDocumentModel([Paragraph(sentences)])), summarizer.epsilon
        )
    else:
        words = [summarizer._to_words_set(s) for s in sentences]
        tf, idf = summarizer._compute_tf(words), summarizer._compute_idf(words)
        scores = summarizer.power_method(
            summarizer._create_matrix(words, summarizer.threshold, tf, idf), summarizer.epsilon
        )
    return sorted(range(len(units)), key=lambda i: -scores[i])


def oracle(units, item, words):
    """Greedily the sentence that raises ROUGE-1 F1 most, the best over the references, as long as one does and fits."""
    from rouge_score.tokenize import tokenize
    from nltk.stem.porter import PorterStemmer

    stemmer = PorterStemmer()
    count = lambda text: collections.Counter(tokenize(text, stemmer))
    best = ("", 0.0)
    for reference in map(count, item["summaries"]):
        bags = [count(f"{role} {text}") for _, role, text in units]
        chosen, have, score = [], collections.Counter(), 0.0
        while True:
            top = None
            for i, bag in enumerate(bags):
                if i in chosen or (words and len(said(units, [*chosen, i]).split()) > words):
                    continue
                both = have + bag
                hits = sum((both & reference).values())
                f1 = 2 * hits / max(1, sum(both.values()) + sum(reference.values()))
                if f1 > score and (top is None or f1 > top[0]):
                    top = (f1, i, both)
            if top is None:
                break
            score, i, have = top
            chosen.append(i)
        if score > best[1]:
            best = (said(units, chosen), score)
    return best[0]


def summary(item, method, words):
    words = limit(item, words)
    turns = [(i, t.get("role") or "", t["text"]) for i, t in enumerate(item["turns"])]
    if method == "lead":
        text = fill(turns, list(range(len(turns))), words)
    elif method == "longest":
        text = fill(turns, sorted(range(len(turns)), key=lambda i: -len(turns[i][2].split())), words)
    else:
        units = [(i, role, part) for i, role, text in turns for part in MARK.split(text) if WORD.search(part)]
        text = oracle(units, item, words) if method == "oracle" else fill(units, graph(units, method), words)
    return {"id": item.get("id", ""), "summaries": item["summaries"], "summary": text, "method": method}


RULE = re.compile(
    r"\b(?:i|we)(?:'ll| will|'m going to|'re going to| am going to| are going to)\b|\b(?:can|could|would|will) you\b"
    r"|\bplease\b|\blet'?s\b|\b(?:i|we|you) (?:need|have) to\b",
    re.I,
)


def follow_ups(item, method):
    labels = [t["label"] for t in item["turns"]]
    scores = [float(method == "rule" and bool(RULE.search(t["text"]))) for t in item["turns"]]
    return {"id": item.get("id", ""), "labels": labels, "scores": scores}


def sentiment(item, method, tool=[]):
    if method == "vader" and not tool:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        tool.append(SentimentIntensityAnalyzer())
    turns = []
    for turn in item["turns"]:
        if method == "majority":
            turns.append({"said": "neutral", "negative": 0.0, "neutral": 1.0, "positive": 0.0})
            continue
        scores = tool[0].polarity_scores(turn["text"])
        label = "positive" if scores["compound"] >= 0.05 else "negative" if scores["compound"] <= -0.05 else "neutral"
        turns.append({"said": label, "negative": scores["neg"], "neutral": scores["neu"], "positive": scores["pos"]})
    return {"id": item.get("id", ""), "labels": [t["label"] for t in item["turns"]], "turns": turns}


def keywords(items, method):
    texts = [item["text"] for item in items]
    if method == "tfidf":
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 3), stop_words="english", token_pattern=r"(?u)\b\w[\w'-]+\b")
        weights = vectorizer.fit_transform(texts)
        names = vectorizer.get_feature_names_out()
        rows = [weights[i] for i in range(len(texts))]
        found = [[names[j] for j in row.indices[(-row.data).argsort(kind="stable")][:15]] for row in rows]
    elif method == "yake":
        import yake

        extractor = yake.KeywordExtractor(lan="en", n=3, top=15)
        found = [[phrase for phrase, _ in extractor.extract_keywords(text)] for text in texts]
    elif method == "rake":
        from rake_nltk import Rake

        tool = Rake(stopwords=STOP, sentence_tokenizer=MARK.split, word_tokenizer=re.compile(r"[\w'-]+|[^\w\s]").findall)
        found = []
        for text in texts:
            tool.extract_keywords_from_text(text)
            found.append(tool.get_ranked_phrases()[:15])
    else:
        from summa import keywords as summa

        found = []
        for text in texts:
            try:
                found.append([phrase for phrase, _ in summa.keywords(text, ratio=1.0, scores=True)][:15])
            except IndexError:  # a text too short for its graph
                found.append([])
    for item, phrases in zip(items, found):
        yield {"id": item.get("id", ""), "keys": item["keys"], "phrases": phrases}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("kind", choices=["summary", "follow-ups", "keywords", "sentiment"])
    ap.add_argument("method")
    ap.add_argument("--data", required=True)
    ap.add_argument("--words", help="for summary: a number, or reference")
    ap.add_argument("--out", required=True)
    args = ap.parse_args()
    global STOP
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    STOP = sorted(ENGLISH_STOP_WORDS)
    items = [json.loads(line) for line in open(args.data)]
    if args.kind == "summary":
        rows = (summary(item, args.method, args.words) for item in items)
    elif args.kind == "follow-ups":
        rows = (follow_ups(item, args.method) for item in items)
    elif args.kind == "sentiment":
        rows = (sentiment(item, args.method) for item in items)
    else:
        rows = keywords(items, args.method)
    with open(args.out, "w") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


main()
