"""What a server takes on, so that no client can make it grow."""

from __future__ import annotations

from dataclasses import dataclass, fields

from plait.types import RecipeError


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Args:
        texts: in one request; 2,048 is what OpenAI's own interface takes.
        characters: of one text. Far above what a model reads, so that it stops mistakes only.
        body: bytes of one request.
        held: bytes of all requests and answers that are in memory at once; above it new ones are told to come back.
        waiting_texts: in the queue of all requests.
        waiting_tokens: in the queue, as `plait.serve.batching.estimated_tokens` counts them.
        batch_tokens: encoded at once; None takes 32 batches of the encoder, and from one request eight at most. More is
            faster when texts differ much in length, less answers a short request sooner while a long one runs.
        results: the largest k of a search.
        connections: open at once.
        patience: seconds that a client may take to send its request, or to read a piece of the answer.
        grace: seconds that requests in flight have to finish when the server is stopped.

    Raises:
        RecipeError: if one is below 1.

    Example:
        >>> Limits(texts=16).texts
        16
    """

    texts: int = 2048
    characters: int = 100_000
    body: int = 16 << 20
    held: int = 256 << 20
    waiting_texts: int = 16_384
    waiting_tokens: int = 1 << 20
    batch_tokens: int | None = None
    results: int = 100
    connections: int = 1000
    patience: float = 30.0
    grace: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 1:
                raise RecipeError(f"the limit {field.name} is {value}; expected 1 or more")
