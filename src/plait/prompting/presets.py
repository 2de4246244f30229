"""Templates by name, and sets of them: data in ``templates.toml``."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from importlib.resources import files

from plait.prompting.template import Template
from plait.types import RecipeError


@cache
def presets() -> dict[str, str]:
    """Every named template, as text."""
    return {name: entry["template"] for name, entry in _data()["template"].items()}


def prompt_set(name: str) -> tuple[str, ...]:
    """Names of the templates of a set, whose vectors are meant to be averaged.

    Args:
        name: of the set, or of a single template.

    Raises:
        RecipeError: for an unknown name.

    Example:
        >>> len(prompt_set("metaeol"))
        8
    """
    sets = _data()["set"]
    if name in sets:
        return tuple(sets[name]["templates"])
    if name in presets():
        return (name,)
    raise RecipeError(f"there is no prompt {name!r}; sets are {', '.join(sets)}, templates {', '.join(presets())}")


def template(prompt: str) -> Template:
    """A template from its name or its text.

    Raises:
        RecipeError: if it is neither.
    """
    if prompt in presets():
        return Template.parse(presets()[prompt])
    if "{" in prompt:
        return Template.parse(prompt)
    close = difflib.get_close_matches(prompt, presets(), n=1, cutoff=0.5)
    hint = f'did you mean "{close[0]}"? ' if close else ""
    raise RecipeError(
        f"the prompt {prompt!r} has no place for the text and is no named template ({', '.join(presets())}): {hint}"
        f'write e.g. "{prompt}{{text}}"'
    )


@cache
def _data() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(files("plait.prompting").joinpath("templates.toml").read_text(encoding="utf-8"))
