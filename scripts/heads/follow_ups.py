"""The head for follow-ups: none, commitment, request, meeting; and whether a turn of a meeting is an action item.

The two are not the same. A follow-up is seen in the turn itself. What people call an action item of a meeting depends on where
it is said: items stand together, and near the end.
"""
import json, os, random
import numpy as np, torch
from sklearn.linear_model import LogisticRegression
import data
from encoder import Head, Vectors, fit
from measures import best_threshold, calibration_error, positives, softmax

HIDDEN, EPOCHS, RATE, DECAY, DROP, FOLDS = 64, 20, 2e-3, 0.1, 0.5, 4
# Turns of AMI that are no follow-up, of 47,000: as many as there is other material.
AMI_NONE = 8000


# From where on a turn of a meeting counts as an action item: the middle of where F1 is best on AMI's development meetings. Those that
# were trained on would have it at 0.234, where fewer are found.
ACTION_ITEM = 0.15


def sets(folder):
    read = lambda name: data.follow_up_set(os.path.join(folder, "followups", name + ".jsonl"))
    return {"ami": read("ami-train"), "mail": read("email-intent-train"),
            "own": data.own("follow-ups-talks.txt", "ncrm", data.FOLLOW_UPS)}


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
    item, around, _ = action_items(x[torch.tensor(ami)].numpy(), some[ami], weight.numpy()[ami] > 0, fold[ami],
                                   [len(talk) for talk in talks["ami"]])
    # gelu(z) - gelu(-z) = z: two units more carry the regression through the network.
    w, bias = (torch.tensor(v, dtype=torch.float32) for v in (item.coef_[0], item.intercept_))
    out = torch.zeros(5, HIDDEN + 2)
    out[:4, :HIDDEN] = head.out.weight.detach()
    out[4, HIDDEN:] = torch.tensor([1.0, -1.0])
    tensors = {"inside.weight": torch.cat([head.inside.weight, w[None], -w[None]]),
               "inside.bias": torch.cat([head.inside.bias, bias, -bias]), "out.weight": out,
               "out.bias": torch.cat([head.out.bias, torch.zeros(1)]),
               "context.weight": torch.tensor(around.coef_[0], dtype=torch.float32),
               "context.bias": torch.tensor(around.intercept_, dtype=torch.float32), "threshold": torch.tensor([ACTION_ITEM])}
    manifest = {"labels": [*data.FOLLOW_UPS, "action item of a meeting"], "threshold": ACTION_ITEM,
                "licence": "Apache-2.0",
                "data": ["AMI, 60 meetings (CC BY 4.0)", "EmailIntentDataSet (Apache-2.0)", "talks of our own (Apache-2.0)"],
                "turns": len(x)}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}, manifest


def action_items(x, some, kept, fold, lengths):
    """A regression on a turn's vector, one on what the first says of the talk around the turn, and the threshold at which
    F1 is highest over AMI's training meetings, each seen by regressions that were not fitted on it."""
    regression = lambda rows: LogisticRegression(C=10, max_iter=60).fit(x[rows & kept], some[rows & kept])
    scores = np.zeros(len(x))
    for held in range(FOLDS):
        scores[fold == held] = regression(fold != held).predict_proba(x[fold == held])[:, 1]
    around = context(scores, lengths)
    second = lambda rows: LogisticRegression(max_iter=1000).fit(around[rows], some[rows])
    in_talk = np.zeros(len(x))
    for held in range(FOLDS):
        in_talk[fold == held] = second(fold != held).predict_proba(around[fold == held])[:, 1]
    threshold, f1 = best_threshold(some, in_talk)
    print(json.dumps({"set": "ami, cross-validated", "turns": len(x), "f1": f1, "threshold": threshold,
                      "best_f1_alone": best_threshold(some, scores)[1]}), flush=True)
    everything = np.ones(len(x), dtype=bool)
    return regression(everything), second(everything), threshold


def fitted(x, y, weight, rows):
    rows = rows & (weight > 0)
    torch.manual_seed(13)
    return fit(Head(x.shape[1], 4, HIDDEN), x[rows], y[rows], weight[rows], EPOCHS, RATE, DECAY, DROP)


@torch.no_grad()
def likelihoods(head, x):
    return torch.softmax(head(x), 1).numpy()


def context(scores, lengths):
    """For each turn what the head says of it and of the talk around it: its log odds; the logarithms of the highest
    probability among the five turns before, of that among the five after, and of the mean over ten turns to each side (turns
    beyond the talk count as 0; 0.001 is added to each); where in the talk it is, 0 to 1; whether in its last tenth; whether in
    its first."""
    rows, at = [], 0
    for count in lengths:
        p = np.clip(scores[at:at + count], 1e-5, 1 - 1e-5)
        at += count
        wide = np.concatenate([np.zeros(10), p, np.zeros(10)])
        for i in range(count):
            j, place = i + 10, (i + 0.5) / count
            rows.append([np.log(p[i] / (1 - p[i])), np.log(wide[j - 5:j].max() + 1e-3),
                         np.log(wide[j + 1:j + 6].max() + 1e-3), np.log(wide[j - 10:j + 11].mean() + 1e-3),
                         place, float(place > 0.9), float(place < 0.1)])
    return np.array(rows)


def apply(tensors, x):
    inside = torch.nn.functional.gelu(x @ tensors["inside.weight"].T + tensors["inside.bias"])
    return (inside @ tensors["out.weight"].T + tensors["out.bias"]).numpy()


def scores_of(tensors, vectors, talks, change=lambda text: text):
    """The probability that a turn holds a follow-up, and that it is an action item where the talk is a meeting."""
    logits = apply(tensors, of(vectors, talks, change)).astype(float)
    item = context(1 / (1 + np.exp(-logits[:, 4])), [len(talk) for talk in talks])
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
