"""Codes for keys and values: centroids, errors and bytes beside direct formulas; texts that grow beside whole ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from plait.compression import Int8, ProductQuantizer, QuantizedKVCache, capture
from plait.encoders.hosts import Host, host
from plait.encoders.keys_values import KeysValues, Plane, next_token_losses, read_keys_values
from plait.encoders.sampling import sample
from plait.encoders.vocabulary_head import vocabulary_head
from plait.types import DataError, ModelError, RecipeError
from tests.tiny import write_decoder

IDS = np.concatenate([[0], np.random.default_rng(3).integers(5, 360, size=29)])
TEXTS = [np.concatenate([[0], np.random.default_rng(n).integers(5, 360, size=39)]) for n in (4, 5)]
SMALL = ProductQuantizer(dims=2, bits=3)


@pytest.fixture(scope="module", params=["LlamaForCausalLM", "Gemma3ForCausalLM"])
def tied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A decoder that scores with its token table; of one kind the first and third block have a window of 16."""
    folder: Path = write_decoder(tmp_path_factory.mktemp("tied"), request.param)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(folder)
    return host(str(folder))


@pytest.fixture(scope="module")
def captured(tied: Host) -> dict[Plane, KeysValues]:
    return capture(tied, TEXTS, gradients=True)


def test_capture_joins_texts_and_leaves_the_first_token_out(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    one, two = (read_keys_values(tied, text, vocabulary_head(tied)) for text in TEXTS)
    for plane, found in captured.items():
        np.testing.assert_array_equal(found.rows, np.concatenate([one[plane].rows[1:], two[plane].rows[1:]]))
        assert found.gradients is not None and found.gradients.shape == (78, 8)
    assert capture(tied, TEXTS, kept=3)[1, "keys"].rows.shape == (74, 8)
    assert capture(tied, TEXTS)[1, "keys"].gradients is None


@pytest.mark.parametrize("method", ["fisher", "uniform"])
def test_centroids_are_those_of_weighted_k_means(captured: dict[Plane, KeysValues], method: str) -> None:
    cache = QuantizedKVCache.calibrate(captured, SMALL, method)
    for plane in ((1, "keys"), (3, "values")):
        slopes, books = captured[plane].gradients, cache.quantizers[plane].codebooks_  # type: ignore[attr-defined]
        assert slopes is not None
        for group in range(4):
            rows = captured[plane].rows[:, 2 * group : 2 * group + 2]
            weights = (slopes[:, 2 * group : 2 * group + 2] ** 2).sum(axis=1) if method == "fisher" else np.ones(78)
            nearest = ((rows[:, None] - books[group]) ** 2).sum(axis=2).argmin(axis=1)
            for number in set(nearest.tolist()):
                mine = nearest == number
                expected = np.average(rows[mine], axis=0, weights=weights[mine] + 1e-6 * weights.mean())
                np.testing.assert_allclose(books[group, number], expected, rtol=1e-3, atol=1e-3)


def test_errors_codes_and_bytes(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    cache = QuantizedKVCache.calibrate(captured, SMALL, "uniform")
    with cache.applied(tied):
        for ids in (TEXTS[0], IDS):  # what is held is of the text read last
            next_token_losses(tied, ids)
    assert len(cache.errors) == 6
    assert min(cache.errors.values()) > 0
    rows = read_keys_values(tied, IDS)[1, "values"].rows[1:]  # no block before the first changes what it is given
    codes = cache.quantizers[1, "values"].transform(rows)
    np.testing.assert_array_equal(cache.codes[1, "values"][-15:], codes[-15:])
    off = cache.quantizers[1, "values"].inverse_transform(codes) - rows
    assert cache.errors[1, "values"] == pytest.approx((off**2).mean(), rel=1e-5)
    windows = [16, 30, 16] if "Gemma3" in type(tied.model).__name__ else [30, 30, 30]
    coded = [min(window, 29) for window in windows]
    floats = sum(window == 30 for window in windows)
    assert cache.nbytes == 2 * (sum(coded) * 2 + floats * 8 * 4)  # 4 numbers of 3 bits take 2 bytes
    assert cache.codebook_bytes == 6 * 4 * 2**3 * 2 * 2


def test_a_centroid_for_each_token_changes_nothing(tied: Host) -> None:
    exact = QuantizedKVCache.calibrate(capture(tied, [IDS]), ProductQuantizer(dims=8, bits=6), "uniform")
    before = next_token_losses(tied, IDS)
    with exact.applied(tied):
        np.testing.assert_allclose(next_token_losses(tied, IDS), before, atol=1e-4)
    coarse = QuantizedKVCache.calibrate(capture(tied, [IDS]), ProductQuantizer(dims=8, bits=1), "uniform")
    with coarse.applied(tied):
        assert np.abs(next_token_losses(tied, IDS) - before).max() > 1e-2
    np.testing.assert_array_equal(next_token_losses(tied, IDS), before)


def test_kept_tokens_stay_as_they_are(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    before = next_token_losses(tied, IDS)
    for kept in (0, 1, 6, len(IDS)):
        cache = QuantizedKVCache.calibrate(captured, ProductQuantizer(dims=4, bits=1), "uniform", kept=kept)
        with cache.applied(tied):
            after = next_token_losses(tied, IDS)
        np.testing.assert_allclose(after[:kept], before[:kept], atol=1e-5)
        assert (np.abs(after[kept:] - before[kept:]) > 1e-3).all()
        assert len(cache.codes[2, "keys"]) == len(IDS) - kept


PROMPTS = ["A short prompt", "Another one, that is a good deal longer than the first", "Rain"]


def test_a_text_that_grows_is_coded_as_one_read_at_once(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    cache = QuantizedKVCache.calibrate(captured, SMALL, "fisher")
    plain = [text for (text,) in sample(tied, PROMPTS, 1, temperature=0, max_tokens=20, stop=())]
    with cache.applied(tied):
        grown = [text for (text,) in sample(tied, PROMPTS, 1, temperature=0, max_tokens=20, stop=())]
        whole = [anew(tied, prompt, 20) for prompt in PROMPTS]
    assert grown == whole
    assert grown != plain


def anew(model: Host, prompt: str, count: int) -> str:
    """The best tokens, where the whole text is read again for each, without a store."""
    ids = [*model.plain.prefix, *model.plain.encode([prompt], offsets=False)[0].ids]
    start, head, end = len(ids), vocabulary_head(model), model.plain.backend.token_to_id("</s>")
    for _ in range(count):
        with torch.inference_mode():
            states = model.model(input_ids=torch.tensor([ids])).last_hidden_state
            ids.append(int(head.logits(states[:, -1]).argmax()))
        if ids[-1] == end:
            ids.pop()
            break
    return model.plain.backend.decode(ids[start:], skip_special_tokens=True).strip()


def test_what_is_held_grows_with_the_text(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    cache = QuantizedKVCache.calibrate(captured, SMALL, "uniform")
    with cache.applied(tied), torch.inference_mode():
        tied.model(input_ids=torch.from_numpy(IDS)[None])
        codes, nbytes = cache.codes, cache.nbytes
        errors = cache.errors
        memory = tied.memory()
        for start, end in ((0, 10), (10, 11), (11, 30)):
            tied.model(input_ids=torch.from_numpy(IDS[start:end])[None], **memory)
    assert cache.nbytes == nbytes
    for plane, one in codes.items():
        np.testing.assert_array_equal(cache.codes[plane], one)
        assert cache.errors[plane] == pytest.approx(errors[plane], rel=1e-3)


def test_other_quantisers_do_as_well(tied: Host, captured: dict[Plane, KeysValues]) -> None:
    cache = QuantizedKVCache.calibrate(captured, Int8(), "uniform")
    with cache.applied(tied):
        close = next_token_losses(tied, IDS)
    assert np.abs(close - next_token_losses(tied, IDS)).mean() < 0.05
    assert cache.codebook_bytes == 0
    with pytest.raises(RecipeError, match="fisher weighs groups"):
        QuantizedKVCache.calibrate(captured, Int8(), "fisher")


def test_what_cannot_be_is_refused(tied: Host, captured: dict[Plane, KeysValues], tiny_bert: Path) -> None:
    with pytest.raises(RecipeError, match="'best'; expected one of fisher, uniform"):
        QuantizedKVCache.calibrate(captured, SMALL, "best")
    with pytest.raises(RecipeError, match="gradients=True"):
        QuantizedKVCache.calibrate(capture(tied, TEXTS), SMALL)
    with pytest.raises(DataError, match="capture"):
        QuantizedKVCache.calibrate({}, SMALL)
    with pytest.raises(DataError, match="none of 2 texts has more than 1 tokens"):
        capture(tied, [IDS[:1], IDS[:0]])
    with pytest.raises(ModelError, match="is no decoder"):
        capture(host(str(tiny_bert)), TEXTS, gradients=True)
    some = {plane: one for plane, one in captured.items() if plane[0] < 3}
    cache = QuantizedKVCache.calibrate(some, SMALL)
    with pytest.raises(RecipeError, match="4 quantizers, and the 3 blocks"), cache.applied(tied):
        pass


def test_equal_seeds_give_equal_centroids(captured: dict[Plane, KeysValues]) -> None:
    told: list[tuple[str, int, int]] = []
    one = QuantizedKVCache.calibrate(captured, SMALL, progress=lambda *what: told.append(what))
    two = QuantizedKVCache.calibrate(captured, SMALL)
    for plane in captured:
        np.testing.assert_array_equal(one.quantizers[plane].codebooks_, two.quantizers[plane].codebooks_)  # type: ignore[attr-defined]
    assert told[-1] == ("centroids", 6, 6)
