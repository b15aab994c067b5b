"""The head for sentiment: negative, neutral, positive."""
import json, os
import numpy as np, torch
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
import data
from encoder import Head, fit
from measures import calibration_error, macro_f1, softmax, weighted_f1

OWN = ["sentiment-everyday.txt", "sentiment-work.txt", "sentiment-short.txt"]
HIDDEN, EPOCHS, RATE, DECAY, DROP = 64, 15, 2e-3, 0.02, 0.3


def own():
    return [talk for name in OWN for talk in data.own(name, "-0+", data.SENTIMENT)]


def inputs(vectors, talks, change=lambda text: text):
    """What the head sees: the turn's vector, and what VADER's rules and lexicon make of it."""
    texts = [change(turn.text) for talk in talks for turn in talk]
    rules = SentimentIntensityAnalyzer()
    scores = [rules.polarity_scores(text) for text in texts]
    features = torch.tensor([[s["neg"], s["pos"], s["compound"]] for s in scores])
    return torch.cat([vectors.of(texts), features], 1)


def targets(talks):
    return torch.tensor([turn.target for talk in talks for turn in talk])


def train(vectors, folder, cache):
    texts = lambda name: [t["text"] for talk in data.jsonl(os.path.join(folder, "sentiment", name)) for t in talk["turns"]]
    rated = data.vader(cache)
    movies = data.of_training_split(rated["movieReviewSnippets"], texts("sst2-train.jsonl"), texts("sst2-dev.jsonl"))
    alone = lambda rows: [[data.Turn("", text, data.shares(ratings))] for text, ratings in rows]
    telephones = [[data.Turn("", text, [0.0, 0.05, 0.95] if label == "1" else [0.95, 0.05, 0.0])]
                  for text, label in data.telephones(cache)]
    parts = [(own(), 4.0), (telephones, 1.0), (alone(movies), 1.0), (alone(rated["tweets"]), 1.0),
             (alone(rated["amazonReviewSnippets"]), 1.0)]
    spelled, recognized = [], []
    for talks, weight in parts:
        spelled.append(part(vectors, talks, weight))
        # A third as recognizers without punctuation write it.
        recognized.append(part(vectors, talks[::3], weight, data.as_recognized))
    head = fitted(spelled + recognized)
    shift = thresholds(head, vectors, os.path.join(folder, "sentiment", "meld-train.jsonl"))
    heat = heat_of(spelled, recognized, [len(talk) for talk in parts[0][0]])
    with torch.no_grad():
        out = head.out
        tensors = {"inside.weight": head.inside.weight, "inside.bias": head.inside.bias,
                   "out.weight": out.weight / heat, "out.bias": (out.bias + torch.tensor(shift)) / heat}
    manifest = {"labels": data.SENTIMENT, "threshold": "the most probable label", "licence": "Apache-2.0",
                "data": ["talks of our own (Apache-2.0)", "VADER's rated tweets, Amazon snippets and movie snippets (MIT)",
                         "Sentiment Labelled Sentences, telephones (CC BY 4.0)"],
                "turns": sum(len(rows[0]) for rows in spelled), "shift": shift,
                "temperature": round(heat, 2)}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}, manifest


def part(vectors, talks, weight, change=lambda text: text):
    y = targets(talks)
    return inputs(vectors, talks, change), y, torch.full((len(y),), weight)


def fitted(parts):
    x, y, w = (torch.cat(column) for column in zip(*parts))
    torch.manual_seed(13)
    return fit(Head(x.shape[1], 3, HIDDEN), x, y, w, EPOCHS, RATE, DECAY, DROP)


def heat_of(spelled, recognized, lengths, folds=3):
    """The temperature, by likelihood on our own talks, each seen by a head that was not trained on it."""
    fold = torch.tensor([nth % folds for nth, length in enumerate(lengths) for _ in range(length)])
    logits = torch.empty(len(fold), 3)
    x, y, w = spelled[0]
    for held in range(folds):
        kept = fold != held
        head = fitted([(x[kept], y[kept], w[kept]), *spelled[1:], *recognized[1:]])
        with torch.no_grad():
            logits[~kept] = head(x[~kept])
    meant = y.argmax(1)
    print(json.dumps({"set": "our own talks, cross-validated", "turns": len(meant),
                      "accuracy": float((logits.argmax(1) == meant).float().mean()),
                      "weighted_f1": weighted_f1(meant.numpy(), logits.argmax(1).numpy())}), flush=True)
    heats = torch.arange(0.5, 3.0, 0.05)
    losses = [float(torch.nn.functional.cross_entropy(logits / heat, meant)) for heat in heats]
    return float(heats[int(np.argmin(losses))])


def thresholds(head, vectors, path):
    """What is added to the logits of negative and positive: the pair with the best weighted F1 on development dialogues."""
    talks = data.sentiment_set(path)
    with torch.no_grad():
        logits = head(inputs(vectors, talks)).numpy()
    meant = targets(talks).argmax(1).numpy()
    steps = np.arange(-1.5, 1.51, 0.25)
    pairs = [(weighted_f1(meant, (logits + [negative, 0, positive]).argmax(1)), negative, positive)
             for negative in steps for positive in steps]
    _, negative, positive = max(pairs)
    return [float(negative), 0.0, float(positive)]


def apply(tensors, x):
    inside = torch.nn.functional.gelu(x @ tensors["inside.weight"].T + tensors["inside.bias"])
    return (inside @ tensors["out.weight"].T + tensors["out.bias"]).numpy()


def measure(tensors, vectors, folder):
    for name in ["meld-dev", "sst2-dev", "airline-60"]:
        talks = data.sentiment_set(os.path.join(folder, "sentiment", name + ".jsonl"))
        meant = targets(talks).argmax(1).numpy()
        for spelled, change in (("as written", lambda text: text), ("as recognized", data.as_recognized)):
            logits = apply(tensors, inputs(vectors, talks, change))
            if name == "sst2-dev":
                # Two labels: neutral is not among the answers.
                logits = np.where([True, False, True], logits, -np.inf)
            shares = softmax(logits)
            said = shares.argmax(1)
            row = {"set": name, "text": spelled, "turns": len(said), "accuracy": float((said == meant).mean())}
            if name != "sst2-dev":
                row |= {"weighted_f1": weighted_f1(meant, said), "macro_f1": macro_f1(meant, said)}
            yield row | {"calibration_error": calibration_error(shares, said == meant)}
