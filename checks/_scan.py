"""What several checks share: tables of the data folder, and every layer and pooling of a host in one pass."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from plait.encoders.transformer import Transformer
from plait.layers.single import Layer
from plait.plan import run
from plait.roles import Pooling
from plait.step import Step, unit_rows
from plait.types import Floats, ModelError

Pair = tuple[str, str, float]


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file with a header, gzip or not."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(raw.decode(), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))


def stsb(data: Path, part: str) -> list[Pair]:
    """Sentence pairs of STS-B with their score."""
    rows = table(data / "sts" / "stsb" / f"{part}.tsv")
    return [(row["sentence1"], row["sentence2"], float(row["score"])) for row in rows]


def skips_first_token(host: Transformer) -> Transformer:
    """The decoder, once it is sure that the state of its first token, equal for all texts, is not averaged.

    Raises:
        ModelError: if that state would be pooled: every figure would be wrong.
    """
    if 0 in host.tokenize(["a text"]).index:
        raise ModelError(
            f"{host} pools its first token, which is the same for every text: it is not known as a decoder"
        )
    return host


class Scan:
    """Vectors of unique texts for every layer and pooling asked for.

    Args:
        encoder: the host, with what is done inside it.
        texts: what to encode; equal ones are encoded once.
        poolings: by the name they are asked for with.
        layers: which layers.

    Attributes:
        report: what the one pass did.
    """

    def __init__(
        self, encoder: Step, texts: Sequence[str], poolings: Mapping[str, Pooling], layers: Sequence[int]
    ) -> None:
        unique = list(dict.fromkeys(texts))
        self.row = {text: number for number, text in enumerate(unique)}
        chains = {(name, layer): encoder | Layer(layer) | pool for name, pool in poolings.items() for layer in layers}
        strands = {key: next(chain.strands()) for key, chain in chains.items()}
        vectors, reports = run(strands.values(), unique)
        (self.report,) = reports.values()
        self._vectors = {key: vectors[strand.text] for key, strand in strands.items()}

    def of(self, pooling: str, layer: int, texts: Sequence[str]) -> Floats:
        """``[N, D]`` vectors of some of the texts."""
        return self._vectors[pooling, layer][[self.row[text] for text in texts]]


def sentences(pairs: Sequence[Pair]) -> list[str]:
    """Both sides of the pairs: all left ones, then all right ones."""
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def similarity_score(vectors: Floats, pairs: Sequence[Pair]) -> float:
    """Spearman × 100 of the cosine; ``vectors`` are those of `sentences`."""
    unit = unit_rows(vectors)
    cosine = np.einsum("ij,ij->i", unit[: len(pairs)], unit[len(pairs) :])
    return 100 * float(spearmanr(cosine, [pair[2] for pair in pairs]).statistic)


def mean_cosine(vectors: Floats) -> float:
    """Mean cosine of two different rows."""
    unit = unit_rows(vectors).astype(np.float64)
    count = len(unit)
    return float((np.square(unit.sum(axis=0)).sum() - count) / (count * (count - 1)))
