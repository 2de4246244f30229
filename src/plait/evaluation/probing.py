"""Probing tasks: does a vector tell what can be read off the sentence's tree?

Labels are computed from a treebank with dependencies and features, so that they can be had for any language of
Universal Dependencies.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plait.data.files import stem_of
from plait.data.sources import members, path_of
from plait.data.tasks import Labels, Part, Task
from plait.evaluation.treebank import Tree, Word, trees
from plait.types import DataError

LENGTH_BINS = (0, 8, 12, 16, 21, 28)
"""Lower edges of the classes of sentence length, in words: about a sixth of an English treebank each."""
DEPTH_BINS = (0, 4, 5, 6, 7)
"""Lower edges of the classes of tree depth, in words: about a fifth of an English treebank each."""
CONTENT_WORDS, COMMON = 30, 0.02
"""Words of which "WC" asks which one a sentence holds: the most frequent ones of the training part that no more than
this share of its sentences hold."""

PROBES = ("SentLen", "TreeDepth", "Tense", "SubjNum", "ObjNum", "BShift", "OMO", "CoordInv", "WC")
"""All probes, in the order in which they are made."""

Example: TypeAlias = tuple[str, str]
"""A text and its label."""


def probing_tasks(treebank: str | os.PathLike[str], seed: int = 0, probes: Sequence[str] | None = None) -> list[Task]:
    """The probing tasks of SentEval that a dependency treebank can give, as classifications.

    ``SentLen`` length in six classes; ``TreeDepth`` depth of the tree in five; ``Tense`` of the root verb; ``SubjNum``
    and ``ObjNum``, number of the root's subject and object; ``BShift``, whether two neighbouring words were exchanged;
    ``OMO``, whether a noun or verb was replaced by another one of the same features; ``CoordInv``, whether two clauses
    joined by a conjunction were exchanged; ``WC``, which one of the most frequent content words it holds. The texts of
    ``BShift``, ``OMO`` and ``CoordInv`` are words joined by blanks, changed or not, so that nothing but the words tells
    the classes apart. Depth goes with length: read ``TreeDepth`` beside ``SentLen``.

    Args:
        treebank: a CoNLL-U file, a folder with one for train, dev and test, or ``data:PATH``.
        seed: of what is exchanged and replaced.
        probes: names of those that are wanted; None takes all.

    Returns:
        Those tasks for which the treebank has at least two labels.

    Raises:
        DataError: if the treebank is not there or is damaged, or a probe is not known.

    Source: What you can cram into a single vector: Probing sentence embeddings for linguistic properties,
    arXiv 1805.01070.
    """
    chosen = PROBES if probes is None else tuple(probes)
    if unknown := sorted(set(chosen) - set(PROBES)):
        raise DataError(f"there is no probe {unknown[0]!r}; there are {', '.join(PROBES)}")
    where = path_of(treebank)
    parts = {part: trees(path) for part, path in members(where)}
    makers = _makers(next(iter(parts.values())), chosen, np.random.default_rng(seed))
    tasks = [_task(f"{stem_of(where)} {probe}", parts, makers[probe]) for probe in chosen]
    return [task for task in tasks if task is not None]


def _makers(
    first: Sequence[Tree], chosen: Sequence[str], rng: np.random.Generator
) -> dict[str, Callable[[Tree], Example | None]]:
    """What makes an example of a tree, for each probe; words and their twins come from the first part."""
    words = _content_words(first) if "WC" in chosen else set()
    twins = _twins(first) if "OMO" in chosen else {}
    return {
        "SentLen": lambda tree: (tree.text, _bin(len(tree.words), LENGTH_BINS)),
        "TreeDepth": lambda tree: (tree.text, _bin(tree.depth, DEPTH_BINS)),
        "Tense": _tense,
        "SubjNum": lambda tree: _number(tree, "nsubj"),
        "ObjNum": lambda tree: _number(tree, "obj"),
        "BShift": lambda tree: _shifted(tree, rng),
        "OMO": lambda tree: _replaced(tree, twins, rng),
        "CoordInv": lambda tree: _inverted(tree, rng),
        "WC": lambda tree: _content(tree, words),
    }


def _task(name: str, parts: Mapping[str, Sequence[Tree]], make: Callable[[Tree], Example | None]) -> Task | None:
    made = {part: [example for tree in found if (example := make(tree))] for part, found in parts.items()}
    if len({label for examples in made.values() for _, label in examples}) < 2:
        return None
    row: dict[str, int] = {}
    labelled: dict[str, Part] = {}
    for part, examples in made.items():
        rows = np.array([row.setdefault(text, len(row)) for text, _ in examples], np.int64)
        labelled[part] = Labels(rows, tuple(label for _, label in examples))
    return Task("classification", name, tuple(row), parts=labelled)


def _bin(value: int, edges: Sequence[int]) -> str:
    return str(int(np.searchsorted(edges, value, side="right")))


def _tense(tree: Tree) -> Example | None:
    root = tree.words[tree.root]
    label = root.features.get("Tense") if root.upos == "VERB" else None
    return (tree.text, label) if label else None


def _number(tree: Tree, relation: str) -> Example | None:
    word = tree.child(tree.root, relation)
    label = word.features.get("Number") if word else None
    return (tree.text, label) if label else None


def _shifted(tree: Tree, rng: np.random.Generator) -> Example | None:
    forms = [word.form for word in tree.words]
    places = [n for n in range(len(forms) - 1) if "PUNCT" not in (tree.words[n].upos, tree.words[n + 1].upos)]
    places = [n for n in places if forms[n].lower() != forms[n + 1].lower()]
    if not places:
        return None
    exchange, place = bool(rng.integers(2)), places[int(rng.integers(len(places)))]
    if exchange:
        forms[place : place + 2] = forms[place + 1], forms[place]
    return " ".join(forms), "exchanged" if exchange else "as written"


def _key(word: Word) -> tuple[str, tuple[tuple[str, str], ...]]:
    return word.upos, tuple(sorted(word.features.items()))


def _twins(found: Sequence[Tree]) -> dict[object, NDArray[np.str_]]:
    """Forms of nouns and verbs by part of speech and features, each as often as it occurs, where there are several."""
    twins: dict[object, list[str]] = defaultdict(list)
    for tree in found:
        for word in tree.words:
            if word.upos in ("NOUN", "VERB"):
                twins[_key(word)].append(word.form.lower())
    return {key: np.array(forms) for key, forms in twins.items() if len(set(forms)) > 1}


def _replaced(tree: Tree, twins: Mapping[object, NDArray[np.str_]], rng: np.random.Generator) -> Example | None:
    forms = [word.form for word in tree.words]
    places = [n for n, word in enumerate(tree.words) if _key(word) in twins]
    if not places:
        return None
    replace, place = bool(rng.integers(2)), places[int(rng.integers(len(places)))]
    if replace:
        twin = old = forms[place].lower()
        while twin == old:
            twin = str(rng.choice(twins[_key(tree.words[place])]))
        forms[place] = twin
    return " ".join(forms), "replaced" if replace else "as written"


def _inverted(tree: Tree, rng: np.random.Generator) -> Example | None:
    """Two whole clauses around one conjunction, the second one hanging on the root."""
    split = next((place for place, word in enumerate(tree.words) if _joins_clauses(tree, place, word)), None)
    if split is None:
        return None
    forms = [word.form.lower() for word in tree.words]  # a capital would tell where the sentence began
    end = len(forms) - (tree.words[-1].upos == "PUNCT")
    first = forms[: split - (tree.words[split - 1].upos == "PUNCT")]
    invert = bool(rng.integers(2))
    clauses = [forms[split + 1 : end], first] if invert else [first, forms[split + 1 : end]]
    text = " ".join([*clauses[0], forms[split], *clauses[1], *forms[end:]])
    return text, "exchanged" if invert else "as written"


def _joins_clauses(tree: Tree, place: int, word: Word) -> bool:
    if word.relation != "cc" or not tree.root < place < len(tree.words) - 1:
        return False
    joined = tree.words[word.head - 1]
    whole = all(tree.child(verb, "nsubj") for verb in (tree.root, word.head - 1))
    return joined.relation == "conj" and joined.head == tree.root + 1 and whole


def _content_words(found: Sequence[Tree]) -> set[str]:
    open_classes = ("NOUN", "VERB", "ADJ", "ADV", "PROPN")
    counts = Counter(
        form for tree in found for form in {word.form.lower() for word in tree.words if word.upos in open_classes}
    )
    rare = Counter({form: count for form, count in counts.items() if count <= COMMON * len(found)})
    return {form for form, _ in rare.most_common(CONTENT_WORDS)}


def _content(tree: Tree, words: set[str]) -> Example | None:
    held = {word.form.lower() for word in tree.words} & words
    return (tree.text, next(iter(held))) if len(held) == 1 else None
