"""Names that are imported when first used, so that ``import plait`` stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping

from plait.types import MissingExtra


def exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for a package whose names live in other modules.

    Args:
        package: the package's ``__name__``.
        names: public name to the module that defines it.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(names)


def need(module: str, extra: str) -> object:
    """Import an optional dependency, or say which extra holds it.

    >>> need("json", "torch").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{module} is not installed; run: pip install 'plait[{extra}]'") from error
