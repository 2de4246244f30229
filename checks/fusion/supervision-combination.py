"""Sentence vectors taught by inference and by dictionary definitions: where each is good, and what both add up to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from _probes import Split, accuracy, treebank
from _scan import skips_first_token, table
from scipy.stats import chi2
from torch import nn

from plait.encoders.transformer import Transformer
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare
from plait.evaluation.strata import Strata, stratify
from plait.fusion.average import Average
from plait.layers.single import Layer
from plait.papers import Ablation, Claim, Outcome
from plait.plan import run
from plait.pooling.mean import MeanPool
from plait.roles import Transform
from plait.step import Composite, Concat, unit_rows
from plait.training import DefinitionLoss, InfoNCE, Schedule, train
from plait.types import Floats

HOST, LAYER = "gemma-3-270m", 16
"""The layer is the one of seven whose averaged tokens do best on STS-B's dev pairs, untuned."""
INFERENCE, DEFINITIONS = 2500, 5000
"""Premises with a hypothesis that follows and one that contradicts; definitions of words that are one token."""
SIGNALS = ["inference", "definitions"]
BATCH, LR, TEMPERATURE, EPOCHS = 128, 1e-3, 0.05, 15
PAIRS = 4000
"""Pairs of STS-B, of all its parts: nothing is tuned on them."""
TRAIN, HELD_OUT = 600, 400
"""Texts of each downstream task and probe."""
SEEDS = (0, 1, 2)
RESAMPLES = 500
WORDNET = Path(os.environ.get("WNSEARCHDIR", "/usr/share/wordnet"))
"""WordNet's dictionary files; its own variable names the folder, and Debian's wordnet-base fills this one."""

Batch = tuple[str, np.ndarray]


def check(data: Path) -> Outcome:
    bed = Bed(data)
    recipes = {seed: bed.recipes(seed) for seed in SEEDS}
    scores = {seed: {name: bed.scores(recipe) for name, recipe in found.items()} for seed, found in recipes.items()}
    mean = {
        name: {task: float(np.mean([scores[seed][name][task] for seed in SEEDS])) for task in ("sts", "downstream")}
        for name in scores[SEEDS[1]]
    }
    claims = {
        (how, task): Claim.above(
            f"the {how} is better than each alone, {label}",
            mean[how][task],
            max(mean["inference"][task], mean["definitions"][task]),
        )
        for task, label in (("sts", "similarity"), ("downstream", "downstream"))
        for how in ("average", "concatenation")
    }
    strata, shuffled = bed.strata(recipes[SEEDS[0]])
    return Outcome(
        [*claims.values(), *strata, bed.whole(recipes[SEEDS[0]]["inference"])],
        [
            *(
                claims["average", task].without(
                    f"definitions of other words, {task}", mean["with shuffled definitions"][task]
                )
                for task in ("sts", "downstream")
            ),
            *(_twice(mean, task) for task in ("sts", "downstream")),
            shuffled,
        ],
        metric="Spearman × 100, mean of STS-B and SICK",
        data=["sts/stsb", "sts/sick", "nli/snli", "classification", "ud/en_lines"],
        seeds=list(SEEDS),
        figures=bed.figures
        | {f"{name}, {task}": value for name, found in mean.items() for task, value in found.items()}
        | {
            f"{name}, {task}, seed {SEEDS[0]}": value
            for name, found in scores[SEEDS[0]].items()
            for task, value in found.items()
        },
        note=(
            f"In a first run maps that began at random and took a fixed number of epochs learned nothing of the words; "
            "since then they begin where the host is, and held-out examples say when to stop. "
            f"Linear maps on the averaged tokens of layer {LAYER} of {HOST}, which stays frozen, stand for fine-tuned "
            f"hosts. Definitions are WordNet's, of {len(bed.words)} words that are one token; they are told apart by "
            "the model's own output rows. Captions in STS-B and the premises of SNLI are of the same kind, which "
            "favours inference there. No pairs of definitions are at hand: that the definition signal is the "
            "stronger one on dictionary sources is not covered."
        ),
    )


def _twice(mean: Mapping[str, Mapping[str, float]], task: str) -> Ablation:
    """Two seeds of one signal must gain less than two signals."""
    alone = mean["inference"][task]
    gains = [mean[name][task] - alone for name in ("inference twice", "average")]
    return Ablation(f"inference combined with itself, {task}: gain", gains[0] < gains[1], gains[0])


class Tower(nn.Module):
    """A linear map on the host's vectors, standardised; it starts where the host is."""

    def __init__(self, known: Floats) -> None:
        super().__init__()
        self.centre = torch.from_numpy(known.mean(axis=0))
        self.scale = torch.from_numpy(known.std(axis=0) + 1e-6)
        self.linear = nn.Linear(known.shape[1], known.shape[1])
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.linear((vectors - self.centre) / self.scale)  # type: ignore[no-any-return]


class LinearMap(Transform):
    """What a tower has learned, as a step.

    Args:
        name: tells one map from another.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def learned(self, tower: Tower) -> Self:
        with torch.no_grad():
            weight = tower.linear.weight / tower.scale
            self.weight_, self.bias_ = weight.numpy(), (tower.linear.bias - weight @ tower.centre).numpy()
        return self

    def transform(self, X: Floats) -> Floats:
        return np.asarray(X @ self.weight_.T + self.bias_, np.float32)


class Pairs(NamedTuple):
    """Sentence pairs with their score and where they come from."""

    left: list[str]
    right: list[str]
    score: list[float]
    source: list[str]

    @property
    def overlap(self) -> np.ndarray:
        words = [[set(text.lower().split()) for text in side] for side in (self.left, self.right)]
        return np.array([len(a & b) / max(1, len(a | b)) for a, b in zip(*words, strict=True)])


class Bed:
    """What is taught and tested, and the host's vector of every text."""

    def __init__(self, data: Path) -> None:
        self.encoder = skips_first_token(Transformer(HOST, max_length=64, dtype="bfloat16"))
        self.pairs = {"stsb": _stsb(data), "sick": _sick(data)}
        self.tasks, self.probes = _tasks(data), _probes(data)
        self.triples = _triples(data)
        tested = {text for pairs in self.pairs.values() for text in (*pairs.left, *pairs.right)}
        self.definitions, ids = _definitions(self.encoder, tested)
        self.words = sorted(set(ids))
        self.targets = np.searchsorted(self.words, ids)
        embedding = self.encoder.host.model.get_input_embeddings().weight
        self.predicts = DefinitionLoss(embedding[torch.tensor(self.words)].float())
        texts = [text for triple in self.triples for text in triple] + self.definitions + sorted(tested)
        texts += [text for parts in (*self.tasks.values(), *self.probes.values()) for part in parts for text in part[0]]
        chain = self.encoder | Layer(LAYER) | MeanPool()
        unique = list(dict.fromkeys(texts))
        self.row = {text: number for number, text in enumerate(unique)}
        self.strand = next(chain.strands())
        self.vectors = run([self.strand], unique)[0][self.strand.text]
        self.figures: dict[str, float] = {}

    def given(self, texts: Sequence[str]) -> Floats:
        return self.vectors[[self.row[text] for text in texts]]

    def recipes(self, seed: int) -> dict[str, Composite]:
        """What is compared; the two signals in one training come in the first seed only."""
        taught = {
            "inference": self.taught(seed, ["inference"]),
            "inference again": self.taught(seed + 100, ["inference"]),
            "definitions": self.taught(seed, ["definitions"]),
            "shuffled definitions": self.taught(seed, ["definitions"], shuffled=True),
        }
        if seed == SEEDS[0]:
            taught |= {
                "inference, then definitions": self.taught(seed, ["inference", "definitions"]),
                "definitions, then inference": self.taught(seed, ["definitions", "inference"]),
                "both in turns": self.taught(seed, ["both"]),
            }
        found: dict[str, Composite] = {
            name: self.encoder | Layer(LAYER) | MeanPool() | LinearMap(name).learned(tower)
            for name, tower in taught.items()
        }
        a, again, b, shuffled = (found[name] for name in list(taught)[:4])
        return found | {
            "average": Average([a, b], normalize=True),
            "concatenation": Concat([a, b]),
            "inference twice": Average([a, again], normalize=True),
            "with shuffled definitions": Average([a, shuffled], normalize=True),
        }

    def taught(self, seed: int, signals: Sequence[str], shuffled: bool = False) -> Tower:
        """A tower that learned from the signals, one after the other, or from both in turns.

        A tenth of each signal's examples says when to stop.
        """
        used = SIGNALS if "both" in signals else [kind for kind in SIGNALS if kind in signals]
        texts = {"inference": [text for triple in self.triples for text in triple], "definitions": self.definitions}
        tower = Tower(self.given([text for kind in used for text in texts[kind]]))
        sides = [torch.from_numpy(self.given([triple[n] for triple in self.triples])) for n in range(3)]
        glosses, targets = torch.from_numpy(self.given(self.definitions)), torch.from_numpy(self.targets)
        if shuffled:
            targets = targets[torch.from_numpy(np.random.default_rng(seed).permutation(len(targets)))]
        contrast = InfoNCE(TEMPERATURE)
        held = {"inference": len(self.triples) // 10, "definitions": len(self.definitions) // 10}
        size = {"inference": len(self.triples), "definitions": len(self.definitions)}

        def loss(batch: Batch) -> torch.Tensor:
            kind, rows = batch
            if kind == "definitions":
                return self.predicts(tower(glosses[rows]), targets[rows])  # type: ignore[no-any-return]
            anchors, positives, negatives = (tower(side[rows]) for side in sides)
            return contrast(anchors, positives, negatives[:, None])  # type: ignore[no-any-return]

        def batches(kinds: Sequence[str], epoch: int) -> list[Batch]:
            rng, found = np.random.default_rng([seed, epoch]), list[Batch]()
            for kind in kinds:
                order = held[kind] + rng.permutation(size[kind] - held[kind])
                found += [(kind, order[start : start + BATCH]) for start in range(0, len(order) - BATCH + 1, BATCH)]
            return [found[n] for n in rng.permutation(len(found))]

        for signal in signals:
            kinds = SIGNALS if signal == "both" else [signal]
            train(
                tower,
                lambda epoch, kinds=kinds: batches(kinds, epoch),  # type: ignore[misc]
                loss,
                dev=lambda kinds=kinds: -sum(loss((kind, np.arange(held[kind]))).item() for kind in kinds),  # type: ignore[misc]
                schedule=Schedule(EPOCHS, LR, patience=2, seed=seed),
            )
        if list(signals) == ["definitions"]:
            with torch.no_grad():
                logits = self.predicts.logits(tower(glosses[: held["definitions"]]))
            true = logits.gather(1, targets[: len(logits), None])
            kind = "shuffled words" if shuffled else "words"
            self.figures[f"held-out definitions, {kind} ranked lower, %, seed {seed}"] = 100 * float(
                (logits < true).float().mean()
            )
        return tower

    def encode(self, recipe: Composite, texts: Sequence[str]) -> Floats:
        return np.asarray(recipe.weave({self.strand.text: self.given(texts)}), np.float32)

    def similarity(self, recipe: Composite, name: str) -> Score:
        pairs = self.pairs[name]
        left, right = (unit_rows(self.encode(recipe, side)) for side in pairs[:2])
        return Score.of("spearman", "spearman", np.einsum("ij,ij->i", left, right), np.array(pairs.score))

    def scores(self, recipe: Composite) -> dict[str, float]:
        """Similarity, downstream and probing, × 100."""
        similarity = {name: 100 * self.similarity(recipe, name).value for name in self.pairs}

        def probed(parts: tuple[Split, Split]) -> float:
            train_vectors, test_vectors = (self.encode(recipe, part.texts) for part in parts)
            return accuracy(train_vectors, parts[0].labels, test_vectors, parts[1].labels)

        downstream = {name: probed(parts) for name, parts in (self.tasks | self.probes).items()}
        means = {"sts": [*similarity.values()], "downstream": [downstream[name] for name in self.tasks]}
        return similarity | downstream | {name: float(np.mean(values)) for name, values in means.items()}

    def strata(self, recipes: Mapping[str, Composite]) -> tuple[list[Claim], Ablation]:
        """Whether the lead of inference over definitions differs between sources, and between overlaps."""
        scores = [self.similarity(recipes[name], "stsb") for name in ("inference", "definitions")]
        source, overlap = self.pairs["stsb"].source, self.pairs["stsb"].overlap
        found = {
            "sources": [stratify(score, source) for score in scores],
            "word overlaps": [stratify(score, overlap, bins=2) for score in scores],
        }
        claims = []
        for what, (a, b) in found.items():
            spread, critical, leads = _spread(a, b)
            claims.append(
                Claim.above(f"the lead of inference over definitions differs between {what}", spread, critical)
            )
            self.figures |= {f"lead of inference, {name}": 100 * lead for name, lead in leads.items()}
        mixed = np.random.default_rng(0).permutation(np.array(source)).tolist()
        spread, critical, _ = _spread(*(stratify(score, mixed) for score in scores))
        return claims, Ablation("sources shuffled among the pairs", not spread > critical, spread)

    def whole(self, recipe: Composite) -> Claim:
        """A single bin is the whole."""
        score = self.similarity(recipe, "sick")
        (one,) = stratify(score, self.pairs["sick"].overlap, bins=1).strata
        return Claim(
            "a single bin scores as all pairs do", one.score.value == score.value, one.score.value, score.value, 0
        )


def _spread(a: Strata, b: Strata) -> tuple[float, float, dict[str, float]]:
    """Cochran's Q of the differences, its 95 % bound if they were one, and the differences."""
    compared = [compare(x.score, y.score, RESAMPLES) for x, y in zip(a.strata, b.strata, strict=True)]
    leads = np.array([one.difference for one in compared])
    weights = np.array([((one.high - one.low) / (2 * 1.96)) ** -2 for one in compared])
    spread = float(weights @ (leads - np.average(leads, weights=weights)) ** 2)
    return spread, float(chi2.ppf(0.95, len(leads) - 1)), dict(zip([x.name for x in a.strata], leads, strict=True))


def _stsb(data: Path) -> Pairs:
    rows = [row for part in ("train", "dev", "test") for row in table(data / "sts" / "stsb" / f"{part}.tsv")]
    rows = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))[:PAIRS]]
    sides = [[row[f"sentence{side}"] for row in rows] for side in (1, 2)]
    return Pairs(sides[0], sides[1], [float(row["score"]) for row in rows], [row["source"] for row in rows])


def _sick(data: Path) -> Pairs:
    rows = table(data / "sts" / "sick" / "trial.tsv")
    sides = [[row[f"sentence{side}"] for row in rows] for side in (1, 2)]
    return Pairs(sides[0], sides[1], [float(row["relatedness"]) for row in rows], ["sick"] * len(rows))


def _triples(data: Path) -> list[tuple[str, str, str]]:
    """Premises with what follows from them and what contradicts them."""
    found: dict[str, dict[str, str]] = {}
    for part in ("dev", "test"):
        for row in table(data / "nli" / "snli" / f"{part}.tsv.gz"):
            found.setdefault(row["premise"], {})[row["label"]] = row["hypothesis"]
    whole = [
        (p, h["entailment"], h["contradiction"]) for p, h in found.items() if {"entailment", "contradiction"} <= set(h)
    ]
    return [whole[n] for n in np.random.default_rng(0).permutation(len(whole))[:INFERENCE]]


def _definitions(encoder: Transformer, tested: set[str]) -> tuple[list[str], list[int]]:
    """Glosses, and the one token that is the word they define; each word with its first sense."""
    found: dict[str, str] = {}
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{kind}").read_text(encoding="latin-1").splitlines():
            fields, _, gloss = line.partition(" | ")
            if line.startswith(" ") or not gloss:
                continue
            gloss = gloss.partition('; "')[0].strip()
            word = fields.split()[4]
            if word.isalpha() and word.islower() and len(word) > 2 and gloss not in tested:
                found.setdefault(word, gloss)
    tokens = encoder.tokenize([f" {word}" for word in found])
    single = np.flatnonzero(np.diff(tokens.bounds) == 1)
    chosen = np.random.default_rng(0).permutation(single)[:DEFINITIONS]
    glosses, ids = list(found.values()), tokens.ids[tokens.index[tokens.bounds[chosen]]]
    return [glosses[n] for n in chosen], ids.tolist()


def _tasks(data: Path) -> dict[str, tuple[Split, Split]]:
    folder, found = data / "classification", {}
    for name in ("mr", "subj"):
        rows = table(folder / f"{name}.tsv")
        drawn = Split([row["text"] for row in rows], [row["label"] for row in rows]).sample(TRAIN + HELD_OUT)
        found[name] = Split(drawn[0][:TRAIN], drawn[1][:TRAIN]), Split(drawn[0][TRAIN:], drawn[1][TRAIN:])
    trec = {part: table(folder / "trec" / f"{part}.tsv") for part in ("train", "test")}
    splits = [Split([row["text"] for row in rows], [row["coarse"] for row in rows]) for rows in trec.values()]
    found["trec"] = splits[0].sample(TRAIN), splits[1].sample(HELD_OUT)
    return found


def _probes(data: Path) -> dict[str, tuple[Split, Split]]:
    train_part, test_part = (treebank(data / "ud" / "en_lines" / f"{part}.conllu.gz") for part in ("train", "test"))
    return {name: (train_part[name].sample(TRAIN), test_part[name].sample(HELD_OUT)) for name in ("length", "tense")}
