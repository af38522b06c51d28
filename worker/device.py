"""What a worker knows of its device: how many trials at once, what to call it, its failures."""

import errno
import importlib.metadata
import importlib.util
import os
import platform
from typing import Dict


def default_slots(kind: str) -> int:
    """Return how many trials to train at once: one a core on the CPU, one on an accelerator.

    Measured on 2 cores: two one-thread processes take 0.52 s an epoch and trial, one two-thread
    process 0.65 to 0.77 s. A second process on one accelerator only shares it.
    """
    return cores() if kind == "cpu" else 1


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(kind: str) -> str:
    """Return what a person calls a device: that of ``cpu``, ``cuda`` or ``mps``."""
    if kind == "cuda":
        import torch

        return "cuda ({})".format(torch.cuda.get_device_name())
    return "{} ({})".format(kind, platform.processor() or platform.machine())


def versions() -> Dict[str, str]:
    """Return the versions that a result may depend on."""
    import torch

    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def installed() -> Dict[str, str]:
    """Return the versions of Python and of PyTorch's package, which it does not import.

    Raises ``ModuleNotFoundError`` where there is none.
    """
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("no PyTorch", name="torch")
    return {"python": platform.python_version(), "torch": importlib.metadata.version("torch")}


def is_device_failure(error: BaseException) -> bool:
    """Whether the device, not the objective, is to blame: out of memory, or an error of CUDA's.

    torch has ``OutOfMemoryError`` since 1.13 and for CUDA only; before, and on the CPU and MPS, the
    text of a ``RuntimeError`` is all there is.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    told = ("out of memory", "can't allocate memory", "failed to allocate", "cuda error", "cudnn")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in told)
    )
