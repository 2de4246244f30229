"""A whole recipe as one ONNX file."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from plait._lazy import need
from plait.export.agreement import SAMPLE, Exported, agree, fresh, in_float32, size_of
from plait.export.onnx_runtime import FACTS, GRAPH, OnnxRecipe, reading
from plait.step import Composite
from plait.types import Vectors


def to_onnx(recipe: Composite, folder: str | Path, sample: Sequence[str] = SAMPLE) -> Exported:
    """Write the whole recipe, from token ids to final vectors or codes, as one ONNX file, and compare both.

    The graph reads, for each model, ``(batch, length)`` ids, a mask of real tokens and a mask of pooled ones; what
    makes them of texts lies beside it, and `OnnxRecipe` runs both without torch. Arithmetic is float32.

    Args:
        recipe: fitted; ends in vectors or codes.
        folder: where; one that an export wrote before is replaced.
        sample: texts on which the file must give what the recipe gives.

    Raises:
        RecipeError: if a step is not fitted or cannot be exported, or the folder holds something else.
        ModelError: if the file gives other vectors than the recipe.
        MissingExtra: if onnx or onnxruntime is not installed.

    Example:
        >>> from plait import MeanPool, StaticTable, Truncate
        >>> written = to_onnx(StaticTable("wordllama") | MeanPool() | Truncate(64), "onnx")
        >>> OnnxRecipe(written.folder).encode(["a text"]).shape
        (1, 64)
    """
    need("onnxscript", "onnx")
    recipe, folder = in_float32(recipe), Path(folder)
    with fresh(folder, FACTS) as part:
        names, encoders = _write_graph(recipe, part / GRAPH)
        facts = {
            "format": 1,
            "recipe": str(recipe),
            "fingerprint": recipe.fingerprint,
            "inputs": names,
            "readers": [reading(encoder, part, number) for number, encoder in enumerate(encoders)],
        }
        (part / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        exported = OnnxRecipe(part)
        agreement = agree(recipe, lambda texts, role: recipe.encode(texts, role).values, exported.encode, sample)
    return Exported(folder, size_of(folder), agreement)


def _write_graph(recipe: Composite, path: Path) -> tuple[list[str], list[Any]]:
    """Write the graph; gives names of its inputs, and the encoders in their order."""
    import torch

    from plait.export.module import TOKENS, RecipeModule

    module = RecipeModule(recipe).eval()
    batch, tokens, shapes = torch.export.Dim("batch"), list[torch.Tensor](), list[dict[int, Any]]()
    for number in range(len(module.encoders)):  # every model cuts a text into tokens of its own
        ids = torch.ones(2, 4 + number, dtype=torch.int64)
        ids[1, 2:] = 0
        tokens += [ids, ids > 0, ids > 0]
        shapes += [{0: batch, 1: torch.export.Dim(f"length_{number}")}] * len(TOKENS)
    with warnings.catch_warnings(), _silent("torch.onnx", "onnxscript", "onnx_ir"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(tokens),
            dynamo=True,
            input_names=module.inputs,
            output_names=["vectors" if recipe.gives is Vectors else "codes"],
            dynamic_shapes=(tuple(shapes),),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update({"plait.recipe": str(recipe), "plait.fingerprint": recipe.fingerprint})
    program.save(str(path))
    return module.inputs, module.encoders


@contextlib.contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Loggers that are not heard for the length of a ``with`` block."""
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
