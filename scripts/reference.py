"""Write docs/reference: one page for each room, made from the rooms' tables of names.

Run: python scripts/reference.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "reference"
FRAME = ("types", "step", "notation", "roles", "recipe", "plan", "bank")
ROOMS = (
    "data", "training", "prompting", "encoders", "layers", "pooling", "transforms", "fusion", "compression", "words",
    "evaluation", "modalities", "analysis", "store", "retrieval", "distributed", "export", "selection", "papers",
    "serve",
)  # fmt: skip


def pages() -> dict[str, str]:
    """File name to text of every page."""
    frame = "\n\n".join(f"::: plait.{module}" for module in FRAME)
    about = "What flows through a recipe, the contract of a step, the notation, the pass."
    made = {"frame.md": f"# The frame\n\n{about}\n\n{frame}\n"}
    for room in ROOMS:
        package = import_module(f"plait.{room}")
        by_module: dict[str, list[str]] = {}
        for name, module in package.NAMES.items():
            by_module.setdefault(module, []).append(name)
        blocks = [_block(module, names) for module, names in by_module.items() if module.startswith(f"plait.{room}")]
        made[f"{room}.md"] = "\n\n".join([f"# {room}", str(package.__doc__).strip(), *blocks]) + "\n"
    return made


def _block(module: str, names: list[str]) -> str:
    members = "".join(f"\n        - {name}" for name in names)
    return f"::: {module}\n    options:\n      members:{members}"


if __name__ == "__main__":
    DOCS.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        (DOCS / file).write_text(text, encoding="utf-8")
    print(f"{len(pages())} pages in {DOCS}")
