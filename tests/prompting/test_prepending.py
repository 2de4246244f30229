"""`TokenPrepending` against a loop over the blocks written down from the paper, and against what it must not touch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import plait
from plait.prompting.prepending import TokenPrepending
from plait.types import Floats, ModelError, RecipeError
from tests.tiny import SENTENCES

TEXTS = [text for text in SENTENCES if text]
PROMPT = 'This : {blank} "{text:sentence}" means:"'


@pytest.fixture
def encoder(tiny_decoder: Path) -> plait.Transformer:
    return plait.Transformer(str(tiny_decoder), prompts=PROMPT)


def states(encoder: plait.Transformer, change: TokenPrepending | None, texts: list[str]) -> Floats:
    """``[L, T, D]`` states of all layers."""
    tokens = encoder.tokenize(texts)
    if change is None:
        return encoder.states(tokens, tuple(range(encoder.depth + 1))).values
    with change.change(encoder):
        return encoder.states(tokens, tuple(range(encoder.depth + 1))).values


def by_hand(folder: Path, ids: np.ndarray, blank: int, window: range) -> Floats:
    """``[D]`` state of the last token before the final norm, the blocks run one by one as the paper says."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = torch.from_numpy(ids.astype(np.int64))[None]
    seen: list[tuple[torch.Tensor, ...]] = []
    place = int((inputs[0] == blank).nonzero())
    for number, layer in enumerate(model.layers):
        forward = layer.forward

        def copied(hidden: torch.Tensor, *args: object, n: int = number, f: object = forward, **kw: object) -> object:
            if n in window:
                hidden = hidden.clone()
                hidden[0, place] = hidden[0, -1]
            out = f(hidden, *args, **kw)  # type: ignore[operator]
            seen.append(out if isinstance(out, tuple) else (out,))
            return out

        layer.forward = copied
    with torch.inference_mode():
        model(input_ids=inputs, use_cache=False)
    return np.asarray(seen[-1][0][0, -1])


@pytest.mark.parametrize(("stop", "start"), [(2, 1), (3, 1), (3, 0), (1, 0), (99, 1)])
def test_the_last_tokens_state_is_that_of_the_published_loop(tiny_decoder: Path, stop: int, start: int) -> None:
    encoder = plait.Transformer(str(tiny_decoder), prompts=PROMPT)
    tokens = encoder.tokenize(TEXTS)
    last: list[Floats] = []
    block = encoder.host.blocks[-1]
    hook = block.register_forward_hook(
        lambda m, a, out: last.append((out[0] if isinstance(out, tuple) else out).numpy())
    )
    try:
        for text in TEXTS:
            states(encoder, TokenPrepending(stop, start), [text])
    finally:
        hook.remove()
    for number, found in enumerate(last):
        ids = tokens.ids[tokens.offsets[number] : tokens.offsets[number + 1]]
        assert encoder.blank_id is not None
        expected = by_hand(tiny_decoder, ids, encoder.blank_id, range(start, stop))
        np.testing.assert_allclose(found[0, -1], expected, atol=1e-5)


def test_rows_of_different_lengths_each_copy_their_own_last_token(encoder: plait.Transformer) -> None:
    together = states(encoder, TokenPrepending(3), TEXTS)
    apart = np.concatenate([states(encoder, TokenPrepending(3), [text]) for text in TEXTS], axis=1)
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_the_first_word_learns_of_the_last_one_only_with_the_copy(encoder: plait.Transformer) -> None:
    versions = ["cats and dogs", "cats and dots"]
    tokens = encoder.tokenize(versions)
    assert tokens.lengths[0] == tokens.lengths[1]
    assert encoder.blank_id is not None
    first = int(np.flatnonzero(tokens.ids[: tokens.offsets[1]] == encoder.blank_id)[0]) + 3
    plain, changed = (
        [states(encoder, change, [text])[:, first] for text in versions] for change in (None, TokenPrepending(3))
    )
    np.testing.assert_array_equal(plain[0], plain[1])
    differs = [not np.array_equal(a, b) for a, b in zip(changed[0], changed[1], strict=True)]
    assert differs == [False, False, True, True]  # copied before the second block, seen above it


def test_nothing_is_left_behind(encoder: plait.Transformer) -> None:
    recipe = encoder | plait.LastPool()
    before = recipe.encode(TEXTS).values
    changed = (encoder | TokenPrepending(3) | plait.LastPool()).encode(TEXTS).values
    after = recipe.encode(TEXTS).values
    assert before.tobytes() == after.tobytes()
    assert not np.allclose(before, changed)
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in encoder.host.blocks)


def test_a_pass_that_fails_leaves_nothing_behind_either(encoder: plait.Transformer) -> None:
    with pytest.raises(ModelError, match="once; does a text hold it too"):
        (encoder | TokenPrepending(3) | plait.LastPool()).encode(["a <unused0> b"])
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in encoder.host.blocks)


def test_a_placeholder_may_be_any_token_of_the_vocabulary(tiny_decoder: Path) -> None:
    vectors = []
    for token in ("{blank}", "<unused0>", "<unused1>"):
        encoder = plait.Transformer(str(tiny_decoder), prompts=PROMPT.replace("{blank}", token))
        change = TokenPrepending(3, placeholder=None if token == "{blank}" else token)
        vectors.append((encoder | change | plait.LastPool()).encode(TEXTS).values)
    assert vectors[0].tobytes() == vectors[1].tobytes()
    assert not np.array_equal(vectors[0], vectors[2])  # the first block reads the placeholder itself


@pytest.mark.parametrize(
    ("prompts", "change", "message"),
    [
        ("prompteol", TokenPrepending(), 'use e.g. prompts="prompteol-blank"'),
        (None, TokenPrepending(), 'use e.g. prompts="prompteol-blank"'),
        (PROMPT, TokenPrepending(1), "start is 1 and stop 1; expected 0 <= start < stop"),
        (PROMPT, TokenPrepending(3, start=-1), "start is -1 and stop 3"),
        (PROMPT, TokenPrepending(placeholder="<pst>"), "'<pst>' is no token"),
    ],
)
def test_wrong_settings_are_refused(
    tiny_decoder: Path, prompts: str | None, change: TokenPrepending, message: str
) -> None:
    recipe = plait.Transformer(str(tiny_decoder), prompts=prompts) | change | plait.LastPool()
    with pytest.raises(RecipeError, match=message):
        recipe.encode(["a text"])
