"""Benchmarks of devices: measured, stored, and compared."""

from __future__ import annotations

import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

import pytest
import torch
from support.printed import plain

from hyperhive import cli
from hyperhive.store.benchmarks import Benchmark
from hyperhive.store.server.client import with_login
from hyperhive.store.server.privileges import PRIVILEGES, WORKER
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


def hyperhive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    """Run a command in this process; return its exit code and its output."""
    monkeypatch.setattr(sys, "argv", ["hyperhive", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    output = capsys.readouterr()
    return ended.value.code, output.out + output.err


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a benchmark measure a sixteenth of the images, and restore the number of threads."""
    monkeypatch.setattr("hyperhive.worker.benchmark.measure._IMAGES", 64)
    monkeypatch.setattr("hyperhive.worker.benchmark.measure.SECONDS", 0.0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.long
def test_a_device_is_measured_without_a_data_set(quick: None) -> None:
    """Both batch sizes and single images are timed; the versions they depend on are named."""
    sentences: list[str] = []
    measured = measure("me", torch.device("cpu"), sentences.append)
    assert measured.name == "me"
    assert measured.device.startswith("cpu (")
    assert measured.slots >= 1
    assert set(measured.training) == {"64", "256"}
    assert all(speed > 0 for speed in measured.training.values())
    assert measured.latency_p50 is not None
    assert measured.latency_p95 is not None
    assert 0 < measured.latency_p50 <= measured.latency_p95
    assert {"python", "torch", "cv2", "system", "machine"} == set(measured.versions)
    assert len(sentences) == 3


def test_a_machine_has_the_name_of_its_board(tmp_path: Path) -> None:
    """A Jetson's own name comes before its processor's; without either there is no name."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: ARMv8 rev 1\n")
    assert _board(tmp_path) == "ARMv8 rev 1"
    (tmp_path / "device-tree").mkdir()
    (tmp_path / "device-tree" / "model").write_bytes(b"NVIDIA Jetson Nano Developer Kit\0")
    assert _board(tmp_path) == "NVIDIA Jetson Nano Developer Kit"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    (tmp_path / "device-tree" / "model").unlink()
    assert _board(tmp_path) is None
    assert machine_versions()["machine"]


def test_only_linux_has_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, which has no /proc, a machine has the name that Python knows."""
    known_to_python = platform.processor() or platform.machine()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("hyperhive.worker.device.Path", None)  # nothing is read
    assert machine() == known_to_python


def test_figures_outlive_the_process_and_are_replaced(store: Store) -> None:
    """The newest figures of a device stay; nothing removes them, and they are not a worker."""
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


@pytest.fixture
def figures_admin(admin_uri: str) -> Iterator[Store]:
    """Give an administrator's store whose database, users and roles are deleted at the end."""
    with Store(admin_uri.replace("/hyperhive?", "/figures?")) as admin:
        yield admin
        admin.database.command("dropAllUsersFromDatabase")
        admin.database.command("dropAllRolesFromDatabase")
        admin.client.drop_database("figures")


def invited(admin: Store, admin_uri: str) -> str:
    """Return the URI of a device that was invited as a worker."""
    login = with_login(admin_uri, "nano", admin.roles.invite("nano"))
    return login.replace("/hyperhive", "/figures")


def test_a_workers_login_may_store_figures(figures_admin: Store, admin_uri: str) -> None:
    """The login of an invited device may store figures; to ask for it stores nothing."""
    with Store(invited(figures_admin, admin_uri)) as device:
        device.benchmarks.require_access()
        assert device.benchmarks.all() == []
        device.benchmarks.keep(NANO)
        assert device.benchmarks.all() == [NANO]


def test_a_role_of_the_version_before_is_reported_before_the_measuring(
    figures_admin: Store,
    admin_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """That role does not know the collection; the sentence says how to bring it up to date."""
    before = {name: actions for name, actions in PRIVILEGES[WORKER].items() if name != "benchmarks"}
    with monkeypatch.context() as patched:
        patched.setitem(PRIVILEGES, WORKER, before)  # type: ignore[arg-type]
        login = invited(figures_admin, admin_uri)
    code, said = hyperhive(monkeypatch, capsys, "benchmark", "--mongo", login)
    assert code == 1
    assert said.startswith("error: MongoDB at ")
    assert "run `hyperhive mongo init` again if hyperhive was updated" in said
    assert said.count("\n") == 1


def test_figures_of_another_version_are_shown(store: Store) -> None:
    """A value that is missing or not a number is blank; markup in a name is shown as it is."""
    store.benchmarks.keep(NANO)
    strange = {"name": "[red]", "device": "cpu", "training": {"64": "fast", "128": 5}, "slots": -1}
    store.client.hyperhive.benchmarks.insert_many(
        [{"_id": "x/cpu", "figures": strange}, {"_id": "y/cpu"}]
    )
    table = plain(comparison(store.benchmarks.all()), 120)
    assert "[red]" in table
    assert "batch 128" in table
    assert "fast" not in table


def test_a_macbook_against_a_nano(store: Store) -> None:
    """The table fits 80 columns and 24 lines: the fastest first, with how much faster it is."""
    table = plain(comparison([NANO, MACBOOK]), 80)
    assert len(table.splitlines()) <= 24
    assert table.index("macbook") < table.index("nano")
    assert max(map(len, table.splitlines())) <= 80
    for figure in ("10,400", "10.4x", "30,000", "15.0x", "1.60", "5.0x", "1.0x", "Jetson Nano"):
        assert figure in table


def test_the_command_measures_stores_and_compares(
    store: Store,
    mongo_uri: str,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a store it compares the device with the others; ``--compare`` shows them again."""
    arguments = ["benchmark", "--mongo", mongo_uri]
    code, said = hyperhive(monkeypatch, capsys, *arguments, "--compare")
    assert (code, said) == (0, "no device was measured yet: run `hyperhive benchmark` on each\n")
    store.benchmarks.keep(NANO)
    code, said = hyperhive(monkeypatch, capsys, *arguments, "--device", "cpu", "--name", "here")
    assert code == 0
    assert said.startswith("training LeNet-5 on colour images of 28x28 in batches of 64")
    assert "here" in said
    assert {kept.name for kept in store.benchmarks.all()} == {"here", "nano"}
    code, again = hyperhive(monkeypatch, capsys, *arguments, "--compare")
    assert code == 0
    assert said.endswith(again)


def test_figures_without_a_store_are_only_shown(
    quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that nothing is stored; and ``--compare`` has nothing to show."""
    code, said = hyperhive(monkeypatch, capsys, "benchmark", "--device", "cpu")
    assert code == 0
    assert said.endswith("not stored: pass --mongo to compare this device with others\n")
    code, said = hyperhive(monkeypatch, capsys, "benchmark", "--compare")
    assert code == 2
    assert said.startswith("error: there is nothing on this machine yet")


@pytest.mark.long
def test_figures_of_other_images_are_only_shown(
    store: Store,
    mongo_uri: str,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They would not compare with those of other devices."""
    arguments = ["benchmark", "--mongo", mongo_uri, "--device", "cpu", "--image-size", "40"]
    code, said = hyperhive(monkeypatch, capsys, *arguments)
    assert code == 0
    assert said.startswith("training LeNet-5 on colour images of 40x40 in batches of 64")
    assert said.endswith("not stored: devices are compared by lenet5 at 28x28\n")
    assert store.benchmarks.all() == []
    code, said = hyperhive(monkeypatch, capsys, *arguments, "--compare")
    assert code == 2
    assert said.endswith("leave out --network and --image-size with --compare\n")
    code, said = hyperhive(monkeypatch, capsys, *arguments, "--network", "no")
    assert code == 2
    assert "error: network 'no' is not known here" in said


def test_a_wrong_login_is_reported_before_the_measuring(
    store: Store,
    mongo_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command does not measure what it cannot store, and does not repeat the password."""
    login, _, host = mongo_uri.rpartition("@")
    wrong = "{}:wr0ng@{}".format(login.rpartition(":")[0], host)
    code, said = hyperhive(monkeypatch, capsys, "benchmark", "--mongo", wrong)
    assert code == 1
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "wr0ng" not in said
