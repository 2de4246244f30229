from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from plait.cli import serve
from plait.serve.keys import Keys
from plait.serve.limits import Limits
from tests.cli.running import Cli, finished, process

pytest.importorskip("lancedb")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What would be served."""
    seen: list[dict[str, object]] = []

    def create_app(models: object, indexes: object, keys: Keys, limits: Limits) -> str:
        seen.append({"models": models, "indexes": indexes, "keys": keys, "limits": limits})
        return "app"

    def run(app: str, host: str, port: int, limits: Limits) -> None:
        seen[-1] |= {"host": host, "port": port}

    monkeypatch.setattr("plait.serve.app.create_app", create_app)
    monkeypatch.setattr("plait.serve.running.run", run)
    monkeypatch.delenv("PLAIT_API_KEYS", raising=False)
    return seen


def test_options_reach_the_server(
    cli: Cli, recipe: str, texts: Path, run: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("index", recipe, texts, "-o", "one")
    cli("index", recipe.replace("Mean", "Max"), texts, "-o", "two")
    Path("keys.txt").write_text("secret\n")
    monkeypatch.setenv("PLAIT_API_KEYS", "other")
    done = cli(
        *("serve", recipe, "--index", "one", "--index", "two", "--name", "mine", "--keys", "keys.txt", "--port", "81"),
        *("--max-texts", "9", "--max-characters", "8", "--max-body", "1", "--max-waiting", "70", "--batch-tokens", "5"),
    )
    assert (done.status, done.err) == (0, "")
    assert [model.name for model in run[0]["models"]] == ["mine", "two"]  # type: ignore[attr-defined]
    assert [index.name for index in run[0]["indexes"]] == ["one", "two"]  # type: ignore[attr-defined]
    assert (run[0]["host"], run[0]["port"]) == ("127.0.0.1", 81)
    keys, limits = run[0]["keys"], run[0]["limits"]
    assert isinstance(keys, Keys)
    assert isinstance(limits, Limits)
    assert all(keys.accept(f"Bearer {key}") for key in ("secret", "other"))
    assert (limits.texts, limits.characters, limits.body) == (9, 8, 1 << 20)
    assert (limits.waiting_texts, limits.batch_tokens) == (70, 5)


def test_a_saved_folder_is_named_after_it(cli: Cli, recipe: str, run: list[dict[str, object]]) -> None:
    import plait

    plait.save(plait.parse(recipe), "runs/demo/model")
    Path("runs/demo/recipe.txt").write_text(recipe)  # as a run of find leaves it
    assert cli("serve", "runs/demo").status == cli("serve", "runs/demo/model").status == 0
    assert [model.name for seen in run for model in seen["models"]] == ["demo", "demo"]  # type: ignore[attr-defined]


def test_an_open_server_is_warned_of(cli: Cli, recipe: str, run: list[dict[str, object]], tmp_path: Path) -> None:
    assert "no API key" in cli("serve", recipe, "--host", "0.0.0.0").err
    (tmp_path / "keys.txt").write_text("secret")
    assert cli("serve", recipe, "--host", "0.0.0.0", "--keys", "keys.txt").err == ""
    assert cli("serve", recipe).err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--index", "nowhere"], "is no table"),
        (["--index", "other"], "made by another recipe"),
        (["--index", "damaged"], "damaged"),
        (["--keys", "none.txt"], "none.txt"),
        (["--port", "70000"], "--port"),
        (["--max-texts", "0"], "--max-texts"),
    ],
)
def test_what_goes_wrong_is_said(
    cli: Cli, recipe: str, texts: Path, run: list[dict[str, object]], arguments: list[str], message: str
) -> None:
    cli("index", recipe.replace("Mean", "Max"), texts, "-o", "other")
    cli("index", recipe, texts, "-o", "damaged")
    for path in Path("damaged/items.lance/data").iterdir():
        path.write_bytes(b"")
    done = cli("serve", recipe, *arguments)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert run == []


def test_an_unfitted_recipe_is_refused(cli: Cli, recipe: str, run: list[dict[str, object]]) -> None:
    done = cli("serve", f"{recipe} | Pca(4)")
    assert done.status == 2
    assert "yet to learn" in done.err


def test_a_port_that_is_taken(recipe: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = finished(process("serve", recipe, "--port", port, folder=tmp_path))
    assert done.status == 2
    assert "choose another --host or --port" in done.err
    assert "Traceback" not in done.err


def test_ctrl_c_stops_it(recipe: str, tmp_path: Path) -> None:
    running = process("serve", recipe, "--port", "0", folder=tmp_path)
    assert running.stderr is not None
    assert "serving at" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    done = finished(running)
    assert done.status == 130
    assert "stopped." in done.err
    assert "Traceback" not in done.err


def test_examples_name_real_options(cli: Cli) -> None:
    options = {word for word in serve.EXAMPLES.split() if word.startswith("--")}
    assert all(option in cli("serve", "--help").out for option in options)
