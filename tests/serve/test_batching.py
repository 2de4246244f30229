from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait.serve import batching
from plait.serve.batching import BATCHES, Worker, batch_budget, estimated_tokens
from plait.serve.counting import Counted, encode_counted
from plait.serve.errors import ApiError
from plait.serve.limits import Limits
from plait.step import Composite
from plait.types import DataError
from tests.store.makers import TEXTS, many


class Slow:
    """Stands for `encode_counted`: waits to be let through, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.begun, self.gate = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, recipe: Composite, texts: Sequence[str], role: str) -> Counted:
        self.batches.append(tuple(texts))
        self.begun.release()
        assert self.gate.acquire(timeout=10)
        if "bad" in texts:
            raise DataError("one of them is bad")
        if "broken" in texts:
            raise ZeroDivisionError
        values = np.array([[len(text)] for text in texts], np.float32)
        return Counted(values, np.ones(len(texts), np.int64), np.zeros(len(texts), np.int64))

    async def started(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=10)

    def let(self, batches: int) -> None:
        for _ in range(batches):
            self.gate.release()


@contextmanager
def working(limits: Limits) -> Iterator[Worker]:
    worker = Worker(limits)
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr("plait.serve.batching.encode_counted", slow)
    return slow


def lengths(counted: Counted) -> list[float]:
    return [float(value) for value in counted.values[:, 0]]


async def queued(worker: Worker, recipe: Composite, *requests: list[str], role: str = "document") -> list[Any]:
    """Tasks whose requests are in the queue."""
    tasks = [asyncio.ensure_future(worker.encode(recipe, texts, role)) for texts in requests]
    await asyncio.sleep(0)
    return tasks


def test_what_waits_is_encoded_together_up_to_the_budget(recipe: Composite, slow: Slow) -> None:
    cost = estimated_tokens("aaaa")

    async def scenario(worker: Worker) -> None:
        first = await queued(worker, recipe, ["x"])
        await slow.started()
        rest = await queued(worker, recipe, ["aaaa", "bbbb"], ["cccc"], ["dddd", "eeee"])
        slow.let(3)
        assert lengths(await first[0]) == [1]
        assert [lengths(found) for found in await asyncio.gather(*rest)] == [[4, 4], [4], [4, 4]]

    with working(Limits(batch_tokens=4 * cost)) as worker:
        asyncio.run(scenario(worker))
    assert slow.batches == [("x",), ("aaaa", "bbbb", "cccc", "dddd"), ("eeee",)]


def test_a_large_request_does_not_keep_a_small_one_waiting(recipe: Composite, slow: Slow) -> None:
    cost = estimated_tokens("aaaa")

    async def scenario(worker: Worker) -> None:
        large = await queued(worker, recipe, [f"{n:04}" for n in range(9)])
        await slow.started()
        small = await queued(worker, recipe, ["small"])
        slow.let(6)
        await small[0]
        assert not large[0].done()
        assert lengths(await large[0]) == [4] * 9

    with working(Limits(batch_tokens=2 * cost)) as worker:
        asyncio.run(scenario(worker))
    assert slow.batches[0] == ("0000", "0001")
    assert slow.batches[2] == ("small", "0004")
    assert sum(map(len, slow.batches)) == 10


def test_a_large_request_fills_a_fourth_of_a_batch(
    recipe: Composite, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "batch_budget", lambda recipe: 8 * estimated_tokens("aaaa"))

    async def scenario(worker: Worker) -> None:
        large = await queued(worker, recipe, [f"{n:04}" for n in range(6)])
        await slow.started()
        small = await queued(worker, recipe, ["aaaa"], ["bbbb"])
        slow.let(4)
        await asyncio.gather(*small, *large)

    with working(Limits()) as worker:
        asyncio.run(scenario(worker))
    assert slow.batches == [("0000", "0001"), ("0002", "0003", "aaaa", "bbbb"), ("0004", "0005")]


def test_a_text_above_the_budget_goes_alone(recipe: Composite, slow: Slow) -> None:
    slow.let(3)
    with working(Limits(batch_tokens=1)) as worker:
        found = asyncio.run(worker.encode(recipe, ["a" * 99, "b"], "document"))
    assert lengths(found) == [99, 1]
    assert slow.batches == [("a" * 99,), ("b",)]


def test_roles_and_recipes_are_not_mixed(recipe: Composite, slow: Slow) -> None:
    other = plait.parse(str(recipe))

    async def scenario(worker: Worker) -> None:
        tasks = await queued(worker, recipe, ["x"])
        await slow.started()
        tasks += await queued(worker, recipe, ["a"])
        tasks += await queued(worker, recipe, ["b"], role="query")
        tasks += await queued(worker, other, ["c"])
        tasks += await queued(worker, recipe, ["d"])
        slow.let(4)
        await asyncio.gather(*tasks)

    with working(Limits(batch_tokens=100)) as worker:
        asyncio.run(scenario(worker))
    assert slow.batches == [("x",), ("a", "d"), ("b",), ("c",)]


def test_a_full_queue_says_when_to_come_back(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        tasks = await queued(worker, recipe, ["x"])
        await slow.started()
        tasks += await queued(worker, recipe, ["a", "b"], ["c"])
        assert worker.waiting == (3, 3 * estimated_tokens("a"))
        with pytest.raises(ApiError) as full:
            await worker.encode(recipe, ["d"], "document")
        assert (full.value.status, full.value.code) == (429, "overloaded")
        assert int(full.value.headers["retry-after"]) >= 1
        with pytest.raises(ApiError) as never:
            await worker.encode(recipe, list("abcd"), "document")
        assert never.value.status == 413
        slow.let(2)
        await asyncio.gather(*tasks)
        assert worker.waiting == (0, 0)

    with working(Limits(batch_tokens=100, waiting_texts=3)) as worker:
        asyncio.run(scenario(worker))


def test_the_queue_is_bounded_by_tokens_too(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        tasks = await queued(worker, recipe, ["x"])
        await slow.started()
        tasks += await queued(worker, recipe, ["a" * 160])
        with pytest.raises(ApiError) as full:
            await worker.encode(recipe, ["b" * 80], "document")
        assert full.value.status == 429
        slow.let(2)
        await asyncio.gather(*tasks)

    with working(Limits(batch_tokens=100, waiting_tokens=50)) as worker:
        asyncio.run(scenario(worker))


def test_a_request_that_was_given_up_is_dropped(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        first, second, third = await queued(worker, recipe, ["x", "y", "z"], ["second"], ["third"])
        await slow.started()
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        assert worker.waiting == (1, estimated_tokens("third"))
        slow.let(2)
        assert lengths(await third) == [5]

    with working(Limits(batch_tokens=1)) as worker:
        asyncio.run(scenario(worker))
        assert worker.waiting == (0, 0)
    assert slow.batches == [("x",), ("third",)]


def test_only_the_one_at_fault_gets_the_error(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        tasks = await queued(worker, recipe, ["x"])
        await slow.started()
        tasks += await queued(worker, recipe, ["good"], ["bad"], ["fine"])
        slow.let(5)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [Counted, Counted, DataError, Counted]

    with working(Limits(batch_tokens=100)) as worker:
        asyncio.run(scenario(worker))


def test_a_failure_of_the_machine_reaches_all_and_the_thread_goes_on(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        slow.let(3)
        with pytest.raises(ZeroDivisionError):
            await worker.encode(recipe, ["broken", "later"], "document")
        assert worker.waiting == (0, 0)
        assert lengths(await worker.encode(recipe, ["ok"], "document")) == [2]
        assert worker.alive

    with working(Limits(batch_tokens=1)) as worker:
        asyncio.run(scenario(worker))


def test_stopping_finishes_what_waits_and_takes_no_more(recipe: Composite, slow: Slow) -> None:
    async def scenario(worker: Worker) -> None:
        tasks = await queued(worker, recipe, ["x"])
        await slow.started()
        tasks += await queued(worker, recipe, ["waits"])
        stopping = asyncio.ensure_future(asyncio.to_thread(worker.stop))
        while worker.alive:
            await asyncio.sleep(0.01)
        with pytest.raises(ApiError) as refused:
            await worker.encode(recipe, ["late"], "document")
        assert refused.value.status == 503
        slow.let(2)
        assert [lengths(found) for found in await asyncio.gather(*tasks)] == [[1], [5]]
        await stopping

    asyncio.run(scenario(Worker(Limits(batch_tokens=100))))


def test_calls_run_in_the_thread_that_encodes(recipe: Composite) -> None:
    names: list[str] = []

    def call() -> int:
        names.append(threading.current_thread().name)
        return 7

    def fail() -> None:
        raise KeyError("x")

    async def scenario(worker: Worker) -> None:
        assert await worker.call(call) == 7
        with pytest.raises(KeyError):
            await worker.call(fail)
        await worker.encode(recipe, ["a"], "document")
        assert await worker.call(call) == 7

    with working(Limits()) as worker:
        asyncio.run(scenario(worker))
    assert len(set(names)) == 1
    assert names[0] != threading.main_thread().name


@pytest.fixture(scope="module")
def hosts(tiny_bert: Path) -> Composite:
    return plait.parse(f'Transformer("{tiny_bert}") | MeanPool()')


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 120))
def test_vectors_are_the_same_whatever_the_batch(recipe: Composite, sizes: list[int], budget: int) -> None:
    texts = many(sum(sizes))
    _same(recipe, texts, sizes, budget, np.testing.assert_array_equal)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 120))
def test_vectors_of_a_transformer_too(hosts: Composite, sizes: list[int], budget: int) -> None:
    def close(one: object, other: object) -> None:
        np.testing.assert_allclose(one, other, atol=2e-6)  # type: ignore[call-overload]

    _same(hosts, [TEXTS[n % 5][: 3 + 7 * n] for n in range(sum(sizes))], sizes, budget, close)


def _same(
    recipe: Composite, texts: list[str], sizes: list[int], budget: int, check: Callable[[object, object], None]
) -> None:
    bounds = np.cumsum([0, *sizes])
    requests = [texts[start:stop] for start, stop in pairwise(bounds)]

    async def scenario(worker: Worker) -> list[Counted]:
        return await asyncio.gather(*(worker.encode(recipe, request, "document") for request in requests))

    with working(Limits(batch_tokens=budget)) as worker:
        found = asyncio.run(scenario(worker))
    for counted, request in zip(found, requests, strict=True):
        alone = [encode_counted(recipe, [text], "document") for text in request]
        check(counted.values, np.vstack([one.values for one in alone]))
        assert counted.tokens.tolist() == [int(one.tokens[0]) for one in alone]


def test_the_budget_follows_the_encoder(recipe: Composite, tiny_bert: Path) -> None:
    host = plait.parse(f'Transformer("{tiny_bert}") | MeanPool()')
    assert batch_budget(host) == BATCHES * next(iter(host.strands())).encoder.budget
    assert batch_budget(recipe) > batch_budget(host)
