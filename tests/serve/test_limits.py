from __future__ import annotations

from dataclasses import fields

import pytest

from plait.serve.limits import Limits
from plait.types import RecipeError


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    for value in (0, -1, float("nan")):
        with pytest.raises(RecipeError, match=name):
            Limits(**{name: value})
    assert getattr(Limits(**{name: 1}), name) == 1
