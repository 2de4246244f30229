"""`Transformer`: a pretrained host as the first step of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
from sklearn.base import clone

from plait.bank import digest
from plait.encoders.hosts import Host, host
from plait.encoders.interventions import Change, intervene, scaled_queries
from plait.encoders.reading import Reader
from plait.encoders.windows import PlainTokenizer, Windows, common_prefix
from plait.plan import batch_cost
from plait.prompting.presets import presets, template
from plait.prompting.template import Slot, Template
from plait.roles import Encoder
from plait.types import DataError, Floats, Ints, Items, RecipeError, States, Tokens

OVERFLOWS = ("report", "error", "chunk")
SHORTEST_SHARED = 8
"""Tokens that texts have to begin with in common: for fewer, a second call costs more than it saves."""


class Transformer(Encoder):
    """A pretrained transformer: text to the states of any of its layers.

    Args:
        model: a Hugging Face or sentence-transformers id or folder, a ``.gguf`` file, or the name of weights that ship
            inside an installed package, such as "all-MiniLM-L6-v2".
        max_length: tokens of a text that are read, specials included. None takes the checkpoint's own limit.
        prompts: what stands around the text: a template such as ``"Rewrite: {text}, again: {text:pool}"`` or the name
            of one ("echo", "prompteol" …; see `plait.prompting.Template`); or one for each role, where mere words stand
            in front: ``{"query": "query: ", "document": "passage: "}``; "checkpoint" takes those that the checkpoint
            names. None puts nothing there: prompts are candidates, not defaults. Each prompt costs its own pass; a
            causal model runs the words that all texts begin with once a batch.
        dtype: "float32" so that figures compare between machines; "bfloat16" is faster where the processor has it,
            "auto" takes it there. States are float32 in any case.
        on_overflow: "report" counts tokens beyond the limit, "error" refuses such a text, "chunk" reads it in windows
            of the limit and pools over the tokens of all of them.
        overlap: with "chunk", tokens that a window repeats from the one before it, so that none is read without what
            stands before it. They are read twice and pooled once, where more stands before them.
        revision: commit of a hub checkpoint.
        remote_code: run code that ships with the checkpoint; refused without a 40-hex revision.

    Raises:
        RecipeError: if a prompt has no place for the text, or leaves none.
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
        overlap: int = 0,
        revision: str | None = None,
        remote_code: bool = False,
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.prompts = prompts
        self.dtype = dtype
        self.on_overflow = on_overflow
        self.overlap = overlap
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
    def router_width(self) -> int:
        return self.host.router_width or super().router_width

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

    def asked(self, role: str) -> Transformer:
        super().asked(role)
        prompts = self.host.card.prompts if self.prompts == "checkpoint" else self.prompts
        if prompts is None or isinstance(prompts, str):
            return self
        prompt = prompts.get(role, "")
        if "{" not in prompt and prompt not in presets():
            prompt = prompt and prompt + "{text}"
        return clone(self).set_params(prompts=prompt or None)  # type: ignore[no-any-return]

    @property
    def blank_id(self) -> int | None:
        """Id of the token that fills a ``{blank}`` of the prompt; None where the prompt has none."""
        template = self._template
        if template is None or not any(isinstance(piece, Slot) and piece.field == "blank" for piece in template.pieces):
            return None
        return self.token_id(self._plain.specials["blank"])

    def token_id(self, token: str) -> int | None:
        """Id of a token of the vocabulary; None where there is none of that name."""
        found: int | None = self._plain.backend.token_to_id(token)
        return found

    @property
    def vocabulary(self) -> int:
        """V: ids of tokens are below it."""
        return self._plain.vocabulary

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no word: padding, the unknown, what stands around a text."""
        return self._plain.special_ids

    def tokenize(self, items: Items) -> Tokens:
        return self._tokenize(items, spans=False)

    def spanned(self, items: Items) -> Tokens:
        template = self._template
        if template is not None and any(isinstance(piece, Slot) and piece.sentence for piece in template.pieces):
            raise RecipeError(
                f"{self}: a prompt that writes the text anew ({{text:sentence}}) cannot go with spans of it"
            )
        return self._tokenize(items, spans=True)

    @property
    def reader(self) -> Reader:
        """How it reads texts; needs the tokenizer alone."""
        return Reader(self._plain, self._windows, self._template, self._skipped, self.on_overflow == "chunk")

    def _tokenize(self, items: Items, spans: bool) -> Tokens:
        reader = self.reader
        if reader.chunk and reader.in_slots(items):
            raise RecipeError(f"{self}: a prompt around the text cannot go with windows; give it no end, or none")
        tokens = reader(items, spans)
        self._refuse(tokens.cut, reader.windows.limit)
        return tokens

    def shared(self, tokens: Tokens) -> int:
        if self._template is None or self.on_overflow == "chunk" or not self.host.shares_prefix:
            return 0
        found = common_prefix(tokens)
        return found if found >= SHORTEST_SHARED else 0

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        lengths = self._windows.lengths(tokens.lengths)
        kept = tuple(layer for layer in layers if layer >= 0)
        values = np.empty((len(kept), len(tokens.ids), self.width), np.float32)
        extra = {n: np.empty((len(tokens.ids), self.router_width), np.float32) for n in layers if n < 0}
        planes = [extra[n] if n < 0 else values[kept.index(n)] for n in layers]
        shared = self.shared(tokens)
        start, at_once = 0, max(1, self.budget // batch_cost(int(lengths.max(initial=1)), shared))
        for first in range(0, len(lengths), at_once):
            rows = lengths[first : first + at_once]
            stop = start + int(rows.sum())
            self._forward(tokens.ids[start:stop], rows, layers, [plane[start:stop] for plane in planes], shared)
            start = stop
        return States(values, kept, tokens, extra)

    def _forward(
        self, flat: np.ndarray, lengths: Ints, layers: tuple[int, ...], out: Sequence[Floats], shared: int
    ) -> None:
        """States of rows of tokens, packed into ``out``: ``[T, D]`` for each layer."""
        longest = int(lengths.max())
        mask = np.arange(longest) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = flat
        padded = bool((lengths != longest).any())
        planes = self.host.states(ids, mask if padded else None, layers, shared if len(ids) > 1 else 0)
        for packed, plane in zip(out, planes, strict=True):
            packed[:] = plane[mask] if padded else plane.reshape(packed.shape)

    @property
    def _template(self) -> Template | None:
        return template(self.prompts) if isinstance(self.prompts, str) and self.prompts != "checkpoint" else None

    @property
    def _skipped(self) -> int:
        """First tokens of a window that are never pooled."""
        return len(self._plain.prefix) if self.host.is_decoder else 0

    @property
    def _plain(self) -> PlainTokenizer:
        return self.host.plain

    @property
    def _windows(self) -> Windows:
        prefix, suffix = self._plain.prefix, self._plain.suffix
        specials = len(prefix) + len(suffix)
        positions = self.host.positions
        if self.max_length and positions and self.max_length > positions:
            raise RecipeError(f"{self}: the model has positions for {positions} tokens; lower max_length")
        limit = (self.max_length or self.host.max_length) - specials
        if limit < 1:
            raise RecipeError(f"{self}: max_length leaves no room beside {specials} specials")
        if not 0 <= self.overlap < limit or (self.overlap and self.on_overflow != "chunk"):
            raise RecipeError(
                f"{self}: overlap is {self.overlap}; expected less than the {limit} tokens of a window, and only with "
                'on_overflow="chunk"'
            )
        return Windows(prefix, suffix, limit, self.overlap)

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
        return scaled_queries(self.host, factor)

    def intervene(self, changes: Mapping[int, Change]) -> AbstractContextManager[None]:
        """Replace the states of layers by a function of them for the length of a ``with`` block."""
        return intervene(self.host, changes)
