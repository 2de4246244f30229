"""Griffe extension: shows an ``Example:`` section of a docstring as code, as griffe does with ``Examples:``."""

from __future__ import annotations

import re

from griffe import Extension, Object


class ExampleSections(Extension):
    """Renames the section while the documentation is built; the source keeps one word for one example."""

    def on_object(self, *, obj: Object, **kwargs: object) -> None:
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
