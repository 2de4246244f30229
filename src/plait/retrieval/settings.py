"""How an index is made and searched, as it is kept beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from plait.bank import write_atomic
from plait.retrieval.chunking import Passages
from plait.retrieval.rank_fusion import NORMS
from plait.types import DataError, RecipeError

FILE = "retrieval.json"
TOKENS = "tokens"
"""Stands in `Settings.rescore` for the token vectors of the index's own encoder."""


@dataclass(frozen=True)
class Settings:
    """How an index is made and searched.

    Args:
        cut: how documents are cut before they are encoded (see `Passages`); "" leaves them whole.
        context: what stands in front of a passage: "title", or the name of a decoder that writes a sentence for each.
        words: what the score by words weighs beside that by meaning, 0 to 1; 0 makes no index of words.
        norm: how the two are brought to one scale (see `fuse`).
        depth: how many each of the two searches finds.
        rescore: who looks at the best again: the name of a cross-encoder; "tokens" for the index's own encoder, or
            the text of another, such as ``Transformer("all-MiniLM-L6-v2")``, whose token vectors are compared (see
            `LateInteraction`); "" is none.
        rescored: how many are looked at.
        share: of that second look in the final score, above 0 to 1; 1 forgets the first.

    Raises:
        RecipeError: if a setting is out of range.
    """

    cut: str = ""
    context: str = ""
    words: float = 0.3
    norm: str = "minmax"
    depth: int = 100
    rescore: str = ""
    rescored: int = 50
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.words <= 1:
            raise RecipeError(f"words is {self.words}; expected what the score by words weighs, 0 to 1")
        if self.norm not in NORMS or self.depth < 1 or self.rescored < 1:
            raise RecipeError(f"{self}: norm is one of {', '.join(NORMS)}, depth and rescored are 1 or more")
        if not 0 < self.share <= 1:
            raise RecipeError(f"share is {self.share}; expected what the second look weighs, above 0 to 1")
        if self.cut:
            Passages(self.cut)
        elif self.context:
            raise RecipeError(f"the context {self.context!r} stands in front of passages: cut documents too (--cut)")

    @classmethod
    def read(cls, folder: Path) -> Settings | None:
        """What `write` left in a folder; None if nothing did.

        Raises:
            DataError: if it is damaged.
        """
        file = folder / FILE
        if not file.exists():
            return None
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise DataError(f"{file} is damaged ({error}); write it anew or index again") from error

    def write(self, folder: Path) -> None:
        """Keep them in the folder of an index or of a recipe."""
        write_atomic(folder / FILE, (json.dumps(asdict(self), indent=1) + "\n").encode())
