"""Definition loss against the formula written out, and against a masked language model's own head."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import nn

from plait.training import DefinitionLoss, Schedule, train


def test_cross_entropy_over_the_table():
    rng = np.random.default_rng(0)
    vectors, table, bias = rng.normal(size=(5, 4)), rng.normal(size=(7, 4)), rng.normal(size=7)
    words = np.array([0, 6, 3, 3, 1])
    logits = (vectors @ table.T + bias) / 0.5
    expected = (logsumexp(logits, axis=1) - logits[np.arange(5), words]).mean()
    loss = DefinitionLoss(*map(torch.from_numpy, (table, bias)), temperature=0.5)
    found = loss(torch.from_numpy(vectors), torch.from_numpy(words))
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert loss.accuracy(*map(torch.from_numpy, (vectors, words))) == np.mean(logits.argmax(axis=1) == words)


def test_a_masked_language_models_own_head():
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = BertForMaskedLM(config).eval()
    head = model.cls.predictions
    loss = DefinitionLoss(head.decoder.weight, head.decoder.bias, head.transform)
    vectors = torch.randn(4, 16)
    torch.testing.assert_close(loss.logits(vectors), model.cls(vectors))


def test_the_head_does_not_learn_and_gradients_pass_through_it():
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    loss, tower = DefinitionLoss(torch.randn(6, 4), torch.randn(6), head), nn.Linear(4, 4)
    assert not [name for name, p in loss.named_parameters() if p.requires_grad]
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    x, words = torch.randn(12, 4), torch.arange(12) % 6
    history = train(tower, lambda epoch: [x], lambda batch: loss(tower(batch), words), schedule=Schedule(60, lr=0.05))
    assert history.losses[-1] < history.losses[0]
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_a_bias_of_other_words():
    with pytest.raises(ValueError, match=r"\[3, 2\] and bias \[4\]"):
        DefinitionLoss(torch.ones(3, 2), torch.ones(4))
