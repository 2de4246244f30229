"""Draw the samples in src/plait/data/samples from the larger sets in the folder that PLAIT_DATA names.

Run it from the repository's root: PLAIT_DATA=… python scripts/make_samples.py
Every draw is seeded, and the files are written without a time stamp: a second run gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

DATA = Path(os.environ["PLAIT_DATA"])
SAMPLES = Path(__file__).parents[1] / "src" / "plait" / "data" / "samples"
DOCUMENTS, TRAIN_QUERIES, WORDS = 1000, 200, 130
PAIRS = 600
INTENTS = (
    "activate_my_card",
    "card_arrival",
    "card_delivery_estimate",
    "card_linking",
    "card_not_working",
    "compromised_card",
    "declined_card_payment",
    "lost_or_stolen_card",
    "pending_card_payment",
    "pending_transfer",
    "transfer_not_received_by_recipient",
    "transfer_timing",
)
TRAIN_EXAMPLES, TEST_EXAMPLES = 60, 20
MIT = """MIT License

Copyright (c) 2020 Zihan Liu

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def write(name: str, lines: Iterable[str]) -> None:
    """Write a gzip file whose bytes depend on the lines alone."""
    path = SAMPLES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))


def readme(name: str, title: str, source: str, licence: str, drawn: str) -> None:
    """Say where a sample comes from and how it was drawn."""
    text = (
        f"# {title}\n\n- Source: {source}\n- Licence: {licence}\n- Drawn by `scripts/make_samples.py`: {drawn}\n\n"
        f'Read it with `plait.read("demo:{name}")`.\n'
    )
    (SAMPLES / name / "README.md").write_text(text, encoding="utf-8")


def lines_of(path: Path) -> list[str]:
    """A file's lines, unpacked."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode().rstrip("\n").split("\n")


def shortened(document: dict[str, str]) -> dict[str, str]:
    """The document with whole sentences up to WORDS words, title included; the first sentence always stays."""
    sentences = re.split(r"(?<=[.!?]) +", document["text"])
    kept, words = sentences[:1], len((document["title"] + " " + sentences[0]).split())
    for sentence in sentences[1:]:
        words += len(sentence.split())
        if words > WORDS:
            break
        kept.append(sentence)
    return {**document, "text": " ".join(kept)}


def scifact() -> None:
    folder = DATA / "retrieval" / "scifact"
    chance = random.Random(0)
    corpus = {d["_id"]: d for d in map(json.loads, lines_of(folder / "corpus.jsonl.gz"))}
    queries = {q["_id"]: q for q in map(json.loads, lines_of(folder / "queries.jsonl"))}
    header, *test = lines_of(folder / "qrels" / "test.tsv")
    train = lines_of(folder / "qrels" / "train.tsv")[1:]
    test_texts = {queries[line.split("\t")[0]]["text"] for line in test}
    free = [q for q in dict.fromkeys(line.split("\t")[0] for line in train) if queries[q]["text"] not in test_texts]
    chosen = set(chance.sample(free, TRAIN_QUERIES))
    dev = [line for line in train if line.split("\t")[0] in chosen]
    judged = {line.split("\t")[1] for line in dev + test}
    others = chance.sample([key for key in corpus if key not in judged], DOCUMENTS - len(judged))
    documents = [document for key, document in corpus.items() if key in judged or key in set(others)]
    short = [shortened(document) for document in documents]
    used = dict.fromkeys(line.split("\t")[0] for line in dev + test)
    write("scifact/corpus.jsonl.gz", (json.dumps(d, ensure_ascii=False) for d in short))
    write("scifact/queries.jsonl.gz", (json.dumps(queries[q], ensure_ascii=False) for q in used))
    write("scifact/qrels/dev.tsv.gz", [header, *dev])
    write("scifact/qrels/test.tsv.gz", [header, *test])
    cut = sum(a["text"] != b["text"] for a, b in zip(documents, short, strict=True))
    readme(
        "scifact",
        "SciFact, a sample: scientific claims and the abstracts they speak of",
        "SciFact (Wadden and others, 2020), https://github.com/allenai/scifact",
        "annotations CC BY 4.0, abstracts ODC-BY 1.0",
        f"all 300 test claims (`qrels/test`); {TRAIN_QUERIES} random train claims whose text is in no test claim "
        f"(`qrels/dev`); the {len(judged)} abstracts judged for them and {len(others)} random others of the "
        f"{len(corpus):,}. Changed: abstracts are cut after the last sentence that ends within {WORDS} words, title "
        f"included ({cut} of {DOCUMENTS} are shorter for it). With fewer and shorter documents than the original, "
        "figures on it are not comparable with published ones",
    )


def stsb() -> None:
    chance = random.Random(0)
    for part in ("dev", "test"):
        header, *rows = lines_of(DATA / "sts" / "stsb" / f"{part}.tsv")
        chosen = sorted(chance.sample(range(len(rows)), PAIRS))
        write(f"stsb/{part}.tsv.gz", [header, *(rows[number] for number in chosen)])
    readme(
        "stsb",
        "STS Benchmark, a sample: pairs of sentences with their similarity from 0 to 5",
        "STS Benchmark (Cer and others, 2017), http://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark",
        "CC BY-SA 4.0; the sentences come from sources with licences of their own (columns genre and source)",
        f"{PAIRS} random pairs of dev and {PAIRS} of test, in their order. Changed: nothing but the choice",
    )


def banking77() -> None:
    chance = random.Random(0)
    for part, most in (("train", TRAIN_EXAMPLES), ("test", TEST_EXAMPLES)):
        header, *rows = lines_of(DATA / "classification" / "banking77" / f"{part}.tsv")
        label = header.split("\t").index("label")
        chosen: list[int] = []
        for intent in INTENTS:
            chosen += chance.sample([n for n, row in enumerate(rows) if row.split("\t")[label] == intent], most)
        write(f"banking77/{part}.tsv.gz", [header, *(rows[number] for number in sorted(chosen))])
    readme(
        "banking77",
        "BANKING77, a sample: what a bank's customers want",
        "BANKING77 (Casanueva and others, 2020), https://github.com/PolyAI-LDN/task-specific-datasets",
        "CC BY 4.0",
        f"{len(INTENTS)} of the 77 intents, chosen because they are easily confused ({', '.join(INTENTS)}); "
        f"{TRAIN_EXAMPLES} random train and {TEST_EXAMPLES} random test questions of each. "
        "Changed: nothing but the choice",
    )


def crossner() -> None:
    for part in ("train", "dev", "test"):
        write(f"crossner/{part}.conll.gz", lines_of(DATA / "ner" / "crossner_ai" / f"{part}.conll"))
    readme(
        "crossner",
        "CrossNER, artificial intelligence: named entities in encyclopaedia sentences",
        "CrossNER (Liu and others, 2021), https://github.com/zliucr/CrossNER",
        "MIT, see LICENSE",
        "all 100 train, 350 dev and 431 test sentences. Changed: nothing",
    )
    (SAMPLES / "crossner" / "LICENSE").write_text(MIT, encoding="utf-8")


if __name__ == "__main__":
    shutil.rmtree(SAMPLES, ignore_errors=True)
    for draw in (scifact, stsb, banking77, crossner):
        draw()
