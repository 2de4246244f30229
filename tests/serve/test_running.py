"""The server in a process of its own: what holds for real clients, and for those that misbehave."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from plait.serve.running import WithoutTexts
from plait.step import Composite
from plait.store.table import Table
from tests.serve.running import Server
from tests.store.makers import TEXTS, floats

KEY = "key-of-a-client"
SECRET = "whisper"
MEGABYTE = 1 << 20


def body_of(texts: list[str], **more: object) -> bytes:
    return json.dumps({"model": "tiny", "input": texts} | more).encode()


def head(port: int, length: int) -> bytes:
    lines = [
        "POST /v1/embeddings HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(port: int, buffer: int | None = None) -> socket.socket:
    sock = socket.socket()
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", port))
    return sock


def until(condition: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_openais_client_works_unchanged(recipe: Composite, tables: Path, tmp_path: Path) -> None:
    arguments = [str(recipe), "--name", "tiny", "--index", tables / "first", "--index", tables / "second"]
    with Server(tmp_path, *arguments, keys=f"other,{KEY}") as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0) as client:
            expected = recipe.encode(TEXTS).values
            made = client.embeddings.create(model="tiny", input=TEXTS)
            np.testing.assert_array_equal(np.array([row.embedding for row in made.data], np.float32), expected)
            assert made.usage.prompt_tokens == made.usage.total_tokens > 0
            listed = client.embeddings.create(model="tiny", input=TEXTS[0], encoding_format="float")
            assert listed.data[0].embedding == pytest.approx(expected[0].tolist(), abs=1e-7)
            assert [model.id for model in client.models.list()] == ["tiny", "second"]
            assert client.models.retrieve("second").id == "second"
            with pytest.raises(openai.NotFoundError) as unknown:
                client.embeddings.create(model="gpt", input="a")
            assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
            with pytest.raises(openai.BadRequestError, match="in no order"):
                client.embeddings.create(model="tiny", input="a", dimensions=4)
            with pytest.raises(openai.BadRequestError, match="token ids"):
                client.embeddings.create(model="tiny", input=[[1, 2]])
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key=SECRET, max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError, match="API key"),
        ):
            stranger.embeddings.create(model="tiny", input="a")
        headers = {"authorization": f"Bearer {KEY}"}
        found = httpx.post(f"{server.url}/search", json={"query": TEXTS[1], "k": 1}, headers=headers).json()["results"]
        assert [result["hits"][0]["metadata"]["topic"] for result in found] == ["animals", "animals"]
        assert httpx.get(server.url).status_code == 200
        assert server.stop() == 0
    assert not any(text in server.text for text in (KEY, SECRET, "fox", "Traceback"))


@pytest.fixture(scope="module")
def server(recipe: Composite, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that is patient for two seconds only."""
    arguments = ["--name", "tiny", "--index", tables / "first", "--patience", "2", "--max-waiting", "4096"]
    with Server(tmp_path_factory.mktemp("server"), str(recipe), *arguments) as found:
        yield found
        assert found.stop() == 0
    assert SECRET not in found.text


def well(server: Server) -> None:
    """It answers a good client at once."""
    started = time.monotonic()
    answer = httpx.post(f"{server.url}/v1/embeddings", content=body_of(TEXTS), headers=JSON, timeout=30)
    assert answer.status_code == 200
    assert time.monotonic() - started < 10


JSON = {"content-type": "application/json"}


@pytest.mark.slow
def test_slow_readers_are_given_up_and_hold_no_memory(tmp_path: Path) -> None:
    arguments = ['StaticTable("wordllama") | MeanPool()', "--name", "tiny", "--patience", "2"]
    request = body_of([f"{SECRET} {n}" for n in range(2000)], encoding_format="float")  # 10 MB of answer
    with Server(tmp_path, *arguments) as server:
        well(server)
        before = server.memory
        clients = [connected(server.port, 4096) for _ in range(200)]
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda one: one.sendall(head(server.port, len(request)) + request), clients))
        until(lambda: server.figure("plait_waiting_texts") == 0)
        assert server.figure("plait_held_bytes") > 20 * MEGABYTE
        assert server.memory - before < 400 * MEGABYTE
        well(server)
        until(lambda: server.figure("plait_held_bytes") == 0)
        assert server.figure("plait_requests_given_up_total") >= 5
        for one in clients:
            one.close()
        well(server)
        assert SECRET not in server.text


@pytest.mark.slow
def test_slow_senders_are_given_up(server: Server) -> None:
    clients = [connected(server.port) for _ in range(100)]
    for one in clients:
        one.sendall(head(server.port, 1000) + b'{"model": ')
    well(server)
    assert all(one.recv(4096).startswith(b"HTTP/1.1 408") for one in clients)
    assert server.figure("plait_held_bytes") == 0
    for one in clients:
        one.close()


@pytest.mark.slow
def test_dropped_connections_leave_nothing_behind(server: Server) -> None:
    request = body_of([f"{SECRET} {n}" for n in range(300)])
    for cut in (10, 200, len(request) // 2, len(request)):
        for _ in range(50):
            one = connected(server.port)
            one.sendall(head(server.port, len(request)) + request[:cut])
            one.close()
    until(lambda: server.figure("plait_waiting_texts") == server.figure("plait_held_bytes") == 0)
    well(server)


@pytest.mark.slow
@pytest.mark.parametrize("announced", [True, False])
def test_bodies_of_100_megabytes_are_refused_unread(server: Server, announced: bool) -> None:
    well(server)
    before = server.memory
    text = SECRET.encode() * 10_000

    def content() -> Iterator[bytes]:
        for _ in range(100 * MEGABYTE // len(text)):
            yield text

    headers = JSON | ({"content-length": str(100 * MEGABYTE // len(text) * len(text))} if announced else {})
    answer = httpx.post(f"{server.url}/v1/embeddings", content=content(), headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert server.memory - before < 60 * MEGABYTE
    well(server)


@pytest.mark.slow
def test_200_clients_at_once_get_their_own_vectors(server: Server, recipe: Composite) -> None:
    def ask(number: int) -> None:
        texts = [f"{TEXTS[number % 5]} {number} {n}" for n in range(1 + number % 4)]
        with httpx.Client() as client:
            for _ in range(3):
                answer = client.post(f"{server.url}/v1/embeddings", content=body_of(texts), headers=JSON, timeout=60)
                assert answer.status_code == 200
                values = np.array([row["embedding"] for row in answer.json()["data"]], np.float32)
                np.testing.assert_array_equal(values, recipe.encode(texts).values)

    with ThreadPoolExecutor(200) as pool:
        list(pool.map(ask, range(200)))


@pytest.mark.slow
def test_what_is_no_http_is_no_matter(server: Server) -> None:
    endless = b"POST /search HTTP/1.1\r\n" + b"x" * 200_000
    for junk in (b"\x00" * 1000, b"GET / HTTP/x\r\n\r\n", endless, SECRET.encode()):
        one = connected(server.port)
        one.sendall(junk)
        one.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in one.recv(4096)
        one.close()
    well(server)


@pytest.mark.slow
def test_memory_is_flat_over_many_requests(server: Server) -> None:
    with httpx.Client() as client:

        def ask(requests: int) -> int:
            for number in range(requests):
                body = body_of([f"{SECRET} {number} {n}" for n in range(8)])
                assert client.post(f"{server.url}/v1/embeddings", content=body, headers=JSON).status_code == 200
            return server.memory

        before = ask(500)
        assert ask(1500) - before < 8 * MEGABYTE


@pytest.mark.slow
def test_a_stop_finishes_what_is_in_flight(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = f'Transformer("{tiny_bert}") | MeanPool()'
    texts = [f"{TEXTS[n % 5]} {n}" for n in range(2000)]
    with Server(tmp_path, recipe, "--name", "tiny") as server:
        answers: list[httpx.Response] = []

        def ask() -> None:
            url = f"{server.url}/v1/embeddings"
            answers.append(httpx.post(url, content=body_of(texts), headers=JSON, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: server.figure("plait_waiting_texts") > 0)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")
        assert server.process.wait(timeout=60) == 0
        asking.join()
        assert answers[0].status_code == 200
        assert len(answers[0].json()["data"]) == 2000


@pytest.mark.slow
def test_a_full_queue_is_refused_and_clients_come_back(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = f'Transformer("{tiny_bert}") | MeanPool()'
    texts = [f"{TEXTS[n % 5]} {n}" for n in range(200)]
    with Server(tmp_path, recipe, "--name", "tiny", "--max-texts", "200", "--max-waiting", "400") as server:

        def ask(_: int) -> int:
            return httpx.post(
                f"{server.url}/v1/embeddings", content=body_of(texts), headers=JSON, timeout=60
            ).status_code

        with ThreadPoolExecutor(12) as pool:
            statuses = set(pool.map(ask, range(12)))
        assert statuses == {200, 429}
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="-", max_retries=8) as client:

            def patient(_: int) -> int:
                return len(client.embeddings.create(model="tiny", input=texts).data)

            with ThreadPoolExecutor(6) as pool:
                assert set(pool.map(patient, range(6))) == {200}


@pytest.mark.slow
def test_a_table_that_is_damaged_while_it_is_served(tiny_table: Path, tmp_path: Path) -> None:
    Table.create(tmp_path / "table", floats(tiny_table), TEXTS)
    with Server(tmp_path, str(floats(tiny_table)), "--name", "tiny", "--index", "table") as server:
        shutil.rmtree(tmp_path / "table")
        answer = httpx.post(f"{server.url}/search", json={"query": SECRET})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "index_unreadable")
        well(server)
        assert SECRET not in server.text


def test_a_trace_in_the_log_says_where_but_not_what() -> None:
    try:
        json.loads(SECRET)
    except ValueError:
        record = logging.LogRecord("plait.serve", logging.ERROR, "", 0, "a request failed", None, sys.exc_info())
    text = WithoutTexts("%(message)s").format(record)
    assert "json.loads" in text
    assert text.endswith("JSONDecodeError")
    assert "char 0" not in text
