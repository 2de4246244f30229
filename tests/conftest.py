"""Fixtures that every room's tests may use."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import write_bert, write_decoder, write_table

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so are jobs in the background of a script, and their children
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random BERT: 3 layers, 32 wide, 64 positions."""
    return write_bert(tmp_path_factory.mktemp("tiny_bert"))


@pytest.fixture(scope="session")
def tiny_experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random causal mixture of experts: 3 blocks of 4 experts, 16 wide."""
    return write_decoder(tmp_path_factory.mktemp("tiny_experts"), "MixtralForCausalLM")


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random static table, 16 wide, laid out as model2vec does."""
    return write_table(tmp_path_factory.mktemp("tiny_table"))


@pytest.fixture(scope="session", params=["LlamaForCausalLM", "Gemma3ForCausalLM"])
def tiny_decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random causal model: 3 layers, 16 wide, 128 positions; one kind has a sliding window of 16."""
    return write_decoder(tmp_path_factory.mktemp("tiny_decoder"), request.param)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps that are trained while the test runs, by their text."""
    from plait.training.learned import Learned

    found: list[str] = []
    train = Learned.train

    def counted(self: Learned, *arguments: Any) -> Any:
        found.append(str(self))
        return train(self, *arguments)

    monkeypatch.setattr(Learned, "train", counted)
    return found
