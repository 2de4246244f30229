"""Spherical positions: end points, the formula on plain vectors, and gradients that reach the scalars alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp
from torch import nn

from plait import MeanPool, Transformer
from plait.encoders.tuning import TunedHost
from plait.fusion.spherical import SelfPositioning, spherical_factors
from plait.training import Schedule
from plait.types import ModelError, RecipeError
from tests.tiny import SENTENCES


def unit(seed: int, count: int = 2, width: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 500), pulls=st.tuples(st.floats(0.01, 50), st.floats(0.01, 50)))
def test_two_unit_vectors_as_scipy_has_it(seed, pulls):
    vectors = unit(seed)
    found = spherical_factors(vectors @ vectors.T, pulls).numpy() @ vectors
    np.testing.assert_allclose(found, geometric_slerp(*vectors, pulls[1] / sum(pulls)), atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_a_large_weight_gives_that_vector():
    vectors = unit(1)
    for pulls, end in (((1e9, 1.0), 0), ((1.0, 1e9), 1)):
        np.testing.assert_allclose(spherical_factors(vectors @ vectors.T, pulls), np.eye(2)[end], atol=1e-6)


def test_near_parallel_vectors_take_the_straight_line():
    gram = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(spherical_factors(gram, [1.0, 3.0]), [0.25, 0.75])
    assert torch.isfinite(spherical_factors(np.zeros((3, 3)), [1.0, 1.0, 1.0])).all()


@pytest.mark.parametrize(("combine", "before"), [("mean", 1.5), ("sum", 3.0)])
def test_a_third_vector_meets_the_first_two(combine, before):
    vectors = unit(2, count=3)
    first = geometric_slerp(*vectors[:2], 2 / 3)
    whole = geometric_slerp(first, vectors[2], 5 / (before + 5))
    found = spherical_factors(vectors @ vectors.T, [1.0, 2.0, 5.0], combine).numpy() @ vectors
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_equal_sums_are_near_the_average_and_equal_means_lean_to_the_last():
    gram = np.eye(3)
    means, sums = (spherical_factors(gram, [1.0, 1.0, 1.0], combine).numpy() for combine in ("mean", "sum"))
    np.testing.assert_allclose(means, [0.5, 0.5, np.sqrt(0.5)])
    nearness = [float(factors.sum() / np.linalg.norm(factors)) for factors in (means, sums)]
    assert nearness[0] < nearness[1]


def net(seed: int, like: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    if like is not None:
        with torch.no_grad():
            for own, other in zip(made.parameters(), like.parameters(), strict=True):
                own.mul_(0.3).add_(other)
    return made


def family() -> tuple[nn.Module, list[dict[str, torch.Tensor]]]:
    base = net(0)
    return base, [dict(net(seed, base).named_parameters()) for seed in (1, 2)]


def test_merged_weights_are_the_base_and_the_factors_times_the_changes():
    base, models = family()
    search = SelfPositioning(base, models)
    with torch.no_grad():
        search.pulls.copy_(torch.tensor([0.3, 2.0]))
        search.scale.fill_(0.8)
    flat = [
        np.concatenate([p.detach().numpy().ravel() for p in m.values()])
        for m in (dict(base.named_parameters()), *models)
    ]
    changes = np.array([end - flat[0] for end in flat[1:]], np.float64)
    a = np.logaddexp(0, [0.3, 2.0])
    angle = np.arccos(changes[0] @ changes[1] / np.prod(np.linalg.norm(changes, axis=1)))
    ends = [np.sin(share * angle) / np.sin(angle) for share in a / a.sum()]
    found = np.concatenate([p.detach().numpy().ravel() for p in search.merged().values()])
    np.testing.assert_allclose(found, flat[0] + 0.8 * (ends @ changes), atol=1e-5)


def test_scale_zero_gives_the_base_exactly():
    base, models = family()
    search = SelfPositioning(base, models)
    with torch.no_grad():
        search.scale.zero_()
    x = torch.randn(5, 4)
    assert torch.equal(search(x), base(x))


def test_it_starts_between_the_models_and_finds_the_one_that_is_right():
    base, models = family()
    search, x = SelfPositioning(base, models, mu=0.0), torch.randn(64, 4)
    target = torch.func.functional_call(base, models[1], (x,)).detach()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    search.fit(lambda epoch: [x], lambda call, batch: (call(batch) - target).square().mean(), Schedule(400, lr=0.1))
    assert search.history_.losses[-1] < 0.02 * search.history_.losses[0]
    assert 0 < search.weights_[0] < 0.1 and search.weights_.sum() == pytest.approx(1)
    assert search.scale_ == pytest.approx(1, abs=0.15)
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
    assert [name for name, _ in search.named_parameters()] == ["pulls", "scale"]
    assert not any(p.grad is not None for p in base.parameters())


def test_mu_keeps_the_norm_small():
    base, models = family()
    x, norms = torch.randn(64, 4), []
    target = torch.func.functional_call(base, models[1], (x,)).detach()
    for mu in (0.0, 0.5):
        search = SelfPositioning(base, models, mu=mu)
        search.fit(lambda epoch: [x], lambda call, batch: (call(batch) - target).square().mean(), Schedule(200, lr=0.1))
        norms.append(search.scale_)
    assert norms[1] < norms[0] - 0.1


def test_with_a_tuned_host_only_what_learned_is_merged(tiny_bert):
    hosts = [TunedHost(Transformer(str(tiny_bert)), MeanPool(), 2).eval() for _ in range(3)]
    for number, tuned in enumerate(hosts[1:]):
        with torch.no_grad():
            for parameter in tuned.model.encoder.layer[2].parameters():
                parameter.add_(0.01 * (number + 1) * torch.randn_like(parameter))
    search = SelfPositioning(hosts[0], [dict(tuned.named_parameters()) for tuned in hosts[1:]])
    assert all(name.startswith("model.encoder.layer.2.") for name in search.merged())
    texts = hosts[0].read(SENTENCES)
    with torch.no_grad():
        search.pulls.copy_(torch.tensor([30.0, -30.0]))
    np.testing.assert_allclose(search(texts).detach(), hosts[1](texts).detach(), atol=1e-4)


def test_what_cannot_be_positioned():
    base, models = family()
    with pytest.raises(RecipeError, match="got 1"):
        SelfPositioning(base, models[:1])
    with pytest.raises(RecipeError, match="nothing to merge"):
        SelfPositioning(base, [dict(base.named_parameters())] * 2)
    with pytest.raises(ModelError, match=r"0.weight has shape \[8, 4\] in the base, \[1\] in"):
        SelfPositioning(base, [models[0], models[1] | {"0.weight": torch.ones(1)}])
    with pytest.raises(ModelError, match=r"0.bias has shape .* None"):
        SelfPositioning(base, [models[0], {"0.weight": models[0]["0.weight"]}])
    with pytest.raises(RecipeError, match="combine"):
        SelfPositioning(base, models, combine="median")(torch.ones(1, 4))
