"""``plait serve``: a recipe, and what it indexed, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.arguments import recipe_of
from plait.cli.terminal import interruptible, warn

EXAMPLES = """
Examples:

plait serve runs/demo/model --index table

plait serve 'Transformer("all-MiniLM-L6-v2") | MeanPool()' --name minilm --port 9000

PLAIT_API_KEYS=key-one,key-two plait serve runs/demo/model --host 0.0.0.0

plait serve runs/demo/model --index table --index another-table --keys keys.txt
"""
MODEL = typer.Argument(metavar="MODEL", help="A folder that plait find saved, or a recipe's text.", show_default=False)
INDEX = typer.Option(
    "--index", help="A table of plait index; the first one has to be of MODEL. Repeatable: the page compares two."
)
KEYS = typer.Option(help="A file of API keys, one a line (also: PLAIT_API_KEYS, with commas between).")
NAME = typer.Option(help="What clients call the model; by default the folder's name, or the recipe's text.")
MATRYOSHKA = typer.Option("--matryoshka", help="The encoder was trained to have its vectors cut: allow dimensions.")
BODY = typer.Option(min=1, help="Megabytes of one request.")
QUEUE = typer.Option(min=1, help="Texts that may wait; above it clients are told to come back (429).")
PATIENCE = typer.Option(min=1, help="Seconds that a client may take to send a request, or to read 64 kB.")
GRACE = typer.Option(min=1, help="Seconds that requests in flight have when the server is stopped.")
BATCH = typer.Option(min=1, help="Tokens encoded together; by default 32 batches of the encoder.")
LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, MODEL],
    index: Annotated[list[Path] | None, INDEX] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    keys: Annotated[Path | None, KEYS] = None,
    name: Annotated[str | None, NAME] = None,
    matryoshka: Annotated[bool, MATRYOSHKA] = False,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts in one request.")] = 2048,
    max_characters: Annotated[int, typer.Option(min=1, help="Characters of one text.")] = 100_000,
    max_body: Annotated[int, BODY] = 16,
    max_waiting: Annotated[int, QUEUE] = 16_384,
    patience: Annotated[float, PATIENCE] = 30.0,
    grace: Annotated[float, GRACE] = 30.0,
    batch_tokens: Annotated[int | None, BATCH] = None,
) -> None:
    """Serve embeddings as OpenAI's interface has them, search, and a page to look at."""
    from plait._lazy import need

    for library in ("fastapi", "uvicorn", "prometheus_client"):
        need(library, "serve")
    from plait.serve.app import create_app
    from plait.serve.keys import Keys
    from plait.serve.limits import Limits
    from plait.serve.models import Model, model_name, with_those_of
    from plait.serve.running import run
    from plait.serve.searching import open_indexes

    limits = Limits(
        texts=max_texts,
        characters=max_characters,
        body=max_body << 20,
        waiting_texts=max(max_waiting, max_texts),
        batch_tokens=batch_tokens,
        patience=patience,
        grace=grace,
    )
    with interruptible("What was in flight is answered"):
        known = Keys.read(keys)
        if not known and host not in LOCAL:
            warn(f"{host} can be reached by others, and no API key is asked for; give --keys or PLAIT_API_KEYS")
        recipe = recipe_of(model)
        first = Model.of(name or model_name(model), recipe, matryoshka)
        indexes = open_indexes(index or [], recipe)
        run(create_app(with_those_of(first, indexes), indexes, known, limits), host, port, limits)
