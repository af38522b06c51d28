"""What a worker knows about its device: its slots and threads, its name, its failures."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from hyperhive.common.text import of_error

_ACCELERATORS = (
    "nvidiactl",
    "nvidia0",
    "nvhost-ctrl",
    "nvhost-gpu",
    "nvmap",
    "nvgpu",
    "dxg",
    "kfd",
)
"""What Linux has in /dev with CUDA (a PC, a Jetson, Windows's own Linux) or ROCm."""


def may_have_accelerator(devices: Path = Path("/dev")) -> bool:
    """Return False where PyTorch would surely find only the CPU; asking it takes seconds.

    Args:
        devices: Linux's folder of devices.
    """
    return sys.platform != "linux" or any((devices / name).exists() for name in _ACCELERATORS)


def default_slots(kind: str) -> int:
    """Return how many trials to train at once: one per core on the CPU, one on an accelerator.

    Measured on 2 cores, per epoch and trial: 0.52 s with two processes of one thread, 0.65 to
    0.77 s with one process of two threads. Two processes on one accelerator only share it.
    """
    return cores() if kind == "cpu" else 1


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_slot(kind: str) -> int:
    """Return the number of PyTorch's threads for one slot.

    On two cores, two processes of two threads each take several times as long as two of one thread
    each, because OpenMP's threads wait for each other. A second worker on the same machine would
    have the same effect, so a slot on the CPU has one thread even if it is the only slot.
    """
    return 1 if kind == "cpu" else cores()


def describe(kind: str) -> str:
    """Return the name for people of the device of kind ``cpu``, ``cuda`` or ``mps``."""
    if kind == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"{kind} ({platform.processor() or platform.machine()})"


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on; imports torch."""
    import torch

    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def installed() -> dict[str, str]:
    """Return the versions of Python and PyTorch, if that is there; imports torch if it must."""
    if importlib.util.find_spec("torch") is None:
        return {"python": platform.python_version()}
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:  # a build that pip does not know
        return versions()
    return {"python": platform.python_version(), "torch": torch}


def machine_versions() -> dict[str, str]:
    """Return what a benchmark depends on: versions, the system, the machine."""
    mac = platform.mac_ver()[0]
    system = "macOS " + mac if mac else f"{platform.system()} {platform.release()}"
    names = {**versions(), "system": system, "machine": machine()}
    if importlib.util.find_spec("cv2") is not None:
        names["cv2"] = str(importlib.import_module("cv2").__version__)
    return names


def machine() -> str:
    """Return the name of this machine's model, or of its processor, if the system knows it."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    elif sys.platform == "linux":
        name = _board(Path("/proc")) or ""
    else:
        name = ""
    return name or platform.processor() or platform.machine()


def _board(proc: Path) -> str | None:
    """Return the board's name, such as "NVIDIA Jetson Nano Developer Kit", else the processor's.

    Args:
        proc: the folder of the kernel's files, ``/proc``.
    """
    board, processors = proc / "device-tree" / "model", proc / "cpuinfo"
    if board.exists():
        return board.read_text().rstrip("\0\n")
    match = re.search(r"^model name\s*: (.+)$", processors.read_text(), re.MULTILINE)
    return match.group(1) if match else None


def is_device_failure(error: BaseException) -> bool:
    """Return whether the device caused an error, not the objective: out of memory, or from CUDA.

    torch has ``OutOfMemoryError`` since 1.13, and for CUDA only. Earlier versions, and the CPU and
    MPS, raise a ``RuntimeError`` that can be recognized only by its text.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    text = of_error(error).lower()
    signs = ("out of memory", "can't allocate memory", "failed to allocate", "cuda error", "cudnn")
    return any(sign in text for sign in signs)
