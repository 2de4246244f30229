"""Keys and values, beside what transformers itself stores, and their gradients beside differences of the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from plait.encoders.hosts import Host, host
from plait.encoders.keys_values import (
    Plane,
    attention_windows,
    change_keys_values,
    next_token_losses,
    read_keys_values,
)
from plait.encoders.vocabulary_head import vocabulary_head
from plait.types import DataError, ModelError
from tests.tiny import write_decoder

HEADS = 2
IDS = np.array([0, 77, 45, 102, 9, 250, 300, 31, 77, 12, 200, 5], np.int64)


def write_tied(folder: Path, architecture: str) -> Path:
    """A decoder that scores with its token table and has two heads of keys and values."""
    write_decoder(folder, architecture)
    model = getattr(transformers, architecture)
    config = model.config_class.from_pretrained(folder)
    config.num_key_value_heads, config.tie_word_embeddings = HEADS, True
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma3ForCausalLM"])
def tied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No norm of keys; one that sees tokens before heads; one that sees heads before tokens."""
    return write_tied(tmp_path_factory.mktemp("tied"), request.param)


def unchanged(plane: Plane, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return rows


def test_they_are_what_transformers_stores(tied: Path) -> None:
    peer = transformers.AutoModelForCausalLM.from_pretrained(tied).eval()
    with torch.inference_mode():
        stored = peer(torch.from_numpy(IDS)[None], use_cache=True).past_key_values
    found = read_keys_values(host(str(tied)), IDS)
    assert sorted(found) == [(block, kind) for block in (1, 2, 3) for kind in ("keys", "values")]
    for block in (1, 2, 3):
        keys, values = (
            side[0].transpose(0, 1).numpy() for side in (stored.layers[block - 1].keys, stored.layers[block - 1].values)
        )
        np.testing.assert_allclose(found[block, "values"].rows.reshape(values.shape), values, atol=1e-5)
        own = found[block, "keys"].rows.reshape(keys.shape)
        np.testing.assert_allclose(own[0], keys[0], atol=1e-5)  # a position of 0 turns nothing
        assert np.abs(own[1:] - keys[1:]).max() > 0.05
        lengths = [np.hypot(*np.split(side, 2, axis=-1)) for side in (own, keys)]  # positions turn pairs of channels
        np.testing.assert_allclose(*lengths, atol=1e-5)


@pytest.mark.parametrize("length", [1, HEADS, HEADS + 1, 2 * HEADS])
def test_tokens_and_heads_are_not_confused(tied: Path, length: int) -> None:
    whole, part = (read_keys_values(host(str(tied)), ids) for ids in (IDS, IDS[:length]))
    for plane, found in part.items():
        np.testing.assert_allclose(found.rows, whole[plane].rows[:length], atol=1e-5)


def test_gradients_are_those_of_the_loss(tied: Path) -> None:
    model = host(str(tied))
    found = read_keys_values(model, IDS, vocabulary_head(model))
    for plane, one in found.items():
        assert one.gradients is not None and one.gradients.shape == one.rows.shape
        step = torch.from_numpy(one.gradients / np.linalg.norm(one.gradients))[None]

        def moved(size: float, plane: Plane = plane, step: torch.Tensor = step) -> float:
            def change(which: Plane, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
                return rows + size * step if which == plane else rows

            with change_keys_values(model, change):
                return float(next_token_losses(model, IDS).sum())

        slope = (moved(0.02) - moved(-0.02)) / 0.04
        assert slope == pytest.approx(np.linalg.norm(one.gradients), rel=0.03, abs=2e-3)
    last = found[3, "values"].gradients
    assert last is not None
    assert np.abs(last[-1]).max() == 0  # nothing is told behind the last token
    assert np.abs(last[:-1]).max() > 0


def test_losses_are_the_peers(tied: Path) -> None:
    peer = transformers.AutoModelForCausalLM.from_pretrained(tied).eval()
    ids = np.resize(IDS, 90)  # more than one chunk of scores
    with torch.inference_mode():
        expected = peer(torch.from_numpy(ids)[None], labels=torch.from_numpy(ids)[None]).loss
    losses = next_token_losses(host(str(tied)), ids)
    assert losses.shape == (89,)
    assert losses.mean() == pytest.approx(float(expected), rel=1e-5)


def test_a_change_is_seen_by_attention_and_goes_when_the_block_ends(tied: Path) -> None:
    model = host(str(tied))
    before = next_token_losses(model, IDS)
    with change_keys_values(model, unchanged):
        np.testing.assert_array_equal(next_token_losses(model, IDS), before)
    for kind in ("keys", "values"):
        with change_keys_values(model, lambda plane, rows, places, kind=kind: rows * (plane != (2, kind))):
            assert np.abs(next_token_losses(model, IDS)[1:] - before[1:]).max() > 1e-3
    np.testing.assert_array_equal(next_token_losses(model, IDS), before)
    with pytest.raises(ZeroDivisionError), change_keys_values(model, lambda plane, rows, places: 1 / 0):  # type: ignore[return-value, arg-type]
        next_token_losses(model, IDS)
    np.testing.assert_array_equal(next_token_losses(model, IDS), before)


def test_positions_go_on_with_a_store_and_are_those_that_are_named(tied: Path) -> None:
    model, seen = host(str(tied)), list[list[list[int]]]()

    def note(plane: Plane, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        if plane == (1, "keys"):
            seen.append(places.tolist())
        return rows

    memory, ids = model.memory(), torch.from_numpy(IDS)[None]
    with torch.inference_mode(), change_keys_values(model, note):
        model.model(input_ids=ids[:, :3], **memory)
        model.model(input_ids=ids[:, 3:5], **memory)
        model.model(input_ids=ids[:, :2], position_ids=torch.tensor([[7, 8]]))
    assert seen == [[[0, 1, 2]], [[3, 4]], [[7, 8]]]


def test_windows_are_the_models_own(tmp_path: Path, tiny_bert: Path) -> None:
    assert attention_windows(host(str(write_decoder(tmp_path, "Gemma3ForCausalLM")))) == [16, None, 16]
    assert attention_windows(host(str(tiny_bert))) == [None] * 3


def test_a_model_that_reads_both_ways_has_keys_but_no_next_token(tiny_bert: Path) -> None:
    model = host(str(tiny_bert))
    assert read_keys_values(model, IDS[:5])[3, "keys"].rows.shape == (5, 32)
    with pytest.raises(ModelError, match="is no decoder"):
        next_token_losses(model, IDS[:5])


def test_one_projection_for_all_is_refused(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path)
    config = transformers.GPT2Config(vocab_size=360, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    model: Host = host(str(folder))
    with pytest.raises(ModelError, match=r"no projection for keys alone .*k_proj"):
        read_keys_values(model, IDS)
    assert not any(module._forward_hooks for module in model.model.modules())


def test_a_single_token_has_no_next_one(tied: Path) -> None:
    model = host(str(tied))
    with pytest.raises(DataError, match="two tokens or more"):
        next_token_losses(model, IDS[:1])
    with pytest.raises(DataError, match="two tokens or more"):
        read_keys_values(model, IDS[:1], vocabulary_head(model))
