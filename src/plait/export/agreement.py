"""What every export does: a fresh folder, float32, and a comparison of what was written with the recipe."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.encoders.transformer import Transformer
from plait.roles import ROLES, Quantiser
from plait.step import Composite, walk
from plait.types import Codes, Floats, ModelError, RecipeError

SAMPLE = (
    "A short text.",
    "Two sentences stand here. The second one is a little longer than the first.",
    "naïve façade, 3.14 and 50 %: (punctuation!)",
    "word",
    "The longest of these texts goes on for a while, so that a batch of them has padding in most of its rows, as a "
    "batch of real texts would.",
)
"""Texts that an exported file is compared on, where no others are given."""
LEAST_COSINE = 0.9999
Encode = Callable[[Sequence[str], str], np.ndarray]
"""Texts and their role to vectors or codes."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where it lies.
        nbytes: of all files in it.
        agreement: the smallest cosine of its vectors, or of what its codes stand for, with the recipe's.
        needs_plait: whether plait must be installed where it is used.
    """

    folder: Path
    nbytes: int
    agreement: float
    needs_plait: bool = False


@contextmanager
def fresh(folder: Path, mark: str) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of ``folder`` once the block is done, and is gone if it fails.

    Args:
        folder: where the export will lie.
        mark: a file that tells an earlier export, which may be replaced.

    Raises:
        RecipeError: if the folder holds something else.
    """
    if folder.exists() and not (folder / mark).exists():
        raise RecipeError(f"{folder} exists and holds no export of this kind; choose another folder")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def in_float32(recipe: Composite) -> Composite:
    """A copy of the fitted recipe whose models compute in float32: runtimes on CPUs know no other arithmetic well."""
    exact = copy.deepcopy(recipe)
    for step in walk(exact):
        if isinstance(step, Transformer):
            step.set_params(dtype="float32")
    return exact


def agree(recipe: Composite, wanted: Encode, found: Encode, sample: Sequence[str]) -> float:
    """How far an export gives for the sample what the recipe gives: the smallest cosine.

    Args:
        recipe: to name in an error.
        wanted: what it gives for texts of a role.
        found: what the export gives.
        sample: texts.

    Raises:
        ModelError: if it is too small.
    """
    least = min(_likeness(recipe, wanted(sample, role), found(sample, role)) for role in ROLES)
    if least < LEAST_COSINE:
        raise ModelError(
            f"the export gives other vectors than {recipe}: {least:.5f} alike, not {LEAST_COSINE}; nothing was kept"
        )
    return least


def _likeness(recipe: Composite, wanted: np.ndarray, found: np.ndarray) -> float:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return 0.0
    if wanted.dtype != np.float32:  # a number on the edge of two codes may fall on either side
        assert isinstance(recipe.quantiser, Quantiser)
        wanted, found = map(recipe.quantiser.inverse_transform, (wanted, found))
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    return float((np.einsum("ij,ij->i", wanted, found)[lengths > 0] / lengths[lengths > 0]).min(initial=1.0))


def decoded(recipe: Composite, texts: Sequence[str], role: str) -> Floats:
    """``[N, D]`` vectors; those that codes stand for, where the recipe gives codes."""
    out = recipe.encode(texts, role)
    values = out.quantiser.inverse_transform(out.values) if isinstance(out, Codes) else out.values  # type: ignore[attr-defined]
    return np.ascontiguousarray(values, np.float32)
