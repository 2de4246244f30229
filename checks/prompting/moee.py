"""Router weights of a small mixture of experts beside its hidden states: similarity, clusters, prompts, classes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from _moe import language_model
from _probes import Split, accuracy
from _scan import Pair, stsb, table
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score, v_measure_score

from plait.encoders.transformer import Transformer
from plait.layers.router import RouterWeights
from plait.papers import Claim, Outcome
from plait.plan import run
from plait.pooling.single import LastPool
from plait.step import unit_rows
from plait.transforms.standardize import Standardize
from plait.types import Floats

QUOTED, EOL = '"{text}"', "prompteol"
"""No prompt, as the authors' code has it: the text between quotes, whose closing one is the last token."""
PROMPTS = (
    QUOTED,
    EOL,
    'The sentence "{text}" is about',
    'In other words, "{text}" says that',
    'The most important word of "{text}" is',
    'He said: "{text}" and by this he meant',
)
DEV, SICK, FOR_PROMPTS = 600, 1000, 400
TRAIN, HELD_OUT, QUESTIONS = 700, 700, 1500
ALPHAS = (0.25, 0.5, 1.0, 2.0, 4.0)
CLUSTERS_APART, BUSY = 0.6, 0.5
SEED = 0
Sides = tuple[Floats, Floats]


def check(data: Path) -> Outcome:
    sets = _sets(data)
    folder = str(language_model(data, "experts"))
    read = {prompt: Read(Transformer(folder, prompts=prompt), sets) for prompt in (QUOTED, EOL)}
    plain, asked = read[QUOTED].similarity(), read[EOL].similarity()
    main = Claim.above("similarities of states and routers added beat the better of them, no prompt", *plain.pair)
    eol = Claim.above("similarities of states and routers added beat the better of them, PromptEOL", *asked.pair)
    hidden, routed = _prompt_agreement(folder, sets)
    clusters, apart = read[QUOTED].clusters(sets)
    busy = read[QUOTED].least_busy()
    dense = Read(Transformer(str(language_model(data, "dense")), prompts=QUOTED), sets, routers=False)
    with _other_routers(Transformer(folder, prompts=QUOTED)) as host:
        control = Read(host, sets).similarity()
    return Outcome(
        [
            main,
            eol,
            Claim("clusters of routers are not those of states (AMI below 0.6)", apart < CLUSTERS_APART, apart, 0.6, 0),
            Claim.above("routers depend less on the prompt than states (rank correlation)", routed, hidden),
            Claim("experts are in use: entropy of each router's mean above half its most", busy > BUSY, busy, BUSY, 0),
        ],
        [
            main.without("routers of other texts, no prompt", plain.shuffled),
            eol.without("routers of other texts, PromptEOL", asked.shuffled),
        ],
        metric="Spearman × 100, mean of STS-B test and SICK",
        data=[
            "sts/stsb",
            "sts/sick",
            *(f"classification/{name}" for name in ("cr", "subj", "trec")),
            "text/classic_books",
        ],
        seeds=[SEED],
        figures={
            **plain.figures("no prompt"),
            **asked.figures("PromptEOL"),
            **control.figures("no prompt, random routers"),
            "states of a dense model of the same size, no prompt": dense.states_alone(),
            **clusters,
            **read[QUOTED].classes(sets),
        },
        note=(
            "A mixture of 16 experts in 4 blocks, 3.9 million weights, trained for a million tokens, stands for the "
            "models of billions: figures are far below the published. States and routers each come plain or "
            "standardised, routers as probabilities or logits, and α from a grid; all of it is chosen on STS-B dev. "
            "No mixture of experts of a usual size is at hand to repeat the published figures with."
        ),
    )


@dataclass(frozen=True)
class Sets:
    """What is read: pairs by name, labelled texts by name, questions."""

    pairs: dict[str, list[Pair]]
    classes: dict[str, tuple[Split, Split]]
    questions: Split

    def texts(self) -> list[str]:
        """All texts, each once."""
        found = [side for pairs in self.pairs.values() for pair in pairs for side in pair[:2]]
        found += [text for parts in self.classes.values() for part in parts for text in part.texts]
        return list(dict.fromkeys([*found, *self.questions.texts]))


def _sets(data: Path) -> Sets:
    rng = np.random.default_rng(SEED)
    dev, sick = stsb(data, "dev"), table(data / "sts" / "sick" / "train.tsv")
    drawn = [sick[n] for n in rng.permutation(len(sick))[:SICK].tolist()]
    pairs = {
        "dev": [dev[n] for n in rng.permutation(len(dev))[:DEV].tolist()],
        "stsb": stsb(data, "test"),
        "sick": [(row["sentence1"], row["sentence2"], float(row["relatedness"])) for row in drawn],
    }
    classes = {}
    for name in ("cr", "subj"):
        rows = table(data / "classification" / f"{name}.tsv")
        both = Split([row["text"] for row in rows], [row["label"] for row in rows]).sample(TRAIN + HELD_OUT, SEED)
        classes[name] = Split(both[0][:TRAIN], both[1][:TRAIN]), Split(both[0][TRAIN:], both[1][TRAIN:])
    trec = table(data / "classification" / "trec" / "train.tsv")
    questions = Split([row["text"] for row in trec], [row["coarse"] for row in trec]).sample(QUESTIONS, SEED)
    return Sets(pairs, classes, questions)


@dataclass(frozen=True)
class Similarity:
    """Spearman × 100, mean of the test sets; ``shuffled`` with routers of other texts."""

    states: float
    routers: float
    added: float
    joined: float
    shuffled: float
    alpha: float

    @property
    def best(self) -> float:
        return max(self.states, self.routers)

    @property
    def pair(self) -> tuple[float, float]:
        """Figure and baseline."""
        return self.added, self.best

    def figures(self, name: str) -> dict[str, float]:
        """All numbers, by what they are."""
        return {f"{name}, {what}": value for what, value in vars(self).items()}


class Read:
    """States and routers' weights at the last token, in all forms that may be chosen.

    Args:
        host: with its prompt.
        sets: what is read.
        routers: whether the host has any.
    """

    def __init__(self, host: Transformer, sets: Sets, routers: bool = True) -> None:
        texts = sets.texts()
        self.row = {text: number for number, text in enumerate(texts)}
        self.sets = sets
        vectors = last_tokens(host, texts, routers)
        learn = [self.row[side] for pair in sets.pairs["dev"] for side in pair[:2]]
        self.vectors = vectors | {
            f"{name}, standardised": Standardize().fit(values[learn]).transform(values)
            for name, values in vectors.items()
        }
        self.chosen = {kind: self._choose(kind) for kind in ("states", "routers") if kind == "states" or routers}

    def states_alone(self) -> float:
        return self._tested(lambda pairs: self._cosines(self.chosen["states"], pairs))

    def similarity(self) -> Similarity:
        states, routers = self.chosen["states"], self.chosen["routers"]
        other = np.random.default_rng(SEED).permutation(len(self.row))

        def added(alpha: float, order: Any = slice(None)) -> Any:
            return lambda pairs: self._cosines(states, pairs) + alpha * self._cosines(routers, pairs, order)

        def joined(pairs: Sequence[Pair]) -> Floats:
            whole = np.hstack([self.vectors["states, standardised"], self.vectors[f"{self._kind()}, standardised"]])
            return _cosine(*self._sides(whole, pairs))

        alpha = max(ALPHAS, key=lambda value: _spearman(added(value), self.sets.pairs["dev"]))
        return Similarity(
            states=self.states_alone(),
            routers=self._tested(lambda pairs: self._cosines(routers, pairs)),
            added=self._tested(added(alpha)),
            joined=self._tested(joined),
            shuffled=self._tested(added(alpha, other)),
            alpha=alpha,
        )

    def clusters(self, sets: Sets) -> tuple[dict[str, float], float]:
        """V-measure × 100 of clusters of questions, and the AMI between those of states and of routers."""
        rows = [self.row[text] for text in sets.questions.texts]
        given = {kind: unit_rows(self.vectors[name][rows]) for kind, name in self.chosen.items()}
        given["joined"] = np.hstack(list(given.values()))
        said = {name: _clusters(values, SEED) for name, values in given.items()}
        figures = {
            f"V-measure × 100 of questions, {name}": 100 * v_measure_score(sets.questions.labels, labels)
            for name, labels in said.items()
        }
        again = _clusters(given["states"], SEED + 1)
        figures["AMI of two clusterings of states"] = adjusted_mutual_info_score(said["states"], again)
        apart = float(adjusted_mutual_info_score(said["states"], said["routers"]))
        return figures, apart

    def classes(self, sets: Sets) -> dict[str, float]:
        """Accuracy × 100 of linear heads, and of the mean of the two heads' probabilities."""
        found: dict[str, float] = {}
        for task, (train, test) in sets.classes.items():
            said = []
            for kind, name in self.chosen.items():
                given = [self.vectors[name][[self.row[text] for text in part.texts]] for part in (train, test)]
                found[f"{task}, {kind}"] = accuracy(given[0], train.labels, given[1], test.labels)
                scaled = Standardize().fit(given[0])
                head = LogisticRegression(C=0.01, max_iter=300).fit(scaled.transform(given[0]), train.labels)
                said.append(head.predict_proba(scaled.transform(given[1])))
            best = head.classes_[sum(said).argmax(axis=1)]
            found[f"{task}, added"] = 100 * float((best == np.array(test.labels)).mean())
        return found

    def least_busy(self) -> float:
        """The lowest entropy of a router's mean weights, as a share of the most it can be."""
        mean = self.vectors["routers"].mean(axis=0).astype(np.float64).reshape(-1, 16)
        return float((-(mean * np.log(mean)).sum(axis=1) / np.log(16)).min())

    def _kind(self) -> str:
        return self.chosen["routers"].removesuffix(", standardised")

    def _choose(self, kind: str) -> str:
        names = [name for name in self.vectors if name.startswith(kind)]
        return max(names, key=lambda name: _spearman(lambda p: self._cosines(name, p), self.sets.pairs["dev"]))

    def _tested(self, cosines: Any) -> float:
        return float(np.mean([_spearman(cosines, self.sets.pairs[name]) for name in ("stsb", "sick")]))

    def _cosines(self, name: str, pairs: Sequence[Pair], order: Any = slice(None)) -> Floats:
        return _cosine(*self._sides(self.vectors[name][order], pairs))

    def _sides(self, values: Floats, pairs: Sequence[Pair]) -> Sides:
        left, right = ([self.row[pair[side]] for pair in pairs] for side in (0, 1))
        return values[left], values[right]


def last_tokens(host: Transformer, texts: Sequence[str], routers: bool = True) -> dict[str, Floats]:
    """States and routers' weights at the last token, in one pass."""
    chains = {"states": host | LastPool()}
    if routers:
        chains["routers"] = host | RouterWeights() | LastPool()
        chains["routers, logits"] = host | RouterWeights("logits") | LastPool()
    vectors, _ = run([strand for chain in chains.values() for strand in chain.strands()], texts)
    return {name: vectors[str(chain)] for name, chain in chains.items()}


def _prompt_agreement(folder: str, sets: Sets) -> tuple[float, float]:
    """Mean rank correlation of the pairs' similarities under two prompts: of states, of routers."""
    pairs = sets.pairs["dev"][:FOR_PROMPTS]
    texts = list(dict.fromkeys(side for pair in pairs for side in pair[:2]))
    row = {text: number for number, text in enumerate(texts)}
    sides = [[row[pair[side]] for pair in pairs] for side in (0, 1)]
    found: dict[str, list[Floats]] = {"states": [], "routers": []}
    for prompt in PROMPTS:
        vectors = last_tokens(Transformer(folder, prompts=prompt), texts)
        for kind, cosines in found.items():
            values = Standardize().fit(vectors[kind]).transform(vectors[kind])
            cosines.append(_cosine(values[sides[0]], values[sides[1]]))
    means = [np.mean([spearmanr(a, b).statistic for a, b in combinations(of, 2)]) for of in found.values()]
    return float(means[0]), float(means[1])


@contextlib.contextmanager
def _other_routers(host: Transformer) -> Iterator[Transformer]:
    """Experts are chosen as they were, but what is read are random projections of the same states."""
    import torch

    random = torch.Generator().manual_seed(SEED)
    handles = []
    for module, index in host.host.routers:
        weight = module.weight.std() * torch.randn(module.weight.shape, generator=random)

        def replaced(module: Any, args: Any, out: Any, weight: Any = weight, index: int = index) -> Any:
            states = args[0].reshape(-1, weight.shape[1])
            return (*out[:index], states @ weight.T.to(states), *out[index + 1 :])

        handles.append(module.register_forward_hook(replaced))
    try:
        yield host
    finally:
        for handle in handles:
            handle.remove()


def _clusters(values: Floats, seed: int) -> np.ndarray:
    labels: np.ndarray = KMeans(6, n_init=10, random_state=seed).fit_predict(values)
    return labels


def _cosine(left: Floats, right: Floats) -> Floats:
    cosines: Floats = np.einsum("ij,ij->i", unit_rows(left), unit_rows(right))
    return cosines


def _spearman(cosines: Any, pairs: Sequence[Pair]) -> float:
    return 100 * float(spearmanr(cosines(pairs), [pair[2] for pair in pairs]).statistic)
