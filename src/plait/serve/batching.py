"""One thread that encodes for all: requests wait in a bounded queue and are encoded together, up to a token budget."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from plait.roles import Encoder
from plait.serve.counting import Counted, encode_counted
from plait.serve.errors import ApiError
from plait.serve.limits import Limits
from plait.step import Composite, walk
from plait.types import PlaitError

Answer = TypeVar("Answer")
BATCHES = 32
"""Batches of the encoder that are planned together: they are sorted by length, so that little is padded."""
PORTION = 4
"""One request gets a fourth of that at a time, so that a large one does not keep small ones waiting."""
_BYTES_A_TOKEN = 4
_FIRST_RATE = 2000.0
"""Tokens a second that a server without experience believes in."""


class Observer(Protocol):
    """Who is told about each batch."""

    def batch(self, counted: Counted, seconds: float) -> None:
        """After a batch."""


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has; to tokenise it twice would cost more than to be a little wrong.

    >>> estimated_tokens("a short text")
    5
    """
    return 2 + len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN


@dataclass(eq=False)
class _Job:
    """What one request waits for."""

    future: Future[Any] = field(default_factory=Future, init=False)

    @property
    def load(self) -> tuple[int, int]:
        """Texts and tokens that it still has in the queue."""
        return 1, 0


@dataclass(eq=False)
class _Call(_Job):
    """Something else to do in the thread, such as a search, which encodes too."""

    function: Callable[[], object]


@dataclass(eq=False)
class _Texts(_Job):
    """Texts to encode, a slice at a time where they are many."""

    recipe: Composite
    role: str
    texts: Sequence[str]
    costs: Sequence[int]
    begun: int = 0
    parts: list[Counted] = field(default_factory=list)

    @property
    def kind(self) -> tuple[int, str]:
        """Texts of one kind can be encoded together."""
        return id(self.recipe), self.role

    @property
    def load(self) -> tuple[int, int]:
        return len(self.texts) - self.begun, sum(self.costs[self.begun :])


@dataclass(frozen=True, eq=False)
class _Slice:
    job: _Texts
    texts: Sequence[str]


class Worker:
    """The queue, and the thread that works it off.

    Texts of different requests are encoded together; one with more texts than a batch takes goes back to the end of the
    queue with the rest, so that a large request does not keep a small one waiting. A request that its client gave up is
    dropped.

    Args:
        limits: of the queue and of a batch.
        observer: who is told about each batch.
    """

    def __init__(self, limits: Limits, observer: Observer | None = None) -> None:
        self._limits, self._observer = limits, observer
        self._queue: dict[_Texts | _Call, None] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._rate = _FIRST_RATE
        self._texts = self._tokens = 0
        self._pool = ThreadPoolExecutor(1, "encode")
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> tuple[int, int]:
        """Texts and tokens in the queue."""
        return self._texts, self._tokens

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return self._thread.is_alive() and not self._stopping

    async def encode(self, recipe: Composite, texts: Sequence[str], role: str) -> Counted:
        """Vectors of the texts.

        Raises:
            ApiError: if the queue is full, or could never hold so many texts.
            PlaitError: if the recipe cannot encode them.
        """
        job = _Texts(recipe, role, texts, [estimated_tokens(text) for text in texts])
        counted: Counted = await self._done(job)
        return counted

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """What the function gives, called in the thread that encodes."""
        answer: Answer = await self._done(_Call(function))
        return answer

    def stop(self) -> None:
        """Finish what is in the queue, and take no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self._pool.shutdown()

    async def _done(self, job: _Texts | _Call) -> Any:
        texts, tokens = job.load
        with self._changed:
            self._check_room(texts, tokens)
            self._queue[job] = None
            self._count(texts, tokens)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._drop(job)
            raise

    def _check_room(self, texts: int, tokens: int) -> None:
        limits = self._limits
        if texts > limits.waiting_texts or tokens > limits.waiting_tokens:
            message = (
                f"the request has {texts:,} texts of about {tokens:,} tokens; this server takes "
                f"{limits.waiting_texts:,} texts and {limits.waiting_tokens:,} tokens at most: split it"
            )
            raise ApiError(413, message, "too_many_tokens", "input")
        if self._stopping:
            raise ApiError(503, "the server is stopping; ask another one", "stopping")
        if self._texts + texts > limits.waiting_texts or self._tokens + tokens > limits.waiting_tokens:
            wait = min(60, max(1, math.ceil(self._tokens / self._rate)))
            message = f"{self._texts:,} texts are waiting already; try again in {wait} s"
            raise ApiError(429, message, "overloaded", wait=wait)

    def _count(self, texts: int, tokens: int) -> None:
        self._texts, self._tokens = self._texts + texts, self._tokens + tokens

    def _drop(self, job: _Texts | _Call) -> None:
        """Take a job out of the queue, if it is there."""
        with self._changed:
            if job in self._queue:
                texts, tokens = job.load
                del self._queue[job]
                self._count(-texts, -tokens)

    def _work(self) -> None:
        while (work := self._next()) is not None:
            if isinstance(work, _Call):
                self._finish(work, self._pool.submit(work.function))
            else:
                self._encode(work)

    def _next(self) -> list[_Slice] | _Call | None:
        """What to do next, once there is something; None when all is done and the worker stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            first = next(iter(self._queue), None)
            if isinstance(first, _Texts):
                return self._batch(first)
            if first is not None:
                self._drop(first)
            return first

    def _batch(self, first: _Texts) -> list[_Slice]:
        """Texts of the first job's kind, in the order of the queue, up to the budget; the first text in any case."""
        given, budget = self._limits.batch_tokens, batch_budget(first.recipe)
        left, portion = (given, given) if given else (budget, budget // PORTION)
        slices: list[_Slice] = []
        unfinished: list[_Texts] = []
        for job in list(self._queue):
            if not isinstance(job, _Texts) or job.kind != first.kind:
                continue
            start = stop = job.begun
            mine = min(left, portion)
            while stop < len(job.texts) and (mine >= job.costs[stop] or not (slices or stop > start)):
                mine, left = mine - job.costs[stop], left - job.costs[stop]
                stop += 1
            if stop == start:
                break
            slices.append(_Slice(job, job.texts[start:stop]))
            self._count(start - stop, -sum(job.costs[start:stop]))
            job.begun = stop
            del self._queue[job]
            if stop < len(job.texts):
                unfinished.append(job)
        self._queue.update(dict.fromkeys(unfinished))
        return slices

    def _encode(self, slices: list[_Slice]) -> None:
        job = slices[0].job
        texts = [text for piece in slices for text in piece.texts]
        started = time.monotonic()
        done = self._pool.submit(encode_counted, job.recipe, texts, job.role)
        if isinstance(done.exception(), PlaitError) and len(slices) > 1:
            for piece in slices:  # one of them is at fault: the others get their vectors
                self._encode([piece])
            return
        if done.exception() is None:
            self._told(done.result(), time.monotonic() - started)
        start = 0
        for piece in slices:
            stop = start + len(piece.texts)
            self._give(piece.job, done, slice(start, stop))
            start = stop

    def _told(self, counted: Counted, seconds: float) -> None:
        rate = float(counted.tokens.sum()) / max(seconds, 1e-6)
        self._rate += 0.2 * (rate - self._rate)
        if self._observer is not None:
            self._observer.batch(counted, seconds)

    def _give(self, job: _Texts, done: Future[Counted], rows: slice) -> None:
        """Hand a job its rows; all of them together once the last one is there."""
        if done.exception() is not None:
            self._drop(job)
            self._finish(job, done)
            return
        job.parts.append(done.result()[rows])
        if sum(len(part.tokens) for part in job.parts) == len(job.texts):
            whole: Future[Counted] = Future()
            whole.set_result(Counted.joined(job.parts))
            self._finish(job, whole)

    def _finish(self, job: _Texts | _Call, done: Future[Any]) -> None:
        error = done.exception()
        if not job.future.set_running_or_notify_cancel():
            return  # its client has gone
        if error is None:
            job.future.set_result(done.result())
        else:
            job.future.set_exception(error)


def batch_budget(recipe: Composite) -> int:
    """Tokens to encode at once, unless somebody says otherwise."""
    return BATCHES * min(step.budget for step in walk(recipe) if isinstance(step, Encoder))
