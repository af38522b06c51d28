"""A function that is given to this machine's workers by value."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

pytest.importorskip("cloudpickle")  # an old device has none

from hyperhive.worker.objectives.given import Given


class _Special(types.ModuleType):
    """A module that cloudpickle cannot take apart, as PyTorch has some."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lock = (each for each in ())


def test_a_module_of_a_class_of_its_own_is_named_and_not_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``dataset.classes`` in a function makes cloudpickle take ``torch.classes`` for used."""
    special = _Special("special")
    monkeypatch.setitem(sys.modules, "special", special)

    def train(config: Any) -> Any:
        return special

    objective: Any = Given.of(train, "train").load()
    assert objective._function({}) is special
