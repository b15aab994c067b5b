"""A low-rank update of all-MiniLM-L6-v2 (Hu et al. 2021, arXiv:2106.09685), trained together with the head above it."""
import json, math, os, random, time
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F
from encoder import MAX_TOKENS, loss_of

LINEARS = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "intermediate.dense", "output.dense"]
# Texts are cut here while training; few are longer.
TRAINED_TOKENS = 64
# While the head is trained its vectors have this length, so that their entries are about 1; its weights take it in afterwards.
SCALE = 16.0
# [MASK], which stands for words that are withheld, and the ids below which no words are.
MASK, FIRST_WORD = 103, 999


class LowRank(nn.Module):
    """`x W^T + b + (x A^T) B^T`; W and b stay as published, B begins at zero."""

    def __init__(self, weight, bias, rank):
        super().__init__()
        self.weight, self.bias = weight, bias
        self.a = nn.Parameter(torch.empty(rank, weight.shape[1]))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + F.linear(F.linear(x, self.a), self.b)


class Encoder(nn.Module):
    """The encoder with an update of every linear layer from layer `first` on; the layers below are as published."""

    def __init__(self, folder, first, rank):
        super().__init__()
        with open(os.path.join(folder, "config.json"), encoding="utf8") as file:
            config = json.load(file)
        self.heads, self.eps, self.first = config["num_attention_heads"], config["layer_norm_eps"], first
        self.layers, self.width = config["num_hidden_layers"], config["hidden_size"]
        weights = load_file(os.path.join(folder, "model.safetensors"))
        self.weights = {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()
                        if tensor.is_floating_point()}
        self.updates = nn.ModuleDict()
        for layer in range(first, self.layers):
            for name in LINEARS:
                path = f"encoder.layer.{layer}.{name}"
                self.updates[path.replace(".", "/")] = LowRank(
                    self.weights[path + ".weight"], self.weights[path + ".bias"], rank)
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_padding()

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
        narrow = self.linear(path + "output.dense", F.gelu(self.linear(path + "intermediate.dense", x)))
        return self.norm(path + "output.LayerNorm", x + F.dropout(narrow, drop, self.training))

    def forward(self, ids, drop=0.1):
        """(rows, length) token ids, 0 for padding, to the mean of each text's last hidden states, brought to length 1."""
        mask = (ids != 0)[:, None, None, :]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.first == 0):
            names = "embeddings."
            x = self.weights[names + "word_embeddings.weight"][ids]
            x = x + self.weights[names + "position_embeddings.weight"][: ids.shape[1]]
            x = self.norm(names + "LayerNorm", x + self.weights[names + "token_type_embeddings.weight"][0])
            for n in range(self.first):
                x = self.layer(n, x, mask, 0.0)
        for n in range(self.first, self.layers):
            x = self.layer(n, x, mask, drop)
        return F.normalize((x.float() * (ids != 0)[:, :, None]).sum(1), dim=1)

    def ids(self, texts, most=MAX_TOKENS):
        self.tokenizer.enable_truncation(most)
        return [found.ids for found in self.tokenizer.encode_batch(texts)]

    def tensors(self):
        """The update as the head's file holds it: LAYER.a and LAYER.b, whose product `b a` is added to the weight."""
        return {f"update.{path.replace('/', '.')}.{part}": getattr(update, part).detach().clone()
                for path, update in self.updates.items() for part in "ab"}

    def take(self, tensors):
        for path, update in self.updates.items():
            for part in "ab":
                getattr(update, part).data.copy_(tensors[f"update.{path.replace('/', '.')}.{part}"])

    @torch.no_grad()
    def of(self, texts, exact=True, tokens=2048):
        """The vectors of texts, each computed once."""
        self.eval()
        unique = sorted(set(texts))
        ids = self.ids(unique)
        vectors = torch.empty(len(ids), self.width)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for rows in cut(order, lambda i: len(ids[i]), tokens):
            with torch.autocast("cpu", torch.bfloat16, enabled=not exact):
                vectors[rows] = self(padded([ids[i] for i in rows]))
        place = {text: i for i, text in enumerate(unique)}
        return vectors[torch.tensor([place[text] for text in texts])]


def padded(ids):
    longest = max(map(len, ids))
    return torch.tensor([row + [0] * (longest - len(row)) for row in ids])


def cut(order, length, tokens):
    """Rows in this order, as batches of at most so many tokens, padding counted."""
    batches, batch, longest = [], [], 0
    for row in order:
        longest = max(longest, length(row))
        if batch and (len(batch) + 1) * longest > tokens:
            batches.append(batch)
            batch, longest = [], length(row)
        batch.append(row)
    return batches + [batch]


def train(encoder, head, spelled, recognized, target, weight, epochs, rate, head_rate, withheld=0.1, share=0.3,
          tokens=2048, decay=0.01, drop=0.1, head_drop=0.1, seed=13, log=print):
    """AdamW with a rate that rises over a twentieth of the steps and then falls to zero.

    `spelled` and `recognized` are (texts, features) of the same rows as written and as recognizers without punctuation write
    them; of each row a `share` is taken from the latter. A word in `withheld` is replaced by [MASK].
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    forms = [(encoder.ids(texts, TRAINED_TOKENS), features) for texts, features in (spelled, recognized)]
    groups = [{"params": list(encoder.parameters()), "full": rate}, {"params": list(head.parameters()), "full": head_rate}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), weight_decay=decay)
    step, steps, all_rows = 0, None, range(len(target))
    for epoch in range(epochs):
        form = [int(rng.random() < share) for _ in all_rows]
        length = lambda row: len(forms[form[row]][0][row])
        sort = {row: length(row) * rng.uniform(0.85, 1.15) for row in all_rows}
        batches = cut(sorted(all_rows, key=sort.get), length, tokens)
        rng.shuffle(batches)
        steps = steps or len(batches) * epochs
        encoder.train(), head.train()
        began, total = time.time(), 0.0
        for rows in batches:
            ids = padded([forms[form[row]][0][row] for row in rows])
            ids = torch.where((torch.rand(ids.shape) < withheld) & (ids > FIRST_WORD), MASK, ids)
            features = torch.stack([forms[form[row]][1][row] for row in rows])
            with torch.autocast("cpu", torch.bfloat16):
                vectors = encoder(ids, drop)
            logits = head(torch.cat([vectors.float() * SCALE, features], 1), head_drop)
            # A row counts for its weight whatever rows are beside it.
            loss = loss_of(logits, target[rows], weight[rows]) * weight[rows].mean() / weight.mean()
            loss.backward()
            scale = min(1.0, (step + 1) / (0.05 * steps)) * max(0.0, 1 - step / steps)
            for group in optimizer.param_groups:
                group["lr"] = group["full"] * scale
            torch.nn.utils.clip_grad_norm_([*encoder.parameters(), *head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step, total = step + 1, total + loss.item()
            if step % 50 == 0:
                log(f"  step {step} of {steps}, {time.time() - began:.0f} s", flush=True)
        log(f"epoch {epoch + 1}: loss {total / len(batches):.4f}, {len(batches)} steps, {time.time() - began:.0f} s",
            flush=True)
    encoder.eval(), head.eval()
    head.inside.weight.data[:, :encoder.width] *= SCALE
