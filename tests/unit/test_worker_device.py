"""The device of a worker: its kind, its slots, its versions, its failures."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
import torch

from hyperhive.common.errors import DeviceError, UsageError
from hyperhive.model.device import CHOICES, choose
from hyperhive.worker.device import (
    cores,
    default_slots,
    describe,
    installed,
    is_device_failure,
    may_have_accelerator,
    versions,
)
from hyperhive.worker.objectives.registry import registered

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


def test_the_cpu_is_always_available() -> None:
    """The CPU can be chosen by name, and has one slot per core."""
    device = choose("cpu")
    assert device == torch.device("cpu")
    assert default_slots(device.type) == cores() >= 1
    assert describe(device.type).startswith("cpu (")


def test_auto_takes_the_best_available() -> None:
    """Auto is the accelerator if there is one, else the CPU."""
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose("auto").type in (expected, "mps")


def test_an_accelerator_takes_one_trial_at_a_time() -> None:
    """Two processes on one accelerator would only share it."""
    assert default_slots("cuda") == default_slots("mps") == 1


@NO_CUDA
def test_a_device_that_is_missing_is_refused() -> None:
    """Asking for CUDA without CUDA is an error of one sentence that names the alternative."""
    with pytest.raises(DeviceError) as refused:
        choose("cuda")
    assert str(refused.value).startswith("this machine has no CUDA that torch")
    assert str(refused.value).endswith("choose --device cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["gpu", "CPU", "", "cuda:1"])
def test_an_unknown_device_is_refused(name: str) -> None:
    """A name that is not one of the choices is a usage error that lists them."""
    with pytest.raises(UsageError) as refused:
        choose(name)
    assert repr(name) in str(refused.value)
    assert all(choice in str(refused.value) for choice in CHOICES)


def test_cores_are_those_this_process_may_use() -> None:
    """A worker that is bound to some cores starts no slots for the others."""
    assert 1 <= cores() <= multiprocessing.cpu_count()
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert cores() == 1
        finally:
            os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("error", "is_the_devices"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), False),
        (ValueError("out of memory"), False),
        (OSError(12, "Cannot allocate memory"), True),
    ],
)
def test_running_out_of_memory_is_a_failure_of_the_device(
    error: BaseException, is_the_devices: bool
) -> None:
    """A failed allocation is distinguished from an error of the objective."""
    assert is_device_failure(error) is is_the_devices


def test_torchs_own_error_is_recognized() -> None:
    """The error that torch raises for an impossible allocation is a failure of the device."""
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_device_failure(refused.value)


def test_results_name_the_versions_they_depend_on() -> None:
    """Python and torch are named as plain text."""
    assert set(versions()) == {"python", "torch"}
    assert versions()["torch"] == str(torch.__version__)


def test_versions_are_known_before_pytorch_is_imported() -> None:
    """A worker reports them when it joins, perhaps without the local label of a build."""
    assert set(installed()) == {"python", "torch"}
    assert versions()["torch"].partition("+")[0] == installed()["torch"].partition("+")[0]


def test_a_pytorch_that_pip_does_not_know_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of one's own may be on the path without a package's metadata."""

    def lacks(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", lacks)
    assert installed() == versions()


def test_a_device_whose_pytorch_does_not_load_gives_its_trials_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is a failure of the device, in one sentence, and not of the trial."""
    monkeypatch.setitem(sys.modules, "hyperhive.worker.objectives.lenet5", None)
    with pytest.raises(DeviceError, match="PyTorch cannot be used here"):
        registered()["lenet5"]({}, None)  # type: ignore[arg-type]


def test_lenet5_is_registered() -> None:
    """A worker of this installation can run trials of the objective lenet5."""
    assert callable(registered()["lenet5"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists devices")
def test_a_machine_without_a_gpu_need_not_ask_pytorch(tmp_path: Path) -> None:
    """PyTorch is imported to choose a device only where the system has one to choose."""
    assert not may_have_accelerator(tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert may_have_accelerator(tmp_path)
