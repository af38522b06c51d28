"""What is told of an error: where in a person's own code it arose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

import pytest

from hyperhive.common.errors import ConfigError
from hyperhive.worker.objectives.api import BadResult, Outcome
from hyperhive.worker.objectives.traces import in_words


def raised(function: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any of them
        function()
    return caught.value


@dataclass
class Checked:
    """Its generated ``__init__`` is in no file."""

    x: int

    def __post_init__(self) -> None:
        raise KeyError(self.x)


def in_a_library() -> None:
    json.loads("{")


def in_a_dataclass() -> None:
    Checked(3)


@pytest.mark.parametrize(
    ("function", "words", "place"),
    [
        (in_a_library, "JSONDecodeError: ", in_a_library),
        (in_a_dataclass, "KeyError: 3 ", Checked.__post_init__),
    ],
)
def test_the_innermost_line_of_ones_own_is_named(
    function: Callable[[], None], words: str, place: Any
) -> None:
    """Not that of a library, nor of a dataclass's ``__init__``."""
    said = in_words(raised(function))
    line = place.__code__.co_firstlineno + 1
    assert words in said
    assert said.endswith(f" (test_worker_traces.py, line {line}, in {place.__name__})")


def test_an_error_only_in_libraries_names_their_innermost_line() -> None:
    """An objective that is installed with its package has no code of one's own."""
    error = raised(in_a_library)
    assert error.__traceback__ is not None
    while error.__traceback__.tb_next:  # of the library alone
        error.__traceback__ = error.__traceback__.tb_next
    assert "(decoder.py, line " in in_words(error)


def test_an_error_of_ours_is_its_sentence() -> None:
    """It says all."""
    assert in_words(ConfigError("momentum must be in [0, 1)")) == "momentum must be in [0, 1)"
    assert isinstance(raised(lambda: Outcome({})), BadResult)
