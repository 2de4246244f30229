"""An exported recipe at work: tokenizers, numpy and onnxruntime, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer

from plait._lazy import need
from plait.encoders.reading import Reader
from plait.encoders.static import StaticTable, TableReader
from plait.encoders.windows import PlainTokenizer, Windows
from plait.export.padding import batches, padded
from plait.prompting.presets import template
from plait.roles import ROLES
from plait.tokenization.fast import FlatTokenizer
from plait.tokenization.words import WordVocabulary
from plait.types import Items, RecipeError, Tokens

GRAPH, FACTS = "model.onnx", "plait.json"
BUDGET = 4096
"""Padded tokens of a batch: small batches stay in a processor's cache."""


class OnnxRecipe:
    """A recipe that `to_onnx` wrote.

    Args:
        folder: of the export.
        threads: of onnxruntime; None takes its own default.

    Attributes:
        recipe: text of what was exported.
        fingerprint: of that recipe.

    Raises:
        RecipeError: if the folder holds no export.
        MissingExtra: if onnxruntime is not installed.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.export import to_onnx
        >>> _ = to_onnx(StaticTable("wordllama") | MeanPool(), "exported")
        >>> OnnxRecipe("exported").encode(["a text", "another"]).shape
        (2, 256)
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        onnxruntime: Any = need("onnxruntime", "onnx")
        folder = Path(folder)
        missing = [name for name in (GRAPH, FACTS) if not (folder / name).is_file()]
        if missing:
            raise RecipeError(f"{folder} is no exported recipe: {', '.join(missing)} is not there")
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if "readers" not in facts:
            raise RecipeError(f"{folder} holds a recipe, but no exported one; write one with plait export")
        self.recipe, self.fingerprint = str(facts["recipe"]), str(facts["fingerprint"])
        self._inputs: list[str] = facts["inputs"]
        self._readers = {role: [reader(f, folder, role) for f in facts["readers"]] for role in ROLES}
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=onnxruntime.get_available_providers()
        )

    def encode(self, texts: Sequence[str], role: str = "document") -> np.ndarray:
        """``[N, D]`` float32 vectors, or ``[N, B]`` codes, one row a text.

        Args:
            texts: N texts.
            role: "query" or "document": the prompt of that role is put around each.

        Raises:
            RecipeError: for another role.
        """
        if role not in self._readers:
            raise RecipeError(f"role is {role!r}; expected one of {', '.join(ROLES)}")
        tokens = [read(texts) for read in self._readers[role]]
        parts = [(rows, self._run([one.take(rows) for one in tokens])) for rows in batches(tokens, BUDGET)]
        if not parts:
            return self._run([one.take(np.zeros(0, np.int64)) for one in tokens])
        out = np.empty((len(texts), parts[0][1].shape[1]), parts[0][1].dtype)
        for rows, values in parts:
            out[rows] = values
        return out

    def _run(self, tokens: Sequence[Tokens]) -> np.ndarray:
        arrays = [array for one in tokens for array in padded(one)]
        known = {given.name for given in self._session.get_inputs()}  # what a graph does not use is left out of it
        feed = {name: array for name, array in zip(self._inputs, arrays, strict=True) if name in known}
        return np.asarray(self._session.run(None, feed)[0])


class Read(Protocol):
    """From texts to tokens."""

    def __call__(self, items: Items) -> Tokens:
        """Tokens of the items."""


def reading(encoder: Any, folder: Path, number: int) -> dict[str, object]:
    """Write an encoder's tokenizer; gives what else `reader` needs, as JSON can hold it."""
    name = f"tokenizer_{number}.json" if number else "tokenizer.json"
    if isinstance(encoder, StaticTable):
        read, tokenizer = encoder.reader, encoder.table.tokenizer
        facts: dict[str, object] = {
            "tokenizer": name,
            "ignored": read.ignored,
            "lowercase": read.lowercase,
            "limit": read.max_length,
        }
        if isinstance(tokenizer, WordVocabulary):
            (folder / name).write_text(json.dumps(list(tokenizer.words), ensure_ascii=False), encoding="utf-8")
            return facts | {"words_lowercase": tokenizer.lowercase}
        (folder / name).write_text(tokenizer.to_str(), encoding="utf-8")
        return facts
    plain = encoder.reader.plain
    (folder / name).write_text(plain.backend.to_str(), encoding="utf-8")
    return {
        "tokenizer": name,
        "specials": plain.specials,
        "limit": encoder.reader.windows.limit,
        "skip": encoder.reader.skip,
        "prompts": {role: encoder.asked(role).prompts for role in ROLES},
    }


def reader(facts: Mapping[str, Any], folder: Path, role: str) -> Read:
    """How one model of an exported recipe reads texts of a role."""
    file = folder / facts["tokenizer"]
    if "words_lowercase" in facts:
        flat = WordVocabulary(json.loads(file.read_text(encoding="utf-8")), facts["words_lowercase"]).flat()
        return TableReader(flat, facts["ignored"], facts["lowercase"], facts["limit"])
    tokenizer = Tokenizer.from_file(str(file))
    if "prompts" not in facts:
        return TableReader(FlatTokenizer.of(tokenizer), facts["ignored"], facts["lowercase"], facts["limit"])
    plain, prompt = PlainTokenizer(tokenizer, facts["specials"]), facts["prompts"][role]
    windows = Windows(plain.prefix, plain.suffix, facts["limit"])
    return Reader(plain, windows, None if prompt is None else template(prompt), facts["skip"])
