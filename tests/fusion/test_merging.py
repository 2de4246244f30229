"""Merging against formulas written out, and what must be refused before a byte is written."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

from plait import MeanPool, Transformer
from plait.fusion.merge_rules import ties
from plait.fusion.merging import merge
from plait.types import DataError, ModelError, RecipeError
from tests.tiny import SENTENCES

SHAPES = {"block.0.weight": (6, 5), "block.1.weight": (4, 6), "block.1.bias": (4,), "table.weight": (9, 5)}
RNG = np.random.default_rng(0)


def folder(at: Path, tensors: dict[str, np.ndarray]) -> Path:
    at.mkdir(parents=True)
    save_file(tensors, at / "model.safetensors")
    (at / "config.json").write_text("{}")
    return at


def tensors(near: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    drawn = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    return drawn if near is None else {name: near[name] + 0.1 * value for name, value in drawn.items()}


@pytest.fixture
def family(tmp_path: Path) -> tuple[Path, list[Path], dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    base = tensors()
    models = [tensors(base) for _ in range(3)]
    paths = [folder(tmp_path / f"m{number}", model) for number, model in enumerate(models)]
    return folder(tmp_path / "base", base), paths, base, models


def check(out: Path, expected: dict[str, np.ndarray], atol: float = 1e-5) -> None:
    found = load_file(out / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=atol, err_msg=name)


def each(base, models, rule):
    return {name: rule(base[name], [model[name] for model in models]) for name in base}


def test_linear_is_the_weighted_average(family, tmp_path):
    at, paths, base, models = family
    check(
        merge(at, paths, tmp_path / "out", weight=[1, 2, 5]),
        each(base, models, lambda b, m: np.average(m, axis=0, weights=[1, 2, 5])),
    )


def test_task_arithmetic_adds_changes(family, tmp_path):
    at, paths, base, models = family
    out = merge(at, paths, tmp_path / "out", "task_arithmetic", weight=[0.5, -1, 2], lambda_=0.3)
    check(out, each(base, models, lambda b, m: b + 0.3 * (0.5 * (m[0] - b) - (m[1] - b) + 2 * (m[2] - b))))


def test_lambda_zero_gives_the_base_bit_for_bit(family, tmp_path):
    at, paths, base, _ = family
    out = merge(at, paths, tmp_path / "out", "task_arithmetic", lambda_=0.0)
    assert all(np.array_equal(value, base[name]) for name, value in load_file(out / "model.safetensors").items())


def test_slerp_of_one_model_lies_on_the_sphere_and_meets_its_ends(tmp_path):
    ends = [value / np.linalg.norm(value) for value in (RNG.normal(size=(8, 4)) for _ in range(2))]
    ends[1] = ends[0] + 0.4 * ends[1]
    ends[1] /= np.linalg.norm(ends[1])
    at, one = (folder(tmp_path / name, {"w": end.astype(np.float32)}) for name, end in zip("ab", ends, strict=True))
    angle = np.arccos(np.vdot(*ends))
    for t in (0.0, 0.3, 1.0):
        found = load_file(merge(at, [one], tmp_path / "out", "slerp", t=t) / "model.safetensors")["w"]
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
        assert np.arccos(np.clip(np.vdot(found, ends[0]), -1, 1)) == pytest.approx(t * angle, abs=1e-3)


def test_slerp_of_several_goes_along_their_task_vectors(family, tmp_path):
    at, paths, base, models = family

    def flat(model):
        return np.concatenate([(model[name] - base[name]).ravel() for name in base]).astype(np.float64)

    def between(u, v, share):
        angle = np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
        return (np.sin((1 - share) * angle) * u + np.sin(share * angle) * v) / np.sin(angle)

    first = between(flat(models[0]), flat(models[1]), 3 / (1 + 3))
    whole = between(first, flat(models[2]), 4 / ((1 + 3) / 2 + 4))
    found = load_file(merge(at, paths, tmp_path / "out", "slerp", weight=[1, 3, 4]) / "model.safetensors")
    np.testing.assert_allclose(flat(found), whole, atol=1e-5)


def ties_by_hand(base, models, weights, density, normalize, scale):
    out = base.astype(np.float64).copy()
    changes = []
    for model in models:
        change = (model - base).astype(np.float64)
        order = sorted(np.ndindex(change.shape), key=lambda at: -abs(change[at]))
        for at in order[int(density * change.size) :]:
            change[at] = 0
        changes.append(change)
    for at in np.ndindex(base.shape):
        votes = [w * change[at] for w, change in zip(weights, changes, strict=True)]
        sign = np.sign(sum(votes))
        agreeing = [(w, v) for w, v in zip(weights, votes, strict=True) if v != 0 and np.sign(v) == sign]
        total = sum(v for _, v in agreeing)
        if normalize and agreeing:
            total /= sum(w for w, _ in agreeing)
        out[at] += scale * total
    return out


@settings(max_examples=25, deadline=None)
@given(
    density=st.floats(0.05, 1.0),
    weights=st.lists(st.floats(0.1, 3.0), min_size=2, max_size=3),
    normalize=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_ties_equals_its_definition(density, weights, normalize, seed):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(4, 5)).astype(np.float32)
    models = [base + rng.normal(size=(4, 5)).astype(np.float32) for _ in weights]
    rule = ties(len(weights), density=density, weight=weights, normalize=normalize, lambda_=0.7)
    np.testing.assert_allclose(
        rule("w", base, models), ties_by_hand(base, models, weights, density, normalize, 0.7), atol=1e-4
    )


def test_fisher_weighs_each_number(family, tmp_path):
    at, paths, base, models = family
    information = [{name: RNG.random(size=shape).astype(np.float32) for name, shape in SHAPES.items()} for _ in models]
    for values in information:
        del values["block.1.bias"]
    files = [tmp_path / f"f{number}.safetensors" for number in range(3)]
    for values, file in zip(information, files, strict=True):
        save_file(values, file)
    expected = {name: np.average([m[name] for m in models], axis=0) for name in base}
    for name in information[0]:
        expected[name] = np.average([m[name] for m in models], axis=0, weights=[f[name] + 1e-6 for f in information])
    check(merge(at, paths, tmp_path / "out", "fisher", information=files), expected)


def test_regmean_fits_what_each_layer_gives_on_its_own_inputs(family, tmp_path):
    at, paths, _, models = family
    name = "block.0.weight"
    inputs = [RNG.normal(size=(40, 5)) for _ in models]
    files = [tmp_path / f"p{number}.safetensors" for number in range(3)]
    for rows, file in zip(inputs, files, strict=True):
        save_file({name: (rows.T @ rows).astype(np.float32)}, file)
    out = merge(at, paths, tmp_path / "out", "regmean", products=files, alpha=1.0)
    wanted = np.vstack([rows @ model[name].T for rows, model in zip(inputs, models, strict=True)])
    solution = np.linalg.lstsq(np.vstack(inputs), wanted, rcond=None)[0]
    found = load_file(out / "model.safetensors")
    np.testing.assert_allclose(found[name], solution.T, atol=1e-4)
    np.testing.assert_allclose(found["table.weight"], np.mean([m["table.weight"] for m in models], axis=0), atol=1e-6)


def test_half_precision_is_rounded_as_torch_does_and_counters_are_copied(tmp_path):
    at = tmp_path / "base"
    at.mkdir()
    base = {"w": torch.randn(64, 8).bfloat16(), "h": torch.randn(16).half(), "positions": torch.arange(7)}
    moved = {
        name: v + (0.1 * torch.randn(v.shape)).to(v.dtype) if v.is_floating_point() else v for name, v in base.items()
    }
    for path, values in ((at, base), (tmp_path / "model", moved)):
        path.mkdir(exist_ok=True)
        save_torch(values, path / "model.safetensors")
        (path / "config.json").write_text("{}")
    found = load_torch(merge(at, [tmp_path / "model", at], tmp_path / "out") / "model.safetensors")
    for name in ("w", "h"):
        expected = (0.5 * moved[name].float() + 0.5 * base[name].float()).to(base[name].dtype)
        assert torch.equal(found[name], expected)
        assert found[name].dtype == base[name].dtype
    assert torch.equal(found["positions"], base["positions"])


def test_models_in_several_files_are_read(family, tmp_path):
    at, paths, base, models = family
    names = list(SHAPES)
    split = tmp_path / "split"
    split.mkdir()
    for number, part in enumerate((names[:2], names[2:])):
        save_file({name: models[0][name] for name in part}, split / f"model-0000{number}-of-00002.safetensors")
    check(merge(at, [split, paths[1]], tmp_path / "out"), each(base, models[:2], lambda b, m: np.mean(m, axis=0)))


def test_memory_is_that_of_a_few_tensors(tmp_path):
    count, side = 40, 128
    base = {f"block.{n}.weight": RNG.normal(size=(side, side)).astype(np.float32) for n in range(count)}
    models = [{name: value + np.float32(0.01) for name, value in base.items()} for _ in range(3)]
    paths = [folder(tmp_path / f"m{n}", model) for n, model in enumerate([base, *models])]
    one_model = count * side * side * 4
    del base, models
    tracemalloc.start()
    merge(paths[0], paths[1:], tmp_path / "out", "ties", density=0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < one_model


def test_a_merged_folder_opens_as_a_host(tiny_bert, tmp_path):
    other = tmp_path / "other"
    moved = {name: value * np.float32(1.1) for name, value in load_file(tiny_bert / "model.safetensors").items()}
    folder(other, moved)
    out = merge(tiny_bert, [tiny_bert, other], tmp_path / "out", weight=[1, 0])
    both = [(Transformer(str(path)) | MeanPool()).encode(SENTENCES).values for path in (tiny_bert, out)]
    np.testing.assert_allclose(*both, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"table.weight": t["table.weight"][:7]}, r"table.weight has shape \[9, 5\] in .*\[7, 5\] in"),
        (lambda t: t | {"block.0.weight": t["block.0.weight"][:, :3]}, r"block.0.weight has shape \[6, 5\].*\[6, 3\]"),
        (lambda t: {n: v for n, v in t.items() if "block.1" not in n}, r"no tensor block.1.bias.*\[4\].*1 more"),
        (lambda t: t | {"block.2.weight": np.ones((2, 3), np.float32)}, r"base has no tensor block.2.weight.*\[2, 3\]"),
        (lambda t: t | {"block.1.bias": np.full(4, np.nan, np.float32)}, "block.1.bias holds NaN"),
        (lambda t: tensors(), "was not tuned from"),
    ],
)
def test_models_that_do_not_belong_together(family, tmp_path, change, message):
    at, paths, _, models = family
    other = folder(tmp_path / "other", change(models[0]))
    with pytest.raises(ModelError, match=message):
        merge(at, [paths[0], other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_and_missing_files(family, tmp_path):
    at, paths, _, _ = family
    file = paths[1] / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ModelError, match="damaged"):
        merge(at, paths, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no folder with safetensors"):
        merge(at, [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(DataError, match=r"there is no file .*nothing.safetensors"):
        merge(at, paths[:1], tmp_path / "out", "fisher", information=[tmp_path / "nothing.safetensors"])


def test_nothing_of_others_is_overwritten(family, tmp_path):
    at, paths, _, _ = family
    for taken in (at, paths[1]):
        with pytest.raises(ModelError, match="one of the models to be merged"):
            merge(at, paths, taken)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="holds no model"):
        merge(at, paths, tmp_path / "mine")


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("average", {}, "expected one of linear, slerp"),
        ("linear", {"t": 0.5}, "no option 't'"),
        ("linear", {"weight": [1, 2]}, "one finite number a model"),
        ("linear", {"weight": [1, -1, 0]}, "cancel out"),
        ("ties", {"density": 0}, "share of changes"),
        ("slerp", {"t": 0.5}, "no option 't'"),
        ("slerp", {"weight": [1, 0, 1]}, "above 0"),
        ("slerp", {"combine": "median"}, 'expected "mean" or "sum"'),
        ("fisher", {}, "one safetensors file for each of the 3"),
        ("regmean", {"products": ["a"]}, "one safetensors file for each of the 3"),
    ],
)
def test_options_that_do_not_fit(family, tmp_path, method, options, message):
    at, paths, _, _ = family
    with pytest.raises(RecipeError, match=message):
        merge(at, paths, tmp_path / "out", method, **options)
    with pytest.raises(RecipeError, match="nothing to merge"):
        merge(at, [], tmp_path / "out")


def test_config_and_tokenizer_come_along(tiny_bert, tmp_path):
    out = merge(tiny_bert, [tiny_bert], tmp_path / "out")
    assert json.loads((out / "config.json").read_text()) == json.loads((tiny_bert / "config.json").read_text())
    assert (out / "tokenizer.json").read_bytes() == (tiny_bert / "tokenizer.json").read_bytes()
