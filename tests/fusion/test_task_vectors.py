"""Task vectors against the same arithmetic on flat arrays."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plait.fusion.task_vectors import TaskVector, task_geometry
from plait.types import ModelError

SHAPES = {"layer.0.weight": (6, 5), "layer.1.weight": (4, 6), "layer.10.weight": (3, 3), "norm": (5,)}


def write(at: Path, tensors: dict[str, np.ndarray]) -> Path:
    at.mkdir()
    save_file(tensors, at / "model.safetensors")
    (at / "config.json").write_text("{}")
    return at


@pytest.fixture
def family(tmp_path):
    rng = np.random.default_rng(0)
    base = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    models = [{n: v + rng.normal(size=v.shape).astype(np.float32) / 5 for n, v in base.items()} for _ in range(2)]
    paths = [write(tmp_path / name, tensors) for name, tensors in zip("zab", [base, *models], strict=True)]
    flat = [np.concatenate([(m[n] - base[n]).ravel() for n in base]).astype(np.float64) for m in models]
    return paths, flat, base, models


def test_arithmetic(family, tmp_path):
    (base, *models), (u, v), start, _ = family
    one, two = (TaskVector(base, model) for model in models)
    mixed = 2 * one - 0.5 * two + one
    w = 3 * u - 0.5 * v
    assert mixed.norm == pytest.approx(np.linalg.norm(w), rel=1e-5)
    assert mixed.dot(two) == pytest.approx(w @ v, rel=1e-4)
    assert (one - one).norm == 0
    applied = load_file(mixed.apply(tmp_path / "out") / "model.safetensors")
    moved = np.concatenate([(applied[name] - start[name]).ravel() for name in start])
    np.testing.assert_allclose(moved, w, atol=1e-5)


def test_geometry_layer_by_layer(family):
    (base, *models), flat, start, tuned = family
    geometry = task_geometry(base, models)
    assert geometry.layers == ("0", "1", "10", "rest")
    np.testing.assert_allclose(geometry.norms, [np.linalg.norm(vector) for vector in flat], rtol=1e-5)
    cosine = flat[0] @ flat[1] / np.prod([np.linalg.norm(vector) for vector in flat])
    assert geometry.angles[0, 1] == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-3)
    assert geometry.angles[0, 0] == pytest.approx(0, abs=1e-3)
    changes = [(model["layer.1.weight"] - start["layer.1.weight"]).ravel() for model in tuned]
    cosine = changes[0] @ changes[1] / np.prod([np.linalg.norm(change) for change in changes])
    rows = {row["layer"]: row for row in geometry.table()}
    assert rows["1"]["angle"] == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-3)
    assert (rows["1"]["left"], rows["1"]["right"]) == tuple(str(model) for model in models)


def test_a_model_that_changed_nothing_stands_at_a_right_angle(family):
    (base, one, _), *_ = family
    geometry = task_geometry(base, [base, one])
    assert geometry.norms[0] == 0
    assert geometry.angles[0, 1] == pytest.approx(90)


def test_vectors_of_two_bases_do_not_add_up(family, tmp_path):
    (base, one, two), *_ = family
    with pytest.raises(ModelError, match="starts from"):
        TaskVector(base, one) + TaskVector(one, two)
    other = write(tmp_path / "other", {"layer.0.weight": np.ones((2, 2), np.float32)})
    with pytest.raises(ModelError, match=r"no tensor layer.1.weight"):
        TaskVector(base, other)
