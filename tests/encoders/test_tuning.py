"""A host that learns: the same vectors as the recipe before training, others after it, and a folder that opens."""

from pathlib import Path

import numpy as np
import pytest
import torch

from plait import ClsPool, LastPool, MeanPool, Transformer
from plait.encoders.tuning import TunedHost
from plait.training import InfoNCE, Schedule, train
from plait.types import ModelError, RecipeError
from tests.tiny import SENTENCES

DEPTHS = [None, 0, 1, 2]


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def tune(tuned: TunedHost, epochs: int = 2) -> None:
    texts, loss = tuned.read(SENTENCES), InfoNCE()
    near, far = rows(0, 2, 4), rows(1, 3, 5)
    train(
        tuned,
        lambda epoch: [(near, far)],
        lambda batch: loss(*(tuned(texts.take(part)) for part in batch)),
        schedule=Schedule(epochs=epochs, lr=1e-2),
    )


@pytest.mark.parametrize("frozen", DEPTHS)
@pytest.mark.parametrize("pool", [MeanPool(), ClsPool(), LastPool()])
def test_before_training_it_gives_the_recipes_vectors(tiny_bert, frozen, pool):
    tuned = TunedHost(Transformer(str(tiny_bert)), pool, frozen).eval()
    expected = (Transformer(str(tiny_bert)) | pool).encode(SENTENCES).values
    texts = tuned.read(SENTENCES)
    np.testing.assert_allclose(tuned.vectors(texts), expected, atol=1e-5)
    np.testing.assert_allclose(tuned(texts).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("frozen", DEPTHS)
def test_a_decoder_gives_the_recipes_vectors(tiny_decoder, frozen):
    encoder = Transformer(str(tiny_decoder))
    tuned = TunedHost(encoder, LastPool(), frozen)
    np.testing.assert_allclose(
        tuned.vectors(tuned.read(SENTENCES)), (encoder | LastPool()).encode(SENTENCES).values, atol=1e-5
    )


def test_rows_come_as_asked_for(tiny_bert):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 1).eval()
    texts = tuned.read(SENTENCES)
    whole = tuned.vectors(texts)
    np.testing.assert_allclose(tuned.vectors(texts.take(rows(5, 0, 5))), whole[[5, 0, 5]], atol=1e-5)


@pytest.mark.parametrize("frozen", DEPTHS)
def test_only_what_is_not_frozen_learns_and_the_shared_host_stays(tiny_bert, frozen):
    shared = Transformer(str(tiny_bert)).host
    before = {name: value.clone() for name, value in shared.model.state_dict().items()}
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), frozen)
    tune(tuned)
    after = tuned.model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    blocks = {int(name.split(".")[2]) for name in changed if name.startswith("encoder.layer.")}
    assert blocks == set(range(frozen or 0, 3))
    assert any(name.startswith("embeddings.") for name in changed) == (frozen is None)
    assert all(torch.equal(value, before[name]) for name, value in shared.model.state_dict().items())
    assert not any(p.requires_grad for p in shared.model.parameters())
    assert not any(module.training for module in shared.model.modules())


def test_frozen_parts_of_the_shared_host_stay_out_of_training_mode(tiny_bert):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 2).train()
    assert tuned.model.encoder.layer[2].training
    assert not any(module.training for module in Transformer(str(tiny_bert)).host.model.modules())


def test_frozen_parts_are_shared_not_copied(tiny_bert):
    tuned, shared = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 2), Transformer(str(tiny_bert)).host
    assert tuned.model.embeddings is shared.model.embeddings
    assert tuned.model.encoder.layer[1] is shared.model.encoder.layer[1]
    assert tuned.model.encoder.layer[2] is not shared.model.encoder.layer[2]


def test_gradients_equal_those_of_the_whole_model(tiny_bert):
    found = []
    for frozen in (None, 1):
        tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), frozen).eval()
        tuned(tuned.read(SENTENCES)).pow(2).sum().backward()
        found.append(tuned.model.encoder.layer[1].output.dense.weight.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen", [None, 2])
def test_saved_folder_opens_as_a_host(tiny_bert, tmp_path, frozen):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), frozen)
    tune(tuned)
    folder = tuned.save(tmp_path / "tuned")
    opened = (Transformer(str(folder)) | MeanPool()).encode(SENTENCES).values
    np.testing.assert_allclose(opened, tuned.vectors(tuned.read(SENTENCES)), atol=1e-5)
    assert np.abs(opened - (Transformer(str(tiny_bert)) | MeanPool()).encode(SENTENCES).values).max() > 0.01
    assert (folder / "model.safetensors").exists()


def test_the_checkpoints_length_limit_is_kept(tiny_bert, tmp_path):
    import shutil

    limited = Path(shutil.copytree(tiny_bert, tmp_path / "limited"))
    (limited / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    folder = TunedHost(Transformer(str(limited)), MeanPool(), 0).save(tmp_path / "tuned")
    assert Transformer(str(folder)).host.max_length == 12


def test_words_give_a_vector_each(tiny_bert):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 1)
    assert tuned(tuned.read([("two", "words"), ("three", "more", "words")])).shape == (5, 32)


def test_what_cannot_be_tuned(tiny_bert, tmp_path):
    with pytest.raises(ModelError, match="3 blocks; frozen_below=3"):
        TunedHost(Transformer(str(tiny_bert)), MeanPool(), 3)
    with pytest.raises(RecipeError, match="windows"):
        TunedHost(Transformer(str(tiny_bert), on_overflow="chunk"), MeanPool())
    (tmp_path / "notes.txt").write_text("mine")
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool())
    with pytest.raises(ModelError, match="holds no model"):
        tuned.save(tmp_path)
    tuned.model.encoder.layer[0].output.register_parameter("extra", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ModelError, match="no place for"):
        tuned.save(tmp_path / "new")
