"""What every request passes: its key, bounds on its body, patience with its client, headers, a line in the log.

The application behind it sees a request that is whole and gives an answer that is whole, however slow the client; it is
cancelled when the client goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plait.serve.errors import ApiError
from plait.serve.keys import Keys
from plait.serve.limits import Limits
from plait.serve.metrics import Metrics

logger = logging.getLogger("plait.serve")
Result = TypeVar("Result")

PIECE = 64 << 10
"""Bytes of an answer that are sent at once: what a client that does not read leaves in its connection."""
DRAIN = 10.0
"""Seconds for which the rest of a refused body is read and dropped, so that its sender gets to read why."""
METHODS = ("GET", "HEAD", "POST")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@dataclass
class _Body:
    """What a client has sent; ``whole`` says that nothing is to follow."""

    content: bytearray = field(default_factory=bytearray)
    whole: bool = False


@dataclass
class _Answer:
    """What the application sent."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def of(cls, error: ApiError) -> _Answer:
        headers = {"content-type": "application/json", "content-length": str(len(error.body))} | error.headers
        return cls(error.status, [(k.encode(), v.encode()) for k, v in headers.items()], error.body)

    async def take(self, message: Message) -> None:
        """An ASGI message of the application."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")


class _Gone(Exception):
    """The client went away."""


class Gate:
    """ASGI middleware around the application.

    Args:
        app: what answers.
        keys: who may ask.
        limits: of bodies, and of patience.
        metrics: where requests are counted.
        paths: that the application has, each with whether it is open to all; those that end in / have names below
            them. In figures and in the log others are "other" and names are left out, since they are a client's text.

    Attributes:
        held: bytes of bodies and answers in memory.
    """

    def __init__(self, app: ASGIApp, keys: Keys, limits: Limits, metrics: Metrics, paths: dict[str, bool]) -> None:
        self._app, self._keys, self._limits, self._metrics, self._paths = app, keys, limits, metrics, paths
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, number = time.monotonic(), uuid.uuid4().hex[:16]
        body = _Body()
        try:
            answer = await self._answer(scope, receive, body)
            await self._write(answer, number, send, last=body.whole)
            if not body.whole:
                await _drain(receive)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except _Gone:
            self._metrics.given_up()
            return
        finally:
            self.held -= len(body.content)
        path = self._known(scope["path"])
        method = scope["method"] if scope["method"] in METHODS else "other"
        seconds = time.monotonic() - started
        self._metrics.request(path, answer.status, seconds)
        logger.info("%s %s %s %d %.1f ms", number, method, path, answer.status, 1000 * seconds)

    async def _answer(self, scope: Scope, receive: Receive, body: _Body) -> _Answer:
        try:
            headers = dict(scope["headers"])
            if not self._paths.get(self._known(scope["path"]), False):
                self._check_key(headers.get(b"authorization"))
            await self._read(headers, receive, body)
        except ApiError as error:
            return _Answer.of(error)
        return await self._run(scope, receive, bytes(body.content))

    def _known(self, path: str) -> str:
        if path in self._paths:
            return path
        return next((p for p in self._paths if p != "/" and p.endswith("/") and path.startswith(p)), "other")

    def _check_key(self, authorization: bytes | None) -> None:
        if not self._keys.accept(None if authorization is None else authorization.decode("latin-1")):
            said = "came without one" if authorization is None else "has another one"
            message = f"this server wants an API key, and the request {said}; send Authorization: Bearer KEY"
            raise ApiError(401, message, "invalid_api_key")

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, body: _Body) -> None:
        """Read the body; its length is counted as it comes, whatever the client says it is."""
        announced = headers.get(b"content-length", b"0")
        self._check_size(int(announced) if announced.isdigit() else 0)
        try:
            async with asyncio.timeout(self._limits.patience):
                while not body.whole:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body.content += message.get("body", b"")
                    self.held += len(message.get("body", b""))
                    body.whole = not message.get("more_body", False)
                    self._check_size(len(body.content))
        except TimeoutError as error:
            body.whole = True  # what still comes is not waited for
            raise ApiError(408, "the body took too long to arrive", "timeout") from error

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            message = f"the body is larger than the {self._limits.body:,} bytes that are allowed; send less at once"
            raise ApiError(413, message, "body_too_large")
        if size and self.held > self._limits.held:
            raise ApiError(429, "other requests fill the memory; try again in 1 s", "overloaded", wait=1)

    async def _run(self, scope: Scope, receive: Receive, body: bytes) -> _Answer:
        """The application's answer; it is cancelled if the client goes away."""
        answer = _Answer()
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await asyncio.shield(gone)

        async with _running(receive()) as gone, _running(self._app(scope, replay, answer.take)) as run:
            either: list[asyncio.Future[Any]] = [gone, run]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                raise _Gone
            if error := run.exception():
                logger.error("a request failed", exc_info=error)
        return answer

    async def _write(self, answer: _Answer, number: str, send: Send, last: bool) -> None:
        """Send the answer a piece at a time, at the pace of its reader; ``last`` says that nothing is to follow."""
        headers = [*answer.headers, *HEADERS, (b"x-request-id", number.encode())]
        pieces = [answer.body[start : start + PIECE] for start in range(0, len(answer.body), PIECE)] or [b""]
        messages: list[Message] = [{"type": "http.response.start", "status": answer.status, "headers": headers}]
        messages += [{"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces]
        messages[-1]["more_body"] = not last
        self.held += len(answer.body)
        try:
            for message in messages:
                async with asyncio.timeout(self._limits.patience):
                    await send(message)
        except TimeoutError as error:
            raise _Gone from error
        finally:
            self.held -= len(answer.body)


async def _drain(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            while (await receive()).get("more_body", False):
                pass


@contextlib.asynccontextmanager
async def _running(awaitable: Awaitable[Result]) -> AsyncIterator[asyncio.Future[Result]]:
    """A task that does not outlive the block."""
    task = asyncio.ensure_future(awaitable)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
