"""A table of weights, one for each word and each pair of neighbouring words of a text, by their hashes.

Words and pairs that share a place share a weight (Weinberger et al. 2009, arXiv:0902.2206), so that the table needs no
list of words. `crates/extract/src/likelihood/words.rs` reads it.
"""
import re
import numpy as np, scipy.sparse as sparse

# Places in the table: a power of two, at most 2^16.
PLACES = 1 << 16


def words(text):
    """Runs of ASCII letters, digits and apostrophes that do not begin with an apostrophe, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9']*", text.replace("\u2019", "'"))]


def place(gram):
    """FNV-1a (Fowler, Noll and Vo) in 32 bits, both halves folded together."""
    value = 0x811C9DC5
    for byte in gram.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return (value >> 16 ^ value) % PLACES


def places(text):
    """The places of a text's words and pairs, each once, in order."""
    said = words(text)
    return sorted({place(gram) for gram in [*said, *map(" ".join, zip(said, said[1:]))]})


def matrix(texts):
    """(texts, PLACES): at each of a text's places one over the root of how many it has, so that its row has length 1."""
    known = {text: places(text) for text in set(texts)}
    rows = [known[text] for text in texts]
    counts = np.array([len(row) for row in rows])
    columns = np.concatenate([np.array(row, dtype=np.int64) for row in rows])
    values = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    return sparse.csr_matrix((values, columns, np.concatenate([[0], np.cumsum(counts)])), shape=(len(texts), PLACES))
