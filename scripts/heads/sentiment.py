"""The head for sentiment: negative, neutral, positive; and the update of the encoder below it."""
import os
import numpy as np, torch
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
import data
from encoder import Head
from measures import calibration_error, macro_f1, softmax, weighted_f1
from update import Encoder, train as fit

OWN = ["sentiment-everyday.txt", "sentiment-work.txt", "sentiment-short.txt", "sentiment-opinions.txt", "sentiment-calls.txt"]
# Every eighth of our own talks is not trained on: threshold and temperature are chosen there.
HELD = 8
FIRST, RANK, HIDDEN, EPOCHS, RATE, HEAD_RATE = 0, 48, 64, 6, 7e-4, 2e-3


def own():
    talks = [talk for name in OWN for talk in data.own(name, "-0+", data.SENTIMENT)]
    return [talk for nth, talk in enumerate(talks) if nth % HELD], talks[::HELD]


def texts_of(talks, change=lambda text: text):
    return [change(turn.text) for talk in talks for turn in talk]


def targets(talks):
    return torch.tensor([turn.target for talk in talks for turn in talk])


def features(texts):
    """What VADER's rules and lexicon make of a text: the head sees it beside the vector."""
    rules = SentimentIntensityAnalyzer()
    scores = [rules.polarity_scores(text) for text in texts]
    return torch.tensor([[score["neg"], score["pos"], score["compound"]] for score in scores])


def inputs(encoder, talks, change=lambda text: text, exact=False):
    texts = texts_of(talks, change)
    return torch.cat([encoder.of(texts, exact), features(texts)], 1)


def parts(folder, cache):
    """Talks to train on, each set with the weight of its turns."""
    rated = data.vader(cache)
    dev = texts_of(data.sentiment_set(os.path.join(folder, "sentiment", "sst2-dev.jsonl")))
    movies = data.of_training_split(rated["movieReviewSnippets"], dev)
    alone = lambda rows: [[data.Turn("", text, data.shares(ratings))] for text, ratings in rows]
    telephones = [[data.Turn("", text, [0.0, 0.05, 0.95] if label == "1" else [0.95, 0.05, 0.0])]
                  for text, label in data.telephones(cache)]
    return [(own()[0], 4.0), (telephones, 1.0), (alone(movies), 3.0), (alone(rated["tweets"]), 1.0),
            (alone(rated["amazonReviewSnippets"]), 1.0)]


def train(model, folder, cache, vectors=None):
    talks = parts(folder, cache)
    texts = [text for part, _ in talks for text in texts_of(part)]
    weight = torch.cat([torch.full((sum(map(len, part)),), weight) for part, weight in talks])
    forms = [(form, features(form)) for form in (texts, list(map(data.as_recognized, texts)))]
    torch.manual_seed(13)
    encoder, head = Encoder(model, FIRST, RANK), Head(384 + 3, 3, HIDDEN)
    fit(encoder, head, *forms, torch.cat([targets(part) for part, _ in talks]), weight, EPOCHS, RATE, HEAD_RATE)

    with torch.no_grad():
        held = own()[1]
        logits, target = head(inputs(encoder, held)).numpy(), targets(held)
        shift = [0.0, threshold(logits, target), 0.0]
        heat = heat_of(torch.tensor(logits + shift), target)
        tensors = {"inside.weight": head.inside.weight, "inside.bias": head.inside.bias,
                   "out.weight": head.out.weight / heat, "out.bias": (head.out.bias + torch.tensor(shift)) / heat}
    manifest = {"labels": data.SENTIMENT, "threshold": "the most probable label", "licence": "Apache-2.0",
                "data": ["talks of our own (Apache-2.0)", "VADER's rated tweets, Amazon snippets and movie snippets (MIT)",
                         "Sentiment Labelled Sentences, telephones (CC BY 4.0)"],
                "turns": len(texts), "shift": shift, "temperature": round(heat, 2), "first_layer": FIRST, "rank": RANK}
    return {**{name: tensor.detach().clone() for name, tensor in tensors.items()}, **encoder.tensors()}, manifest


def threshold(logits, target):
    """What is added to the logit of neutral: that with the best weighted F1."""
    meant = target.argmax(1).numpy()
    f1 = lambda more: weighted_f1(meant, (logits + [0, more, 0]).argmax(1))
    return float(max(np.arange(-1.5, 1.51, 0.25), key=f1))


def heat_of(logits, target):
    """The temperature with the best likelihood."""
    heats = torch.arange(0.5, 3.0, 0.05)
    return float(min(heats, key=lambda heat: float(torch.nn.functional.cross_entropy(logits / heat, target))))


def apply(tensors, x):
    inside = torch.nn.functional.gelu(x @ tensors["inside.weight"].T + tensors["inside.bias"])
    return (inside @ tensors["out.weight"].T + tensors["out.bias"]).numpy()


def updated(tensors, model):
    """The encoder with a file's update."""
    layers = {name.removeprefix("update."): tensor for name, tensor in tensors.items() if name.endswith("query.a")}
    first = min(int(name.split(".")[2]) for name in layers)
    encoder = Encoder(model, first, len(next(iter(layers.values()))))
    encoder.take(tensors)
    return encoder


def measure(tensors, model, folder, vectors=None):
    encoder = updated(tensors, model)
    read = lambda name: data.sentiment_set(os.path.join(folder, "sentiment", name + ".jsonl"))
    sets = [("our own talks, held out", own()[1])] + [(name, read(name)) for name in ["meld-dev", "sst2-dev"]]
    for name, talks in sets:
        meant = targets(talks).argmax(1).numpy()
        for spelled, change in (("as written", lambda text: text), ("as recognized", data.as_recognized)):
            logits = apply(tensors, inputs(encoder, talks, change))
            if name == "sst2-dev":
                # Two labels: neutral is not among the answers.
                logits = np.where([True, False, True], logits, -np.inf)
            shares = softmax(logits)
            said = shares.argmax(1)
            row = {"set": name, "text": spelled, "turns": len(said), "accuracy": float((said == meant).mean())}
            if name != "sst2-dev":
                row |= {"weighted_f1": weighted_f1(meant, said), "macro_f1": macro_f1(meant, said)}
            yield row | {"calibration_error": calibration_error(shares, said == meant)}
            if name == "meld-dev" and spelled == "as written":
                roles = np.array([turn.role for talk in talks for turn in talk])
                often = [role for role in sorted(set(roles)) if (roles == role).sum() > 50]
                for role in often + ["all others"]:
                    rows = roles == role if role in often else ~np.isin(roles, often)
                    yield {"set": name, "role": role, "turns": int(rows.sum()), "accuracy": float((said == meant)[rows].mean()),
                           "weighted_f1": weighted_f1(meant[rows], said[rows])}
