"""Options of a command that belong together: they are declared, and checked, in one place."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable


def takes(group: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that gives a typer command the options of a group, after its own.

    Args:
        group: its parameters are typer's options; what it returns is the argument of the command
            that has the group's name.
    """
    name, options = group.__name__, inspect.signature(group).parameters

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_group(**given: Any) -> Any:
            own = {option: given.pop(option) for option in options}
            return command(**given, **{name: group(**own)})

        parameters = dict(inspect.signature(command).parameters)
        del parameters[name]
        both = [*parameters.values(), *options.values()]
        hints = {**command.__annotations__, **group.__annotations__}
        # typer reads both.
        with_group.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
        with_group.__annotations__ = {each.name: hints[each.name] for each in both}
        return with_group

    return decorate
