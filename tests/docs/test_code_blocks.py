"""Every code block of the documentation runs, page by page, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import REASONS, Block, blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = ("bash", "console", "sh")
SHOWN = ("text", "json", "csv", "toml", "yaml", "markdown")
WITH_CODE = [page for page in PAGES if blocks(page)]


def run_shell(block: Block, page: Path, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1", "COLUMNS": "120", "PLAIT_ROOT": str(ROOT)}
    command = ["bash", "-euo", "pipefail", "-c", block.commands]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{page.name}:{block.line}\n{block.commands}\n{done.stdout}\n{done.stderr}"


def run_python(block: Block, page: Path, namespace: dict[str, object]) -> None:
    exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.skip:
            continue
        if block.language in SHELL:
            run_shell(block, page, tmp_path)
        elif block.language == "python":
            run_python(block, page, namespace)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_have_a_known_language_and_a_good_reason(page: Path) -> None:
    for block in blocks(page):
        assert block.language in (*SHELL, "python", *SHOWN), f"{page.name}:{block.line}"
        if block.skip:
            assert any(reason in block.skip for reason in REASONS), f"{page.name}:{block.line}: {block.skip}"


def test_no_fence_without_a_language() -> None:
    for page in PAGES:
        fences = [
            line.strip() for line in page.read_text(encoding="utf-8").splitlines() if line.strip().startswith("```")
        ]
        assert all(fence == "```" for fence in fences[1::2]), page
        assert all(fence != "```" for fence in fences[::2]), page


def test_blocks_are_found_as_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text\n```python\nx = 1\n```\n<!-- skip: needs the network -->\n```bash\ncurl\n```\n"
        "- a list\n\n    ```console\n    $ echo one \\\n      two\n    one two\n    $ true\n    ```\n"
    )
    one, two, three = blocks(page)
    assert (one.language, one.text, one.line, one.skip) == ("python", "x = 1\n", 2, None)
    assert two.skip == "needs the network"
    assert three.commands == "echo one \\\n  two\ntrue\n"


def test_reference_pages_are_those_that_the_tables_give() -> None:
    from scripts.reference import DOCS, pages

    written = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert written == pages(), "run: python scripts/reference.py"


def test_every_page_is_in_the_navigation() -> None:
    import yaml

    def files(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        values = entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else []
        return [file for value in values for file in files(value)]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(files(nav)) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
