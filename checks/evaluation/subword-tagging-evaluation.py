"""Contextual states, byte-pair pieces and characters, alone and side by side, tagged at several training sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer

from plait._lazy import need
from plait.data import Tags, Task, read
from plait.encoders.transformer import Transformer
from plait.evaluation import (
    CharacterLSTM,
    SequenceTagger,
    ShapeEmbedding,
    SubwordLSTM,
    TaggingTable,
    tagging_benchmark,
)
from plait.evaluation.tagging_grid import MAJORITY, PER_WORD, Combination
from plait.evaluation.token_parts import train_pieces
from plait.layers.single import Layer
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.single import ClsPool, LastPool
from plait.types import Floats, Items, Vectors

SETS = {
    "English": ("ud/en_lines", "eng"),
    "Turkish": ("ud/tr_imst", "tur"),
    "Tamil": ("ud/ta_ttb", "tam"),
    "English names": ("ner/conll2003", "eng"),
}
"""Folder of each set, and code of its language in the bitext."""
LARGE_SETS, SMALL_SETS, TINY = ("English", "Turkish", "English names"), ("Turkish", "Tamil"), "Tamil"
EPOCHS = {100: 20, 500: 10, 2000: 5}
"""Epochs at each training size: about 300 steps each, so that every run costs alike."""
SEEDS, LONGEST, HELD_OUT = (0, 1, 2), 20, 250
"""Longest sentence, in words, and sentences of the dev and the test part: what keeps the check in minutes."""
TAGGER = SequenceTagger("lstm", hidden=64, lr=5e-3, patience=3, project=100)
PIECES, PIECE_DIM, PART_HIDDEN = 3000, 64, 32
CONTEXT, SUBWORDS, LETTERS, PAIR = "contextual", "subwords", "characters", "subwords + characters"
ALL, ENGLISH_HOST = "contextual + subwords + characters", "English host"
SLACK = 0.02
"""How far above the majority tag the accuracy after training on dealt tags may lie, by chance."""
GAIN = 1.0
"""By how many points more characters have to help on unseen words than on seen ones."""


class HashedNgrams:
    """Character n-grams of each word, hashed: a fixed vector for any word, as fastText has, but never trained."""

    def encode(self, items: Items) -> Vectors:
        words = [word for sentence in items for word in sentence]
        hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=256, lowercase=False)
        return Vectors(hashed.transform(words).toarray().astype(np.float32))


def check(data: Path) -> Outcome:
    tasks = {name: _task(data / folder, name) for name, (folder, _) in SETS.items()}
    parts = {name: _pieces(_unlabelled(data, name, task)) for name, task in tasks.items()}
    context = Transformer("gemma-3-270m", dtype="bfloat16") | Layer(9) | LastPool()
    english = Transformer("all-MiniLM-L6-v2") | Layer(6) | ClsPool()
    letters = CharacterLSTM(32, PART_HIDDEN, 1)

    def combined(name: str) -> dict[str, Combination]:
        singles: dict[str, Combination] = {CONTEXT: [context], SUBWORDS: [parts[name]], LETTERS: [letters]}
        return {**singles, ALL: [context, parts[name], letters]}

    def pair(name: str) -> dict[str, Combination]:
        return {SUBWORDS: [parts[name]], PAIR: [parts[name], letters]}

    others: dict[str, Combination] = {"hashed n-grams": [HashedNgrams()], "shapes": [ShapeEmbedding()]}
    last: dict[str, Combination] = {"characters, state at the last": [CharacterLSTM(32, PART_HIDDEN, 1, "last")]}
    measured = [_grid(tasks[name], combined(name), 2000) for name in LARGE_SETS]
    measured += [_grid(tasks[name], combined(name) | pair(name) | others | last, 500) for name in SMALL_SETS]
    measured.append(_grid(tasks[TINY], combined(TINY) | pair(TINY) | {ENGLISH_HOST: [english]}, 100))
    found = TaggingTable(tuple(row for table in measured for row in table.rows))
    foreign = {name: _respelled(tasks[name]) for name in SMALL_SETS}
    strange = {name: {SUBWORDS: [s := _pieces(_sentences(t))], PAIR: [s, letters]} for name, t in foreign.items()}
    spelled = [_grid(foreign[name], strange[name], 500) for name in SMALL_SETS]
    spelled.append(_grid(foreign[TINY], {PAIR: strange[TINY][PAIR]}, 100))
    lost = TaggingTable(tuple(row for table in spelled for row in table.rows))
    dealt = _grid(tasks["Turkish"], {ALL: combined("Turkish")[ALL]}, 500, shuffled=True)
    return _judged(found, lost, dealt)


def _judged(found: TaggingTable, lost: TaggingTable, dealt: TaggingTable) -> Outcome:
    means = {name: 100 * found.mean(name, size=2000) for name in (CONTEXT, SUBWORDS, LETTERS, ALL, MAJORITY, PER_WORD)}
    together = Claim.above(
        "contextual, subwords and characters together beat each of them alone (2,000 sentences, mean of three sets)",
        means[ALL],
        max(means[name] for name in (CONTEXT, SUBWORDS, LETTERS)),
    )
    learned = Claim.above("and beat the most frequent tag of each word", means[ALL], means[PER_WORD])
    scarce = Claim.above(
        "Tamil, 100 sentences: subwords and characters beat a host that was not trained on Tamil",
        100 * found.mean(PAIR, TINY, 100),
        100 * found.mean(ENGLISH_HOST, TINY, 100),
    )
    gain = _gain(found)
    unseen = Claim.above(
        "500 sentences: characters beside subwords add more on unseen words than on seen ones", gain[0], gain[1], GAIN
    )
    blind = _gain(lost)
    level, floor = dealt.mean(ALL), dealt.mean(MAJORITY)
    return Outcome(
        [together, learned, scarce, unseen],
        [
            Ablation(
                "training tags dealt to other words: no more than the majority tag", level <= floor + SLACK, 100 * level
            ),
            learned.without("training tags dealt to other words", 100 * level),
            scarce.without("each Tamil word spelled at random", 100 * lost.mean(PAIR, TINY, 100)),
            Ablation(
                "gain on unseen over seen words, each word spelled at random",
                blind[0] - blind[1] <= GAIN,
                blind[0] - blind[1],
            ),
        ],
        metric="mean of accuracy and span F1 × 100",
        data=[folder for folder, _ in SETS.values()],
        seeds=SEEDS,
        figures=_figures(found) | {"dealt tags, majority tag": 100 * floor},
        note=(
            "The contextual host is Gemma 3 270M (layer 9 of 18, last piece of a word), frozen, in place of mBERT; "
            "multilingual-e5-small is there as sentence vectors only. Pieces and their skip-gram vectors come from the "
            "set's own training text without tags and up to a thousand sentences of bitext, not Wikipedia. A linear "
            f"layer brings the concatenation to 100 numbers. Sentences have {LONGEST} words at most, in Tamil any; "
            f"{HELD_OUT} are tested. Sizes 100 and 500 are measured on Tamil and Turkish only. Word shapes and hashed "
            "n-grams (in place of fastText) are reported; one table of pieces for all languages is not covered."
        ),
    )


def _gain(table: TaggingTable) -> tuple[float, float]:
    """Points of accuracy that characters add to subwords, on unseen and on seen words, beyond the smallest size."""
    larger = TaggingTable(tuple(row for row in table.rows if row.size > min(EPOCHS)))
    unseen, seen = (
        100 * (larger.mean(PAIR, column=column) - larger.mean(SUBWORDS, column=column)) for column in ("unseen", "seen")
    )
    return unseen, seen


def _grid(task: Task, combinations: Mapping[str, Combination], size: int, shuffled: bool = False) -> TaggingTable:
    tagger = clone(TAGGER).set_params(epochs=EPOCHS[size])
    return tagging_benchmark([task], combinations, [size], SEEDS, tagger, HELD_OUT, shuffled)


def _figures(found: TaggingTable) -> dict[str, float]:
    figures = {}
    for row in found.rows:
        where = f"{row.task}, {row.size}, {row.combination}"
        figures[where] = 100 * found.mean(row.combination, row.task, row.size)
        figures[f"{where}, unseen words"] = 100 * found.mean(row.combination, row.task, row.size, "unseen")
    return figures


def _task(folder: Path, name: str) -> Task:
    """The set, with at most 2,000 training sentences and none that is long; the tiny set is left whole."""
    task = read(folder)
    parts = {}
    for part in ("train", "dev", "test"):
        tags = task.parts[part]
        assert isinstance(tags, Tags)
        short = np.flatnonzero([name == TINY or len(sentence) <= LONGEST for sentence in tags.tags])
        parts[part] = tags.take(
            np.sort(np.random.default_rng(0).permutation(short)[: 2000 if part == "train" else None])
        )
    return Task("tagging", name, task.documents, parts=parts)


def _sentences(task: Task) -> list[tuple[str, ...]]:
    return [tuple(task.documents[row]) for row in task.parts["train"].rows]  # type: ignore[union-attr]


def _unlabelled(data: Path, name: str, task: Task) -> list[tuple[str, ...]]:
    """The words of the training part, and what the bitext has in the language."""
    code = SETS[name][1]
    other = "ara" if code == "eng" else code
    lines = (data / "bitext" / "tatoeba" / f"tatoeba.{other}-eng.{code}").read_text(encoding="utf-8").splitlines()
    word = re.compile(r"[^\s.,!?;:()\"«»]+|[.,!?;:()\"«»]")
    return [*_sentences(task), *(tuple(word.findall(line)) for line in lines)]


def _pieces(sentences: Sequence[Sequence[str]]) -> SubwordLSTM:
    """Byte-pair pieces of a text, with skip-gram vectors; one worker, so that two runs give the same."""
    need("gensim", "words")
    from gensim.models import Word2Vec

    tokenizer = train_pieces([word for sentence in sentences for word in sentence], PIECES)
    texts = [[piece for word in sentence for piece in tokenizer.encode(word).tokens] for sentence in sentences]
    model = Word2Vec(texts, vector_size=PIECE_DIM, window=5, min_count=1, sg=1, epochs=10, workers=1, seed=0)
    rng = np.random.default_rng(0)
    vectors: Floats = rng.normal(0, 0.1, (tokenizer.get_vocab_size(), PIECE_DIM)).astype(np.float32)
    for piece, number in tokenizer.get_vocab().items():
        if piece in model.wv:
            vectors[number] = model.wv[piece]
    return SubwordLSTM(PIECES, PIECE_DIM, PART_HIDDEN, 1, tokenizer=tokenizer, vectors=vectors)


def _respelled(task: Task) -> Task:
    """The same words, each with letters drawn at random: who a word is can be told, what it looks like cannot."""
    rng = np.random.default_rng(0)
    types = dict.fromkeys(word for words in task.documents for word in words)
    spelling = {word: "".join(rng.choice(list(ascii_lowercase), 8)) for word in types}
    documents = tuple(tuple(spelling[word] for word in words) for words in task.documents)
    return Task("tagging", task.name, documents, parts=task.parts)
