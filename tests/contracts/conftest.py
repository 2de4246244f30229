"""Puts every exported step of a kind under that kind's tests: one that asks for ``pooling`` gets each pooling."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.roles import Encoder, HostStep, LayerMix, Pooling, Quantiser, Transform
from plait.step import Step
from tests.contracts.makers import MAKERS, Places, step_names

KINDS = {
    "any_step": Step,
    "encoder": Encoder,
    "host_step": HostStep,
    "layer_mix": LayerMix,
    "pooling": Pooling,
    "transform": Transform,
    "quantiser": Quantiser,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, kind in KINDS.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, list(step_names(kind)), indirect=True)


@pytest.fixture
def places(tiny_bert: Path, tiny_table: Path, tiny_experts: Path) -> Places:
    return Places(tiny_bert, tiny_table, tiny_experts)


def _make(request: pytest.FixtureRequest, places: Places) -> Step:
    return MAKERS[request.param](places)


any_step, encoder, host_step, layer_mix, pooling, transform, quantiser = (
    pytest.fixture(_make, name=name) for name in KINDS
)
