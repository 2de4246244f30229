"""Groups of neighbouring numbers, each as the nearest of a few learned centroids."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.compression.bit_packing import pack_bits, unpack_bits
from plait.compression.brute_force import best_rows
from plait.compression.kmeans import kmeans, kmeans_round, nearest_centroids
from plait.compression.scoring import Dots, Scorer
from plait.roles import Quantiser
from plait.rows import Doubles, blocks, checked, checked_sample, learned
from plait.types import DataError, Floats, Ints, RecipeError

SAMPLE = 64
"""Rows for each centroid to learn from; more are left out, since they cost time and gain next to nothing."""

TURNS = 50
"""Rotations that are tried, each with a round of k-means; the last ten gain a hundredth of the error."""

LEAST = 1 << 14
"""Rows that are never too many."""

FEW = 8
"""Queries up to which look-up tables are quicker than decoding a block for all queries together."""

MOST_BITS = 12


class ProductQuantizer(Quantiser):
    """Product quantisation: each group of ``dims`` neighbouring numbers becomes the number of its nearest centroid.

    With the defaults a vector takes 1 bit a number, as with `Binary`, and loses far less. Queries stay float: a code's
    score is a sum of table entries, one for each group (asymmetric distance).

    Args:
        dims: numbers in a group. The last group of a vector is filled up with zeros.
        bits: of a centroid's number, 1 to 12; a code takes ``bits / dims`` bits a number.
        rotate: first turn the vectors so that groups share out the variance and depend little on each other (OPQ);
            helps where dimensions differ in variance or are correlated, and costs five times the training.
        rounds: of k-means; most of the gain comes in the first ten.
        random_state: of the sample to learn from and the first centroids.

    Attributes:
        width_: D, numbers in one vector.
        codebooks_: ``[P, 2 ** bits, dims]`` centroids of each group.
        rotation_: ``[P * dims, P * dims]``, with ``rotate``.

    Raises:
        RecipeError: if ``bits`` or ``dims`` is out of range, it is not fitted, or the width is not the fitted one.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Source: Product Quantization for Nearest Neighbor Search (Jégou, Douze and Schmid, 2011); Optimized Product
        Quantization, arXiv 1311.4055; with weights, KV Cache is 1 Bit Per Channel: Efficient Large Language Model
        Inference with Coupled Quantization, arXiv 2405.03917.

    Example:
        >>> X = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)
        >>> quantizer = ProductQuantizer(dims=2, bits=2).fit(X)
        >>> bool((quantizer.inverse_transform(quantizer.transform(X)) == X).all()), quantizer.nbytes(4)
        (True, 1)
    """

    codebooks_: Floats
    rotation_: Floats

    def __init__(
        self, dims: int = 8, bits: int = 8, rotate: bool = False, rounds: int = 20, random_state: int = 0
    ) -> None:
        self.dims = dims
        self.bits = bits
        self.rotate = rotate
        self.rounds = rounds
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the centroids, and the rotation.

        Args:
            X: ``[N, D]``, best 64 times as many rows as there are centroids in a group.
            y: not looked at.
            sample_weight: ``[N]`` how much the error of each row counts, or ``[N, P]`` for each of its groups.
        """
        if not 1 <= self.bits <= MOST_BITS or self.dims < 1:
            raise RecipeError(f"{self}: bits must be 1 to {MOST_BITS} and dims 1 or more")
        rows = checked_sample(X, self)
        self.width_ = rows.shape[1]
        weights = self._weights(sample_weight, len(rows))
        random = np.random.default_rng(self.random_state)
        most = max(SAMPLE << self.bits, LEAST)
        if len(rows) > most:
            kept = np.sort(random.choice(len(rows), most, replace=False))
            rows, weights = rows[kept], None if weights is None else weights[:, kept]
        padded = self._padded(np.asarray(rows, np.float32))
        if self.rotate:
            self._turn(padded, weights)
            padded = padded @ self.rotation_
        start = self.codebooks_ if self.rotate else None
        self.codebooks_ = kmeans(self._groups(padded), 1 << self.bits, weights, self.rounds, self.random_state, start)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.uint8]:
        codebooks = learned(self, "codebooks_")
        rows = checked(X, self, self.width_)
        codes = np.empty((len(rows), self.nbytes(self.width_)), np.uint8)
        for block in blocks(len(rows)):
            groups = self._groups(self._turned(np.asarray(rows[block], np.float32)))
            found = [nearest_centroids(group, book) for group, book in zip(groups, codebooks, strict=True)]
            codes[block] = pack_bits(np.stack(found, axis=1), self.bits)
        return codes

    def inverse_transform(self, codes: ArrayLike) -> Floats:
        rows = self._decoded(np.asarray(codes))
        if "rotation_" in vars(self):
            rows = rows @ self.rotation_.T
        return np.ascontiguousarray(rows[:, : self.width_])

    def nbytes(self, width: int) -> int:
        return (-(-width // self.dims) * self.bits + 7) // 8

    @property
    def fitted_width(self) -> int:
        learned(self, "codebooks_")
        return int(self.width_)

    def search(self, queries: Floats, codes: NDArray[np.generic], k: int, cosine: bool) -> tuple[Ints, Floats]:
        turned = self._turned(queries)
        if len(queries) > FEW:
            return best_rows(Dots(turned, self._decoded, cosine), codes, k)
        return best_rows(_Tables(turned, self, cosine), codes, k)

    def numbers(self, codes: NDArray[np.generic]) -> NDArray[np.uint16]:
        """``[N, P]`` numbers of the centroids that ``[N, B]`` codes name."""
        count, size = len(learned(self, "codebooks_")), self.nbytes(self.width_)
        if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != size:
            raise DataError(f"{self} decodes uint8 codes of shape [N, {size}]; got {codes.shape} of {codes.dtype}")
        return unpack_bits(codes.view(np.uint8), self.bits, count)

    def centroids(self, numbers: NDArray[np.uint16]) -> Floats:
        """``[N, P * dims]`` centroids of ``[N, P]`` numbers, in the rotated space where there is a rotation."""
        flat = self.codebooks_.reshape(-1, self.dims)
        places = numbers + np.arange(numbers.shape[1]) * self.codebooks_.shape[1]
        out: Floats = flat[places].reshape(len(numbers), numbers.shape[1] * self.dims)
        return out

    def _decoded(self, codes: NDArray[np.generic]) -> Floats:
        return self.centroids(self.numbers(codes))

    def _turned(self, rows: Floats) -> Floats:
        padded = self._padded(rows)
        return padded @ self.rotation_ if "rotation_" in vars(self) else padded

    def _padded(self, rows: Floats) -> Floats:
        missing = -self.width_ % self.dims
        return np.pad(rows, ((0, 0), (0, missing))) if missing else rows

    def _groups(self, rows: Floats) -> Floats:
        """``[N, P * dims]`` rows as ``[P, N, dims]``."""
        return rows.reshape(len(rows), -1, self.dims).transpose(1, 0, 2)

    def _weights(self, given: ArrayLike | None, rows: int) -> Doubles | None:
        """``[P, N]`` weights."""
        if given is None:
            return None
        groups = -(-self.width_ // self.dims)
        weights = np.asarray(given, np.float64)
        if weights.ndim == 1:
            weights = np.repeat(weights[:, None], groups, axis=1)
        if weights.shape != (rows, groups) or not (weights >= 0).all() or not np.isfinite(weights).all():
            raise DataError(f"weights must be finite, 0 or above, [{rows}] or [{rows}, {groups}]; got {weights.shape}")
        return np.ascontiguousarray(weights.T)

    def _turn(self, rows: Floats, weights: Doubles | None) -> None:
        """Rotation and codebooks in turns, each the best for the other.

        It starts from the vectors as they are. Principal directions dealt out so that all groups have the same product
        of variances, the best start where bits are plenty, end in far worse rotations at a bit or two a number.
        """
        self.rotation_ = np.eye(rows.shape[1], dtype=np.float32)
        target = (rows if weights is None else rows * weights.mean(axis=0)[:, None].astype(np.float32)).T
        books = kmeans(self._groups(rows), 1 << self.bits, weights, 1, self.random_state)
        for _ in range(TURNS):
            books, found = kmeans_round(self._groups(rows @ self.rotation_), books, weights)
            self.codebooks_ = books
            decoded = self.centroids(found.T.astype(np.uint16))
            left, _, right = np.linalg.svd((target @ decoded).astype(np.float64))
            self.rotation_ = (left @ right).astype(np.float32)


class _Tables(Dots):
    """Scores of product codes as sums of table entries: no code is decoded but those that may be among the best."""

    def __init__(self, queries: Floats, quantizer: ProductQuantizer, cosine: bool) -> None:
        super().__init__(queries, quantizer._decoded, cosine)
        self.quantizer, books = quantizer, quantizer.codebooks_
        groups = self.queries.reshape(len(queries), len(books), -1)
        self.tables = np.einsum("qpd,pkd->qpk", groups, books).astype(np.float32)
        self.squares = np.einsum("pkd,pkd->pk", books, books)
        self.sizes = np.ones(0, np.float32)

    def ready(self, block: NDArray[np.generic]) -> NDArray[np.uint16]:
        numbers = self.quantizer.numbers(block)
        self.sizes = np.sqrt(_summed(self.squares, numbers))
        longest = float(self.sizes.max(initial=0))
        self.sizes[self.sizes == 0] = 1
        size = self._size / self.sizes.min(initial=np.inf) if self.cosine else self._size
        self.doubt = (np.finfo(np.float32).eps * (self.queries.shape[1] + 16) * longest * size).astype(np.float32)
        return numbers

    def quick(self, queries: slice | Ints, block: NDArray[np.uint16]) -> Floats:
        scores = np.stack([_summed(table, block) for table in self.tables[queries]])
        return scores / self.sizes if self.cosine else scores

    def near(self, queries: slice | Ints, block: NDArray[np.uint16], earlier: Floats, k: int) -> tuple[Ints, Ints]:
        return Scorer.near(self, queries, block, earlier, k)


def _summed(tables: Floats, numbers: NDArray[np.uint16]) -> Floats:
    """``[n]`` sums of the entries of ``[P, K]`` tables that ``[n, P]`` numbers name."""
    total = np.zeros(len(numbers), np.float32)
    for table, column in zip(tables, numbers.T, strict=True):
        total += table[column]
    return total
