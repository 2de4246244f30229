from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from plait.step import Composite
from tests.store.makers import TEXTS


def ask(client: TestClient, **body: object) -> dict[str, object]:
    answer = client.post("/v1/embeddings", json={"model": "tiny", "input": TEXTS[:3]} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def vectors(answer: dict[str, object]) -> np.ndarray:
    data = answer["data"]
    assert isinstance(data, list)
    assert [row["index"] for row in data] == list(range(len(data)))
    rows = [row["embedding"] for row in data]
    return np.array([np.frombuffer(base64.b64decode(row), "<f4") if isinstance(row, str) else row for row in rows])


def test_floats_and_base64_are_the_recipes_vectors(client: TestClient, recipe: Composite) -> None:
    expected = recipe.encode(TEXTS[:3]).values
    np.testing.assert_array_equal(vectors(ask(client)).astype(np.float32), expected)
    np.testing.assert_array_equal(vectors(ask(client, encoding_format="base64")), expected)
    np.testing.assert_array_equal(vectors(ask(client, input=TEXTS[0])), expected[:1])


def test_usage_counts_tokens(client: TestClient, recipe: Composite) -> None:
    tokens = next(iter(recipe.strands())).encoder.tokenize(TEXTS[:3]).lengths.sum()
    assert ask(client)["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_an_empty_text_is_a_text(client: TestClient, recipe: Composite) -> None:
    np.testing.assert_array_equal(vectors(ask(client, input=["", "a"])), recipe.encode(["", "a"]).values)


@pytest.mark.parametrize(
    ("body", "status", "param", "message"),
    [
        ({"input": []}, 400, "input", "not empty"),
        ({"input": None}, 400, "input", "no text"),
        ({"input": {"a": 1}}, 400, "input", "no text"),
        ({"input": 7}, 400, "input", "no text"),
        ({"input": [1, 2, 3]}, 400, "input", "token ids"),
        ({"input": [[1, 2], [3]]}, 400, "input", "token ids"),
        ({"input": ["a", None]}, 400, "input", r"input\[1\] is no text"),
        ({"input": ["a", {"b": 1}]}, 400, "input", r"input\[1\] is no text"),
        ({"input": ["a"] * 9}, 400, "input", "8 are allowed"),
        ({"input": ["a" * 501]}, 400, "input", "501 characters"),
        ({"model": "gpt"}, 404, "model", "there are: tiny"),
        ({"model": None}, 400, "model", "string"),
        ({"dimensions": "3"}, 400, "dimensions", "integer"),
        ({"dimensions": 0}, 400, "dimensions", "expected 1 to 16"),
        ({"dimensions": -4}, 400, "dimensions", "expected 1 to 16"),
        ({"dimensions": 17}, 400, "dimensions", "expected 1 to 16"),
        ({"dimensions": 8}, 400, "dimensions", "in no order"),
        ({"encoding_format": "hex"}, 400, "encoding_format", "base64"),
        ({"role": "passage"}, 400, "role", "document"),
    ],
)
def test_what_is_wrong_is_said_as_openai_says_it(
    client: TestClient, body: dict[str, object], status: int, param: str, message: str
) -> None:
    answer = client.post("/v1/embeddings", json={"model": "tiny", "input": "a"} | body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (status, "invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}
    assert re.search(message, error["message"])


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"\xff\xfe", b'{"model": "tiny", "input": "a"', b"nan"])
def test_a_body_that_is_no_json(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [[], [1], "text", 3, None, True])
def test_a_body_that_is_no_object(client: TestClient, body: object) -> None:
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.fixed_dictionaries({"model": st.just("tiny") | json_values, "input": json_values}, optional={
    "dimensions": json_values, "encoding_format": json_values, "role": json_values}))  # fmt: skip
def test_no_body_makes_it_fail(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/embeddings", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_any_text_gets_its_vector(client: TestClient, recipe: Composite, texts: list[str]) -> None:
    np.testing.assert_array_equal(vectors(ask(client, input=texts)).astype(np.float32), recipe.encode(texts).values)


def test_half_a_character_is_no_failure(client: TestClient) -> None:
    body = b'{"model": "tiny", "input": ["\\ud83d half", "whole"]}'
    answer = client.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2


def test_models_are_listed(client: TestClient, recipe: Composite) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["tiny"]
    one = client.get("/v1/models/tiny").json()
    assert one == listed["data"][0]
    assert (one["object"], one["recipe"], one["dimensions"]) == ("model", str(recipe), 16)
    assert client.get("/v1/models/other").status_code == 404
