from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from plait.serve import app, searching
from plait.serve.app import CLOSED, PAGE, create_app
from plait.serve.keys import Keys
from plait.serve.models import Model
from plait.serve.searching import TableIndex
from plait.step import Composite
from plait.store.table import Record, Table
from tests.store.makers import TEXTS


@pytest.mark.parametrize("path", PAGE)
def test_the_page_is_whole_and_needs_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z]", answer.text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", answer.text)
    assert not re.search(r"<script(?! type=\"module\" src=\")|<style|\sstyle=|\son[a-z]+=\"", answer.text)


def test_files_of_the_page_are_what_the_page_says_they_are(client: TestClient) -> None:
    kinds = [client.get(path).headers["content-type"].partition(";")[0] for path in PAGE]
    assert kinds == ["text/html", "text/css", "text/javascript", "text/javascript"]
    named = re.findall(r'(?:src|href)="([a-z]+\.(?:css|js))"', client.get("/").text)
    assert {f"/{name}" for name in named} <= set(PAGE)


def test_no_query_reaches_the_page(client: TestClient) -> None:
    plain = client.get("/").content
    assert client.get("/?content=<script>alert(1)</script>&kind=text/html").content == plain


def test_health_figures_and_schema(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert "plait_waiting_texts 0.0" in client.get("/metrics").text
    assert "/v1/embeddings" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/none", 404), ("GET", "/search", 405), ("PUT", "/", 405)]
)
def test_errors_of_http_are_openais_json_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")


@pytest.mark.parametrize("path", CLOSED)
def test_with_keys_only_the_page_is_open(recipe: Composite, path: str) -> None:
    with TestClient(create_app([Model.of("tiny", recipe)], keys=Keys(["key"]))) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"authorization": "Bearer key"}).status_code != 401
        assert all(client.get(open_path).status_code == 200 for open_path in (*PAGE, "/health"))


def test_a_server_without_a_collection(recipe: Composite) -> None:
    with TestClient(create_app([Model.of("tiny", recipe)])) as client:
        assert client.get("/indexes").json() == {"indexes": []}
        answer = client.post("/search", json={"query": "a"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_index")


def test_a_server_that_stopped_is_not_healthy(recipe: Composite) -> None:
    app = create_app([Model.of("tiny", recipe)])
    with TestClient(app) as client:
        pass
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")


def test_a_collection_that_grows_is_found_and_shown(
    recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "EVERY", 0.05)
    monkeypatch.setattr(searching, "SETTLED", 0)
    table = Table.create(tmp_path / "table", recipe, TEXTS)
    with TestClient(create_app([Model.of("tiny", recipe)], [TableIndex(tmp_path / "table")])) as client:

        def soon(rows: int) -> bool:
            for _ in range(100):
                time.sleep(0.05)
                if client.get("/indexes").json()["indexes"][0]["rows"] == rows:
                    return True
            return False

        table.add([Record("zebras", "new")])
        assert soon(len(TEXTS) + 1)
        found = client.post("/search", json={"query": "zebras", "k": 1}).json()["results"][0]["hits"]
        assert [hit["id"] for hit in found] == ["new"]
        damaged = tmp_path / "table" / "recipe" / "plait.json"
        whole = damaged.read_text()
        damaged.write_text("{")
        table.add([Record("quaggas", "newer")])
        assert not soon(len(TEXTS) + 2)
        assert "table has changed and cannot be read" in caplog.text
        damaged.write_text(whole)
        table.delete(["new"])
        assert soon(len(TEXTS) + 1)  # the watch goes on
