"""How a parameter's value is written in a recipe, so that it reads back as the same value; what mends a chain."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from sklearn.base import BaseEstimator

from plait.types import Codes, States, Vectors


def same(value: object, default: object) -> bool:
    """Whether a parameter has its default value, type included: ``True`` is not 1."""
    if isinstance(value, np.ndarray) or isinstance(default, np.ndarray):
        return False
    return type(value) is type(default) and bool(value == default)


def written_number(value: float) -> str:
    """A number, whole ones without a point."""
    return repr(int(value)) if float(value).is_integer() else repr(float(value))


def written_value(value: object) -> str:
    """A value as a Python literal, or a step as its text."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(written_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written_value(k)}: {written_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    return str(value) if isinstance(value, BaseEstimator) else repr(value)


_HINTS = {
    (States, Vectors): ": put a pooling between them, e.g. | MeanPool()",
    (Vectors, States): ": layers and poolings come before transforms",
    (Codes, Vectors): ": compression comes last",
    (Vectors, str): ": an encoder comes first",
    (States, str): ": an encoder comes first, and only once",
}


def fitting_hint(gives: type, takes: type) -> str:
    """What to do when a step does not take what the one before it gives."""
    return _HINTS.get((gives, takes), "")
