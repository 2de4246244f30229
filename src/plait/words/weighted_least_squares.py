"""`glove`: word vectors whose products fit the logarithms of co-occurrence counts, by weighted least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from plait.types import DataError, Floats


def glove(
    counts: Any,
    dim: int = 100,
    x_max: float = 100.0,
    alpha: float = 0.75,
    epochs: int = 10,
    lr: float = 0.05,
    seed: int = 0,
    batch: int = 4096,
) -> Floats:
    """``[V, dim]`` sums of word and context vectors, learned with AdaGrad.

    It minimises the sum over pairs of min(1, (X / x_max) ** alpha) · (w · c + b + b' − log X)².

    Args:
        counts: ``[V, V]`` sparse co-occurrences X, usually weighted by 1 / distance.
        dim: numbers in a vector.
        x_max: count from which on all pairs weigh alike.
        alpha: below x_max the weight grows with this power of the count.
        epochs: passes over the pairs.
        lr: AdaGrad's step.
        seed: of initial vectors and order.
        batch: pairs in one step.

    Raises:
        DataError: if no pair co-occurs.

    Source: GloVe: Global Vectors for Word Representation, EMNLP 2014.

    Example:
        >>> from scipy.sparse import csr_matrix
        >>> glove(csr_matrix([[0.0, 2.0], [2.0, 1.0]]), dim=3).shape
        (2, 3)
    """
    pairs = counts.tocoo()
    if not pairs.nnz:
        raise DataError("no two words co-occur; give more text or a wider window")
    rng = torch.Generator().manual_seed(seed)
    rows, columns = (torch.from_numpy(np.asarray(index, np.int64)) for index in (pairs.row, pairs.col))
    logs = torch.from_numpy(np.log(pairs.data)).float()
    weights = torch.from_numpy(np.minimum(1, (pairs.data / x_max) ** alpha)).float()
    # One row a word and one a context; the last number is the bias.
    tables = [(torch.rand(size, dim + 1, generator=rng) - 0.5) / dim for size in pairs.shape]
    squares = [torch.ones_like(table) for table in tables]
    for _ in range(epochs):
        for chosen in torch.randperm(pairs.nnz, generator=rng).split(batch):
            index = rows[chosen], columns[chosen]
            word, context = (table[i] for table, i in zip(tables, index, strict=True))
            fit = (word[:, :-1] * context[:, :-1]).sum(1) + word[:, -1] + context[:, -1]
            error = (weights[chosen] * (fit - logs[chosen]))[:, None]
            bias = torch.ones_like(error)
            gradients = (
                error * torch.cat([context[:, :-1], bias], 1),
                error * torch.cat([word[:, :-1], bias], 1),
            )
            for table, square, place, gradient in zip(tables, squares, index, gradients, strict=True):
                table.index_add_(0, place, -lr * gradient / square[place].sqrt())
                square.index_add_(0, place, gradient**2)
    vectors: Floats = (tables[0] + tables[1])[:, :-1].numpy()
    return np.ascontiguousarray(vectors)
