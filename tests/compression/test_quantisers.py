import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from plait.compression import Binary, Int8, ProductQuantizer
from plait.recipe import parse
from plait.roles import Quantiser
from plait.types import DataError, RecipeError

finite = st.floats(-1e4, 1e4, width=32)
rows = st.integers(1, 9).flatmap(
    lambda n: st.integers(1, 20).flatmap(lambda d: arrays(np.float32, (n, d), elements=finite))
)
X = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)


@given(rows)
def test_int8_is_off_by_half_a_step_at_most(values: np.ndarray) -> None:
    int8 = Int8().fit(values)
    codes = int8.transform(values)
    assert codes.dtype == np.int8
    assert codes.shape == values.shape
    step = (values.max(axis=0).astype(np.float64) - values.min(axis=0)) / 255
    assert (np.abs(int8.inverse_transform(codes) - values.astype(np.float64)) <= 0.501 * step + 1e-2).all()


def test_int8_constant_dimensions_are_exact_and_the_range_is_a_wall() -> None:
    values = np.array([[1.0, 7.0], [2.0, 7.0]], np.float32)
    int8 = Int8().fit(values)
    beyond = int8.transform(np.array([[-50.0, 9.0], [50.0, 5.0]]))
    assert beyond.tolist() == [[-128, -128], [127, -128]]
    np.testing.assert_allclose(int8.inverse_transform(beyond), [[1, 7], [2, 7]])


@pytest.mark.slow
def test_int8_is_within_one_step_of_sentence_transformers() -> None:
    peer = pytest.importorskip("sentence_transformers.util.quantization")
    theirs = peer.quantize_embeddings(X, precision="int8", calibration_embeddings=X)
    difference = Int8().fit(X).transform(X).astype(int) - theirs
    assert set(np.unique(difference)) <= {0, 1}  # they round down, we round to the nearest


@given(rows)
def test_binary_keeps_signs(values: np.ndarray) -> None:
    binary = Binary().fit(values)
    codes = binary.transform(values)
    assert codes.dtype == np.uint8
    assert codes.shape == (len(values), binary.nbytes(values.shape[1]))
    np.testing.assert_array_equal(binary.inverse_transform(codes), np.where(values > 0, 1, -1))


@pytest.mark.slow
def test_binary_equals_sentence_transformers() -> None:
    peer = pytest.importorskip("sentence_transformers.util.quantization")
    np.testing.assert_array_equal(Binary().transform(X), peer.quantize_embeddings(X, precision="ubinary"))


@pytest.mark.parametrize(("step", "width", "size"), [(Int8(), 384, 384), (Binary(), 384, 48), (Binary(), 9, 2)])
def test_bytes(step: Quantiser, width: int, size: int) -> None:
    values = np.zeros((3, width), np.float32)
    assert step.nbytes(width) == step.fit(values).transform(values).nbytes / 3 == size


@pytest.mark.parametrize("step", [Int8(), Binary(), ProductQuantizer(2, bits=4)], ids=str)
def test_codes_of_the_inverse_are_the_codes(step: Quantiser) -> None:
    codes = step.fit(X).transform(X)
    np.testing.assert_array_equal(step.transform(step.inverse_transform(codes)), codes)


@pytest.mark.parametrize("step", [Int8(), Binary()], ids=str)
def test_faults(step: Quantiser) -> None:
    step = clone(step)
    with pytest.raises(RecipeError):
        step.inverse_transform(np.zeros((1, 3), np.uint8))
    step.fit(X)
    with pytest.raises(RecipeError, match="20 numbers"):
        step.transform(X[:, :5])
    with pytest.raises(DataError, match="1 of 50 rows"):
        step.transform(np.where(X[4, 2] == X, np.nan, X))
    with pytest.raises(DataError, match="decodes"):
        step.inverse_transform(np.zeros((2, 7), np.uint8))
    assert step.transform(X[:0]).shape == (0, step.nbytes(20))


def test_int8_needs_rows_to_fit() -> None:
    with pytest.raises(RecipeError, match="not fitted"):
        Int8().transform(X)
    with pytest.raises(DataError, match="at least one row"):
        Int8().fit(X[:0])


@pytest.mark.parametrize("step", [Int8(), Binary(), Int8(0), Binary(8)], ids=str)
def test_text_and_state_round_trip(step: Quantiser) -> None:
    assert str(parse(str(step))) == str(step)
    fitted = clone(step).fit(X)
    loaded = clone(step).set_state(fitted.state())
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(
        loaded.inverse_transform(fitted.transform(X)), fitted.inverse_transform(fitted.transform(X))
    )
