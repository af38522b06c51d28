"""hyperopt's ``hp``, with which a search space is written.

A device that only works needs no hyperopt. There, these functions give nothing that a search could
use, but a file with functions and a space can be imported, and its functions run.
"""

from __future__ import annotations

from typing import Any

try:
    from hyperopt.hp import (
        choice,
        lognormal,
        loguniform,
        normal,
        pchoice,
        qlognormal,
        qloguniform,
        qnormal,
        quniform,
        randint,
        uniform,
        uniformint,
    )
except ModuleNotFoundError:

    def uniform(label: str, *_: Any) -> Any:
        """Return a part of a space that no search can use: this device has no hyperopt."""
        return {"hyperopt is missing": label}

    choice = pchoice = uniformint = randint = quniform = loguniform = qloguniform = uniform
    normal = qnormal = lognormal = qlognormal = uniform

__all__ = [
    "choice",
    "lognormal",
    "loguniform",
    "normal",
    "pchoice",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]
