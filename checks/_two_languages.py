"""Word tables of two languages in one space: a tagger that learns from English and reads French."""

from __future__ import annotations

import gzip
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from _word_tables import Table, Words, file_lines, skip_gram, treebank, windows
from sklearn.linear_model import RidgeClassifier

from plait.fusion.meta_embedding import MetaEmbedding
from plait.papers import Ablation, Claim
from plait.types import Floats

DIM, LEAST = 100, 3
HELD_OUT = 0.2
"""Share of the cognates that the dictionary does not hold."""
TOKEN = re.compile(r"\w+'|\w+|[^\w\s]")
"""Words and signs; a French article keeps its apostrophe, as in the treebank."""


def across_languages(data: Path, claims: list[Claim], ablations: list[Ablation], figures: dict[str, float]) -> None:
    """A tagger trained on English, tested on French."""
    texts = {"en": english_text(data), "fr": french_text(data)}
    tables = [_marked(language, skip_gram(text, DIM, 2, 10, LEAST)) for language, text in texts.items()]
    pairs, held_out = _dictionary(data, tables)
    order = np.random.default_rng(0).permutation(len(pairs))
    mixed = [(a, pairs[n][1]) for (a, _), n in zip(pairs, order, strict=True)]
    metas = {
        "aligned": MetaEmbedding().fit(tables, dictionaries={(0, 1): pairs}),
        "mapped only": MetaEmbedding(oov="zero").fit(tables, dictionaries={(0, 1): pairs}),
        "not aligned": MetaEmbedding("average", oov="zero").fit(tables),
        "not aligned, but filled in": MetaEmbedding("average").fit(tables, dictionaries={(0, 1): pairs}),
        "shuffled dictionary": MetaEmbedding().fit(tables, dictionaries={(0, 1): mixed}),
    }
    english = treebank(data / "ud" / "en_lines" / "train.conllu.gz")
    french = treebank(data / "ud" / "fr_sequoia" / "test.conllu.gz")
    known = set(tables[1][0])
    right = {
        name: _transferred(meta, english, french, None if name == "mapped only" else known)
        for name, meta in metas.items()
    }
    score = {name: 100 * float(hits.mean()) for name, hits in right.items()}
    both = {word[3:] for word in tables[0][0]} - {word[3:] for word in known}
    lacking = np.array([word in both for words, _ in french for word in words])
    borrowed = {name: 100 * float(hits[lacking].mean()) for name, hits in right.items()}
    tags = [tag for _, row in english for tag in row]
    most = max(sorted(set(tags)), key=tags.count)
    majority = 100 * float(np.mean([tag == most for _, row in french for tag in row]))
    ranks = {name: _ranks(meta, held_out) for name, meta in metas.items()}
    first = {name: 100 * float(np.mean(rank == 0)) for name, rank in ranks.items()}
    above = Claim.above(
        "a tagger that saw English only tags French better than the most frequent tag does",
        score["aligned"],
        majority,
        10,
    )
    claims += [
        above,
        Claim.above("and better than with tables averaged as they are", score["aligned"], score["not aligned"], 5),
        Claim(
            "French words that the French table lacks: no worse than with the mapped French table alone",
            borrowed["aligned"] >= borrowed["mapped only"],
            borrowed["aligned"],
            borrowed["mapped only"],
            0,
        ),
        Claim.above(
            "the nearest French word is a held-out translation more often than without alignment",
            first["mapped only"],
            first["not aligned"],
            5,
        ),
    ]
    ablations += [
        above.without("French: tables averaged without alignment", score["not aligned"]),
        above.without("French: maps and gaps from a shuffled dictionary", score["shuffled dictionary"]),
    ]
    figures |= {f"French part of speech, {name}": value for name, value in score.items()}
    figures |= {f"French words lacking, {name}": value for name, value in borrowed.items()}
    figures |= {f"translation, first guess, {name}": value for name, value in first.items()}
    figures |= {f"translation, median rank, {name}": float(np.median(rank)) for name, rank in ranks.items()}
    figures |= {
        "dictionary": len(pairs),
        "held-out pairs": len(held_out),
        "French words": len(known),
        "French words lacking": int(lacking.sum()),
    }
    figures["French words known, share"] = 100 * float(np.mean([f"fr:{w}" in known for row, _ in french for w in row]))


Tagged = Sequence[tuple[Words, Words]]


def _transferred(meta: MetaEmbedding, english: Tagged, french: Tagged, known: set[str] | None) -> np.ndarray:
    """Which French words are tagged right; words outside ``known`` are looked up as English ones."""

    def spelled_alike(words: Words) -> Floats:
        keys = [f"en:{w}" if known is not None and f"fr:{w}" not in known else f"fr:{w}" for w in words]
        return meta.transform(keys)

    tagger = RidgeClassifier().fit(*windows(english, lambda words: meta.transform([f"en:{w}" for w in words])))
    rows, tags = windows(french, spelled_alike)
    return np.asarray(tagger.predict(rows) == tags)


def _marked(language: str, table: Table) -> Table:
    return [f"{language}:{word}" for word in table[0]], table[1]


def _dictionary(data: Path, tables: Sequence[Table]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs to learn from, and cognates to test on whose words stand in no pair of the former."""
    english, french = (set(table[0]) for table in tables)
    known = [(f"en:{a}", f"fr:{b}") for a, b in cognates(data)]
    known = [pair for pair in known if pair[0] in english and pair[1] in french]
    held_out = [known[n] for n in np.random.default_rng(0).permutation(len(known))[: int(HELD_OUT * len(known))]]
    signs = [word[3:] for word in english if not any(map(str.isalpha, word[3:]))]
    others = [
        *((f"en:{a}", f"fr:{b}") for a, b in translations(data)),
        *((f"en:{s}", f"fr:{s}") for s in sorted(signs)),
    ]
    kept = [pair for pair in dict.fromkeys([*known, *others]) if pair[0] in english and pair[1] in french]
    tested = {word for pair in held_out for word in pair}
    return [pair for pair in kept if not tested.intersection(pair)], held_out


def _ranks(meta: MetaEmbedding, held_out: Sequence[tuple[str, str]]) -> np.ndarray:
    """How many French words lie closer to each held-out English word than its translation does."""
    french = [word for word in meta.vocabulary_ if word.startswith("fr:")]
    cosine = meta.transform([a for a, _ in held_out]) @ meta.transform(french).T
    true = np.take_along_axis(cosine, np.array([[french.index(b)] for _, b in held_out]), axis=1)
    return np.asarray((cosine > true).sum(axis=1))


def english_text(data: Path) -> list[Words]:
    """Encyclopedia articles, the last part of the books and example sentences: about a million words."""
    files = ["wikitext2_valid.raw.txt.gz", "wikitext2_test.raw.txt.gz", "classic_books/train_5.txt.gz"]
    texts = [gzip.decompress((data / "text" / file).read_bytes()).decode() for file in files]
    texts.append((data / "bitext" / "tatoeba" / "tatoeba.fra-eng.eng").read_text())
    return [tokens for text in texts for tokens in lines(text)]


def french_text(data: Path) -> list[Words]:
    """Encyclopedia sentences, Genesis, example sentences and the training part of the treebank: 0.4 million words."""
    found = []
    for part in ("train", "dev", "test"):
        raw = gzip.decompress((data / "ner" / "wikiann_fr" / f"{part}.conll.gz").read_bytes()).decode()
        blocks = (block.split("\n") for block in raw.split("\n\n"))
        found.append(
            "\n".join(
                " ".join(line.split()[0].removeprefix("fr:") for line in block if line.strip()) for block in blocks
            )
        )
    with tarfile.open(data / "text" / "genesis.tar.gz") as archive:
        file = archive.extractfile(next(m for m in archive.getmembers() if m.name.endswith("french.txt")))
        assert file is not None
        found.append(file.read().decode())
    found.append((data / "bitext" / "tatoeba" / "tatoeba.fra-eng.fra").read_text())
    found += [" ".join(words) for words, _ in treebank(data / "ud" / "fr_sequoia" / "train.conllu.gz")]
    return [tokens for text in found for tokens in lines(text)]


def lines(text: str) -> Iterator[Words]:
    for line in text.split("\n"):
        if tokens := TOKEN.findall(line.lower().replace("’", "'")):
            yield tokens


def cognates(data: Path) -> list[tuple[str, str]]:
    """English and French words that come from one root and mean the same."""
    raw = gzip.decompress((data / "phonetic" / "cognet" / "CogNet-v0.tsv.gz").read_bytes()).decode()
    rows = [line.split("\t") for line in raw.splitlines()[1:]]
    return list(dict.fromkeys((r[2].lower(), r[4].lower()) for r in rows if (r[1], r[3]) == ("eng", "fra")))


def translations(data: Path) -> list[tuple[str, str]]:
    """Words that choose each other by Dice's coefficient over a thousand aligned sentences."""
    folder = data / "bitext" / "tatoeba"
    sides = [
        [set(TOKEN.findall(line.lower())) for line in file_lines(folder / f"tatoeba.fra-eng.{side}")]
        for side in ("eng", "fra")
    ]
    alone = [Counter(token for tokens in side for token in tokens) for side in sides]
    both = Counter((a, b) for left, right in zip(*sides, strict=True) for a in left for b in right)
    dice = {
        (a, b): 2 * count / (alone[0][a] + alone[1][b]) for (a, b), count in both.items() if count >= 3 and a.isalpha()
    }
    best: list[dict[str, tuple[float, str]]] = [{}, {}]
    for (a, b), value in sorted(dice.items()):
        best[0][a] = max(best[0].get(a, (0.0, "")), (value, b))
        best[1][b] = max(best[1].get(b, (0.0, "")), (value, a))
    return [(a, b) for a, (value, b) in best[0].items() if best[1][b][1] == a and value >= 0.3]
