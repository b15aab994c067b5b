"""The head for follow-ups: none, commitment, request, meeting; and whether a turn of a meeting is an action item.

The two are not the same. A follow-up is seen in the turn itself. What people call an action item of a meeting depends
on where it is said: items stand together, and near the end. Two regressions look at a turn, one at its vector and the
mean vector of the turns around it, one at its words and pairs of words. A third looks at what they say, on average, of
the turn and of the talk around it.
"""
import json, os, random
import numpy as np, torch
from sklearn.linear_model import LogisticRegression
import data, words
from encoder import Head, Vectors, fit
from measures import best_threshold, calibration_error, positives, softmax

HIDDEN, EPOCHS, RATE, DECAY, DROP, FOLDS = 64, 20, 2e-3, 0.1, 0.5, 4
# Turns of AMI that are no follow-up, of 47,000: as many as there is other material.
AMI_NONE = 8000


# AMI's meetings are held out in so many parts, all meetings of the same people in one.
PARTS = 8
# Turns to each side whose vectors, and whose probabilities, a mean is taken over.
WIDE = 10

# From where on a turn of a meeting counts as an action item: the middle of where F1 is best on AMI's development
# meetings, 0.21 to 0.33.
ACTION_ITEM = 0.27


def sets(folder):
    read = lambda name: data.follow_up_set(os.path.join(folder, "followups", name + ".jsonl"))
    return {"ami": read("ami-train"), "mail": read("email-intent-train"),
            "own": data.own("follow-ups-talks.txt", "ncrm", data.FOLLOW_UPS)}


def parts(folder):
    """The part that each of AMI's training meetings is held out in. ES2002a, b, c, d are of the same people."""
    people = [talk["id"][:-1] for talk in data.jsonl(os.path.join(folder, "followups", "ami-train.jsonl"))]
    order = sorted(set(people))
    random.Random(13).shuffle(order)
    return [order.index(group) % PARTS for group in people]


def of(vectors, talks, change=lambda text: text):
    return vectors.of([change(turn.text) for talk in talks for turn in talk])


def train(model, folder, cache, file=None):
    vectors, talks = Vectors(model, file), sets(folder)
    x, y, weight, fold = [], [], [], []
    rng = random.Random(13)
    for name, talks_of in talks.items():
        x.append(of(vectors, talks_of))
        for nth, talk in enumerate(talks_of):
            for turn in talk:
                kept = name != "ami" or turn.target[0] == 0 or rng.random() < AMI_NONE / 47000
                weight.append({"ami": 1.0, "mail": 0.3, "own": 2.0}[name] if kept else 0.0)
                y.append(turn.target)
                fold.append((name, nth % FOLDS))
    x, y, weight = torch.cat(x), torch.tensor(y), torch.tensor(weight)
    names, fold = np.array([name for name, _ in fold]), np.array([nth for _, nth in fold])
    some = (y[:, 0] == 0).numpy()

    shares = np.zeros((len(x), 4))
    for held in range(FOLDS):
        head = fitted(x, y, weight, torch.tensor(fold != held))
        shares[fold == held] = likelihoods(head, x[torch.tensor(fold == held)])
    for name in ["mail", "own"]:
        rows = names == name
        at, f1 = best_threshold(some[rows], 1 - shares[rows, 0])
        found = positives(some[rows], 1 - shares[rows, 0] >= 0.5)
        print(json.dumps({"set": name + ", cross-validated", "turns": int(rows.sum()), "f1": found[2], "best_f1": f1,
                          "best_threshold": at}), flush=True)
    rows = names == "own"
    print(json.dumps({"set": "own, cross-validated", "accuracy of the four labels": float(
        (shares[rows].argmax(1) == y[torch.tensor(rows)].argmax(1).numpy()).mean())}), flush=True)
    head = fitted(x, y, weight, torch.ones(len(x), dtype=torch.bool))

    ami = names == "ami"
    near, table, around = action_items(x[torch.tensor(ami)].numpy(), talks["ami"], some[ami], parts(folder))
    # The mean of the vectors around counts linearly, so it can as well be taken of the number made of each vector.
    # gelu(z) - gelu(-z) = z: two units more carry each of the two numbers through the network.
    w = torch.tensor(near.coef_.reshape(2, -1) / 2, dtype=torch.float32)
    bias = torch.tensor([(near.intercept_[0] + table.intercept_[0]) / 2, 0.0], dtype=torch.float32)
    out = torch.zeros(6, HIDDEN + 4)
    out[:4, :HIDDEN] = head.out.weight.detach()
    out[4, HIDDEN:] = torch.tensor([1.0, 0.0, -1.0, 0.0])
    out[5, HIDDEN:] = torch.tensor([0.0, 1.0, 0.0, -1.0])
    tensors = {"inside.weight": torch.cat([head.inside.weight, w, -w]),
               "inside.bias": torch.cat([head.inside.bias, bias, -bias]), "out.weight": out,
               "out.bias": torch.cat([head.out.bias, torch.zeros(2)]),
               "words.weight": torch.tensor(table.coef_[0] / 2, dtype=torch.float32),
               "context.weight": torch.tensor(around.coef_[0], dtype=torch.float32),
               "context.bias": torch.tensor(around.intercept_, dtype=torch.float32), "threshold": torch.tensor([ACTION_ITEM])}
    manifest = {"labels": [*data.FOLLOW_UPS, "action item of a meeting", "action item nearby"],
                "threshold": ACTION_ITEM, "licence": "Apache-2.0",
                "data": ["AMI, 60 meetings (CC BY 4.0)", "EmailIntentDataSet (Apache-2.0)", "talks of our own (Apache-2.0)"],
                "turns": len(x)}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}, manifest


def action_items(x, talks, some, parts):
    """The three regressions: on a turn's vector and the mean of those around it, on its words and pairs, and on what
    both say of the turn and the talk around it. Prints how good they are on AMI's training meetings, each seen by
    regressions that were fitted neither on it nor on another meeting of the same people."""
    lengths = [len(talk) for talk in talks]
    part = np.repeat(parts, lengths)
    wide = np.concatenate([x, mean_around(x, lengths)], 1)
    grams = words.matrix([turn.text for talk in talks for turn in talk])
    near = lambda rows: LogisticRegression(C=3, max_iter=300).fit(wide[rows], some[rows])
    table = lambda rows: LogisticRegression(C=10, max_iter=300).fit(grams[rows], some[rows])
    scores, in_talk = np.zeros(len(x)), np.zeros(len(x))
    for held in range(PARTS):
        rows = part == held
        scores[rows] = (near(~rows).decision_function(wide[rows]) + table(~rows).decision_function(grams[rows])) / 2
    around = context(1 / (1 + np.exp(-scores)), lengths)
    second = lambda rows: LogisticRegression(max_iter=1000).fit(around[rows], some[rows])
    for held in range(PARTS):
        rows = part == held
        in_talk[rows] = second(~rows).predict_proba(around[rows])[:, 1]
    threshold, best = best_threshold(some, in_talk)
    print(json.dumps({"set": "ami, cross-validated by people", "turns": len(x), "threshold": ACTION_ITEM,
                      "f1": positives(some, in_talk >= ACTION_ITEM)[2], "best_f1": best, "best_threshold": threshold,
                      "best_f1_of_the_first_two": best_threshold(some, scores)[1]}), flush=True)
    everything = np.ones(len(x), dtype=bool)
    return near(everything), table(everything), second(everything)


def fitted(x, y, weight, rows):
    rows = rows & (weight > 0)
    torch.manual_seed(13)
    return fit(Head(x.shape[1], 4, HIDDEN), x[rows], y[rows], weight[rows], EPOCHS, RATE, DECAY, DROP)


@torch.no_grad()
def likelihoods(head, x):
    return torch.softmax(head(x), 1).numpy()


def mean_around(values, lengths):
    """For each turn the mean over the turn and `WIDE` turns to each side; turns beyond the talk count as 0."""
    means, at = np.zeros(values.shape), 0
    for count in lengths:
        sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values[at:at + count]]), 0, dtype=float)
        first, end = np.maximum(np.arange(count) - WIDE, 0), np.minimum(np.arange(count) + WIDE + 1, count)
        means[at:at + count] = (sums[end] - sums[first]) / (2 * WIDE + 1)
        at += count
    return means


def context(scores, lengths):
    """For each turn what the head says of it and of the talk around it: its log odds; the logarithms of the highest
    probability among the five turns before, of that among the five after, and of the mean over ten turns to each side (turns
    beyond the talk count as 0; 0.001 is added to each); where in the talk it is, 0 to 1; whether in its last tenth; whether in
    its first."""
    rows, at = [], 0
    for count in lengths:
        p = np.clip(scores[at:at + count], 1e-5, 1 - 1e-5)
        at += count
        wide = np.concatenate([np.zeros(WIDE), p, np.zeros(WIDE)])
        for i in range(count):
            j, place = i + WIDE, (i + 0.5) / count
            rows.append([np.log(p[i] / (1 - p[i])), np.log(wide[j - 5:j].max() + 1e-3),
                         np.log(wide[j + 1:j + 6].max() + 1e-3), np.log(wide[j - WIDE:j + WIDE + 1].mean() + 1e-3),
                         place, float(place > 0.9), float(place < 0.1)])
    return np.array(rows)


def apply(tensors, x):
    inside = torch.nn.functional.gelu(x @ tensors["inside.weight"].T + tensors["inside.bias"])
    return (inside @ tensors["out.weight"].T + tensors["out.bias"]).numpy()


def scores_of(tensors, vectors, talks, change=lambda text: text):
    """The probability that a turn holds a follow-up, and that it is an action item where the talk is a meeting."""
    logits = apply(tensors, of(vectors, talks, change)).astype(float)
    lengths = [len(talk) for talk in talks]
    grams = words.matrix([change(turn.text) for talk in talks for turn in talk])
    first = logits[:, 4] + mean_around(logits[:, 5:], lengths)[:, 0] + grams @ tensors["words.weight"].numpy()
    item = context(1 / (1 + np.exp(-first)), lengths)
    odds = item @ tensors["context.weight"].numpy() + tensors["context.bias"].numpy()
    return 1 - softmax(logits[:, :4])[:, 0], 1 / (1 + np.exp(-odds))


def measure(tensors, model, folder, file=None):
    vectors = Vectors(model, file)
    threshold = float(tensors["threshold"])
    for name in ["ami-dev", "bt-oasis-trainval", "mrda-train", "email-intent-train"]:
        talks = data.follow_up_set(os.path.join(folder, "followups", name + ".jsonl"))
        meant = np.array([turn.target[0] == 0 for talk in talks for turn in talk])
        for spelled, change in (("as written", lambda text: text), ("as recognized", data.as_recognized)):
            if name != "ami-dev" and spelled == "as recognized":
                continue
            alone, item = scores_of(tensors, vectors, talks, change)
            for by, score, at in (("turn", alone, 0.5), ("meeting", item, threshold)):
                said = score >= at
                precision, recall, f1 = positives(meant, said)
                both = np.stack([1 - score, score], 1)
                yield {"set": name, "text": spelled, "by": by, "turns": len(meant), "threshold": at, "precision": precision,
                       "recall": recall, "f1": f1, "best_f1": best_threshold(meant, score)[1],
                       "calibration_error": calibration_error(both, both.argmax(1) == meant)}
                if name == "ami-dev" and by == "meeting":
                    roles = np.array([turn.role for talk in talks for turn in talk])
                    for role in sorted(set(roles)):
                        rows = roles == role
                        found = positives(meant[rows], said[rows])
                        yield {"set": name, "text": spelled, "role": role, "turns": int(rows.sum()),
                               "true": int(meant[rows].sum()), "precision": found[0], "recall": found[1], "f1": found[2]}
