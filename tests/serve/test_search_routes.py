from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from plait.serve.searching import TableIndex
from tests.serve.test_embeddings import json_values
from tests.store.makers import TEXTS


def test_a_search_asks_every_collection(client: TestClient, tables: Path) -> None:
    answer = client.post("/search", json={"query": TEXTS[2], "k": 3})
    assert answer.status_code == 200
    results = answer.json()["results"]
    for result, name in zip(results, ("first", "second"), strict=True):
        index = TableIndex(tables / name)
        assert (result["index"], result["recipe"]) == (name, str(index.recipe))
        expected = index.search(TEXTS[2], 3, {})
        assert [(h["id"], h["text"], h["metadata"]) for h in result["hits"]] == [
            (hit.id, hit.text, hit.metadata) for hit in expected
        ]
        assert [h["score"] for h in result["hits"]] == pytest.approx([hit.score for hit in expected])


def test_one_collection_and_filters(client: TestClient) -> None:
    body = {"query": "rain", "k": 20, "indexes": ["second", "second"], "filters": {"topic": "weather", "copy": [1, 2]}}
    (result,) = client.post("/search", json=body).json()["results"]
    assert result["index"] == "second"
    assert sorted(hit["id"] for hit in result["hits"]) == ["weather-3-1", "weather-3-2"]


@pytest.mark.parametrize(
    ("body", "status", "param", "message"),
    [
        ({"query": ""}, 400, "query", "empty"),
        ({"query": " \n"}, 400, "query", "empty"),
        ({"query": "a" * 501}, 400, "query", "501 characters"),
        ({"query": None}, 400, "query", "string"),
        ({"query": ["a"]}, 400, "query", "string"),
        ({"k": 0}, 400, "k", "1 to 20"),
        ({"k": 21}, 400, "k", "1 to 20"),
        ({"k": "3"}, 400, "k", "integer"),
        ({"indexes": ["third"]}, 404, "indexes", "first, second"),
        ({"indexes": "first"}, 400, "indexes", "list"),
        ({"filters": [1]}, 400, "filters", "dictionary"),
        ({"filters": {"topic": {"a": 1}}}, 400, r"filters\.topic", "valid"),
    ],
)
def test_what_is_wrong_is_said(
    client: TestClient, body: dict[str, object], status: int, param: str, message: str
) -> None:
    answer = client.post("/search", json={"query": "a"} | body)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert re.match(param, error["param"])
    assert re.search(message, error["message"])


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({"query": st.text(max_size=20) | json_values}, optional={
    "k": json_values | st.integers(-1, 30), "filters": json_values, "indexes": json_values}))  # fmt: skip
def test_no_body_makes_it_fail(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/search", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404)


def test_the_page_learns_what_there_is(client: TestClient) -> None:
    cards = client.get("/indexes").json()["indexes"]
    assert [(card["name"], card["rows"]) for card in cards] == [("first", 40), ("second", 40)]
    assert cards[0]["fields"] == {
        "topic": ["animals", "science", "weather", "money"],
        "copy": list(range(8)),
    }
    points = client.get("/map/second").json()
    assert {len(points[name]) for name in ("x", "y", "id", "text")} == {40}
    assert len(points["fields"]["topic"]) == 40
    assert client.get("/map/third").status_code == 404


def test_an_index_that_cannot_be_read_any_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("lance error: a client's text")

    with monkeypatch.context() as patch:
        patch.setattr(TableIndex, "search", broken)
        answer = client.post("/search", json={"query": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "index_unreadable")
    assert "client's text" not in answer.text
    assert client.post("/search", json={"query": "a"}).status_code == 200
