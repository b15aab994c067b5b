"""all-MiniLM-L6-v2 with low-rank updates, and a head over a turn and its neighbours."""
import json, math, os
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

LINEARS = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "intermediate.dense", "output.dense"]


class LowRank(nn.Module):
    """`x W^T + b + scale * (x A^T) B^T` (Hu et al. 2021, arXiv:2106.09685); W and b stay as published, B begins at zero."""

    def __init__(self, weight, bias, rank, alpha):
        super().__init__()
        self.weight, self.bias, self.scale = weight, bias, alpha / rank
        self.a = nn.Parameter(torch.empty(rank, weight.shape[1]))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + self.scale * F.linear(F.linear(x, self.a), self.b)


class Encoder(nn.Module):
    """The encoder; layers from `first` on are updated with this rank, those below are as published."""

    def __init__(self, folder, first, rank, alpha):
        super().__init__()
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        self.heads, self.eps, self.first = config["num_attention_heads"], config["layer_norm_eps"], first
        self.layers = config["num_hidden_layers"]
        weights = load_file(os.path.join(folder, "model.safetensors"))
        self.weights = {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()
                        if tensor.is_floating_point()}
        self.updates = nn.ModuleDict()
        for layer in range(first, self.layers):
            for name in LINEARS:
                path = f"encoder.layer.{layer}.{name}"
                self.updates[path.replace(".", "/")] = LowRank(
                    self.weights[path + ".weight"], self.weights[path + ".bias"], rank, alpha)

    def linear(self, path, x):
        update = path.replace(".", "/")
        if update in self.updates:
            return self.updates[update](x)
        return F.linear(x, self.weights[path + ".weight"], self.weights[path + ".bias"])

    def norm(self, path, x):
        return F.layer_norm(x, x.shape[-1:], self.weights[path + ".weight"], self.weights[path + ".bias"], self.eps)

    def layer(self, n, x, mask, drop):
        path = f"encoder.layer.{n}."
        rows, length, width = x.shape
        part = lambda name: self.linear(path + "attention.self." + name, x).view(
            rows, length, self.heads, width // self.heads).transpose(1, 2)
        seen = F.scaled_dot_product_attention(part("query"), part("key"), part("value"), attn_mask=mask)
        seen = self.linear(path + "attention.output.dense", seen.transpose(1, 2).reshape(rows, length, width))
        x = self.norm(path + "attention.output.LayerNorm", x + F.dropout(seen, drop, self.training))
        wide = F.gelu(self.linear(path + "intermediate.dense", x))
        narrow = self.linear(path + "output.dense", wide)
        return self.norm(path + "output.LayerNorm", x + F.dropout(narrow, drop, self.training))

    def lower(self, ids):
        """(rows, length) token ids, 0 for padding, to the hidden states below the first updated layer."""
        embeddings = "embeddings."
        x = self.weights[embeddings + "word_embeddings.weight"][ids]
        x = x + self.weights[embeddings + "position_embeddings.weight"][: ids.shape[1]]
        x = self.norm(embeddings + "LayerNorm", x + self.weights[embeddings + "token_type_embeddings.weight"][0])
        mask = (ids != 0)[:, None, None, :]
        for n in range(self.first):
            x = self.layer(n, x, mask, 0.0)
        return x

    def upper(self, x, ids, drop=0.1):
        """From there to the mean of each text's last hidden states, brought to length 1."""
        mask = (ids != 0)[:, None, None, :]
        for n in range(self.first, self.layers):
            x = self.layer(n, x, mask, drop)
        return F.normalize((x * (ids != 0)[:, :, None]).sum(1), dim=1)


class Head(nn.Module):
    """Logits of a turn from the vectors of it, of the turn before and of the turn after (zeros where there is none), and
    whether those are of the same speaker."""

    def __init__(self, width, labels, hidden):
        super().__init__()
        self.inside = nn.Linear(3 * width + 2, hidden)
        self.out = nn.Linear(hidden, labels)
        # Vectors of length 1 have small entries.
        nn.init.normal_(self.inside.weight, std=0.5 / math.sqrt(width) * 4)

    def forward(self, vectors, before, after, same, drop=0.1):
        ends = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
        x = torch.cat([vectors, ends[before], ends[after], same], 1)
        return self.out(F.dropout(F.gelu(self.inside(x)), drop, self.training))


def tokenizer(folder, tokens):
    found = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    found.no_padding()
    found.enable_truncation(tokens)
    return found


def padded(ids):
    longest = max(map(len, ids))
    return torch.tensor([row + [0] * (longest - len(row)) for row in ids])
