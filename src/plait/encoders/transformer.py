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
from plait.types import DataError, Floats, Ints, Items, RecipeError, States, Tokens

OVERFLOWS = ("report", "error", "chunk")


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
        on_overflow: "report" counts tokens beyond the limit, "error" refuses such a text, "chunk" reads it in windows
            of the limit and pools over the tokens of all of them.
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
        plain, limit = self._plain, self._limit
        encodings = plain.encode([item if isinstance(item, str) else " ".join(item) for item in items], offsets=words)
        cut = np.array([max(0, len(e.ids) - limit) for e in encodings], np.int64)
        if self.on_overflow == "chunk":
            cut[:] = 0
        self._refuse(cut, limit)
        rows = [plain.windows(e.ids[: len(e.ids) - lost], limit) for e, lost in zip(encodings, cut, strict=True)]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        ids = np.fromiter((i for row in rows for i in row), np.int32, int(offsets[-1]))
        if words:
            index, bounds, units = _word_units(items, encodings, offsets[:-1], cut, plain, limit)  # type: ignore[arg-type]
        else:
            skip = len(plain.prefix) if self.host.is_decoder else 0
            index, bounds, units = _text_units(offsets, plain.window(limit), skip)
        return Tokens(ids, offsets, index, bounds, units, cut)

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        lengths = _window_lengths(tokens.lengths, self._plain.window(self._limit))
        values = np.empty((len(layers), len(tokens.ids), self.width), np.float32)
        start, at_once = 0, max(1, self.budget // int(lengths.max(initial=1)))
        for first in range(0, len(lengths), at_once):
            rows = lengths[first : first + at_once]
            stop = start + int(rows.sum())
            self._forward(tokens.ids[start:stop], rows, layers, values[:, start:stop])
            start = stop
        return States(values, layers, tokens)

    def _forward(self, flat: np.ndarray, lengths: Ints, layers: tuple[int, ...], out: Floats) -> None:
        """States of rows of tokens, packed into ``out`` ``[L, T, D]``."""
        longest = int(lengths.max())
        mask = np.arange(longest) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = flat
        padded = bool((lengths != longest).any())
        for packed, plane in zip(out, self.host.states(ids, mask if padded else None, layers), strict=True):
            packed[:] = plane[mask] if padded else plane.reshape(-1, self.width)

    @property
    def _plain(self) -> _Plain:
        return _tokenizer(self.model, self.dtype, self.revision, self.remote_code)

    @property
    def _limit(self) -> int:
        """Tokens of a text in one window, specials not counted."""
        specials = len(self._plain.prefix) + len(self._plain.suffix)
        positions = self.host.positions
        if self.max_length and positions and self.max_length > positions:
            raise RecipeError(f"{self}: the model has positions for {positions} tokens; lower max_length")
        limit = (self.max_length or self.host.max_length) - specials
        if limit < 1:
            raise RecipeError(f"{self}: max_length leaves no room beside {specials} specials")
        return limit

    def _refuse(self, cut: Ints, limit: int) -> None:
        if self.on_overflow not in OVERFLOWS:
            raise RecipeError(f"{self}: on_overflow is {self.on_overflow!r}; expected one of {', '.join(OVERFLOWS)}")
        if self.on_overflow == "error" and cut.any():
            worst = int(cut.argmax())
            raise DataError(
                f"{int((cut > 0).sum())} of {len(cut)} texts exceed {limit} tokens (text {worst} by {cut[worst]}): "
                'shorten them, raise max_length, or set on_overflow="report" or "chunk"'
            )

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

    def window(self, limit: int) -> int:
        """Tokens of a full window, specials included."""
        return len(self.prefix) + limit + len(self.suffix)

    def windows(self, ids: list[int], limit: int) -> list[int]:
        """The ids in windows of at most ``limit``, one after the other, each between the specials."""
        starts = range(0, max(1, len(ids)), limit)
        return [i for start in starts for i in (*self.prefix, *ids[start : start + limit], *self.suffix)]

    def places(self, count: int, limit: int) -> Ints:
        """Where the first ``count`` ids of a text stand among its windows."""
        number = np.arange(count)
        return number // limit * self.window(limit) + len(self.prefix) + number % limit

    def encode(self, texts: Sequence[str], offsets: bool) -> list[Any]:
        clean = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        encode = self.backend.encode_batch if offsets else self.backend.encode_batch_fast
        return encode(clean, add_special_tokens=False)  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _tokenizer(*key: Any) -> _Plain:
    return _Plain(host(*key).tokenizer)


def _window_lengths(lengths: Ints, window: int) -> Ints:
    """Lengths of the windows of each item: full ones, then what is left."""
    full, rest = lengths // window, lengths % window
    sizes = np.column_stack([np.full_like(full, window), rest]).ravel()
    return np.repeat(sizes, np.column_stack([full, rest > 0]).ravel())


def _text_units(offsets: Ints, window: int, skip: int) -> tuple[Ints, Ints, Ints]:
    """One unit a text: all its tokens but the first ``skip`` of every window."""
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    kept = place % window >= skip
    before = np.concatenate([[0], np.cumsum(kept)])
    return np.flatnonzero(kept), before[offsets], np.arange(len(offsets))


def _word_units(
    items: Sequence[tuple[str, ...]], encodings: Sequence[Any], starts: Ints, cut: Ints, plain: _Plain, limit: int
) -> tuple[Ints, Ints, Ints]:
    """One unit a word: the tokens whose last character lies in it."""
    index: list[Ints] = []
    sizes: list[Ints] = []
    for item, encoding, start, lost in zip(items, encodings, starts, cut, strict=True):
        spans = np.array(encoding.offsets[: len(encoding.ids) - lost], np.int64).reshape(-1, 2)
        ends = np.cumsum([len(word) + 1 for word in item])
        real = np.flatnonzero(spans[:, 1] > spans[:, 0])
        word = np.searchsorted(ends, spans[real, 1] - 1, side="right")
        index.append(start + plain.places(len(spans), limit)[real])
        sizes.append(np.bincount(word, minlength=len(item)))
    counts = np.concatenate([np.zeros(0, np.int64), *sizes])
    units = np.concatenate([[0], np.cumsum([len(item) for item in items])])
    return np.concatenate([np.zeros(0, np.int64), *index]), np.concatenate([[0], np.cumsum(counts)]), units
