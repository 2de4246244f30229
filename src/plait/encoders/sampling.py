"""Text that a decoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from plait.encoders.vocabulary_head import vocabulary_head

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host

LOOK = 8
"""Tokens after which the texts are looked at, to see whether all have come to an end."""
TOGETHER = 32
"""Texts written at once: scoring the vocabulary costs about the same for many as for one."""


def sample(
    host: Host, prompts: Sequence[str], count: int, temperature: float = 0.7, max_tokens: int = 64, seed: int = 0,
    stop: Sequence[str] = ("\n\n",),
) -> list[list[str]]:  # fmt: skip
    """Continue prompts, each several times and with draws of its own; a prompt is run once.

    Args:
        host: a decoder whose output matrix is its token table.
        prompts: what stands before the texts.
        count: texts for each prompt.
        temperature: what scores are divided by before a token is drawn; 0 takes the best token each time.
        max_tokens: of a text.
        seed: of the draws.
        stop: a text ends before the first of these.

    Raises:
        ModelError: if the host is no such decoder.
    """
    import torch

    at_once, out = max(1, TOGETHER // max(1, count)), []
    with torch.inference_mode():
        for start in range(0, len(prompts), at_once):
            some = prompts[start : start + at_once]
            texts = _texts(host, _written(host, some, count, temperature, max_tokens, seed, stop), stop)
            out += [[text for text, _ in texts[n * count : (n + 1) * count]] for n in range(len(some))]
    return out


def _written(
    host: Host, prompts: Sequence[str], count: int, temperature: float, max_tokens: int, seed: int,
    stop: Sequence[str],
) -> torch.Tensor:  # fmt: skip
    """``(prompts * count, tokens)`` ids."""
    import torch

    head, memory = vocabulary_head(host), host.memory()
    ids, mask = _left_padded(host, prompts)
    (cache,) = memory.values()
    place = mask.long().cumsum(dim=1) - 1
    states = host.model(input_ids=ids, attention_mask=mask.long(), position_ids=place.clamp_min(0), **memory)
    last = states.last_hidden_state[:, -1].repeat_interleave(count, dim=0)
    cache.batch_repeat_interleave(count)
    mask, place = mask.repeat_interleave(count, dim=0), place[:, -1:].repeat_interleave(count, dim=0)
    draws = [torch.Generator().manual_seed(seed + crc32(prompt.encode())) for prompt in prompts]
    written = torch.zeros((len(last), 0), dtype=torch.int64)
    for number in range(max_tokens):
        tokens = _drawn(head.logits(last).float().cpu(), temperature, draws)
        written = torch.cat([written, tokens], dim=1)
        ended = number % LOOK == LOOK - 1 and all(ended for _, ended in _texts(host, written, stop))
        if ended or number == max_tokens - 1:
            break
        mask, place = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1), place + 1
        states = host.model(input_ids=tokens.to(host.device), attention_mask=mask.long(), position_ids=place, **memory)
        last = states.last_hidden_state[:, -1]
    return written


def _left_padded(host: Host, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """``(prompts, length)`` ids that end together, and which of them are real."""
    import torch

    rows = [[*host.plain.prefix, *found.ids] for found in host.plain.encode(prompts, offsets=False)]
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max())[::-1] < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate(rows)
    return torch.from_numpy(ids).to(host.device), torch.from_numpy(mask.copy()).to(host.device)


def _drawn(logits: torch.Tensor, temperature: float, draws: Sequence[torch.Generator]) -> torch.Tensor:
    import torch

    if temperature == 0:
        return logits.argmax(dim=1, keepdim=True)
    shares = (logits / temperature).softmax(dim=1).chunk(len(draws))
    return torch.cat([torch.multinomial(mine, 1, generator=draw) for mine, draw in zip(shares, draws, strict=True)])


def _texts(host: Host, written: torch.Tensor, stop: Sequence[str]) -> list[tuple[str, bool]]:
    """The texts so far, and which of them have ended."""
    plain, out = host.plain, []
    end = plain.backend.token_to_id(plain.specials["eos"])
    for row in written.tolist():
        kept = row[: row.index(end)] if end in row else row
        text = plain.backend.decode(kept, skip_special_tokens=True)
        places = [place for mark in stop if (place := text.find(mark, len(text) - len(text.lstrip()))) >= 0]
        out.append((text[: min(places, default=len(text))].strip(), bool(places) or len(kept) < len(row)))
    return out
