"""Finds the code blocks of a Markdown page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?:^<!--\s*skip:\s*(?P<skip>.+?)\s*-->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```\s*?$",
    re.MULTILINE | re.DOTALL,
)
REASONS = ("network", "minutes", "installs", "hub", "cluster", "GPU", "runs the tests")
"""A block is left out only for a reason that names one of these."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without the fence's indent, where it begins, why it is left out."""

    language: str
    text: str
    line: int
    skip: str | None

    @property
    def commands(self) -> str:
        """Shell lines to run; of a console block those behind a ``$``, continued lines included."""
        if self.language != "console":
            return self.text
        kept, going_on = [], False
        for line in self.text.splitlines():
            if line.startswith("$ ") or going_on:
                kept.append(line.removeprefix("$ "))
                going_on = line.endswith("\\")
        return "\n".join(kept) + "\n"


def blocks(path: Path) -> list[Block]:
    """Every block of a page that has a language, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        found.append(Block(match["language"], body, text.count("\n", 0, match.start("language")) + 1, match["skip"]))
    return found
