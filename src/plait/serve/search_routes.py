"""``/search``, and what the page asks about the collections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic_core import to_json

from plait.serve.batching import Worker
from plait.serve.errors import ApiError
from plait.serve.limits import Limits
from plait.serve.overview import Overview
from plait.serve.searching import Searchable, Where
from plait.store.lance import DamagedError

Named = TypeVar("Named")
Choice = StrictBool | StrictInt | StrictFloat | StrictStr


class SearchRequest(BaseModel):
    """The body of ``/search``.

    ``filters`` names fields of the metadata, each with a value or with several of which one has to be there;
    ``indexes`` the collections to look in, all of them by default.
    """

    query: StrictStr
    k: StrictInt = 10
    filters: dict[str, Choice | list[Choice]] = {}
    indexes: list[StrictStr] | None = None


def search_router(
    indexes: Sequence[Searchable], overviews: Mapping[str, Overview], worker: Worker, limits: Limits
) -> APIRouter:
    """The paths that search.

    Args:
        indexes: collections to search.
        overviews: of the same collections, by name.
        worker: in whose thread a search runs, since it encodes the query.
        limits: of a request.
    """
    router = APIRouter()
    by_name = {index.name: index for index in indexes}

    @router.post("/search")
    async def search(asked: SearchRequest) -> Response:
        if not indexes:
            raise ApiError(404, "this server has no index; start it with --index FOLDER", "no_index")
        chosen = [_named(by_name, name) for name in dict.fromkeys(asked.indexes or by_name)]
        _check(asked, limits)
        where = {name: value if isinstance(value, list) else [value] for name, value in asked.filters.items()}
        query = asked.query.encode("utf-8", "replace").decode()
        results = [await worker.call(partial(_searched, index, query, asked.k, where)) for index in chosen]
        return Response(to_json({"results": results}), media_type="application/json")

    @router.get("/indexes")
    async def list_indexes() -> dict[str, object]:
        return {"indexes": [overview.card() for overview in overviews.values()]}

    @router.get("/map/{name:path}")
    async def get_map(name: str) -> dict[str, object]:
        return _named(overviews, name).map()

    return router


def _check(asked: SearchRequest, limits: Limits) -> None:
    if not asked.query.strip():
        raise ApiError(400, "query is empty; send a text to look for", "invalid_value", "query")
    if len(asked.query) > limits.characters:
        message = f"query has {len(asked.query):,} characters; {limits.characters:,} are allowed"
        raise ApiError(400, message, "invalid_value", "query")
    if not 1 <= asked.k <= limits.results:
        raise ApiError(400, f"k is {asked.k}; expected 1 to {limits.results}", "invalid_value", "k")


def _named(known: Mapping[str, Named], name: str) -> Named:
    if name not in known:
        message = f"there is no such index here; there are: {', '.join(known) or 'none'}"
        raise ApiError(404, message, "index_not_found", "indexes")
    return known[name]


def _searched(index: Searchable, query: str, k: int, where: Where) -> dict[str, object]:
    started = time.monotonic()
    try:
        hits = index.search(query, k, where)
    except (OSError, RuntimeError, DamagedError) as error:
        message = f"the index {index.name} cannot be read any more; the one who runs the server has to look at it"
        raise ApiError(500, message, "index_unreadable") from error
    seconds = round(time.monotonic() - started, 6)
    found = [{"id": h.id, "score": h.score, "text": h.text, "metadata": dict(h.metadata)} for h in hits]
    return {"index": index.name, "recipe": str(index.recipe), "seconds": seconds, "hits": found}
