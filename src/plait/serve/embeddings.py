"""``/v1/embeddings`` and ``/v1/models``, as OpenAI's clients expect them."""

from __future__ import annotations

import base64
from asyncio import get_running_loop
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, StrictInt, StrictStr
from pydantic_core import to_json

from plait.serve.batching import Worker
from plait.serve.counting import Counted
from plait.serve.errors import ApiError
from plait.serve.limits import Limits
from plait.serve.models import Model
from plait.types import Floats

CUT_HEADER = "plait-cut-tokens"
"""Header with the tokens that the length limit dropped."""


class EmbeddingsRequest(BaseModel):
    """The body of ``/v1/embeddings``; ``role`` is not OpenAI's: queries and documents may be read differently."""

    model: StrictStr
    input: object
    dimensions: StrictInt | None = None
    encoding_format: Literal["float", "base64"] = "float"
    role: Literal["query", "document"] = "document"


def embeddings_router(models: Sequence[Model], worker: Worker, limits: Limits) -> APIRouter:
    """The paths of OpenAI's interface.

    Args:
        models: that are served.
        worker: that encodes.
        limits: of a request.
    """
    router = APIRouter()
    writer = ThreadPoolExecutor(1, "answers")  # large answers take long to write; others are served meanwhile
    by_name = {model.name: model for model in models}

    def named(name: str) -> Model:
        if name not in by_name:
            message = f"there is no such model here; there are: {', '.join(by_name)}"
            raise ApiError(404, message, "model_not_found", "model")
        return by_name[name]

    @router.post("/v1/embeddings")
    async def embeddings(asked: EmbeddingsRequest) -> Response:
        model = named(asked.model)
        texts = texts_of(asked.input, limits)
        model.check_dimensions(asked.dimensions)
        counted = await worker.encode(model.recipe, texts, asked.role)
        body = await get_running_loop().run_in_executor(writer, written, model, counted, asked)
        return Response(body, 200, {CUT_HEADER: str(int(counted.cut.sum()))}, "application/json")

    @router.get("/v1/models")
    async def list_models() -> dict[str, object]:
        return {"object": "list", "data": [_card(model) for model in models]}

    @router.get("/v1/models/{name:path}")
    async def get_model(name: str) -> dict[str, object]:
        return _card(named(name))

    return router


def texts_of(given: object, limits: Limits) -> list[str]:
    """The texts of a request.

    Raises:
        ApiError: if they are no texts, too many, or too long.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise _refused("input is no text and no array of texts; send one of them, not empty")
    if len(texts) > limits.texts:
        raise _refused(f"input has {len(texts):,} texts; {limits.texts:,} are allowed: split the request")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            kind = "token ids" if isinstance(text, int | list) else "no text"
            hint = " (ids mean something to one tokenizer only; LangChain: check_embedding_ctx_length=False)"
            raise _refused(f"input[{number}] is {kind}; send texts{hint if kind == 'token ids' else ''}")
        if len(text) > limits.characters:
            allowed = f"{limits.characters:,} are allowed: send it in parts"
            raise _refused(f"input[{number}] has {len(text):,} characters; {allowed}")
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def written(model: Model, counted: Counted, asked: EmbeddingsRequest) -> bytes:
    """The answer as JSON."""
    tokens = int(counted.tokens.sum())
    body = {
        "object": "list",
        "data": rows(model.cut(counted.values, asked.dimensions), asked.encoding_format),
        "model": model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return to_json(body)


def rows(values: Floats, encoding: str) -> list[dict[str, object]]:
    """One entry a vector; base64 is of little-endian float32."""
    if encoding == "base64":
        vectors: list[object] = [base64.b64encode(row.tobytes()).decode() for row in values.astype("<f4")]
    else:
        vectors = values.tolist()
    return [{"object": "embedding", "index": number, "embedding": vector} for number, vector in enumerate(vectors)]


def _refused(message: str) -> ApiError:
    return ApiError(400, message, "invalid_value", "input")


def _card(model: Model) -> dict[str, object]:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "plait",
        "recipe": str(model.recipe),
        "dimensions": model.width,
    }
