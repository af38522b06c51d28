"""What ``hyperhive.hp`` returns: hyperopt's expressions, but without hyperopt until it is needed.

hyperopt takes a second and 75 MB to import. A worker that imports a file with a function and its
space needs none of it, and nor does a coordinator that reads that space.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Mapping

_OPERATORS = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv"),
    *("pow", "rpow", "neg", "lt", "le", "gt", "ge", "getitem", "len", "call"),
)
"""The operators that hyperopt's expressions have."""


class Expression:
    """A call of a function of hyperopt's ``hp``, which is made when hyperopt looks into it.

    Then this very object becomes what the call returns. Until then it says that its class is that
    of hyperopt's expressions, once this exists: hyperopt knows them by ``isinstance``. An operator,
    as in ``2 * hp.uniform("x", 0, 1)``, imports hyperopt.

    Args:
        function: its name in ``hp``.
        label: of the parameter.
        arguments: the others, by name, in hyperopt's order.
    """

    def __init__(self, function: str, label: str, **arguments: Any) -> None:
        if not isinstance(label, str):
            raise TypeError(f"hp.{function} needs a label, which is a text, not {label!r}")
        self.function, self.label = function, label
        self.arguments: Mapping[str, Any] = arguments

    @property
    def __class__(self) -> type:
        """The class that ``isinstance`` takes it to have."""
        hyperopts = sys.modules.get("hyperopt.pyll.base")
        return getattr(hyperopts, "Apply", Expression)

    @__class__.setter
    def __class__(self, other: type) -> None:
        object.__dict__["__class__"].__set__(self, other)

    def _become(self) -> Any:
        """Become hyperopt's expression; return this object."""
        from hyperopt import hp

        made = getattr(hp, self.function)(self.label, *self.arguments.values())
        self.__class__ = type(made)
        vars(self).clear()
        vars(self).update(vars(made))
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copying and pickling look for these
            raise AttributeError(name)
        return getattr(self._become(), name)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Expression, self.function, self.label, **self.arguments), ()


def _operator(name: str) -> Any:
    def operate(self: Expression, *others: Any) -> Any:
        return getattr(self._become(), name)(*others)

    return operate


for _name in _OPERATORS:
    setattr(Expression, f"__{_name}__", _operator(f"__{_name}__"))


def python_value(value: Any) -> Any:
    """Return a number of NumPy's as Python's; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
