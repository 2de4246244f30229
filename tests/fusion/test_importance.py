"""Fisher information and input products against closed forms, and from a host to a merged model."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from plait import MeanPool, Transformer
from plait.encoders.tuning import TunedHost
from plait.fusion.importance import fisher_information, input_products, save_importance
from plait.fusion.merging import merge
from plait.types import DataError
from tests.tiny import SENTENCES


def test_fisher_information_of_a_linear_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    layer = nn.Linear(3, 1, bias=False).double()
    w = layer.weight.detach().numpy()[0]
    rows = [(torch.from_numpy(x[n : n + 1]), torch.from_numpy(y[n : n + 1])) for n in range(50)]
    found = fisher_information(layer, rows, lambda row: 0.5 * (layer(row[0])[:, 0] - row[1]).square().sum())
    expected = np.mean(((x @ w - y)[:, None] * x) ** 2, axis=0)
    np.testing.assert_allclose(found["weight"][0], expected, rtol=1e-6)
    with pytest.raises(DataError, match="no batch"):
        fisher_information(layer, [], lambda row: layer.weight.sum())


def test_what_does_not_learn_has_no_information():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert list(fisher_information(layer, [torch.ones(1, 2)], lambda x: layer(x).sum())) == ["weight"]


def test_input_products_of_every_linear_layer():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    batches = [torch.randn(5, 2, 3), torch.randn(7, 3)]
    rows = torch.cat([batch.reshape(-1, 3) for batch in batches])
    hidden = torch.relu(module[0](rows)).detach()
    found = input_products(module, batches, module)
    torch.testing.assert_close(found["0.weight"], rows.T @ rows)
    torch.testing.assert_close(found["2.weight"], hidden.T @ hidden)
    assert not module[0]._forward_pre_hooks


def test_from_a_tuned_host_to_a_merged_folder(tiny_bert, tmp_path):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 1)
    texts = tuned.read(SENTENCES)
    rows = [texts.take(np.array([n])) for n in range(len(texts))]
    information = fisher_information(tuned, rows, lambda row: tuned(row).square().sum())
    products = input_products(tuned, rows, tuned)
    files = [save_importance(values, tmp_path / f"{n}.safetensors") for n, values in enumerate((information, products))]
    names = load_file(tiny_bert / "model.safetensors").keys()
    assert all(load_file(file).keys() <= names and load_file(file) for file in files)
    for method, option, file in (("fisher", "information", files[0]), ("regmean", "products", files[1])):
        out = merge(tiny_bert, [tiny_bert, tiny_bert], tmp_path / method, method, **{option: [file, file]})
        both = [load_file(folder / "model.safetensors") for folder in (tiny_bert, out)]
        assert all(np.allclose(both[0][name], both[1][name], atol=1e-4) for name in names)
