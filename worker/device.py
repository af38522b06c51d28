"""What a worker knows of its device: how many trials at once, what to call it, its failures."""

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

from hyperhive.common.extras import require_installed


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


def threads_of_slot(kind: str) -> int:
    """Return how many threads of PyTorch's one slot has.

    Two processes of two threads each on two cores take several times as long as of one each:
    OpenMP's threads wait for each other. And a second worker may be started beside the first.
    """
    return 1 if kind == "cpu" else cores()


def describe(kind: str) -> str:
    """Return what a person calls a device: that of ``cpu``, ``cuda`` or ``mps``."""
    if kind == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"{kind} ({platform.processor() or platform.machine()})"


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    import torch

    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def installed() -> dict[str, str]:
    """Return the versions of Python and of PyTorch's package, which it does not import.

    Raises ``ModuleNotFoundError`` where there is none.
    """
    require_installed("torch")
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:  # somebody's own build, which pip knows not
        return versions()
    return {"python": platform.python_version(), "torch": torch}


def machine_versions() -> dict[str, str]:
    """Return what a device's figures depend on: ``versions``, OpenCV's, the system, the machine."""
    mac = platform.mac_ver()[0]
    system = "macOS " + mac if mac else f"{platform.system()} {platform.release()}"
    found = {**versions(), "system": system, "machine": machine()}
    if importlib.util.find_spec("cv2") is not None:
        found["cv2"] = str(importlib.import_module("cv2").__version__)
    return found


def machine() -> str:
    """Return what its makers call this machine, or its processor, where the system tells."""
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        told = subprocess.run(asked, stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    elif sys.platform == "linux":
        told = _board(Path("/proc")) or ""
    else:
        told = ""
    return told or platform.processor() or platform.machine()


def _board(proc: Path) -> str | None:
    """Return the name of the board, as a Jetson's "NVIDIA Jetson Nano Developer Kit", or the CPU's.

    Args:
        proc: where the kernel tells it.
    """
    board, processors = proc / "device-tree" / "model", proc / "cpuinfo"
    if board.exists():
        return board.read_text().rstrip("\0\n")
    named = re.search(r"^model name\s*: (.+)$", processors.read_text(), re.MULTILINE)
    return named.group(1) if named else None


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
