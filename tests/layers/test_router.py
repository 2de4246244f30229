"""Routers' weights against what transformers itself gives with ``output_router_logits``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import plait
from plait.encoders.hosts import Host
from plait.step import unit_rows
from plait.types import Floats, ModelError, RecipeError, States
from tests.tiny import EXPERTS, SENTENCES, write_decoder

TEXTS = [text for text in SENTENCES if text]
BLOCKS = {"MixtralForCausalLM": [4, 4, 4], "OlmoeForCausalLM": [5, 5, 5], "Qwen2MoeForCausalLM": [4]}
"""Experts of each router, lowest first."""


@pytest.fixture(scope="module", params=list(EXPERTS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("experts"), request.param)


def reference(folder: Path) -> list[Floats]:
    """``[N, E]`` logits of each router at the last real token of a padded batch."""
    tokens = plait.Transformer(str(folder)).tokenize(TEXTS)
    lengths = torch.from_numpy(tokens.lengths)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.zeros(mask.shape, dtype=torch.long)
    ids[mask] = torch.from_numpy(tokens.ids).long()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(ids, attention_mask=mask.long(), output_router_logits=True).router_logits
    return [one.unflatten(0, mask.shape)[torch.arange(len(TEXTS)), lengths - 1].numpy() for one in logits]


def last(folder: Path, step: plait.RouterWeights) -> Floats:
    return (plait.Transformer(str(folder)) | step | plait.LastPool()).encode(TEXTS).values


def test_logits_are_the_routers_own(folder: Path) -> None:
    expected = reference(folder)
    assert [block.shape[1] for block in expected] == BLOCKS[_architecture(folder)]
    np.testing.assert_allclose(last(folder, plait.RouterWeights("logits")), np.hstack(expected), atol=2e-5)


def test_probabilities_are_over_all_experts_of_a_router(folder: Path) -> None:
    found = last(folder, plait.RouterWeights())
    blocks = np.split(found, np.cumsum(BLOCKS[_architecture(folder)])[:-1], axis=1)
    for block, logits in zip(blocks, reference(folder), strict=True):
        np.testing.assert_allclose(block.sum(axis=1), 1, atol=1e-5)
        assert (block > 0).all()
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(block, expected, atol=1e-5)


def test_every_pooling_sees_the_routers(tiny_experts: Path) -> None:
    host = plait.Transformer(str(tiny_experts))
    tokens = host.tokenize(TEXTS)
    planes = host.states(tokens, (-1,)).layer(-1)
    means = [planes[tokens.index[a:b]].mean(axis=0) for a, b in zip(tokens.bounds, tokens.bounds[1:], strict=False)]
    found = (host | plait.RouterWeights() | plait.MeanPool()).encode(TEXTS).values
    np.testing.assert_allclose(found, means, atol=1e-5)


def test_batch_and_padding_do_not_matter(folder: Path) -> None:
    recipe = plait.Transformer(str(folder)) | plait.RouterWeights() | plait.LastPool()
    alone = np.concatenate([recipe.encode([text]).values for text in TEXTS])
    np.testing.assert_allclose(recipe.encode(TEXTS).values, alone, atol=2e-6)


def test_states_and_routers_share_one_pass(tiny_experts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, run, rows = plait.Transformer(str(tiny_experts)), Host.states, list[int]()
    parts = [host | mix | plait.LastPool() for mix in (plait.Layer(1), plait.Layer(3), plait.RouterWeights())]
    alone = [part.encode(TEXTS).values for part in parts]

    def counted(self: Host, ids: np.ndarray, *more: object) -> list[Floats]:
        rows.append(len(ids))
        return run(self, ids, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Host, "states", counted)
    joined = plait.Concat(parts).encode(TEXTS).values
    assert sum(rows) == len(TEXTS)
    np.testing.assert_allclose(joined, np.hstack([unit_rows(part) for part in alone]), atol=1e-6)


def test_a_concatenation_adds_similarities(tiny_experts: Path) -> None:
    host = plait.Transformer(str(tiny_experts))
    states, routers = host | plait.LastPool(), host | plait.RouterWeights() | plait.LastPool()
    both = (states + 0.5 * routers).encode(TEXTS).values
    cosines = [unit_rows(part.encode(TEXTS).values) for part in (states, routers)]
    expected = cosines[0] @ cosines[0].T + 0.25 * cosines[1] @ cosines[1].T
    np.testing.assert_allclose(both @ both.T, expected, atol=1e-5)


def test_hosts_without_experts_are_named(tiny_bert: Path, tiny_table: Path) -> None:
    for host in (plait.Transformer(str(tiny_bert)), plait.StaticTable(str(tiny_table))):
        with pytest.raises(ModelError, match=rf"{type(host).__name__}.*RouterWeights.*Mixtral"):
            (host | plait.RouterWeights() | plait.MeanPool()).encode(TEXTS)


def test_mistakes_are_named(tiny_experts: Path) -> None:
    host = plait.Transformer(str(tiny_experts))
    with pytest.raises(RecipeError, match=r"'top'.*probs or logits"):
        (host | plait.RouterWeights("top") | plait.LastPool()).encode(TEXTS)
    with pytest.raises(RecipeError, match="chooses layers twice"):
        (host | plait.Layer(1) | plait.RouterWeights() | plait.LastPool()).encode(TEXTS)
    with pytest.raises(ModelError, match="without the routers"):
        plait.RouterWeights().transform(host.transform(TEXTS))


def test_steps_one_by_one_give_the_same(tiny_experts: Path) -> None:
    host = plait.Transformer(str(tiny_experts))
    tokens = host.tokenize(TEXTS)
    states = plait.RouterWeights("logits").transform(host.states(tokens, (-2, 3)))
    assert isinstance(states, States)
    expected = (host | plait.RouterWeights("logits") | plait.LastPool()).encode(TEXTS).values
    np.testing.assert_allclose(plait.LastPool().transform(states).values, expected, atol=1e-6)


def test_text_round_trips() -> None:
    text = 'Transformer("x") | RouterWeights("logits") | LastPool()'
    assert str(plait.parse(text)) == text


def _architecture(folder: Path) -> str:
    (architecture,) = transformers.AutoConfig.from_pretrained(folder).architectures
    return str(architecture)
