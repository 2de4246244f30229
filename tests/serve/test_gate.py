from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from plait.serve import gate
from plait.serve.gate import PIECE, Gate
from plait.serve.keys import Keys
from plait.serve.limits import Limits
from plait.serve.metrics import Metrics

PATHS = {"/": True, "/ask": False, "/below/": False}


@dataclass
class Inner:
    """An application that keeps what it saw and answers what it was told to."""

    answer: bytes = b"done"
    wait: float = 0.0
    fail: bool = False
    bodies: list[bytes] = field(default_factory=list)
    cancelled: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        assert message["more_body"] is False
        self.bodies.append(message["body"])
        try:
            await asyncio.sleep(self.wait)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.answer, "more_body": False})
        if self.fail:
            raise ZeroDivisionError("a client's text")


@dataclass
class Client:
    """The other end: sends pieces of a body, then stays, or goes away after some seconds; may not read."""

    pieces: list[bytes] = field(default_factory=lambda: [b""])
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/ask"
    goes: float | None = None
    pause: float = 0.0
    reads: bool = True
    sent: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        if self.pieces:
            await asyncio.sleep(self.pause)
            piece = self.pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}
        await asyncio.sleep(999 if self.goes is None else self.goes)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self.reads:
            await asyncio.sleep(999)
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)

    def meet(self, door: Gate) -> Client:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": self.path, "headers": headers}
        asyncio.run(door(scope, self.receive, self.send))
        assert door.held == 0
        return self


def door(inner: Inner, *keys: str, **limits: Any) -> Gate:
    return Gate(inner, Keys(keys), Limits(**limits), Metrics(), PATHS)


def test_the_application_sees_a_whole_request_and_the_client_a_whole_answer() -> None:
    inner = Inner(answer=bytes(PIECE * 2 + 5))
    client = Client([b"one", b"two", b""]).meet(door(inner))
    assert inner.bodies == [b"onetwo"]
    assert (client.status, client.body) == (200, inner.answer)
    assert [len(message["body"]) for message in client.sent[1:]] == [PIECE, PIECE, 5]
    assert [message["more_body"] for message in client.sent[1:]] == [True, True, False]


def test_every_answer_says_what_the_browser_may_do() -> None:
    for client in (Client().meet(door(Inner())), Client().meet(door(Inner(), "key"))):
        policy = client.header(b"content-security-policy")
        assert policy is not None
        assert b"default-src 'none'" in policy
        assert b"unsafe" not in policy
        assert client.header(b"x-content-type-options") == b"nosniff"
        assert len(client.header(b"x-request-id") or b"") == 16


@pytest.mark.parametrize("path", ["/ask", "/below/x", "/unknown", "/health/../ask"])
def test_without_a_key_nothing_is_read(path: str) -> None:
    inner = Inner()
    client = Client([b"text"], path=path).meet(door(inner, "key"))
    assert (client.status, client.header(b"www-authenticate")) == (401, b"Bearer")
    assert inner.bodies == []
    assert Client(headers={"authorization": "Bearer key"}, path=path).meet(door(inner, "key")).status == 200
    assert Client(path="/").meet(door(inner, "key")).status == 200


@pytest.mark.parametrize("headers", [{}, {"content-length": "101"}, {"content-length": "7"}, {"content-length": "x"}])
def test_bodies_are_counted_as_they_come(headers: dict[str, str]) -> None:
    inner = Inner()
    client = Client([b"a" * 60, b"b" * 60, b"c" * 60], headers).meet(door(inner, body=100))
    assert client.status == 413
    assert b"100 bytes" in client.body
    assert inner.bodies == []
    assert client.pieces == []  # the rest was read and dropped, so that the sender gets to read why
    assert client.sent[-1]["more_body"] is False
    assert Client([b"a" * 60, b"b" * 40]).meet(door(inner, body=100)).status == 200


def test_the_memory_of_all_requests_is_bounded() -> None:
    inner = Inner(wait=0.2)
    shared = door(inner, held=100)

    async def scenario() -> list[int | None]:
        clients = [*(Client([bytes(80)]) for _ in range(3)), Client()]
        scope = {"type": "http", "method": "POST", "path": "/ask", "headers": []}
        await asyncio.gather(*(shared(dict(scope), client.receive, client.send) for client in clients))
        return [client.status for client in clients]

    assert sorted(asyncio.run(scenario())) == [200, 200, 429, 429]  # type: ignore[type-var]
    assert shared.held == 0


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "DRAIN", 0.01)
    client = Client([b"a", b"b"], pause=5).meet(door(Inner(), patience=1))
    assert client.status == 408


def test_a_client_that_goes_away_stops_its_request() -> None:
    inner = Inner(wait=60)
    shared = door(inner)
    client = Client(goes=0.01).meet(shared)
    assert inner.cancelled
    assert client.sent == []
    assert b"plait_requests_given_up_total 1.0" in shared._metrics.text()


def test_a_client_that_goes_away_while_it_sends() -> None:
    inner = Inner()

    class Leaves(Client):
        async def receive(self) -> Message:
            return {"type": "http.disconnect"}

    assert Leaves().meet(door(inner)).sent == []
    assert inner.bodies == []


def test_a_client_that_does_not_read_is_given_up() -> None:
    client = Client(reads=False).meet(door(Inner(answer=bytes(9)), patience=1))
    assert client.sent == []


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger("plait.serve")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_the_log_holds_no_text_of_a_client(lines: list[logging.LogRecord]) -> None:
    for path in ("/secret", "/below/secret", "/ask"):
        Client([b"secret"], {"authorization": "Bearer secret"}, path).meet(door(Inner(), "other"))
    said = [line.getMessage() for line in lines]
    assert len(said) == 3
    assert not any("secret" in line for line in said)
    assert [line.split()[2:4] for line in said] == [["other", "401"], ["/below/", "401"], ["/ask", "401"]]


def test_a_failure_is_logged_and_answered(lines: list[logging.LogRecord]) -> None:
    client = Client().meet(door(Inner(fail=True)))
    assert client.body == b"done"
    failed = [line for line in lines if line.exc_info]
    assert len(failed) == 1
    assert failed[0].levelno == logging.ERROR


def test_what_is_no_request_passes() -> None:
    seen = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    client = Client()
    asyncio.run(Gate(inner, Keys([]), Limits(), Metrics(), {})({"type": "lifespan"}, client.receive, client.send))
    assert seen == ["lifespan"]
