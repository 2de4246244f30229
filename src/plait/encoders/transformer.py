"""`Transformer`: a pretrained host as the first step of a recipe."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np

from plait.bank import digest
from plait.encoders.hosts import Host, host
from plait.roles import Encoder
from plait.types import DataError, Ints, Items, RecipeError, States, Tokens

OVERFLOWS = ("report", "error")


class Transformer(Encoder):
    """A pretrained transformer: text to the states of any of its layers.

    Args:
        model: a Hugging Face or sentence-transformers id or folder, a ``.gguf`` file, or the name of weights that ship
            inside an installed package, such as "all-MiniLM-L6-v2".
        max_length: tokens of a text that are read, specials included. None takes the checkpoint's own limit.
        prompts: text put in front of the items, by role: ``{"query": "query: ", "document": "passage: "}``;
            "checkpoint" takes those that the checkpoint names. None puts nothing there: prompts are candidates, not
            defaults.
        dtype: "float32" so that figures compare between machines; "bfloat16" is faster where the processor has it,
            "auto" takes it there. States are float32 in any case.
        on_overflow: "report" counts tokens beyond the limit, "error" refuses such a text.
        revision: commit of a hub checkpoint.
        remote_code: run code that ships with the checkpoint; refused without a 40-hex revision.

    Raises:
        ModelError: if the model is not there, is damaged or cannot be loaded.
        DataError: if a text is too long and ``on_overflow="error"``.

    Example:
        >>> recipe = Transformer("all-MiniLM-L6-v2") | Layer(4) | MeanPool()
        >>> recipe.encode(["a first text", "a second one"]).values.shape
        (2, 384)
    """

    def __init__(
        self,
        model: str,
        max_length: int | None = None,
        prompts: Mapping[str, str] | str | None = None,
        dtype: str = "float32",
        on_overflow: str = "report",
        revision: str | None = None,
        remote_code: bool = False,
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.prompts = prompts
        self.dtype = dtype
        self.on_overflow = on_overflow
        self.revision = revision
        self.remote_code = remote_code

    @property
    def host(self) -> Host:
        """The loaded model; loaded at first use and shared by equal steps."""
        return host(self.model, self.dtype, self.revision, self.remote_code)

    @property
    def width(self) -> int:
        return self.host.width

    @property
    def depth(self) -> int:
        return self.host.depth

    @property
    def nbytes(self) -> int:
        return self.host.nbytes

    @property
    def budget(self) -> int:  # type: ignore[override]
        """Padded tokens a batch: small batches stay in a processor's cache, large ones fill a GPU."""
        return 512 if self.host.device.type == "cpu" else 32768

    @property
    def fingerprint(self) -> str:
        return digest(str(self), str(self.version), self.host.weights_key, str(self.host.dtype))

    def prompted(self, items: Items, role: str) -> Items:
        super().prompted(items, role)
        prompts = self.host.card.prompts if self.prompts == "checkpoint" else self.prompts or {}
        if isinstance(prompts, str):
            raise RecipeError(f'prompts is {prompts!r}; expected a dict by role, "checkpoint" or None')
        prompt = prompts.get(role, "")
        if not prompt:
            return items
        if not all(isinstance(item, str) for item in items):
            raise RecipeError(f"{self} puts a prompt in front of texts; items given as words cannot have one")
        return [prompt + item for item in items if isinstance(item, str)]

    def tokenize(self, items: Items) -> Tokens:
        words = len(items) > 0 and not isinstance(items[0], str)
        plain = _tokenizer(self.model, self.dtype, self.revision, self.remote_code)
        if self.on_overflow not in OVERFLOWS:
            raise RecipeError(f"{self}: on_overflow is {self.on_overflow!r}; expected one of {', '.join(OVERFLOWS)}")
        positions = self.host.positions
        if self.max_length and positions and self.max_length > positions:
            raise RecipeError(f"{self}: the model has positions for {positions} tokens; lower max_length")
        limit = (self.max_length or self.host.max_length) - len(plain.prefix) - len(plain.suffix)
        if limit < 1:
            raise RecipeError(
                f"{self}: max_length leaves no room beside {len(plain.prefix) + len(plain.suffix)} specials"
            )
        texts = [item if isinstance(item, str) else " ".join(item) for item in items]
        encodings = plain.encode(texts, offsets=words)
        cut = np.array([max(0, len(e.ids) - limit) for e in encodings], np.int64)
        if self.on_overflow == "error" and cut.any():
            worst = int(cut.argmax())
            raise DataError(
                f"{int((cut > 0).sum())} of {len(items)} texts exceed {limit} tokens (text {worst} by {cut[worst]}): "
                'shorten them, raise max_length, or set on_overflow="report"'
            )
        rows = [plain.prefix + e.ids[:limit] + plain.suffix for e in encodings]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        ids = np.fromiter((i for row in rows for i in row), np.int32, int(offsets[-1]))
        if words:
            index, bounds, units = _word_units(items, encodings, offsets[:-1] + len(plain.prefix), limit)  # type: ignore[arg-type]
        else:
            index, bounds, units = _text_units(offsets, len(plain.prefix) if self.host.is_decoder else 0)
        return Tokens(ids, offsets, index, bounds, units, cut)

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        lengths = tokens.lengths
        longest = int(lengths.max())
        mask = np.arange(longest) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = tokens.ids
        padded = bool((lengths != longest).any())
        planes = self.host.states(ids, mask if padded else None, layers)
        values = np.empty((len(layers), len(tokens.ids), self.width), np.float32)
        for out, plane in zip(values, planes, strict=True):
            out[:] = plane[mask] if padded else plane.reshape(-1, self.width)
        return States(values, layers, tokens)

    def scaled_queries(self, factor: float) -> AbstractContextManager[None]:
        """Multiply attention logits by ``factor`` for the length of a ``with`` block."""
        return self.host.scaled_queries(factor)


class _Plain:
    """A tokenizer without truncation and padding, and the specials it puts around a text."""

    def __init__(self, tokenizer: Any) -> None:
        self.backend = copy.deepcopy(tokenizer.backend_tokenizer)
        self.backend.no_truncation()
        self.backend.no_padding()
        bare = self.backend.encode("a", add_special_tokens=False).ids
        full = self.backend.encode("a", add_special_tokens=True).ids
        start = next((i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare), 0)
        self.prefix: list[int] = full[:start]
        self.suffix: list[int] = full[start + len(bare) :]

    def encode(self, texts: Sequence[str], offsets: bool) -> list[Any]:
        clean = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        encode = self.backend.encode_batch if offsets else self.backend.encode_batch_fast
        return encode(clean, add_special_tokens=False)  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _tokenizer(*key: Any) -> _Plain:
    return _Plain(host(*key).tokenizer)


def _text_units(offsets: Ints, skip: int) -> tuple[Ints, Ints, Ints]:
    """One unit a text: all its tokens but the first ``skip``."""
    lengths = np.maximum(np.diff(offsets) - skip, 0)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    index = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths) + np.repeat(offsets[:-1] + skip, lengths)
    return index, bounds, np.arange(len(offsets))


def _word_units(
    items: Sequence[tuple[str, ...]], encodings: Sequence[Any], starts: Ints, limit: int
) -> tuple[Ints, Ints, Ints]:
    """One unit a word: the tokens whose last character lies in it."""
    index: list[Ints] = []
    sizes: list[Ints] = []
    for item, encoding, start in zip(items, encodings, starts, strict=True):
        spans = np.array(encoding.offsets[:limit], np.int64).reshape(-1, 2)
        ends = np.cumsum([len(word) + 1 for word in item])
        real = np.flatnonzero(spans[:, 1] > spans[:, 0])
        word = np.searchsorted(ends, spans[real, 1] - 1, side="right")
        index.append(start + real)
        sizes.append(np.bincount(word, minlength=len(item)))
    counts = np.concatenate([np.zeros(0, np.int64), *sizes])
    units = np.concatenate([[0], np.cumsum([len(item) for item in items])])
    return np.concatenate([np.zeros(0, np.int64), *index]), np.concatenate([[0], np.cumsum(counts)]), units
