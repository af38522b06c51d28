"""The process that learns for ``predict-cam --teach``.

    python -m hyperhive.coordinator.folder_learning.process

Its standard input has one line of JSON, which says what to learn. It ends with its standard input,
so that it never outlives predict-cam. Its standard output has a line for each of the messages of
``inference/teaching/states.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from hyperhive.common.errors import HyperhiveError
from hyperhive.common.extras import advice, require_installed
from hyperhive.common.signals import StopSignals, end_process
from hyperhive.inference.teaching.states import Learned, Problem, Progress, line_of

_NICE = 10
"""Frames that are classified go first."""
_END_S = 30.0
_USAGE = 2


def main() -> None:
    """Learn as standard input says, until that ends."""
    given = json.loads(sys.stdin.readline() or "null")
    if given is None:
        return
    if hasattr(os, "nice"):
        os.nice(_NICE)
    messages, sys.stdout = sys.stdout, sys.stderr  # what workers print is no message
    with StopSignals() as signals:
        threading.Thread(target=_stop_with_input, args=(signals.stop,), daemon=True).start()

        def tell(message: Progress | Learned | Problem) -> None:
            try:
                messages.write(line_of(message))
                messages.flush()
            except BrokenPipeError:  # without a reader there is nothing left to learn for
                signals.stop.set()

        try:
            _learn(given, signals.stop, tell)
        except ModuleNotFoundError as error:
            tell(Problem(advice(error) or str(error)))
            sys.exit(_USAGE)
        except HyperhiveError as error:
            tell(Problem(str(error)))
            sys.exit(error.exit_code)


def _learn(
    given: dict[str, Any],
    stop: threading.Event,
    tell: Callable[[Progress | Learned | Problem], None],
) -> None:
    require_installed("torch", "matplotlib")
    # Here, so that a missing package is told in a sentence.
    import torch

    from hyperhive.coordinator.api.connection import Connection
    from hyperhive.coordinator.folder_learning.learner import FolderLearner, LearnerSettings
    from hyperhive.store.cli import address_of
    from hyperhive.store.server.choice import named

    torch.set_num_threads(1)  # the workers and predict-cam have the other cores
    folder, models, mongo = Path(given["folder"]), Path(given["models"]), given["mongo"]
    settings = LearnerSettings(folder, given["trials"], mongo, models)
    connection = Connection(mongo, begins=True)
    try:
        is_shared = named(address_of(mongo)) is not None
        FolderLearner(settings, connection, is_shared, stop, tell).run()
    finally:
        connection.close()


def _stop_with_input(stop: threading.Event) -> None:
    """Stop when predict-cam has ended; end at once if that takes too long."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.read()
    stop.set()
    threading.Event().wait(_END_S)
    end_process(1)


if __name__ == "__main__":
    main()
