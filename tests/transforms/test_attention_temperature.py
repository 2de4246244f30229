from contextlib import AbstractContextManager, nullcontext

import pytest

from plait.recipe import parse
from plait.transforms import AttentionTemperature
from plait.types import RecipeError


class Scalable:
    """Notes by how much its queries were scaled."""

    factor = 0.0

    def scaled_queries(self, factor: float) -> AbstractContextManager[None]:
        self.factor = factor
        return nullcontext()


def test_queries_are_scaled_by_the_inverse() -> None:
    encoder = Scalable()
    with AttentionTemperature(0.8).change(encoder):
        assert encoder.factor == pytest.approx(1.25)


def test_an_encoder_without_attention_is_named() -> None:
    with pytest.raises(RecipeError, match=r"table has no attention that AttentionTemperature\(\) could scale"):
        AttentionTemperature().change("table")


@pytest.mark.parametrize("tau", [0, -1, float("nan")])
def test_a_temperature_is_above_zero(tau: float) -> None:
    with pytest.raises(RecipeError, match="above 0"):
        AttentionTemperature(tau).change(Scalable())


def test_text_round_trip() -> None:
    assert str(parse("AttentionTemperature(0.95)")) == "AttentionTemperature(0.95)"
