"""Batches, the loss, the loop, and predictions."""
import random, time
import numpy as np, torch
from torch.nn import functional as F
import encoder as enc


def windows(talks, around=None):
    """Talks as lists of (turn, weight). With `around`, only turns for which it holds, each between its neighbours, which
    count for nothing themselves."""
    if around is None:
        return [[(turn, 1.0) for turn in talk] for talk in talks]
    found = []
    for talk in talks:
        for i, turn in enumerate(talk):
            if around(turn):
                found.append([(talk[j], float(j == i)) for j in range(max(0, i - 1), min(len(talk), i + 2))])
    return found


class Batch:
    """Windows laid side by side, as tensors."""

    def __init__(self, windows, tokenizer, change=lambda text: text):
        turns = [turn for window in windows for turn, _ in window]
        self.ids = enc.padded([e.ids for e in tokenizer.encode_batch([change(turn.text) for turn in turns])])
        self.target = torch.tensor([turn.target for turn in turns])
        self.weight = torch.tensor([weight for window in windows for _, weight in window])
        self.before, self.after, self.same = neighbours([[turn for turn, _ in window] for window in windows])


def neighbours(talks):
    """For each turn of talks laid end to end the index of the turn before and after (-1 for none), and whether those are of
    the same speaker."""
    before, after, same, at = [], [], [], 0
    for talk in talks:
        for i, turn in enumerate(talk):
            first, last = i == 0, i == len(talk) - 1
            before.append(-1 if first else at + i - 1)
            after.append(-1 if last else at + i + 1)
            same.append([float(not first and talk[i - 1].role == turn.role),
                         float(not last and talk[i + 1].role == turn.role)])
        at += len(talk)
    return torch.tensor(before), torch.tensor(after), torch.tensor(same)


def loss_of(logits, target, weight):
    logs = F.log_softmax(logits.float(), 1)
    shares = -(target * logs).sum(1)
    # Where several labels are as right as each other, their probabilities together count.
    several = target.sum(1) > 1.001
    together = -torch.logsumexp(logs.masked_fill(target == 0, -1e9), 1)
    return (torch.where(several, together, shares) * weight).sum() / weight.sum().clamp(min=1)


def train(model, head, tokenizer, epoch_windows, epochs, rate, change, tokens=2048, log=print, seed=13):
    """`epoch_windows(random)` gives the windows of one epoch."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    groups = [{"params": model.parameters(), "lr": rate, "weight_decay": 0.01},
              {"params": head.parameters(), "lr": rate * 2, "weight_decay": 0.01}]
    optimizer = torch.optim.AdamW(groups)
    step, steps = 0, None
    for epoch in range(epochs):
        batches = cut(epoch_windows(rng), tokens, rng)
        steps = steps or len(batches) * epochs
        model.train(), head.train()
        began, total = time.time(), 0.0
        for windows in batches:
            batch = Batch(windows, tokenizer, lambda text: change(text, rng))
            before = torch.where(torch.rand(len(batch.before)) < 0.2, -1, batch.before)
            after = torch.where(torch.rand(len(batch.after)) < 0.2, -1, batch.after)
            same = batch.same * torch.stack([before >= 0, after >= 0], 1)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                lower = model.lower(batch.ids)
            with torch.autocast("cpu", torch.bfloat16):
                vectors = model.upper(lower, batch.ids).float()
            loss = loss_of(head(vectors, before, after, same), batch.target, batch.weight)
            loss.backward()
            share = min(1.0, step / (0.06 * steps)) * max(0.0, 1 - step / steps)
            for group, full in zip(optimizer.param_groups, (rate, rate * 2)):
                group["lr"] = full * share
            torch.nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step, total = step + 1, total + loss.item()
            if step % 50 == 0:
                log(f"  step {step} of {steps}, {time.time() - began:.0f} s")
        log(f"epoch {epoch + 1}: loss {total / len(batches):.4f}, {len(batches)} steps, {time.time() - began:.0f} s")


def cut(windows, tokens, rng):
    """Windows of like length together, batches in random order."""
    size = lambda window: max(len(turn.text) // 4 + 3 for turn, _ in window)
    order = sorted(windows, key=lambda window: size(window) * rng.uniform(0.8, 1.25))
    batches, batch, rows, longest = [], [], 0, 0
    for window in order:
        longest = max(longest, size(window))
        if batch and (rows + len(window)) * longest > tokens:
            batches.append(batch)
            batch, rows, longest = [], 0, size(window)
        batch.append(window)
        rows += len(window)
    batches.append(batch)
    rng.shuffle(batches)
    return batches


@torch.no_grad()
def vectors(model, tokenizer, texts, tokens=4096):
    """The updated encoder's vectors of texts, each text once."""
    model.eval()
    unique = sorted(set(texts), key=lambda text: (len(text), text))
    ids = [e.ids for e in tokenizer.encode_batch(unique)]
    found, batch = [], []
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    place = {}
    for n, i in enumerate(order):
        batch.append(ids[i])
        place[unique[i]] = n
        if n + 1 == len(order) or (len(batch) + 1) * len(ids[order[n + 1]]) > tokens:
            rows = enc.padded(batch)
            found.append(model.upper(model.lower(rows), rows))
            batch = []
    found = torch.cat(found)
    return found[torch.tensor([place[text] for text in texts])]


@torch.no_grad()
def logits(model, head, tokenizer, talks, change=lambda text: text):
    """Logits of every turn of talks laid end to end."""
    head.eval()
    known = vectors(model, tokenizer, [change(turn.text) for talk in talks for turn in talk])
    return head(known, *neighbours(talks)).numpy()


def calibration_error(probabilities, right, bins=15):
    """The expected calibration error (Guo et al. 2017, arXiv:1706.04599) of the most probable label."""
    sure = probabilities.max(1)
    error = 0.0
    for low in np.arange(bins) / bins:
        inside = (sure > low) & (sure <= low + 1 / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return error


def softmax(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)
