from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from plait.analysis import depth_profile, layer_intervention, neuron_counts, stages
from plait.analysis.depth import DepthProfile, local_attention
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.encoders.vocabulary_head import vocabulary_head
from plait.pooling.mean import MeanPool
from plait.types import DataError, ModelError, RecipeError
from tests.tiny import SENTENCES, write_decoder

TEXTS = [text for text in SENTENCES if len(text) > 20]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = write_decoder(tmp_path_factory.mktemp("tied"), "Gemma3ForCausalLM")
    return Transformer(str(folder))


def causal(encoder: Transformer, order: list[int] | None = None) -> transformers.PreTrainedModel:
    """The checkpoint with its own head, its blocks in another order: new modules, no hooks."""
    model = transformers.AutoModelForCausalLM.from_pretrained(encoder.model).eval()
    if order:
        model = copy.deepcopy(model)
        model.model.layers = torch.nn.ModuleList([model.model.layers[n - 1] for n in order])
        model.config.num_hidden_layers = len(order)
        model.config.layer_types = [model.config.layer_types[n - 1] for n in order]
    return model


def every_prediction(encoder: Transformer, model: transformers.PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities at all positions but a text's first and last token, and the next tokens."""
    tokens, scores, targets = encoder.tokenize(TEXTS), [], []
    for row in range(len(tokens)):
        ids = torch.from_numpy(tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].astype(np.int64))
        with torch.inference_mode():
            logits = model(ids[None], use_cache=False).logits[0].float()
        scores.append(torch.log_softmax(logits, dim=-1)[1:-1])
        targets.append(ids[2:])
    return torch.cat(scores), torch.cat(targets)


@pytest.mark.parametrize(
    ("kind", "orders"),
    [
        ("delete", {1: [2, 3], 2: [1, 3], 3: [1, 2]}),
        ("swap", {1: [2, 1, 3], 2: [1, 3, 2]}),
        ("repeat", {1: [1, 1, 2, 3], 2: [1, 2, 2, 3], 3: [1, 2, 3, 3]}),
    ],
)
def test_a_decoder_is_compared_with_a_model_built_without_hooks(
    decoder: Transformer, kind: str, orders: dict[int, list[int]]
) -> None:
    found = layer_intervention(decoder, TEXTS, kind, positions=10_000)
    assert found.layers == tuple(orders)
    plain, targets = every_prediction(decoder, causal(decoder))
    for number, order in enumerate(orders.values()):
        changed, _ = every_prediction(decoder, causal(decoder, order))
        expected = {
            "agreement": (plain.argmax(1) == changed.argmax(1)).float().mean(),
            "kl": torch.nn.functional.kl_div(changed, plain, log_target=True, reduction="batchmean"),
            "loss_delta": torch.nn.functional.nll_loss(changed, targets) - torch.nn.functional.nll_loss(plain, targets),
            "entropy": torch.distributions.Categorical(logits=changed).entropy().mean() / np.log(2),
        }
        row = found.table()[number]
        assert {name: row[name] for name in expected} == pytest.approx(
            {k: float(v) for k, v in expected.items()}, abs=1e-3
        )


def test_the_model_is_put_back(decoder: Transformer) -> None:
    before = decoder.transform(TEXTS).values
    layer_intervention(decoder, TEXTS, "swap", positions=20)
    np.testing.assert_array_equal(decoder.transform(TEXTS).values, before)


def test_an_encoder_is_compared_by_its_text_vectors(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    found = layer_intervention(encoder, TEXTS, layers=[3])
    whole = (encoder | MeanPool()).encode(TEXTS).values
    states = encoder.states(encoder.tokenize(TEXTS), (2,))
    without = MeanPool().pool(states.values[0], states.tokens)
    cosine = (whole * without).sum(1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(without, axis=1)
    assert found.agreement == pytest.approx([cosine.mean()], abs=1e-5)
    assert found.table() == [{"layer": 3, "agreement": pytest.approx(cosine.mean(), abs=1e-5)}]


def test_positions_are_a_sample_of_their_number(decoder: Transformer) -> None:
    done: list[tuple[int, int]] = []
    few = layer_intervention(decoder, TEXTS, positions=7, progress=lambda *now: done.append(now))
    assert (few.agreement * 7).round(6).tolist() == (few.agreement * 7).round().tolist()
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert layer_intervention(decoder, TEXTS, positions=7).to_json() == few.to_json()


def test_lens_reads_states_as_if_they_were_the_last(decoder: Transformer) -> None:
    profile = depth_profile(decoder, TEXTS, positions=10_000)
    model = causal(decoder)
    plain, _ = every_prediction(decoder, model)
    tokens, lens = decoder.tokenize(TEXTS), []
    for row in range(len(tokens)):
        ids = torch.from_numpy(tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].astype(np.int64))
        with torch.inference_mode():
            state = model.model(ids[None], output_hidden_states=True, use_cache=False).hidden_states[1]
            lens.append(torch.log_softmax(model.lm_head(model.model.norm(state))[0, 1:-1].float(), dim=-1))
    first = torch.cat(lens)
    kl = torch.nn.functional.kl_div(first, plain, log_target=True, reduction="batchmean")
    assert profile.figures["lens_kl"][0] == pytest.approx(float(kl), abs=1e-3)
    assert profile.figures["lens_kl"][-1] == pytest.approx(0, abs=1e-5)
    bits = torch.distributions.Categorical(logits=first).entropy().mean() / np.log(2)
    assert profile.figures["lens_entropy"][0] == pytest.approx(float(bits), abs=1e-3)
    assert [row["layer"] for row in profile.table()] == [1, 2, 3]


def test_local_attention_is_the_share_of_five_tokens_before(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    tokens = encoder.tokenize(TEXTS[:1])
    weights = encoder.host.attention(tokens.ids[None])
    length = len(tokens.ids)
    for block, value in zip(weights, local_attention(encoder, tokens), strict=True):
        rows = [block[0, :, t, t - 5 : t].sum(axis=1).mean() for t in range(6, length)]
        assert value == pytest.approx(np.mean(rows), abs=1e-6)
    assert list(depth_profile(encoder, TEXTS).figures) == ["local_attention"]


def test_neurons_that_write_towards_one_token_are_counted(decoder: Transformer) -> None:
    host = Transformer(decoder.model, dtype="float32").host
    head = vocabulary_head(host)
    weight = host.blocks[1].mlp.down_proj.weight
    kept = weight.clone()
    table = torch.zeros(500, 16)
    table[:, 0] = torch.cat([torch.ones(2) * 5, torch.zeros(498)])
    table[:, 1:] = torch.randn(500, 15, generator=torch.Generator().manual_seed(0)) * 0.5
    made = type(head)(head.norm, table, None)
    try:
        weight.data.zero_()
        weight.data[1] = 1.0  # a neuron along a direction in which no token stands out
        weight.data[:, 3], weight.data[:, 5] = 0, 0
        weight.data[0, 3], weight.data[0, 5] = 1.0, -1.0
        counts = neuron_counts(host, made)
    finally:
        weight.data.copy_(kept)
    assert (counts.prediction[1], counts.suppression[1]) == (1, 1)


def profile(**figures: list[float]) -> DepthProfile:
    return DepthProfile({name: np.array(values, np.float64) for name, values in figures.items()})


@pytest.mark.parametrize(
    ("local", "kl", "suppression", "ends"),
    [
        ([9, 8, 1, 1, 1, 1, 1, 1], [9, 9, 9, 9, 6, 4, 2, 0], [0, 0, 0, 0, 0, 0, 9, 9], [2, 4, 6, 8]),
        ([9, 8, 1, 1, 1, 1, 1, 1], [9, 9, 9, 9, 6, 4, 2, 0], [0, 0, 0, 0, 0, 0, 0, 0], [2, 4, 7, 8]),
        ([1, 1, 1, 1, 1, 1, 1, 9], [9, 8, 6, 5, 4, 3, 2, 0], [9] * 8, [1, 1, 1, 8]),
    ],
)
def test_stages_end_where_the_rule_says(
    local: list[float], kl: list[float], suppression: list[float], ends: list[int]
) -> None:
    found = stages(
        profile(local_attention=local, lens_kl=kl, prediction_neurons=[5] * 8, suppression_neurons=suppression)
    )
    assert [row["last_block"] for row in found.table()] == ends


def test_what_cannot_be_rewired(decoder: Transformer, tiny_bert: Path, tiny_table: Path) -> None:
    with pytest.raises(RecipeError, match="delete, swap, repeat"):
        layer_intervention(decoder, TEXTS, "ablate")
    with pytest.raises(RecipeError, match="blocks 1 to 2 to swap"):
        layer_intervention(decoder, TEXTS, "swap", layers=[3])
    with pytest.raises(RecipeError, match="no blocks"):
        layer_intervention(StaticTable(str(tiny_table)), TEXTS)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="no blocks"):
        depth_profile(StaticTable(str(tiny_table)), TEXTS)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="two tokens"):
        layer_intervention(decoder, ["a"])
    with pytest.raises(DataError, match="7 tokens"):
        depth_profile(Transformer(str(tiny_bert)), ["Word"])
    with pytest.raises(DataError, match="decoder's profile"):
        stages(depth_profile(Transformer(str(tiny_bert)), TEXTS))
    with pytest.raises(ModelError, match="is no decoder"):
        vocabulary_head(Transformer(str(tiny_bert)).host)


def test_a_matrix_of_its_own_is_not_guessed(tmp_path: Path) -> None:
    encoder = Transformer(str(write_decoder(tmp_path)))
    with pytest.raises(ModelError, match="output matrix of its own"):
        vocabulary_head(encoder.host)
    assert list(layer_intervention(encoder, TEXTS).figures) == ["agreement"]
