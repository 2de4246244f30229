"""`merge`: one model out of several that were tuned from the same base, streamed tensor by tensor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plait.fusion import merge_rules
from plait.fusion.checkpoints import Checkpoint, write_like
from plait.fusion.merge_rules import Rule
from plait.fusion.task_vectors import TaskGeometry, task_geometry
from plait.types import RecipeError


def merge(
    base: str | Path, models: Sequence[str | Path], out: str | Path, method: str = "linear", **options: Any
) -> Path:
    """Merge models that were tuned from one base into a folder that a `Transformer` opens.

    One tensor of each model is in memory at a time. Options have mergekit's names; what they mean stands with the rules
    in `plait.fusion.merge_rules`:

    - "linear": ``weight`` (one number a model), ``normalize`` (True);
    - "task_arithmetic": ``weight``, ``normalize`` (False), ``lambda_`` (1.0);
    - "ties": ``weight``, ``density`` (1.0), ``normalize`` (True), ``lambda_`` (1.0);
    - "slerp": from the base to one model by ``t`` (0.5), tensor by tensor; for several models along the spheres between
      their task vectors, by ``weight`` and ``combine`` (see `spherical_factors`);
    - "fisher": ``information``, files of mean squared gradients, and ``weight``;
    - "regmean": ``products``, files of inner products of the layers' inputs, and ``alpha`` (0.9).

    Args:
        base: folder with safetensors, or the name of packaged weights; it also gives configuration and tokenizer.
        models: folders of the models, in the order that a slerp takes them.
        out: folder to write; an old model of that name is replaced once the new one is whole.
        method: "linear", "slerp", "task_arithmetic", "ties", "fisher" or "regmean".
        options: of the method.

    Raises:
        ModelError: if models differ in width, vocabulary, depth or base, or a file is damaged.
        RecipeError: for an unknown method or option, or options that do not fit the number of models.

    Source: Editing Models with Task Arithmetic, arXiv 2212.04089; TIES-Merging, arXiv 2306.01708; Merging Models with
    Fisher-Weighted Averaging, arXiv 2111.09832; Dataless Knowledge Fusion by Merging Weights of Language Models
    (regmean), arXiv 2212.09849.

    Example:
        >>> import numpy as np
        >>> from tempfile import TemporaryDirectory
        >>> from safetensors.numpy import load_file, save_file
        >>> with TemporaryDirectory() as scratch:
        ...     at = {name: Path(scratch) / name for name in ("base", "one", "two")}
        ...     for folder, weight in zip(at.values(), ([1, 1], [1, 2], [3, 1])):
        ...         folder.mkdir()
        ...         save_file({"weight": np.array(weight, np.float32)}, folder / "model.safetensors")
        ...     out = merge(at["base"], [at["one"], at["two"]], Path(scratch) / "out", weight=[3, 1])
        ...     load_file(out / "model.safetensors")["weight"].tolist()
        [1.5, 1.75]
    """
    if not models:
        raise RecipeError("there is nothing to merge; give one model at least")
    rule = _ready(method, len(models), options)
    geometry = task_geometry(base, models)  # refuses what does not belong together
    start, tuned = Checkpoint(base), [Checkpoint(model) for model in models]
    made = rule(geometry)
    return write_like(
        start, out, lambda name: made(name, start.read(name), [model.read(name) for model in tuned]), tuned
    )


def _ready(method: str, count: int, options: dict[str, Any]) -> Callable[[TaskGeometry], Rule]:
    """The rule with its options checked, once the geometry is known."""
    if method not in METHODS:
        raise RecipeError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if method == "slerp" and count > 1:
        _known(method, options, ["weight", "combine"])
        return lambda geometry: _spherical(geometry, **options)
    kind = METHODS[method]
    _known(method, options, list(inspect.signature(kind).parameters)[1:])
    rule = kind(count, **options)
    return lambda geometry: rule


def _known(method: str, options: dict[str, Any], names: Sequence[str]) -> None:
    unknown = sorted(options.keys() - set(names))
    if unknown:
        raise RecipeError(f"{method} has no option {unknown[0]!r} here; it has {', '.join(names)}")


def _spherical(geometry: TaskGeometry, weight: Sequence[float] | None = None, combine: str = "mean") -> Rule:
    from plait.fusion.spherical import spherical_factors

    count = len(geometry.models)
    given = [1.0] * count if weight is None else list(weight)
    if len(given) != count or not all(number > 0 for number in given):
        raise RecipeError(f"weight is {weight!r} for {count} models; a slerp needs one number above 0 a model")
    factors = spherical_factors(geometry.gram.sum(axis=0), given, combine)
    return merge_rules.task_arithmetic(count, weight=factors.tolist())


METHODS: dict[str, Callable[..., Rule]] = {
    "linear": merge_rules.linear,
    "slerp": merge_rules.slerp,
    "task_arithmetic": merge_rules.task_arithmetic,
    "ties": merge_rules.ties,
    "fisher": merge_rules.fisher,
    "regmean": merge_rules.regmean,
}
