from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plait.analysis import inspect_layers
from plait.cli.inspection_page import render
from plait.data.tasks import Labels, Task
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from tests.cli.running import Cli
from tests.selection.test_report import HOSTILE, Page
from tests.tiny import SENTENCES

TEXTS = [text for text in SENTENCES if len(text) > 20]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{"ab"[n % 2]}\n' for n, text in enumerate(TEXTS)))
    return path


def test_the_page_is_written_and_the_table_shown(cli: Cli, tiny_bert: Path, labelled: Path, tmp_path: Path) -> None:
    done = cli("inspect", tiny_bert, labelled, "--out", "deep/page.html")
    assert done.status == 0, done.err
    assert "anisotropy" in done.out
    assert "deep/page.html" in done.out
    assert "misspelt copies" in done.err
    page = Page((tmp_path / "deep" / "page.html").read_text())
    assert page.tags["svg"] in (8 + 2 * 3, 8 + 2 * 4)  # eight curves; cosines and maps of three layers and the best
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
    assert not [value for _, key, value in page.attributes if key in ("src", "href") and not value.startswith("#")]
    words = " ".join(page.words)
    assert "two texts with the same label" in words
    assert all(str(layer) in words for layer in range(4))


def test_json_is_the_table(cli: Cli, tiny_bert: Path, labelled: Path) -> None:
    rows = json.loads(cli("inspect", tiny_bert, labelled, "--json").out)
    assert [row["layer"] for row in rows] == [0, 1, 2, 3]
    assert set(rows[0]) >= {"score", "infonce", "dime", "entropy", "curvature", "norm", "anisotropy"}


def test_what_cannot_be_inspected(cli: Cli, tiny_bert: Path, labelled: Path) -> None:
    assert "nothing.csv" in cli("inspect", tiny_bert, "nothing.csv").err
    refused = cli("inspect", tiny_bert, labelled, "--task", "guessing")
    assert refused.status == 2
    assert "expected one of retrieval" in refused.err
    few = labelled.with_name("few.csv")
    few.write_text("text,label\none text,a\nanother text,b\n")
    assert "at least three" in cli("inspect", tiny_bert, few).err


def test_data_is_never_markup(tiny_table: Path) -> None:
    texts = tuple(f"{text} {HOSTILE}" for text in TEXTS)
    task = Task(
        "classification", HOSTILE, texts, parts={"all": Labels(np.arange(len(texts)), (HOSTILE, "b") * 3 + ("b",))}
    )
    page = render(inspect_layers(StaticTable(str(tiny_table)), task))
    read = Page(page)
    assert read.tags["script"] == 0
    assert any(HOSTILE in word for word in read.words)


def test_pictures_name_the_best_layer(tiny_bert: Path) -> None:
    labels = tuple(str(n % 7) for n in range(7))
    task = Task("classification", "many", tuple(TEXTS), parts={"all": Labels(np.arange(7), labels)})
    found = inspect_layers(Transformer(str(tiny_bert)), task)
    assert not found.labelled  # no label stands on two texts
    words = " ".join(Page(render(found)).words)
    assert f"{found.best}" in words
    assert "misspelt copies do" in words
    assert "1 other labels" in words
