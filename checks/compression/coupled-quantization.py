"""A small decoder's next-token loss while its keys and values are codes: of one channel each, and of groups."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.analysis import channel_entropy
from plait.compression import ProductQuantizer, QuantizedKVCache, capture
from plait.compression.bit_packing import pack_bits, unpack_bits
from plait.encoders.hosts import Host, host
from plait.encoders.keys_values import KeysValues, Plane, next_token_losses
from plait.encoders.vocabulary_head import vocabulary_head
from plait.papers import Claim, Outcome
from plait.types import Floats

MODEL, DTYPE = "gemma-3-270m", "bfloat16"
LENGTH, LEARNT, TESTED = 512, 8, 4
"""Tokens of a text, texts to learn centroids from, and texts whose next tokens are scored."""
ROUNDS, SEED = 15, 0
CODES = {
    "uniform": ("1c4b", "1c2b", "1c1b", "2c4b", "2c8b", "4c8b", "8c8b"),
    "fisher": ("1c2b", "1c1b", "2c8b", "4c8b", "8c8b"),
}
"""Channels that share a code, and its bits."""
INTEGERS = (4, 2)
SHUFFLED = "4c8b"
CLOSE = 2.0
"""Per cent of perplexity that 4 bits may cost."""
MUCH = 2.0
"""How many times less log-perplexity is lost where one thing is much better than another."""
COLLAPSED = 10.0
"""Times its perplexity in float at which a model is of no use."""
RUN = 32
"""Tokens in a row that no two different texts share."""

NOTE = (
    f"{MODEL} in {DTYPE}; {LEARNT} texts of {LENGTH} tokens of WikiText-2 valid to learn from (its training part is "
    "not at hand; the paper has 16 of 2048), "
    f"{TESTED} of test to score. The first token stays in float. k-means has {ROUNDS} rounds. Integers have one scale "
    "and one offset of 16 bits a token, which their bits count. At this length no sliding window is left. KVQuant and "
    "the window of recent tokens in float are not measured. A difference between two settings has the noise of two "
    "thousand tokens."
)


@dataclass(frozen=True)
class Measured:
    """One setting on the test texts.

    Attributes:
        loss: nats a token.
        least: smallest mean squared error of any block's keys or values, as a share of their variance.
        bits: of the codes, a channel.
    """

    loss: float
    least: float = 0.0
    bits: float = 0.0


def check(data: Path) -> Outcome:
    decoder = host(MODEL, DTYPE)
    learnt, tested = (_texts(decoder, data, part, n) for part, n in (("valid", LEARNT), ("test", TESTED)))
    captured = capture(decoder, learnt, gradients=True)
    found = {"float": _score(decoder, tested, None, captured)}
    for bits in INTEGERS:
        cache = QuantizedKVCache({plane: _TokenIntegers(bits) for plane in captured})  # type: ignore[misc]
        found[f"integers a token, {bits} bits"] = _score(decoder, tested, cache, captured)
    for method, names in CODES.items():
        for name in names:
            found[f"{name}, {method}"] = _learnt(decoder, tested, captured, captured, name, method)
    apart = {plane: _shuffled(one, SEED + n) for n, (plane, one) in enumerate(captured.items())}
    shuffled = f"{SHUFFLED}, fisher, channels shuffled"
    found[shuffled] = _learnt(decoder, tested, apart, captured, SHUFFLED, "fisher")

    lost = {name: max(measured.loss - found["float"].loss, 1e-4) for name, measured in found.items()}
    times = {name: float(np.exp(measured.loss - found["float"].loss)) for name, measured in found.items()}
    main = Claim.above(
        "at 2 bits, codes of 4 channels lose less than half the log-perplexity of codes of 1 channel",
        lost["1c2b, fisher"] / lost["4c8b, fisher"], 1, MUCH - 1,
    )  # fmt: skip
    saved, again = _entropies(captured)
    dependent = Claim.above(
        "in every block, groups of 2 and of 4 channels have less joint entropy than when shuffled apart", saved, 0
    )
    coupled = (lost["1c2b, uniform"] - lost["2c4b, uniform"], lost["2c4b, uniform"] - lost["4c8b, uniform"])
    weighted = min(lost[f"{name}, uniform"] - lost[f"{name}, fisher"] for name in ("4c8b", "8c8b"))
    share = min(m.least for name, m in found.items() if name != "float")
    bits = found["8c8b, fisher"].bits
    claims = [
        main,
        Claim(f"at 4 bits, codes of 2 channels cost at most {CLOSE:g} % of perplexity",
              100 * (times["2c8b, fisher"] - 1) <= CLOSE, 100 * (times["2c8b, fisher"] - 1), 0, CLOSE),
        Claim.above(f"at 1 bit, codes of 1 channel multiply perplexity by more than {COLLAPSED:g}",
                    times["1c1b, fisher"], 0, COLLAPSED),
        Claim.above("at 1 bit, codes of 8 channels lose less than half the log-perplexity of codes of 1 channel",
                    lost["1c1b, fisher"] / lost["8c8b, fisher"], 1, MUCH - 1),
        Claim.above("at 2 bits, uniform, 2 channels a code lose less than 1, and 4 less than 2",
                    min(coupled), 0),
        Claim("weights from gradients lose no more than uniform ones, at 2 bits and at 1",
              weighted >= 0, weighted, 0, 0),
        dependent,
        Claim.above("keys and values of every block differ from what their codes decode to", share, 0),
        Claim("the codes of 8 channels at 8 bits take 1 bit a channel in all blocks", bits == 1, bits, 1, 0),
        Claim("test texts share no run of 32 tokens with those that centroids were learnt from",
              not _shared(learnt, tested), _shared(learnt, tested), 0, 0),
    ]  # fmt: skip
    return Outcome(
        claims,
        [
            main.without(
                "centroids learnt where each channel is shuffled by itself, with its gradients",
                lost["1c2b, fisher"] / lost[shuffled],
            ),
            dependent.without("channels shuffled apart, beside another shuffle of them", again),
        ],
        metric="times less log-perplexity lost than with a code for each channel, at 2 bits",
        data=["text/wikitext2_valid.raw.txt.gz", "text/wikitext2_test.raw.txt.gz"],
        seeds=[SEED],
        figures={f"perplexity, {name}": float(np.exp(measured.loss)) for name, measured in found.items()}
        | {f"bits a channel, {name}": measured.bits for name, measured in found.items() if measured.bits}
        | {"bits of joint entropy that dependence saves a channel, least block": saved},
        note=NOTE,
    )  # fmt: skip


def _texts(decoder: Host, data: Path, part: str, count: int) -> list[NDArray[np.int64]]:
    """Texts from all over a part, the token that the model wants in front of each."""
    with gzip.open(data / "text" / f"wikitext2_{part}.raw.txt.gz", "rt", encoding="utf-8") as file:
        (found,) = decoder.plain.encode([file.read()], offsets=False)
    front, ids = list(decoder.plain.prefix), np.asarray(found.ids, np.int64)
    width = LENGTH - len(front)
    starts = np.linspace(0, len(ids) - width, count).astype(int)
    return [np.concatenate([np.asarray(front, np.int64), ids[start : start + width]]) for start in starts]


def _learnt(
    decoder: Host,
    tested: list[NDArray[np.int64]],
    learnt: Mapping[Plane, KeysValues],
    captured: Mapping[Plane, KeysValues],
    name: str,
    method: str,
) -> Measured:
    dims, bits = (int(part) for part in name.removesuffix("b").split("c"))
    quantizer = ProductQuantizer(dims, bits, rounds=ROUNDS, random_state=SEED)
    return _score(decoder, tested, QuantizedKVCache.calibrate(learnt, quantizer, method), captured)


def _score(
    decoder: Host,
    tested: list[NDArray[np.int64]],
    cache: QuantizedKVCache | None,
    captured: Mapping[Plane, KeysValues],
) -> Measured:
    head = vocabulary_head(decoder)
    if cache is None:
        return Measured(float(np.mean([next_token_losses(decoder, ids, head).mean() for ids in tested])))
    losses, shares, bits = [], [], []
    with cache.applied(decoder):
        for ids in tested:
            losses.append(next_token_losses(decoder, ids, head).mean())
            shares += [error / captured[plane].rows.var(axis=0).mean() for plane, error in cache.errors.items()]
            numbers = sum((len(ids) - cache.kept) * one.rows.shape[1] for one in captured.values())
            bits.append(8 * sum(codes.nbytes for codes in cache.codes.values()) / numbers)
    return Measured(float(np.mean(losses)), float(np.min(shares)), float(np.mean(bits)))


def _shuffled(one: KeysValues, seed: int) -> KeysValues:
    """Each channel, with its gradients, shuffled over tokens by itself: dependence goes, what each channel is stays."""
    assert one.gradients is not None
    order = np.random.default_rng(seed).permuted(np.indices(one.rows.shape)[0], axis=0)
    return KeysValues(np.take_along_axis(one.rows, order, 0), np.take_along_axis(one.gradients, order, 0))


def _entropies(captured: Mapping[Plane, KeysValues]) -> tuple[float, float]:
    """Least bits a channel by which joint entropy lies below that of a shuffle; and by which one shuffle's does."""
    saved, again = [], []
    for one in captured.values():
        for channels in (2, 4):
            real, apart, other = (channel_entropy(one.rows, channels, shuffle=how).joint for how in (None, 1, 2))
            saved.append((apart - real).mean() / channels)
            again.append((apart - other).mean() / channels)
    return float(np.min(saved)), float(np.min(again))


def _shared(one: list[NDArray[np.int64]], other: list[NDArray[np.int64]]) -> int:
    def runs(texts: list[NDArray[np.int64]]) -> set[bytes]:
        return {text[start : start + RUN].tobytes() for text in texts for start in range(len(text) - RUN + 1)}

    return len(runs(one) & runs(other))


class _TokenIntegers:
    """Whole numbers of a few bits between the least and the largest channel of a token."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def transform(self, rows: Floats) -> NDArray[np.uint8]:
        low = rows.min(axis=1, keepdims=True).astype(np.float16)
        step = ((rows.max(axis=1, keepdims=True) - low) / (2**self.bits - 1)).astype(np.float16)
        numbers = np.rint((rows - low) / np.maximum(step, np.float16(1e-6))).clip(0, 2**self.bits - 1)
        return np.hstack([low.view(np.uint8), step.view(np.uint8), pack_bits(numbers.astype(np.int64), self.bits)])

    def inverse_transform(self, codes: NDArray[np.uint8]) -> Floats:
        low, step = (np.ascontiguousarray(codes[:, at : at + 2]).view(np.float16).astype(np.float32) for at in (0, 2))
        numbers = unpack_bits(np.ascontiguousarray(codes[:, 4:]), self.bits, (codes.shape[1] - 4) * 8 // self.bits)
        return low + step * numbers.astype(np.float32)
