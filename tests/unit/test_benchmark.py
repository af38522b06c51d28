"""What a device can do: measured, kept for as long as the store is, and shown beside the others."""

from __future__ import annotations

import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator

import pytest
import torch
from rich.console import Console

from hyperhive import cli
from hyperhive.store.benchmarks import Benchmark
from hyperhive.store.server.mongo import with_login
from hyperhive.store.store import Store
from hyperhive.worker.benchmark.measure import measure
from hyperhive.worker.benchmark.table import comparison
from hyperhive.worker.device import _board, machine, machine_versions

NANO = Benchmark(
    name="nano",
    device="cuda (NVIDIA Tegra X1)",
    slots=1,
    training={"64": 1000.0, "256": 2000.0},
    latency_p50=4.0,
    latency_p95=8.0,
    versions={"python": "3.8.10", "torch": "1.13.1", "machine": "Jetson Nano"},
)
MACBOOK = Benchmark(
    name="macbook",
    device="mps (arm)",
    slots=1,
    training={"64": 10_400.0, "256": 30_000.0},
    latency_p50=1.0,
    latency_p95=1.6,
    versions={"python": "3.11.9", "torch": "2.3.1", "machine": "Apple M1"},
)


def shown(renderable: Any, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def hyperhive_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    """Run a command in this process; return its exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["hyperhive", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a benchmark measure a sixteenth of the images, and keep this process's threads."""
    monkeypatch.setattr("hyperhive.worker.benchmark.measure._IMAGES", 64)
    monkeypatch.setattr("hyperhive.worker.benchmark.measure.SECONDS", 0.0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_device_is_measured_without_a_data_set(quick: None) -> None:
    """Both batch sizes and the way of one picture are timed, and what they depend on is named."""
    told: list[str] = []
    measured = measure("me", torch.device("cpu"), told.append)
    assert measured.name == "me"
    assert measured.device.startswith("cpu (")
    assert measured.slots >= 1
    assert set(measured.training) == {"64", "256"}
    assert all(speed > 0 for speed in measured.training.values())
    assert measured.latency_p50 is not None
    assert measured.latency_p95 is not None
    assert 0 < measured.latency_p50 <= measured.latency_p95
    assert {"python", "torch", "cv2", "system", "machine"} == set(measured.versions)
    assert len(told) == 3


def test_the_board_is_called_by_its_name(tmp_path: Path) -> None:
    """A Jetson's own name comes before its processor's; where neither is told there is none."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: ARMv8 rev 1\n")
    assert _board(tmp_path) == "ARMv8 rev 1"
    (tmp_path / "device-tree").mkdir()
    (tmp_path / "device-tree" / "model").write_bytes(b"NVIDIA Jetson Nano Developer Kit\0")
    assert _board(tmp_path) == "NVIDIA Jetson Nano Developer Kit"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    (tmp_path / "device-tree" / "model").unlink()
    assert _board(tmp_path) is None
    assert machine_versions()["machine"]


def test_only_linux_is_asked_for_its_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, which has no /proc, a machine is what Python calls it."""
    known_to_python = platform.processor() or platform.machine()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("hyperhive.worker.device.Path", None)  # nothing is read
    assert machine() == known_to_python


def test_figures_outlive_the_process_and_are_replaced(store: Store) -> None:
    """One set a device stays, the newest; no sweep takes it, and it is no worker's record."""
    store.benchmarks.keep(NANO)
    store.benchmarks.keep(MACBOOK)
    again = Benchmark(**{**vars(NANO), "latency_p50": 3.0})
    store.benchmarks.keep(again)
    assert store.benchmarks.all() == [MACBOOK, again]
    assert store.workers.present() == store.workers.silent() == []
    assert list(store.client.hyperhive.benchmarks.index_information()) == ["_id_"]


def test_figures_that_an_older_hyperhive_kept_are_not_workers(store: Store) -> None:
    """They are in the collection of workers, and are listed neither as workers nor as figures."""
    old = {"_id": "benchmark/nano/cuda", "kind": "benchmark", "figures": vars(NANO)}
    now = datetime.now(timezone.utc)
    store.client.hyperhive.workers.insert_one({**old, "measured": now, "left": now})
    assert store.workers.present() == store.workers.silent() == []
    assert store.benchmarks.all() == []


def test_one_machine_may_have_two_devices(store: Store) -> None:
    """A MacBook's CPU does not take the place of its GPU."""
    store.benchmarks.keep(MACBOOK)
    store.benchmarks.keep(Benchmark(**{**vars(MACBOOK), "device": "cpu (arm)"}))
    assert len(store.benchmarks.all()) == 2


def test_a_workers_login_may_keep_figures(admin_uri: str) -> None:
    """An invited device, which may do nothing but a worker's work, keeps its own."""
    with Store(admin_uri.replace("/hyperhive?", "/figures?")) as admin:
        login = with_login(admin_uri, "nano", admin.roles.invite("nano"))
        with Store(login.replace("/hyperhive", "/figures")) as device:
            device.benchmarks.keep(NANO)
            assert device.benchmarks.all() == [NANO]
        admin.client.figures.command("dropAllUsersFromDatabase")
        admin.client.figures.command("dropAllRolesFromDatabase")
        admin.client.drop_database("figures")


def test_figures_of_another_version_are_shown(store: Store) -> None:
    """What is missing, or no number, is left blank; markup in a name is a name."""
    store.benchmarks.keep(NANO)
    strange = {"name": "[red]", "device": "cpu", "training": {"64": "fast", "128": 5}, "slots": -1}
    store.client.hyperhive.benchmarks.insert_many(
        [{"_id": "x/cpu", "figures": strange}, {"_id": "y/cpu"}]
    )
    said = shown(comparison(store.benchmarks.all()), 120)
    assert "[red]" in said
    assert "batch 128" in said
    assert "fast" not in said


def test_a_macbook_against_a_nano(store: Store) -> None:
    """On one screen of 80 columns: the fastest first, and how many times as fast it is."""
    said = shown(comparison([NANO, MACBOOK]))
    assert len(said.splitlines()) <= 24
    assert said.index("macbook") < said.index("nano")
    assert max(map(len, said.splitlines())) <= 80
    for figure in ("10,400", "10.4x", "30,000", "15.0x", "1.60", "5.0x", "1.0x", "Jetson Nano"):
        assert figure in said


def test_the_command_measures_keeps_and_compares(
    store: Store,
    mongo_uri: str,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a store it shows the device beside the others; ``--compare`` shows them again."""
    arguments = ["benchmark", "--mongo", mongo_uri]
    code, said = hyperhive_does(monkeypatch, capsys, *arguments, "--compare")
    assert (code, said) == (0, "no device was measured yet: run `hyperhive benchmark` on each\n")
    store.benchmarks.keep(NANO)
    code, said = hyperhive_does(
        monkeypatch, capsys, *arguments, "--device", "cpu", "--name", "here"
    )
    assert code == 0
    assert said.startswith("training LeNet-5 on colour images of 28x28 in batches of 64")
    assert "here" in said
    assert {kept.name for kept in store.benchmarks.all()} == {"here", "nano"}
    code, again = hyperhive_does(monkeypatch, capsys, *arguments, "--compare")
    assert code == 0
    assert said.endswith(again)


def test_figures_without_a_store_are_only_shown(
    quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that nothing is kept; and there is nothing to compare with."""
    code, said = hyperhive_does(monkeypatch, capsys, "benchmark", "--device", "cpu")
    assert code == 0
    assert said.endswith("not kept: say --mongo to compare it with others\n")
    code, said = hyperhive_does(monkeypatch, capsys, "benchmark", "--compare")
    assert code == 2
    assert said.startswith("error: which store? Say --mongo")


def test_a_wrong_login_is_told_before_the_measuring(
    store: Store,
    mongo_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody waits for figures that cannot be kept, and the password is not repeated."""
    login, _, host = mongo_uri.rpartition("@")
    wrong = "{}:wr0ng@{}".format(login.rpartition(":")[0], host)
    code, said = hyperhive_does(monkeypatch, capsys, "benchmark", "--mongo", wrong)
    assert code == 1
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "wr0ng" not in said
