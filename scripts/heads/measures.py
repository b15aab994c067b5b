"""Figures of predictions."""
import numpy as np


def softmax(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def calibration_error(probabilities, right, bins=15):
    """The expected calibration error (Guo et al. 2017, arXiv:1706.04599) of the most probable label."""
    sure = probabilities.max(1)
    error = 0.0
    for low in np.arange(bins) / bins:
        inside = (sure > low) & (sure <= low + 1 / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return float(error)


def weighted_f1(meant, said, labels=3):
    f1 = [2 * ((meant == k) & (said == k)).sum() / max(1, (meant == k).sum() + (said == k).sum()) for k in range(labels)]
    return float(sum(f * (meant == k).mean() for k, f in enumerate(f1)))


def macro_f1(meant, said, labels=3):
    f1 = [2 * ((meant == k) & (said == k)).sum() / max(1, (meant == k).sum() + (said == k).sum()) for k in range(labels)]
    return float(np.mean(f1))


def positives(meant, said):
    """Precision, recall and F1 of true."""
    hits = (meant & said).sum()
    return [float(hits / max(1, said.sum())), float(hits / max(1, meant.sum())),
            float(2 * hits / max(1, said.sum() + meant.sum()))]


def best_threshold(meant, scores):
    """The threshold at which the F1 of true is highest, and that F1."""
    order = np.argsort(-scores, kind="stable")
    hits, said = np.cumsum(meant[order]), np.arange(1, len(meant) + 1)
    f1 = 2 * hits / (said + meant.sum())
    best = int(f1.argmax())
    return float(scores[order[best]]), float(f1[best])
