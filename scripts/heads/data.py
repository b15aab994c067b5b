"""What heads are trained on and measured with: talks of turns, each with a role, a text and a target.

Only sets whose licence allows it are trained on: the ratings that came with VADER (MIT; the release vaderSentiment 0.5 on
PyPI), the labelled sentences about telephones of UCI's Sentiment Labelled Sentences (CC BY 4.0; in the npm package
wink-sentiment), AMI (CC BY 4.0), EmailIntentDataSet (Apache-2.0), and the talks in this folder, which we wrote.
"""
import ast, collections, hashlib, io, json, os, re, subprocess, sys, tarfile, zipfile

SENTIMENT = ["negative", "neutral", "positive"]
FOLLOW_UPS = ["none", "commitment", "request", "meeting"]
HERE = os.path.dirname(os.path.abspath(__file__))

Turn = collections.namedtuple("Turn", "role text target")  # target: a probability for each label


def one_hot(label, labels):
    return [float(name == label) for name in labels]


def own(name, letters, labels):
    """Talks of a file here: LABEL ROLE: text; a blank line between talks."""
    talks, talk = [], []
    with open(os.path.join(HERE, name), encoding="utf8") as lines:
        for line in [*lines, "\n"]:
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            if not line.strip():
                if talk:
                    talks.append(talk)
                talk = []
                continue
            found = re.fullmatch(r"(\S) ([^:]+): (.+)", line)
            if not found or found[1] not in letters:
                raise ValueError(f"{name}: cannot read {line!r}")
            talk.append(Turn(found[2], found[3], one_hot(labels[letters.index(found[1])], labels)))
    return talks


def jsonl(path):
    with open(path, encoding="utf8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def labelled(path, target):
    return [[Turn(turn["role"], turn["text"], target(turn["label"])) for turn in talk["turns"]] for talk in jsonl(path)]


def sentiment_set(path):
    return labelled(path, lambda label: one_hot(label, SENTIMENT))


def follow_up_set(path):
    """Sets that say only whether: all the labels of a follow-up together are the target."""
    return labelled(path, lambda label: [0.0, 1.0, 1.0, 1.0] if label else [1.0, 0.0, 0.0, 0.0])


def fetched(cache, name, sha256, command):
    """A package's archive, brought by its registry's own client."""
    path = os.path.join(cache, name)
    if not os.path.exists(path):
        os.makedirs(cache, exist_ok=True)
        subprocess.run(command, cwd=cache, check=True, stdout=subprocess.DEVNULL)
    with open(path, "rb") as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is not the archive that the heads were trained on; remove it and try again")
    return content


def vader(cache):
    """VADER's rated texts by file: (text, ratings from -4 to 4)."""
    content = fetched(cache, "vaderSentiment-0.5.zip", "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
                      [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", ".", "vaderSentiment==0.5"])
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        inner = package.read("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz")
    rated = {}
    with tarfile.open(fileobj=io.BytesIO(inner)) as files:
        read = lambda name: files.extractfile(f"hutto_ICWSM_2014/{name}.txt").read().decode("utf8", "replace").splitlines()
        for part in ["tweets", "amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets"]:
            ratings = {}
            for line in read(part + "_anonDataRatings"):
                number, _, _, given = line.lstrip("\ufeff").split("\t")
                ratings[number] = ast.literal_eval(given)
            rows = [line.lstrip("\ufeff").split("\t", 2) for line in read(part + "_GroundTruth")]
            rated[part] = [(text, ratings[number]) for number, _, text in rows if number in ratings]
    return rated


def telephones(cache):
    content = fetched(cache, "wink-sentiment-5.0.2.tgz", "412418c576200247fda64a5c26e06f1ed209c4343139e65910d068fb89791ba6", ["npm", "pack", "--silent", "wink-sentiment@5.0.2"])
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        lines = files.extractfile("package/test/data/amazon_cells_labelled.txt").read().decode("utf8").splitlines()
    return [line.rsplit("\t", 1) for line in lines if "\t" in line]


def shares(ratings):
    """Ratings to the shares of people who found a text negative, neutral and positive."""
    count = len(ratings)
    negative, positive = sum(r < 0 for r in ratings) / count, sum(r > 0 for r in ratings) / count
    return [negative, 1 - negative - positive, positive]


def plain(text):
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def words(text):
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def of_training_split(snippets, dev):
    """The movie snippets that consist of SST-2 training sentences alone, by their numbers in `sentiment-movies.txt`.

    SST-2's sentences come from the same reviews. A snippet that is not known to be in its training split may be in another,
    so it is left out, and with it whatever resembles one of the development sentences `dev`; the list says how.
    """
    with open(os.path.join(HERE, "sentiment-movies.txt"), encoding="utf8") as lines:
        kept = [snippets[int(number)] for line in lines if not line.startswith("#") for number in line.split()]
    held = [(plain(text), words(text)) for text in dev]
    for text, _ in kept:
        whole, said = plain(text), words(text)
        for letters, other in held:
            like = len(other) >= 4 and len(said & other) >= 0.7 * min(len(said), len(other))
            if like or (len(letters) >= 12 and letters in whole):
                raise ValueError(f"sentiment-movies.txt: {text!r} is like a development sentence of SST-2")
    return kept


def as_recognized(text):
    """A text as recognizers without punctuation write it."""
    text = re.sub(r"[^\w\s'-]+", " ", text.replace("\u2019", "'").lower())
    return re.sub(r"\s+", " ", re.sub(r"(?<!\w)['-]+|['-]+(?!\w)", " ", text)).strip()
