"""Moonshine on ONNX Runtime: the same weights in the files that the package moonshine-voice carries. Recognizes a set (TSV with
the columns audio and text) greedily, in batches sorted by length, and prints one JSON object as `nightcall eval asr --json`
does: wer (after the Whisper English normalizer), audio_s, compute_s, rtfx. Decoding and resampling are left out of the time.

    pip download --no-deps moonshine-voice==0.0.44      # a zip; MODEL is moonshine_voice/assets/tiny-en in it
    python scripts/peers/moonshine_onnx.py MODEL SET.tsv [--batch 8] [--threads 2]
"""
import argparse, csv, json, os, time
import numpy as np, onnxruntime as ort, soundfile, soxr
from jiwer import wer
from whisper.normalizers import EnglishTextNormalizer

START, END, HEADS, HEAD = 1, 2, 8, 36
TOKENS_A_SECOND, MORE_TOKENS = 6.5, 5
RATE = 16000


def vocabulary_of(path):
    """Tokens as bytes, each behind its length: a byte, or from 128 on two."""
    with open(path, "rb") as f:
        raw = f.read()
    tokens, at = [], 0
    while at < len(raw):
        length, at = raw[at], at + 1
        if length >= 128:
            length, at = length - 128 + 128 * raw[at], at + 1
        tokens.append(raw[at:at + length])
        at += length
    return tokens


def text_of(ids, vocabulary):
    said = b""
    for token in (vocabulary[i] for i in ids):
        if token.startswith(b"<0x"):
            said += bytes([int(token[3:5], 16)])
        elif not (len(token) > 2 and token.startswith(b"<") and token.endswith(b">")):
            said += token
    return said.decode("utf8", "ignore").replace("\u2581", " ").strip()


class Moonshine:
    def __init__(self, folder, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.encoder, self.decoder = (ort.InferenceSession(os.path.join(folder, name), options)
                                      for name in ("encoder_model.ort", "decoder_model_merged.ort"))
        self.past = [i.name for i in self.decoder.get_inputs() if "past" in i.name]
        self.present = [o.name.replace("present", "past_key_values") for o in self.decoder.get_outputs()[1:]]

    def recognize(self, windows):
        longest = max(map(len, windows))
        sound, mask = np.zeros((len(windows), longest), np.float32), np.zeros((len(windows), longest), np.int64)
        for row, window in enumerate(windows):
            sound[row, :len(window)], mask[row, :len(window)] = window, 1
        hidden = self.encoder.run(None, {"input_values": sound, "attention_mask": mask})[0]
        past = {name: np.zeros((len(windows), HEADS, 0, HEAD), np.float32) for name in self.past}
        last, said = np.full((len(windows), 1), START, np.int64), [[] for _ in windows]
        open_rows = np.ones(len(windows), bool)
        for step in range(int(longest / RATE * TOKENS_A_SECOND) + MORE_TOKENS):
            logits, *present = self.decoder.run(None, {
                "input_ids": last, "encoder_hidden_states": hidden, "encoder_attention_mask": mask,
                "use_cache_branch": np.array([step > 0]), **past})
            last = logits[:, -1].argmax(-1)[:, None].astype(np.int64)
            open_rows &= last[:, 0] != END
            if not open_rows.any():
                break
            for row in np.flatnonzero(open_rows):
                said[row].append(int(last[row, 0]))
            # The encoder's keys and values come once, with the first step.
            past.update({n: v for n, v in zip(self.present, present) if step == 0 or "decoder" in n})
        return said


def samples(path, channel, start, end):
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = x[:, int(channel)] if channel else x.mean(1)
    x = soxr.resample(x, rate, RATE).astype(np.float32) if rate != RATE else x
    return x[int(float(start or 0) * RATE):int(float(end) * RATE) if end else None]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("data")
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    model, vocabulary = Moonshine(a.model, a.threads), vocabulary_of(os.path.join(a.model, "tokenizer.bin"))
    with open(a.data, encoding="utf8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    folder = os.path.dirname(os.path.abspath(a.data))
    sound = [samples(os.path.join(folder, r["audio"]), r.get("channel"), r.get("start"), r.get("end")) for r in rows]
    order = sorted(range(len(sound)), key=lambda i: len(sound[i]))
    heard, spent = [""] * len(sound), 0.0
    for at in range(0, len(order), a.batch):
        batch = order[at:at + a.batch]
        began = time.perf_counter()
        said = model.recognize([sound[i] for i in batch])
        spent += time.perf_counter() - began
        for i, ids in zip(batch, said):
            heard[i] = text_of(ids, vocabulary)
    plain, seconds = EnglishTextNormalizer(), sum(map(len, sound)) / RATE
    print(json.dumps({"wer": wer([plain(r["text"]) for r in rows], [plain(t) for t in heard]), "audio_s": seconds,
                      "compute_s": spent, "rtfx": seconds / spent, "engine": f"onnxruntime {ort.__version__}"}))


if __name__ == "__main__":
    main()
