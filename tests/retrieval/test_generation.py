"""Generators: a local decoder, a real HTTP endpoint, texts that were kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from plait import parse
from plait.retrieval import (
    CachedGenerator,
    Draw,
    EndpointGenerator,
    HypotheticalDocuments,
    LocalGenerator,
    RecordedGenerator,
    hypothetical_prompts,
)
from plait.step import unit_rows
from plait.types import DataError, ModelError, RecipeError


class Chat(BaseHTTPRequestHandler):
    """Answers as a chat endpoint does, with what it was asked."""

    asked: ClassVar[list[dict[str, object]]] = []
    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Chat.asked.append(body)
        Chat.keys.append(self.headers["Authorization"])
        said = body["messages"][0]["content"]
        answer: object = {"choices": [{"message": {"content": f" {said} {n} "}} for n in range(body["n"])]}
        if said == "nonsense":
            answer = [1, 2]
        self.send_response(500 if said == "broken" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Chat)
    Chat.asked, Chat.keys = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_an_endpoint_is_asked_as_openai_is(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    found = EndpointGenerator(endpoint, "m").generate(["a", "b"], Draw(2, 0.5, 9, 3))
    assert found == [["a 0", "a 1"], ["b 0", "b 1"]]
    assert Chat.keys == ["Bearer secret"] * 2
    assert Chat.asked[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}],
        "n": 2,
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 3,
    }


@pytest.mark.parametrize(("said", "message"), [("nonsense", "something else"), ("broken", "does not answer")])
def test_an_endpoint_that_fails_is_named(endpoint: str, said: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        EndpointGenerator(endpoint, "m").generate([said], Draw(1))
    with pytest.raises(ModelError, match="no address"):
        EndpointGenerator("file:///etc", "m").generate(["a"], Draw(1))


def test_what_was_written_is_found_again(endpoint: str, tmp_path: Path) -> None:
    kept = CachedGenerator(EndpointGenerator(endpoint, "m"), tmp_path / "kept")
    first = kept.generate(["a", "b"], Draw(1))
    assert kept.generate(["b", "a", "c"], Draw(1)) == [first[1], first[0], ["c 0"]]
    assert len(Chat.asked) == 3
    kept.generate(["a"], Draw(1, seed=1))
    assert len(Chat.asked) == 4


def test_a_local_decoder_must_have_a_head(tiny_experts: Path) -> None:
    with pytest.raises(ModelError, match="output matrix of its own"):
        LocalGenerator(str(tiny_experts), "float32").generate(["a"], Draw(1))


def test_the_mean_is_the_formula(tiny_table: Path) -> None:
    recipe = parse(f'StaticTable("{tiny_table}") | MeanPool() | Binary()')
    written = {"say cats": ["They purr.", "They sleep all day."], "say rain": ["It is wet.", "Yes"]}
    hyde = HypotheticalDocuments(RecordedGenerator(written), "say {query}", draw=Draw(count=2))
    floats = parse(f'StaticTable("{tiny_table}") | MeanPool()')

    def unit(texts: list[str], role: str) -> np.ndarray:
        return unit_rows(floats.encode(texts, role).values)

    found = hyde.transform(["cats", "rain"], recipe)
    for row, query in enumerate(["cats", "rain"]):
        parts = np.vstack([unit([query], "query"), unit(written[f"say {query}"], "document")])
        np.testing.assert_allclose(found[row], parts.mean(axis=0), atol=1e-6)


def test_no_document_is_the_plain_query(tiny_table: Path) -> None:
    recipe = parse(f'StaticTable("{tiny_table}") | MeanPool()')
    found = HypotheticalDocuments(RecordedGenerator(), draw=Draw(count=0)).transform(["a text", "b"], recipe)
    np.testing.assert_array_equal(found, unit_rows(recipe.encode(["a text", "b"], "query").values))


def test_a_generator_sees_the_query_alone() -> None:
    seen: list[str] = []

    class Spy:
        name = "spy"

        def generate(self, prompts: list[str], draw: Draw) -> list[list[str]]:
            seen.extend(prompts)
            return [["text"] for _ in prompts]

    HypotheticalDocuments(Spy(), "multilingual", language="Swahili", draw=Draw(1)).documents(["where?"])  # type: ignore[arg-type]
    assert seen == [hypothetical_prompts()["multilingual"]["completion"].format(query="where?", language="Swahili")]


def test_what_is_wrong_is_told() -> None:
    written = RecordedGenerator({"a": ["b"]})
    with pytest.raises(DataError, match="1 texts are recorded"):
        written.generate(["a"], Draw(2))
    with pytest.raises(RecipeError, match="is no name: expected one of web_search"):
        HypotheticalDocuments(written, "poem")
    with pytest.raises(RecipeError, match="completion, instruction"):
        HypotheticalDocuments(written, style="chat")
    with pytest.raises(RecipeError, match="nothing would be searched"):
        HypotheticalDocuments(written, draw=Draw(0), include_query=False)
