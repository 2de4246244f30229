"""What holds for every step, whatever its kind."""

from __future__ import annotations

import inspect

import numpy as np
from sklearn.base import clone

import plait
from plait.step import Composite, Step
from plait.types import Codes, States, Vectors
from tests.contracts.makers import MAKERS, step_names


def test_every_exported_step_has_a_maker() -> None:
    assert set(step_names()) == set(MAKERS)


def test_takes_and_gives_are_types_that_flow(any_step: Step) -> None:
    assert any_step.takes in (str, States, Vectors)
    assert any_step.gives in (States, Vectors, Codes)


def test_constructor_stores_parameters_untouched(any_step: Step) -> None:
    parameters = any_step.get_params(deep=False)
    made = type(any_step)(**parameters)
    for name, value in parameters.items():
        assert getattr(made, name) is value


def test_constructor_takes_named_parameters_only(any_step: Step) -> None:
    kinds = {parameter.kind for parameter in inspect.signature(type(any_step)).parameters.values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def test_clone_is_equal_and_apart(any_step: Step) -> None:
    copy = clone(any_step)
    assert copy is not any_step
    assert str(copy) == str(any_step)
    assert copy.fingerprint == any_step.fingerprint


def test_set_params_takes_what_get_params_gives(any_step: Step) -> None:
    parameters = any_step.get_params(deep=False)
    assert type(any_step)(**parameters).set_params(**parameters).get_params(deep=False) == parameters


def test_text_reads_back(any_step: Step) -> None:
    text = str(any_step)
    read = plait.parse(text)
    assert str(read) == text
    inside = read if isinstance(any_step, Composite) else read.children()[0]
    assert type(inside) is type(any_step)
    assert inside.fingerprint == any_step.fingerprint


def test_repr_is_the_text(any_step: Step) -> None:
    assert repr(any_step) == str(any_step)


def test_unfitted_state_is_arrays_that_can_be_put_back(any_step: Step) -> None:
    state = any_step.state()
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in state.values())
    assert clone(any_step).set_state(state).fingerprint == any_step.fingerprint


def test_making_a_step_loads_nothing(any_step: Step) -> None:
    """A model that is not there is no mistake yet: recipes are composed, printed and compared without their weights."""
    parameters = any_step.get_params(deep=False)
    if "model" in parameters:
        assert type(any_step)(**parameters | {"model": "no-such-model"}).model == "no-such-model"
