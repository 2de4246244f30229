"""A decoder's keys and values as codes: groups of neighbouring channels share one code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from plait.compression.product_quantizer import ProductQuantizer
from plait.encoders.keys_values import (
    KINDS,
    KeysValues,
    Plane,
    attention_windows,
    change_keys_values,
    read_keys_values,
)
from plait.encoders.vocabulary_head import vocabulary_head
from plait.plan import Progress
from plait.roles import Quantiser
from plait.rows import Doubles
from plait.types import DataError, Floats, Ints, RecipeError

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host

METHODS = ("fisher", "uniform")


class QuantizedKVCache:
    """Codes in place of all keys and values of a decoder, for the length of a ``with`` block.

    With a `ProductQuantizer`, ``dims`` neighbouring channels share one code of ``bits`` bits: they depend on each
    other, so that one code for all says more than one for each. Keys are coded before their positions are put in. The
    first token stays in float: much of attention leans on it, and its keys lie far from all others.

    Make it with `calibrate`. Within `applied`, attention sees what the codes decode to. That is so for a text that is
    read at once and for one that grows token by token: each token is coded once, as it arrives, and a store of the
    model's own keeps what it decodes to. No window of recent tokens stays in float: in one reading of a whole text
    every token would need another. This measures what codes cost and how many bytes they take; it saves no memory.

    Args:
        quantizers: fitted, by number of the block (from 1) and "keys" or "values".
        kept: tokens at the start of a text that stay in float.

    Source: KV Cache is 1 Bit Per Channel: Efficient Large Language Model Inference with Coupled Quantization, arXiv
        2405.03917.

    Example:
        >>> from plait.compression import ProductQuantizer
        >>> rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
        >>> found = {(1, kind): KeysValues(rows) for kind in ("keys", "values")}
        >>> cache = QuantizedKVCache.calibrate(found, ProductQuantizer(dims=4, bits=4), method="uniform")
        >>> cache.codebook_bytes  # keys and values: 2 groups each, of 16 centroids of 4 channels at 2 bytes
        512
    """

    def __init__(self, quantizers: Mapping[Plane, Quantiser], kept: int = 1) -> None:
        self.quantizers = dict(quantizers)
        self.kept = kept
        self._held: dict[Plane, _Held] = {}

    @classmethod
    def calibrate(
        cls,
        captured: Mapping[Plane, KeysValues],
        quantizer: Quantiser,
        method: str = "fisher",
        kept: int = 1,
        progress: Progress | None = None,
    ) -> QuantizedKVCache:
        """Learn one quantiser for each block's keys and one for its values.

        Args:
            captured: what `capture` read: several thousand tokens for 256 centroids.
            quantizer: an unfitted one. ``ProductQuantizer(dims=4, bits=8)`` takes 2 bits a channel; let ``dims`` divide
                the channels of a head, else a group reaches into the next.
            method: "fisher" weighs the error of a token's group by its squared gradient of the model's loss, which
                matters at 1 or 2 bits a channel; "uniform" weighs all alike.
            kept: tokens at the start of a text that stay in float, as they did in `capture`.
            progress: called after each quantiser.

        Raises:
            DataError: if nothing was captured.
            RecipeError: for another method, or for "fisher" without gradients or without a `ProductQuantizer`.
        """
        from sklearn.base import clone

        if method not in METHODS:
            raise RecipeError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
        if not captured:
            raise DataError("no keys and values to learn from; give what capture(host, ids) read")
        fitted: dict[Plane, Quantiser] = {}
        for plane, found in captured.items():
            fresh: Quantiser = clone(quantizer)
            if method == "fisher":
                fitted[plane] = _weighted(fresh, found)
            else:
                fitted[plane] = fresh.fit(found.rows)
            if progress:
                progress("centroids", len(fitted), len(captured))
        return cls(fitted, kept)

    @contextlib.contextmanager
    def applied(self, host: Host) -> Iterator[QuantizedKVCache]:
        """Let the host's attention see the decoded codes while a ``with`` block lasts.

        Raises:
            RecipeError: if the cache was made for a host of other blocks, or of other channels.
        """
        if self.quantizers.keys() != {(n, kind) for n in range(1, host.depth + 1) for kind in KINDS}:
            raise RecipeError(
                f"the cache has {len(self.quantizers)} quantizers, and the {host.depth} blocks of {host.name} need two "
                "each: calibrate it on what capture read from this host"
            )
        self._held, windows = {}, attention_windows(host)

        def coded(plane: Plane, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
            if plane not in self._held or not int(places.min()):
                self._held[plane] = _Held(windows[plane[0] - 1])
            return self._coded(self.quantizers[plane], self._held[plane], rows, places)

        with change_keys_values(host, coded):
            yield self

    def _coded(self, quantizer: Quantiser, held: _Held, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        import torch

        chosen = places >= self.kept
        exact = rows[chosen].detach().float().cpu().numpy()
        codes = quantizer.transform(exact)
        back = quantizer.inverse_transform(codes)
        held.add(chosen.cpu().numpy(), codes, rows[0, :1].nbytes, float(((back - exact) ** 2).sum(dtype=np.float64)))
        held.numbers += exact.size
        out = rows.clone()
        out[chosen] = torch.from_numpy(back).to(rows)
        return out

    @property
    def codes(self) -> dict[Plane, np.ndarray]:
        """``[n, B]`` codes that are held of the text read last, by block and kind."""
        return {plane: held.codes for plane, held in self._held.items()}

    @property
    def errors(self) -> dict[Plane, float]:
        """Mean squared error of a channel in the text read last, by block and kind."""
        return {plane: held.squared / max(1, held.numbers) for plane, held in self._held.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the codes that are held of the text read last, and of its tokens that stayed in float.

        A block with a sliding window holds the tokens of its window only.
        """
        return sum(held.codes.nbytes + len(held.floats) * held.width for held in self._held.values())

    @property
    def codebook_bytes(self) -> int:
        """Bytes of all centroids, and rotations, at 2 a number; they do not grow with the text."""
        learnt = [vars(q) for q in self.quantizers.values() if isinstance(q, ProductQuantizer)]
        return sum(2 * one[name].size for one in learnt for name in ("codebooks_", "rotation_") if name in one)


@dataclass(eq=False)
class _Held:
    """What one block holds of the text that is being read.

    Attributes:
        window: columns that it keeps, or None for all.
        seen: columns so far.
        places: ``[n]`` column of each code.
        codes: ``[n, B]``.
        floats: columns of the tokens that stayed in float.
        width: bytes of such a token.
        squared: summed squared error.
        numbers: how many numbers were coded.
    """

    window: int | None
    seen: int = 0
    places: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    codes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    floats: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    width: int = 0
    squared: float = 0.0
    numbers: int = 0

    def add(self, chosen: np.ndarray, codes: np.ndarray, width: int, squared: float) -> None:
        """Take in a pass: ``(batch, length)`` which tokens were coded, and their codes, row by row."""
        columns = np.broadcast_to(self.seen + np.arange(chosen.shape[1]), chosen.shape)
        self.places = np.concatenate([self.places, columns[chosen]])
        self.codes = np.concatenate([self.codes, codes]) if self.codes.size else codes
        self.floats = np.concatenate([self.floats, columns[~chosen]])
        self.seen, self.width, self.squared = self.seen + chosen.shape[1], width, self.squared + squared
        if self.window is not None:
            first = self.seen - self.window
            self.codes, self.places = self.codes[self.places >= first], self.places[self.places >= first]
            self.floats = self.floats[self.floats >= first]


def capture(
    host: Host, ids: Sequence[np.ndarray], gradients: bool = False, kept: int = 1, progress: Progress | None = None
) -> dict[Plane, KeysValues]:
    """Keys and values of every block for some texts, joined, without the tokens that stay in float.

    Args:
        host: a decoder.
        ids: ``[T]`` token ids of each text, with the token that the model wants in front.
        gradients: whether to work out what "fisher" needs; takes a backward pass a text.
        kept: tokens at the start of each text to leave out.
        progress: called after each text.

    Raises:
        DataError: if no text is longer than ``kept``.
        ModelError: if gradients are asked of a host whose next tokens cannot be scored, or keys or values have no
            projection of their own.
    """
    head = vocabulary_head(host) if gradients else None
    texts = [text for text in ids if len(text) > max(kept, gradients)]
    if not texts:
        raise DataError(f"none of {len(ids)} texts has more than {max(kept, gradients)} tokens; give longer ones")
    read = []
    for text in texts:
        read.append(read_keys_values(host, text, head))
        if progress:
            progress("texts", len(read), len(texts))
    return {plane: _joined([found[plane] for found in read], kept) for plane in read[0]}


def _joined(found: Sequence[KeysValues], kept: int) -> KeysValues:
    slopes = [text.gradients[kept:] for text in found if text.gradients is not None]
    rows = np.concatenate([text.rows[kept:] for text in found])
    return KeysValues(rows, np.concatenate(slopes) if slopes else None)


def _weighted(quantizer: Quantiser, found: KeysValues) -> Quantiser:
    if not isinstance(quantizer, ProductQuantizer):
        raise RecipeError(f"fisher weighs groups of channels, and {quantizer} has none; take 'uniform'")
    if found.gradients is None:
        raise RecipeError("fisher needs the gradients of the loss: capture(host, ids, gradients=True)")
    return quantizer.fit(found.rows, sample_weight=_group_squares(found.gradients, quantizer.dims))


def _group_squares(gradients: Floats, dims: int) -> Doubles:
    """``[T, P]`` squared lengths of each token's groups, of mean 1; what has no gradient still counts a little."""
    squares = np.pad(gradients.astype(np.float64) ** 2, ((0, 0), (0, -gradients.shape[1] % dims)))
    weights: Doubles = squares.reshape(len(gradients), -1, dims).sum(axis=2)
    mean = weights.mean(axis=0, keepdims=True)
    return weights / np.where(mean > 0, mean, 1) + 1e-6
