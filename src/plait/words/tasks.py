"""The small tasks that all rungs of the ladder are measured on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plait.data.tasks import Labels, Pairs, Task
from plait.types import DataError
from plait.words.embedders import Embedder
from plait.words.rungs import Rung
from plait.words.vocabulary import Matrix


class Scored(Protocol):
    """A task that an embedder is scored on."""

    def score(self, embedder: Embedder) -> float:
        """Higher is better."""
        ...


@dataclass(frozen=True, eq=False)
class WordPairs:
    """Pairs of words with a graded similarity, scored by Spearman × 100 of the cosine; 0 if all cosines are equal.

    Args:
        pairs: two words and their score.

    Example:
        >>> pairs = WordPairs([("owl", "bat", 3.0), ("owl", "tax", 0.5), ("bat", "tax", 0.1)])
        >>> len(pairs.within({"owl": 0, "bat": 1}).pairs), round(pairs.coverage({"owl": 0, "bat": 1}), 2)
        (1, 0.33)
    """

    pairs: Sequence[tuple[str, str, float]]

    def within(self, vocabulary: Mapping[str, int]) -> WordPairs:
        """The pairs both of whose words are known; compare tables on those, or the larger vocabulary wins."""
        return WordPairs([pair for pair in self.pairs if pair[0] in vocabulary and pair[1] in vocabulary])

    def coverage(self, vocabulary: Mapping[str, int]) -> float:
        """Share of the pairs both of whose words are known."""
        return len(self.within(vocabulary).pairs) / len(self.pairs)

    def score(self, embedder: Embedder) -> float:
        """Spearman × 100."""
        left, right = embedder.words([a for a, _, _ in self.pairs]), embedder.words([b for _, b, _ in self.pairs])
        return _spearman(left, right, [score for _, _, score in self.pairs])


@dataclass(frozen=True, eq=False)
class Analogies:
    """Questions a : b = c : ?, answered by the word next to b − a + c, the three left out; accuracy × 100.

    Args:
        questions: four words each.
        candidates: words that may be the answer; all words of the questions are, whatever stands here.
    """

    questions: Sequence[tuple[str, str, str, str]]
    candidates: Sequence[str] = ()

    def within(self, vocabulary: Mapping[str, int]) -> Analogies:
        """The questions all of whose words are known."""
        known = [question for question in self.questions if all(word in vocabulary for word in question)]
        return Analogies(known, [word for word in self.candidates if word in vocabulary])

    def score(self, embedder: Embedder) -> float:
        """Accuracy × 100."""
        words = list(dict.fromkeys([*self.candidates, *(word for question in self.questions for word in question)]))
        row = {word: number for number, word in enumerate(words)}
        table = _unit(embedder.words(words))
        a, b, c, answer = np.array([[row[word] for word in question] for question in self.questions]).T
        closeness = (table[b] - table[a] + table[c]) @ table.T
        scores = np.asarray(closeness.todense()) if hasattr(closeness, "todense") else closeness
        for asked in (a, b, c):
            scores[np.arange(len(scores)), asked] = -np.inf
        best = scores == scores.max(axis=1, keepdims=True)
        # A tie says nothing: one-hot vectors put every other word equally far away.
        return 100 * float(np.mean(best[np.arange(len(best)), answer] & (best.sum(axis=1) == 1)))


@dataclass(frozen=True, eq=False)
class Similarity:
    """Texts in pairs: Spearman × 100 of the cosine on the test part (or on all) of an STS task."""

    task: Task

    def score(self, embedder: Embedder) -> float:
        """Spearman × 100."""
        part = self.task.parts.get("test") or self.task.parts["all"]
        assert isinstance(part, Pairs)
        left, right = ([str(self.task.documents[row]) for row in rows] for rows in (part.left, part.right))
        return _spearman(embedder.encode(left), embedder.encode(right), part.score.tolist())


@dataclass(frozen=True, eq=False)
class Classes:
    """Texts with a class: accuracy × 100 on test of a logistic regression on unit rows, learned from train."""

    task: Task

    def score(self, embedder: Embedder) -> float:
        """Accuracy × 100."""
        from sklearn.linear_model import LogisticRegression

        found = []
        for name in ("train", "test"):
            part = self.task.parts[name]
            assert isinstance(part, Labels)
            found.append((_unit(embedder.encode([str(self.task.documents[n]) for n in part.rows])), part.labels))
        (train, labels), (test, gold) = found
        # Unit rows are short: a weak penalty lets the weights grow as long as the classes need.
        return 100 * float(LogisticRegression(C=100, max_iter=1000).fit(train, labels).score(test, gold))


@dataclass(frozen=True)
class RungTable:
    """What `compare_rungs` measured: one row a rung."""

    rows: tuple[Mapping[str, float | str], ...]

    def table(self) -> list[dict[str, float | str]]:
        """One row a rung; ``pandas.DataFrame(result.table())`` is the same as a frame."""
        return [dict(row) for row in self.rows]

    def to_json(self) -> str:
        """The table as JSON."""
        return json.dumps(self.table(), indent=1, allow_nan=False)

    def plot(self, column: str) -> dict[str, object]:
        """One score over the bytes that it costs, as a Vega-Lite chart."""
        fields = {"x": ("bytes", "quantitative"), "y": (column, "quantitative"), "text": ("rung", "nominal")}
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "data": {"values": self.table()},
            "mark": {"type": "text"},
            "encoding": {channel: {"field": field, "type": kind} for channel, (field, kind) in fields.items()},
        }

    def of(self, rung: str, column: str) -> float:
        """One figure.

        Raises:
            DataError: if it was not measured.
        """
        for row in self.rows:
            if row["rung"] == rung and column in row:
                return float(row[column])
        raise DataError(
            f"{column!r} of {rung!r} was not measured; there are {', '.join(str(r['rung']) for r in self.rows)}"
        )


def compare_rungs(ladder: Mapping[str, Rung], tasks: Mapping[str, Scored | Task]) -> RungTable:
    """Score every rung on every task.

    Args:
        ladder: what `ladder` built.
        tasks: by the name of their column: `WordPairs`, `Analogies`, or tasks of the kinds "sts" and "classification".

    Returns:
        A row for each rung: the scores, bytes and seconds of building.

    Raises:
        DataError: for a task of another kind.

    Example:
        >>> from plait.words import ladder
        >>> corpus = [["owls", "fly", "at", "night"], ["bats", "fly", "at", "night"], ["bats", "sleep"]] * 5
        >>> pairs = WordPairs([("owls", "bats", 4.0), ("owls", "sleep", 1.0), ("fly", "sleep", 0.5)])
        >>> table = compare_rungs(ladder(corpus, ["bag of words", "ppmi-svd"], dim=2), {"pairs": pairs})
        >>> table.of("bag of words", "pairs"), table.of("bag of words", "bytes")
        (0.0, 0.0)
    """
    scored = {name: _scored(task) for name, task in tasks.items()}
    rows: list[dict[str, float | str]] = []
    for name, rung in ladder.items():
        scores = {column: task.score(rung.embedder) for column, task in scored.items()}
        rows.append({"rung": name, **scores, "bytes": rung.nbytes, "seconds": rung.seconds})
    return RungTable(tuple(rows))


def _scored(task: Scored | Task) -> Scored:
    if not isinstance(task, Task):
        return task
    kinds: dict[str, Callable[[Task], Scored]] = {"sts": Similarity, "classification": Classes}
    if task.kind not in kinds:
        raise DataError(f"{task.name} is a {task.kind} task; the ladder is measured on {' and '.join(kinds)}")
    return kinds[task.kind](task)


def _unit(rows: Matrix) -> Matrix:
    from sklearn.preprocessing import normalize

    return normalize(rows)


def _spearman(left: Matrix, right: Matrix, gold: Sequence[float]) -> float:
    from scipy.sparse import issparse
    from scipy.stats import spearmanr

    left, right = _unit(left), _unit(right)
    cosines = np.asarray(left.multiply(right).sum(axis=1)).ravel() if issparse(left) else (left * right).sum(axis=1)
    # Equal cosines come out of float sums unequal in the last digit; ranks would make an order of that noise.
    cosines = cosines.round(6)
    return 0.0 if np.ptp(cosines) == 0 else 100 * float(spearmanr(cosines, gold).statistic)
