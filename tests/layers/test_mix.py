import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.layers import Layer, LayerMean
from plait.recipe import parse
from plait.roles import LayerMix
from plait.types import RecipeError, States, Tokens


def states(depth: int) -> States:
    tokens = Tokens(*(np.array(a) for a in ([1, 2], [0, 2], [0, 1], [0, 2], [0, 1], [0])))
    values = np.random.default_rng(0).normal(size=(depth + 1, 2, 4)).astype(np.float32)
    return States(values, tuple(range(depth + 1)), tokens)


@pytest.mark.parametrize(("layer", "plane"), [(-1, 6), (0, 0), (6, 6), (-7, 0), (3, 3)])
def test_a_layer_is_that_plane(layer: int, plane: int) -> None:
    given_ = states(6)
    np.testing.assert_array_equal(Layer(layer).transform(given_).values[0], given_.values[plane])


@pytest.mark.parametrize("layer", [7, -8])
def test_a_layer_that_is_not_there_is_named(layer: int) -> None:
    for step in (Layer(layer), LayerMean([0, layer])):
        with pytest.raises(RecipeError, match=rf"layer {layer}; the encoder has layers 0 to 6"):
            step.mix(6)


@given(st.lists(st.integers(-5, 4), min_size=1, max_size=8))
def test_mean_of_layers_is_the_mean_of_their_planes(layers: list[int]) -> None:
    given_ = states(4)
    expected = given_.values[layers].mean(axis=0)
    np.testing.assert_allclose(LayerMean(layers).transform(given_).values[0], expected, atol=1e-6)
    mix = LayerMean(layers).mix(4)
    assert sum(weight for _, weight in mix) == pytest.approx(1)
    assert [layer for layer, _ in mix] == sorted({layer % 5 for layer in layers})


@pytest.mark.parametrize("step", [Layer("last"), Layer(1.5), LayerMean([1, "last"])])  # type: ignore[arg-type,list-item]
def test_what_is_no_number_is_refused(step: LayerMix) -> None:
    with pytest.raises(RecipeError, match="is no layer; expected a whole number"):
        step.mix(6)


def test_all_layers() -> None:
    given_ = states(3)
    np.testing.assert_allclose(LayerMean("all").transform(given_).values[0], given_.values.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("layers", [[], "top"])
def test_layers_that_make_no_sense_are_refused(layers: object) -> None:
    with pytest.raises(RecipeError, match="expected layer numbers"):
        LayerMean(layers).mix(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["Layer()", "Layer(3)", "Layer(-2)", "LayerMean()", "LayerMean([1, -1])"])
def test_text_round_trip(text: str) -> None:
    assert str(parse(text)) == text
