"""How one tensor of a merged model comes from those of the base and of the models, method by method.

Each function takes the number of models and the method's options, under mergekit's names where it has the method, and
gives the rule. Weights are one number a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from plait.encoders.tensors import check_safetensors, read_array
from plait.types import DataError, Floats, RecipeError

Rule: TypeAlias = Callable[[str, Floats, Sequence[Floats]], Floats]
"""Name of a tensor, the base's values, the models' values: the merged values."""

Files: TypeAlias = Sequence[str | Path]
_TINY = 1e-8


def linear(count: int, weight: Sequence[float] | None = None, normalize: bool = True) -> Rule:
    """The weighted average of the models; ``normalize`` divides by the sum of the weights."""
    factors = _factors(count, weight, normalize)
    return lambda name, base, models: _sum(factors, models)


def slerp(count: int, t: float = 0.5) -> Rule:
    """From the base (t = 0) along the sphere to the one model (t = 1), tensor by tensor; straight if near-parallel."""
    if count != 1:
        raise RecipeError(f"a tensor-wise slerp goes from the base to one model; got {count} models and t={t}")

    def rule(name: str, base: Floats, models: Sequence[Floats]) -> Floats:
        (model,) = models
        norms = [float(np.linalg.norm(values)) for values in (base, model)]
        cosine = float(np.vdot(base, model)) / (norms[0] * norms[1]) if min(norms) > _TINY else 1.0
        first, second = slerp_factors(cosine, t)
        return _sum((first, second), (base, model))

    return rule


def slerp_factors(cosine: float, t: float, near: float = 0.9995) -> tuple[float, float]:
    """Factors of the two ends of a spherical path at ``t`` of its length; of a line for a cosine beyond ``near``.

    Example:
        >>> [round(factor, 4) for factor in slerp_factors(0.0, 0.5)]
        [0.7071, 0.7071]
    """
    if abs(cosine) > near:
        return 1 - t, t
    angle = float(np.arccos(cosine))
    return float(np.sin((1 - t) * angle) / np.sin(angle)), float(np.sin(t * angle) / np.sin(angle))


def task_arithmetic(
    count: int, weight: Sequence[float] | None = None, normalize: bool = False, lambda_: float = 1.0
) -> Rule:
    """The base plus ``lambda_`` times the weighted sum of what each model changed."""
    factors = _factors(count, weight, normalize)
    return lambda name, base, models: base + np.float32(lambda_) * _sum(factors, [model - base for model in models])


def ties(
    count: int,
    density: float = 1.0,
    weight: Sequence[float] | None = None,
    normalize: bool = True,
    lambda_: float = 1.0,
) -> Rule:
    """Keep the largest changes of each model, elect a sign for each number, and sum the changes that agree with it.

    ``density`` is the share of a tensor's numbers that is kept; ``normalize`` divides by the weights that agree.
    """
    if not 0 < density <= 1:
        raise RecipeError(f"density is {density}; expected the share of changes to keep, above 0 and at most 1")
    factors = _factors(count, weight, False)

    def rule(name: str, base: Floats, models: Sequence[Floats]) -> Floats:
        kept = [np.float32(f) * _largest(model - base, density) for f, model in zip(factors, models, strict=True)]
        elected = np.sign(_sum(np.ones(count), kept))
        agreeing = [np.where(np.sign(change) == elected, change, 0) for change in kept]
        total = _sum(np.ones(count), agreeing)
        if normalize:
            share = _sum(factors, [(np.sign(change) == elected) & (change != 0) for change in kept])
            total /= np.where(np.abs(share) < _TINY, np.float32(1), share)
        return base + np.float32(lambda_) * total

    return rule


def fisher(
    count: int, information: Files | None = None, weight: Sequence[float] | None = None, floor: float = 1e-6
) -> Rule:
    """Average each number by how much it matters to each model: files of mean squared gradients, one a model."""
    files = _per_model(count, information, "information")
    factors = _factors(count, weight, False)

    def rule(name: str, base: Floats, models: Sequence[Floats]) -> Floats:
        if not all(name in file for file in files):  # what did not learn has no gradient
            return _sum(np.ones(count) / count, models)
        shares = [f * (file[name]() + floor) for f, file in zip(factors, files, strict=True)]
        weighted: Floats = sum(share * model for share, model in zip(shares, models, strict=True)) / sum(shares)
        return weighted

    return rule


def regmean(count: int, products: Files | None = None, alpha: float = 0.9) -> Rule:
    """Linear layers as the least-squares fit to what each model's layer gives on its own inputs; a mean for the rest.

    ``products`` are files of ``[in, in]`` inner products of a layer's inputs, one a model, under the weight's name;
    ``alpha`` shrinks what lies off their diagonal, 0.9 as published.
    """
    files = _per_model(count, products, "products")

    def rule(name: str, base: Floats, models: Sequence[Floats]) -> Floats:
        if base.ndim != 2 or not all(name in file for file in files):
            return _sum(np.ones(count) / count, models)
        inner = [_shrunk(file[name](), alpha) for file in files]
        target = np.sum([product @ model.T for product, model in zip(inner, models, strict=True)], axis=0)
        return np.asarray(np.linalg.lstsq(np.sum(inner, axis=0), target, rcond=None)[0].T, np.float32)

    return rule


def _factors(count: int, weight: Sequence[float] | None, normalize: bool) -> np.ndarray:
    factors = np.ones(count) if weight is None else np.array(weight, np.float64)
    if factors.shape != (count,) or not np.isfinite(factors).all():
        raise RecipeError(f"weight is {weight!r} for {count} models; give one finite number a model")
    if not normalize:
        return factors
    if abs(factors.sum()) < _TINY:
        raise RecipeError(f"weight is {weight!r}: the weights cancel out; change them, or set normalize=False")
    return np.asarray(factors / factors.sum())


def _sum(factors: Sequence[float] | np.ndarray, arrays: Sequence[np.ndarray]) -> Floats:
    total = np.float32(factors[0]) * arrays[0]
    for factor, array in zip(factors[1:], arrays[1:], strict=True):
        total += np.float32(factor) * array
    return np.asarray(total, np.float32)


def _largest(change: Floats, density: float) -> Floats:
    """The change with all but its largest numbers set to 0."""
    count = int(density * change.size)
    if density == 1 or count >= change.size:
        return change
    kept = np.zeros_like(change)
    if count:
        flat = np.argpartition(-np.abs(change).ravel(), count - 1)[:count]
        kept.ravel()[flat] = change.ravel()[flat]
    return kept


def _shrunk(product: Floats, alpha: float) -> Floats:
    diagonal = np.diag(np.diag(product))
    return np.asarray(alpha * product + (1 - alpha) * diagonal, np.float32)


def _per_model(count: int, files: Files | None, option: str) -> list[Mapping[str, Callable[[], Floats]]]:
    """For each model, how to read each tensor of its file."""
    if files is None or len(files) != count:
        raise RecipeError(f"{option} is {files!r}; give one safetensors file for each of the {count} models")
    found: list[Mapping[str, Callable[[], Floats]]] = []
    for file in files:
        path = Path(file)
        if not path.is_file():
            raise DataError(f"{option}: there is no file {path}; write it with save_importance")
        tensors = check_safetensors(path)
        found.append({name: _reader(path, name) for name in tensors})
    return found


def _reader(path: Path, name: str) -> Callable[[], Floats]:
    return lambda: np.asarray(read_array(path, check_safetensors(path)[name]), np.float32)
