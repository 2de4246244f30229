"""The application: models, collections, figures and the page behind one gate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from plait import __version__
from plait.serve.batching import Worker
from plait.serve.embeddings import embeddings_router
from plait.serve.errors import HANDLERS, ApiError
from plait.serve.gate import Gate
from plait.serve.keys import Keys
from plait.serve.limits import Limits
from plait.serve.metrics import Metrics
from plait.serve.models import Model
from plait.serve.overview import Overview
from plait.serve.search_routes import search_router
from plait.serve.searching import Searchable
from plait.types import PlaitError

logger = logging.getLogger("plait.serve")
PAGE = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js", "/map.js": "map.js"}
KINDS = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
OPEN = (*PAGE, "/health")
"""Paths that need no key: they say nothing of models, collections and use."""
EVERY = 2.0
"""Seconds between two looks for what others have written to a collection."""
CLOSED = ("/v1/embeddings", "/v1/models", "/v1/models/", "/search", "/indexes", "/map/", "/metrics", "/openapi.json")


def create_app(
    models: Sequence[Model], indexes: Sequence[Searchable] = (), keys: Keys | None = None, limits: Limits | None = None
) -> ASGIApp:
    """The service as an ASGI application, for uvicorn or any other server.

    Args:
        models: to embed with, by the names that clients ask for.
        indexes: collections to search; a sample of each is read now, for the page. What is written to them later is
            taken in while the application runs.
        keys: who may ask; None asks for no key.
        limits: what it takes on.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.serve.models import Model
        >>> app = create_app([Model.of("words", StaticTable("wordllama") | MeanPool())])
        >>> from starlette.testclient import TestClient
        >>> with TestClient(app) as client:
        ...     client.post("/v1/embeddings", json={"model": "words", "input": "a text"}).json()["usage"]
        {'prompt_tokens': 2, 'total_tokens': 2}
    """
    limits, metrics = limits or Limits(), Metrics()
    worker = Worker(limits, metrics)
    overviews = {index.name: Overview.of(index) for index in indexes}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(_watch(indexes, overviews))
        yield
        watcher.cancel()
        worker.stop()

    app = FastAPI(
        title="plait",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    app.include_router(embeddings_router(models, worker, limits))
    app.include_router(search_router(indexes, overviews, worker, limits))

    @app.get("/health")
    async def health() -> dict[str, str]:
        if not worker.alive:
            raise ApiError(503, "the server is stopping, or its encoder has stopped", "stopping")
        return {"status": "ok"}

    @app.get("/metrics")
    async def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    _add_page(app)
    gate = Gate(app, keys or Keys([]), limits, metrics, dict.fromkeys(CLOSED, False) | dict.fromkeys(OPEN, True))
    metrics.gauge("plait_waiting_texts", "Texts in the queue.", lambda: worker.waiting[0])
    metrics.gauge("plait_waiting_tokens", "Tokens in the queue.", lambda: worker.waiting[1])
    metrics.gauge("plait_held_bytes", "Bytes of requests and answers in memory.", lambda: gate.held)
    return gate


async def _watch(indexes: Sequence[Searchable], overviews: dict[str, Overview]) -> None:
    """Take in what others write to the collections, in a thread that no search waits for."""
    while True:
        await asyncio.sleep(EVERY)
        for index in indexes:
            try:
                if await asyncio.to_thread(index.refresh):
                    overviews[index.name] = await asyncio.to_thread(Overview.of, index)
                    logger.info("%s has changed: %d records", index.name, len(index))
            except (PlaitError, OSError, RuntimeError, ValueError) as error:
                logger.error("%s has changed and cannot be read: %s", index.name, error)


def _add_page(app: FastAPI) -> None:
    for path, name in PAGE.items():
        content = files("plait.serve").joinpath("page", name).read_bytes()
        app.router.add_route(path, _file(content, KINDS[name.rpartition(".")[2]]), ["GET"])


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(content, 200, {"cache-control": "no-cache"}, kind)

    return answer
