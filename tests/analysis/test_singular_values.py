from __future__ import annotations

import numpy as np
import pytest

from plait.analysis.singular_values import _noise, _threshold, energy_rank, screenot_rank
from plait.types import DataError


def singular(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize(("rows", "columns"), [(400, 400), (600, 200)])
def test_threshold_of_white_noise_is_the_known_one(rows: int, columns: int) -> None:
    """Gavish and Donoho's formula for white noise of known level, which is 4 / √3 for a square matrix."""
    ratio = columns / rows
    known = np.sqrt(2 * (ratio + 1) + 8 * ratio / (ratio + 1 + np.sqrt(ratio**2 + 14 * ratio + 1)))
    values = singular(np.random.default_rng(0).normal(size=(rows, columns))) / np.sqrt(rows)
    assert _threshold(_noise(values, 20), ratio) == pytest.approx(known, rel=0.02)


@pytest.mark.parametrize("rank", [0, 1, 7])
def test_planted_directions_are_counted_in_noise_of_any_scale(rank: int) -> None:
    rng = np.random.default_rng(rank)
    signal = 12 * np.linalg.qr(rng.normal(size=(120, max(rank, 1))))[0][:, :rank] @ rng.normal(size=(rank, 80))
    coloured = rng.normal(size=(120, 80)) * np.linspace(0.5, 1.5, 80)
    for scale in (1e-3, 1, 1e4):
        assert screenot_rank(singular(scale * (signal + coloured)), (120, 80)) == rank


def test_without_noise_the_rank_is_exact() -> None:
    values = np.array([5.0, 4, 3, 1e-14, 1e-15, 0, 0, 0, 0, 0, 0])
    assert screenot_rank(values, (11, 20)) == 3
    assert screenot_rank(np.zeros(6), (6, 6)) == 0
    with pytest.raises(DataError, match="4 × 4"):
        screenot_rank([2, 1, 1], (3, 3))


def test_energy_rank_counts_squares() -> None:
    values = np.sqrt([0.9, 0.05, 0.03, 0.02])
    assert energy_rank(values) == 2
    assert energy_rank(values, share=0.96) == 3
    assert energy_rank([0, 0]) == 0
