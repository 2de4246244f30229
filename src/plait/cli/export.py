"""``plait export``: a recipe as files that run elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plait.cli.arguments import RECIPE, recipe_of
from plait.cli.terminal import interruptible, megabytes, out

EXAMPLES = """
Examples:

plait export runs/demo/model exported

plait export 'Transformer("all-MiniLM-L6-v2") | MeanPool()' folder --to sentence-transformers
"""


class Format(StrEnum):
    """What a recipe can be written as."""

    onnx = "onnx"
    sentence_transformers = "sentence-transformers"


def export(
    recipe: Annotated[str, RECIPE],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write.", show_default=False)],
    to: Annotated[Format, typer.Option(help="One ONNX graph with its tokenizers, or modules.json and its kin.")] = (
        Format.onnx
    ),
) -> None:
    """Write the whole recipe, transforms and codes included, and compare what it gives with the original."""
    with interruptible(f"{folder} is as it was"):
        from plait.export.onnx_file import to_onnx
        from plait.export.sentence_transformers_folder import to_sentence_transformers

        step = recipe_of(recipe)
        written = to_onnx(step, folder) if to is Format.onnx else to_sentence_transformers(step, folder)
    show = out().print
    show(f"{written.folder}  {megabytes(written.nbytes)}, {written.agreement:.6f} alike on sample texts\n")
    if to is Format.onnx:
        show(f'from plait.export import OnnxRecipe\nOnnxRecipe("{folder}").encode(["a text"])')
        return
    trusted = ", trust_remote_code=True" if written.needs_plait else ""
    show("from sentence_transformers import SentenceTransformer")
    show(f'SentenceTransformer("{folder}"{trusted}).encode(["a text"])')
    if written.needs_plait:
        show("\nThe recipe is more than modules of sentence-transformers can say: plait must be installed there.")
