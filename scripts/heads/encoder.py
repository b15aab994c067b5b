"""The vectors of all-MiniLM-L6-v2, mean pooled and brought to length 1, and the network over them."""
import os
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F
from transformers import AutoModel

# As the Rust core cuts texts.
MAX_TOKENS = 256


class Vectors:
    """Vectors of texts; with a file, what was computed once is kept there. In bfloat16 unless `exact`."""

    def __init__(self, model, file=None, exact=False):
        self.model, self.file, self.exact, self.encoder = model, file, exact, None
        self.known = torch.load(file) if file and os.path.exists(file) else {}

    def of(self, texts):
        missing = sorted(set(texts) - self.known.keys())
        if missing:
            self.known.update(zip(missing, self._embed(missing)))
            if self.file:
                torch.save(self.known, self.file)
        return torch.stack([self.known[text] for text in texts])

    @torch.no_grad()
    def _embed(self, texts, tokens=4096):
        if self.encoder is None:
            self.encoder = AutoModel.from_pretrained(self.model, add_pooling_layer=False).eval()
            self.tokenizer = Tokenizer.from_file(os.path.join(self.model, "tokenizer.json"))
            self.tokenizer.no_padding()
            self.tokenizer.enable_truncation(MAX_TOKENS)
        ids = [found.ids for found in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = torch.empty(len(ids), self.encoder.config.hidden_size)
        at = 0
        while at < len(order):
            end = at + 1
            while end < len(order) and (end + 1 - at) * len(ids[order[end]]) <= tokens:
                end += 1
            rows = order[at:end]
            longest = len(ids[rows[-1]])
            batch = torch.tensor([ids[i] + [0] * (longest - len(ids[i])) for i in rows])
            seen = torch.tensor([[1] * len(ids[i]) + [0] * (longest - len(ids[i])) for i in rows])
            with torch.autocast("cpu", torch.bfloat16, enabled=not self.exact):
                hidden = self.encoder(input_ids=batch, attention_mask=seen).last_hidden_state.float()
            vectors[rows] = F.normalize((hidden * seen[:, :, None]).sum(1), dim=1)
            at = end
        return vectors


class Head(nn.Module):
    """From what is known of a turn to a logit a label."""

    def __init__(self, inputs, labels, hidden):
        super().__init__()
        self.inside, self.out = nn.Linear(inputs, hidden), nn.Linear(hidden, labels)
        # Vectors of length 1 have small entries.
        nn.init.normal_(self.inside.weight, std=0.1)

    def forward(self, x, drop=0.0):
        return self.out(F.dropout(F.gelu(self.inside(x)), drop, self.training))


def fit(head, x, target, weight, epochs, rate, decay, drop, seed=13):
    """AdamW with a falling rate, batches of 256."""
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=decay)
    steps, step = epochs * (len(x) // 256), 0
    head.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for at in range(0, len(x) - 255, 256):
            rows = order[at:at + 256]
            loss = loss_of(head(x[rows], drop), target[rows], weight[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            optimizer.step()
            step += 1
    return head.eval()


def loss_of(logits, target, weight):
    logs = F.log_softmax(logits, 1)
    shares = -(target * logs).sum(1)
    # Where several labels are as right as each other, their probabilities together count.
    several = target.sum(1) > 1.001
    together = -torch.logsumexp(logs.masked_fill(target == 0, -1e9), 1)
    return (torch.where(several, together, shares) * weight).sum() / weight.sum()
