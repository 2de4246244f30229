"""Recipes as text and as folders: `parse`, `save`, `load`.

A recipe's text is its Python expression. It is read with `ast` against the names that the rooms export; nothing else
can run.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from plait.bank import digest
from plait.step import Chain, Composite, Step, walk
from plait.types import RecipeError

ROOMS = ("prompting", "encoders", "layers", "pooling", "transforms", "fusion", "compression")
"""Rooms whose names may stand in a recipe."""


@cache
def vocabulary() -> dict[str, str]:
    """Every name that may stand in a recipe, and the module that defines it."""
    tables = [importlib.import_module(f"plait.{room}").STEPS for room in ROOMS]
    return {name: module for table in tables for name, module in table.items()}


def parse(text: str) -> Composite:
    """Read a recipe.

    Args:
        text: a recipe's text, such as ``Transformer("all-MiniLM-L6-v2") | MeanPool()``.

    Raises:
        RecipeError: if the text is no recipe; the message points at the place.

    Example:
        >>> str(parse('StaticTable("wordllama") | MeanPool() | Truncate( 64 )'))
        'StaticTable("wordllama") | MeanPool() | Truncate(64)'
    """
    try:
        step = _Reader(text.strip()).read(ast.parse(text.strip(), mode="eval").body)
    except RecipeError:
        raise
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise RecipeError(f"not a recipe: {text[:200]!r} ({error})") from error
    if isinstance(step, Composite):
        return step
    if isinstance(step, Step):
        return Chain([step])
    raise RecipeError(f"not a recipe: {text!r} is a plain value; expected steps such as Transformer(...) | MeanPool()")


class _Reader:
    """Turns an expression into steps; every error names the part of the text it came from."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, node: ast.AST) -> object:
        match node:
            case ast.BinOp(left=left, op=ast.BitOr() | ast.Add() | ast.Mult() as op, right=right):
                return self._combine(op, self.read(left), self.read(right), node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                return self._call(name, args, keywords, node)
            case ast.Constant() | ast.Name(id="inf"):
                return _literal(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.read(item) for item in items]
            case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
                return {self.read(k): self.read(v) for k, v in zip(keys, values, strict=True) if k is not None}
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float()) | ast.Name(id="inf") as number):
                return -_literal(number)
        raise RecipeError(self._where(node, "only steps, numbers, strings, lists, |, + and * may stand in a recipe"))

    def _combine(self, op: ast.operator, left: object, right: object, node: ast.AST) -> object:
        if isinstance(op, ast.Mult) and isinstance(left, int | float) and isinstance(right, Step):
            return left * right
        if isinstance(left, Step) and isinstance(right, Step) and not isinstance(op, ast.Mult):
            return left | right if isinstance(op, ast.BitOr) else left + right
        raise RecipeError(self._where(node, "| and + join two steps, * weighs a step with a number in front of it"))

    def _call(self, name: str, args: list[ast.expr], keywords: list[ast.keyword], node: ast.AST) -> Step:
        known = vocabulary()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3) or sorted(known)
            raise RecipeError(self._where(node, f"there is no step {name}; did you mean {', '.join(close)}?"))
        kind = getattr(importlib.import_module(known[name]), name)
        if any(keyword.arg is None for keyword in keywords):
            raise RecipeError(self._where(node, "** may not stand in a recipe"))
        values = [self.read(arg) for arg in args]
        named = {keyword.arg: self.read(keyword.value) for keyword in keywords if keyword.arg}
        try:
            return kind(*values, **named)  # type: ignore[no-any-return]
        except (TypeError, AttributeError) as error:
            raise RecipeError(self._where(node, str(error).replace(".__init__()", ""))) from error

    def _where(self, node: ast.AST, message: str) -> str:
        return f"{message} (in {ast.get_source_segment(self.text, node) or self.text!r})"


def _literal(node: ast.Constant | ast.Name) -> Any:
    return node.value if isinstance(node, ast.Constant) else math.inf


def save(recipe: Composite, folder: str | Path, card: Mapping[str, object] | None = None) -> Path:
    """Write a fitted recipe as a folder: ``recipe.txt``, ``model.safetensors``, ``README.md``, ``plait.json``.

    Args:
        recipe: what to save.
        folder: where; an old folder of that name is replaced once the new one is whole.
        card: measured numbers for the model card, by name.

    Raises:
        RecipeError: if ``folder`` exists and holds something else than a saved recipe, or the recipe has no text form.
    """
    from safetensors.numpy import save as to_bytes

    _check_text(recipe)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / "recipe.txt").exists():
        raise RecipeError(f"{folder} exists and holds no saved recipe; choose another folder")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    arrays = {
        f"{number}.{name}": np.asarray(array, order="C")
        for number, step in enumerate(walk(recipe))
        for name, array in step.state().items()
    }
    (part / "model.safetensors").write_bytes(to_bytes(arrays))
    (part / "recipe.txt").write_text(f"{recipe}\n", encoding="utf-8")
    facts = {"format": 1, "fingerprint": recipe.fingerprint, "arrays": digest(to_bytes(arrays))}
    (part / "plait.json").write_text(json.dumps(facts, indent=1) + "\n")
    (part / "README.md").write_text(_card(recipe, card or {}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def load(where: str | Path) -> Composite:
    """A saved recipe, fitted; or, from a recipe's text, an unfitted one.

    Args:
        where: a folder that `save` wrote, or a recipe's text.

    Raises:
        RecipeError: if the folder is not a saved recipe, is damaged, or its weights are no longer the same.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    folder = Path(where)
    if not os.path.isdir(where):
        if "(" not in str(where):
            raise RecipeError(f"{where} is no folder and no recipe; give a folder that plait saved, or a recipe's text")
        return parse(str(where))
    missing = [name for name in ("recipe.txt", "model.safetensors", "plait.json") if not (folder / name).exists()]
    if missing:
        raise RecipeError(f"{folder} is no saved recipe: {', '.join(missing)} is not there")
    try:
        text = (folder / "recipe.txt").read_text(encoding="utf-8")
        facts = {"arrays": "", "fingerprint": ""} | json.loads((folder / "plait.json").read_text())
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{folder} is damaged: {error}") from error
    recipe = parse(text)
    data = (folder / "model.safetensors").read_bytes()
    if digest(data) != facts["arrays"]:
        raise RecipeError(f"{folder}/model.safetensors is damaged (its checksum is not the one that was saved)")
    try:
        arrays = from_bytes(data)
    except SafetensorError as error:
        raise RecipeError(f"{folder}/model.safetensors cannot be read: {error}") from error
    for number, step in enumerate(walk(recipe)):
        prefix = f"{number}."
        step.set_state({key[len(prefix) :]: a for key, a in arrays.items() if key.startswith(prefix)})
    if recipe.fingerprint != facts["fingerprint"]:
        raise RecipeError(
            f"{folder} was made with other weights or another version of a step: fingerprint {facts['fingerprint']} "
            f"was saved, {recipe.fingerprint} is what {recipe} has here; find or fit it again"
        )
    return recipe


def _check_text(recipe: Composite) -> None:
    """Refuse a recipe that could not be read again."""
    try:
        parse(str(recipe))
    except RecipeError as error:
        raise RecipeError(
            f"{recipe} cannot be saved: a part of it, such as a Python function, cannot be written as text; "
            'give that part as a value, e.g. SpanPool("sentences:5")'
        ) from error


def _card(recipe: Composite, numbers: Mapping[str, object]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in numbers.items())
    table = f"\n| figure | value |\n|---|---|\n{rows}\n" if rows else ""
    return (
        f"---\nlibrary_name: plait\ntags: [embeddings]\n---\n# A plait recipe\n\n```\n{recipe}\n```\n{table}\n"
        f'Use it: `plait embed {{folder}} texts.jsonl -o vectors.parquet`, or `plait.load("folder").encode(texts)`.\n'
    )
