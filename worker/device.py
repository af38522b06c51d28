"""Where a worker trains: CUDA, MPS or CPU, and how many trials at once."""

import os
import platform
from typing import Dict

import torch

from model.errors import DeviceError, UsageError

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
            "this machine has no {} that torch {} can use: choose --device {}".format(
                name.upper(), torch.__version__, present
            )
        )
    return torch.device(name)


def default_slots(device: torch.device) -> int:
    """Return how many trials to train at once: one a core on the CPU, one on an accelerator.

    Measured on 2 cores: two one-thread processes take 0.52 s an epoch and trial, one two-thread
    process 0.65 to 0.77 s. A second process on one accelerator only shares it.
    """
    return cores() if device.type == "cpu" else 1


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return "cuda ({})".format(torch.cuda.get_device_name(device))
    return "{} ({})".format(device.type, platform.processor() or platform.machine())


def versions() -> Dict[str, str]:
    """Return the versions that a result may depend on."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, not the objective, is to blame: it ran out of memory.

    torch has ``OutOfMemoryError`` since 1.13 and for CUDA only; before, and on the CPU and MPS, the
    text of a ``RuntimeError`` is all there is.
    """
    text = str(error).lower()
    told = ("out of memory", "can't allocate memory", "failed to allocate")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in told)
    )


def _has_mps() -> bool:
    backend = getattr(torch.backends, "mps", None)  # since torch 1.12
    return bool(backend is not None and backend.is_available())
