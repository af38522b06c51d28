"""Where PyTorch computes: CUDA, MPS or CPU."""

from __future__ import annotations

import torch

from hyperhive.common.errors import DeviceError, UsageError

CHOICES = ("auto", "cpu", "cuda", "mps")
CPU = torch.device("cpu")


def choose(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first available of CUDA, MPS and CPU.

    Raises ``DeviceError`` if this machine does not have it, ``UsageError`` if the name is not one
    of ``CHOICES``.
    """
    if name not in CHOICES:
        raise UsageError(f"unknown device {name!r}: choose {', '.join(CHOICES)}")
    available = {"cuda": torch.cuda.is_available(), "mps": _has_mps(), "cpu": True}
    names = [kind for kind, is_available in available.items() if is_available]
    if name == "auto":
        name = names[0]
    if name not in names:
        raise DeviceError(
            f"this machine has no {name.upper()} that torch {torch.__version__} can use: "
            f"choose --device {', '.join(names)}"
        )
    return torch.device(name)


def _has_mps() -> bool:
    backend = getattr(torch.backends, "mps", None)  # since torch 1.12
    return bool(backend is not None and backend.is_available())
