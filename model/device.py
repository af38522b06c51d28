"""Where a model computes: CUDA, MPS or CPU."""

from __future__ import annotations

import torch

from hyperhive.common.errors import DeviceError, UsageError

CHOICES = ("auto", "cpu", "cuda", "mps")


def choose(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first there is of CUDA, MPS, CPU.

    Raises ``DeviceError`` if it is not there, ``UsageError`` if it is none of ``CHOICES``.
    """
    if name not in CHOICES:
        raise UsageError("no device is called {!r}: choose {}".format(name, ", ".join(CHOICES)))
    there = {"cuda": torch.cuda.is_available(), "mps": _has_mps(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in there.items() if present)
    if not there[name]:
        present = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise DeviceError(
            f"this machine has no {name.upper()} that torch {torch.__version__} can use: "
            f"choose --device {present}"
        )
    return torch.device(name)


def _has_mps() -> bool:
    backend = getattr(torch.backends, "mps", None)  # since torch 1.12
    return bool(backend is not None and backend.is_available())
