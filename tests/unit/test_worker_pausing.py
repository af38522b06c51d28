"""Pauses: what machines report about battery and heat, and how a worker reacts to it."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Mapping

import pytest
from support.bench import FOUND, Bench, living, post, succeeds, the_trial
from support.home import until
from support.printed import plain

from hyperhive import cli
from hyperhive.coordinator.views.status import report as status_report
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_token
from hyperhive.worker import sensors
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.pausing import PausePolicy
from hyperhive.worker.sensors import Linux, Others

Files = Dict[str, str]

SUPPLY = "class/power_supply/"
LAPTOP = {
    SUPPLY + "AC/type": "Mains\n",
    SUPPLY + "AC/online": "1\n",
    SUPPLY + "BAT0/type": "Battery\n",
    SUPPLY + "BAT0/status": "Charging\n",
    "class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "class/thermal/thermal_zone0/temp": "51000\n",
}
UNPLUGGED = {SUPPLY + "AC/online": "0\n", SUPPLY + "BAT0/status": "Discharging\n"}
PLUGGED = {SUPPLY + "AC/online": "1\n", SUPPLY + "BAT0/status": "Charging\n"}
MOUSE = {
    SUPPLY + "hidpp_battery_0/type": "Battery\n",
    SUPPLY + "hidpp_battery_0/scope": "Device\n",
    SUPPLY + "hidpp_battery_0/status": "Discharging\n",
}
# The values are those of the report in psutil's tracker (#1873).
JETSON_NANO = {
    "class/hwmon/hwmon0/name": "thermal_fan_est\n",
    "class/hwmon/hwmon0/temp1_input": "90000\n",
    **{
        f"class/thermal/thermal_zone{number}/{file}": text
        for number, (kind, temperature) in enumerate(
            [("AO-therm", 40500), ("CPU-therm", 34500), ("GPU-therm", 35000), ("PMIC-Die", 100000)]
        )
        for file, text in (("type", kind + "\n"), ("temp", str(temperature) + "\n"))
    },
}
RYZEN = {
    "class/hwmon/hwmon0/name": "nct6775\n",
    "class/hwmon/hwmon0/temp4_input": "116000\n",
    "class/hwmon/hwmon1/name": "k10temp\n",
    "class/hwmon/hwmon1/temp1_input": "59125\n",
    "class/hwmon/hwmon1/temp3_input": "\n",
    "class/thermal/thermal_zone0/type": "iwlwifi_1\n",
}


class Machine:
    """A folder laid out like /sys."""

    def __init__(self, root: Path, files: Files) -> None:
        self.root = root
        self.sensors = Linux(root)
        self.becomes(files)

    def becomes(self, files: Mapping[str, str]) -> None:
        """Change the content of some files."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name("new").write_text(text)  # no reader ever sees an empty file
            path.with_name("new").replace(path)

    def heats_to(self, degrees: float) -> None:
        """Change the laptop's temperature."""
        self.becomes({"class/thermal/thermal_zone0/temp": f"{degrees * 1000:.0f}\n"})


@pytest.fixture
def laptop(tmp_path: Path) -> Machine:
    """Return a laptop on mains, at 51 degrees."""
    return Machine(tmp_path / "sys", LAPTOP)


def status(store: Store) -> str:
    """Return what ``hyperhive status`` shows."""
    return plain(status_report(store, None))


def errors_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    """Run a command in this process; return its exit code and its standard error."""
    monkeypatch.setattr(sys, "argv", ["hyperhive", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


# -- what a machine reports --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "on_battery"),
    [
        (LAPTOP, False),
        ({**LAPTOP, **UNPLUGGED}, True),
        ({**LAPTOP, SUPPLY + "BAT0/status": "Discharging\n"}, False),  # a weak charger
        ({SUPPLY + "BAT0/type": "Battery", SUPPLY + "BAT0/status": "Discharging"}, True),
        ({SUPPLY + "BAT0/type": "Battery", SUPPLY + "BAT0/status": "Full"}, False),
        ({**LAPTOP, **MOUSE}, False),
        (MOUSE, None),
        ({SUPPLY + "AC/type": "Mains", SUPPLY + "AC/online": "1"}, None),
        (JETSON_NANO, None),
        ({}, None),
    ],
)
def test_a_battery_is_the_machines_own(
    tmp_path: Path, files: Files, on_battery: bool | None
) -> None:
    """Mains comes first, then a battery that discharges; a mouse's battery does not count."""
    assert Machine(tmp_path, files).sensors.on_battery() is on_battery


@pytest.mark.parametrize(
    ("files", "degrees"), [(LAPTOP, 51.0), (JETSON_NANO, 40.5), (RYZEN, 59.125), (MOUSE, None)]
)
def test_the_temperature_is_the_hottest_processors(
    tmp_path: Path, files: Files, degrees: float | None
) -> None:
    """Zones stuck at 100 degrees, fans, unconnected inputs and silent radios do not count."""
    assert Machine(tmp_path, files).sensors.temperature() == degrees


@pytest.mark.parametrize(
    ("battery", "on_battery"),
    [
        (None, None),
        (SimpleNamespace(percent=55, power_plugged=None), None),
        (SimpleNamespace(percent=55, power_plugged=True), False),
        (SimpleNamespace(percent=55, power_plugged=False), True),
    ],
)
def test_a_mac_is_read_with_psutil(
    monkeypatch: pytest.MonkeyPatch, battery: object, on_battery: bool | None
) -> None:
    """All documented values of ``sensors_battery`` are understood; a Mac has no temperature."""
    psutil = SimpleNamespace(sensors_battery=lambda: battery)
    monkeypatch.setitem(sys.modules, "psutil", psutil)  # not installed on Linux
    assert Others().on_battery() is on_battery
    assert Others().temperature() is None


# -- when to pause -----------------------------------------------------------------------------


def test_a_machine_must_cool_down_before_work_goes_on(laptop: Machine) -> None:
    """Work pauses above the limit, and resumes only 5 degrees below it."""
    policy = PausePolicy(laptop.sensors, max_temp=80.0)
    reasons = []
    for degrees in (80, 80.6, 78, 75.2, 75, 79):
        laptop.heats_to(degrees)
        reasons.append(policy.reason())
    assert reasons == [None, "too hot, 81 °C", "too hot, 78 °C", "too hot, 75 °C", None, None]


def test_a_sensor_counts_only_with_its_flag(laptop: Machine) -> None:
    """Without its flag, neither battery nor heat is a reason to pause."""
    laptop.becomes(UNPLUGGED)
    laptop.heats_to(99)
    assert PausePolicy(laptop.sensors).reason() is None
    assert PausePolicy(laptop.sensors, max_temp=105.0).reason() is None
    assert PausePolicy(laptop.sensors, pause_on_battery=True).reason() == "on battery"


def test_a_sensor_that_stops_answering_pauses_work(laptop: Machine) -> None:
    """If the machine no longer reports what the flag needs, the worker pauses."""
    battery = PausePolicy(laptop.sensors, pause_on_battery=True)
    heat = PausePolicy(laptop.sensors, max_temp=80.0)
    (laptop.root / SUPPLY / "BAT0" / "status").unlink()
    (laptop.root / "class/thermal/thermal_zone0/temp").unlink()
    assert battery.reason() == "the battery no longer reports its state"
    assert heat.reason() == "the thermometer no longer reports a temperature"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--pause-on-battery"], "this machine reports no battery: omit --pause-on-battery"),
        (["--max-temp", "80"], "this machine does not report its temperature: omit --max-temp"),
    ],
)
def test_a_flag_that_the_machine_cannot_honour_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    sentence: str,
) -> None:
    """Without the sensor the command ends with a sentence and starts no slot."""
    monkeypatch.setattr(sensors, "SYS", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    code, error = errors_of(monkeypatch, capsys, "worker", "--device", "cpu", *flags)
    assert code == 2
    assert error.startswith("error: " + sentence)
    assert error.count("\n") == 1


# -- a worker that pauses ----------------------------------------------------------------------


def test_a_worker_takes_no_trial_on_battery(
    store: Store,
    mongo_uri: str,
    tmp_path: Path,
    laptop: Machine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It logs this once and shows it in the status; on mains again it runs the trial."""
    store.studies.open("s", {"trials": 1})
    post(store)
    laptop.becomes(UNPLUGGED)
    caplog.set_level("INFO")
    policy = PausePolicy(laptop.sensors, pause_on_battery=True, check_every=0.05)
    with living(mongo_uri, tmp_path / "o", succeeds, policy=policy) as (_, errors):
        until(lambda: "paused: on battery" in status(store), "a paused worker in status")
        assert the_trial(store).status is Status.NEW
        laptop.becomes(PLUGGED)
        until(lambda: the_trial(store).status is Status.DONE, "the trial's end")
        until(lambda: "idle" in status(store), "an idle worker in status")
    assert errors == []
    assert caplog.text.count("paused: on battery") == 1
    assert caplog.text.count("takes trials again") == 1


def test_a_paused_worker_stops_when_asked(
    store: Store, mongo_uri: str, tmp_path: Path, laptop: Machine
) -> None:
    """A pause does not delay the end of a worker."""
    laptop.becomes(UNPLUGGED)
    policy = PausePolicy(laptop.sensors, pause_on_battery=True, check_every=60.0)
    with living(mongo_uri, tmp_path / "o", succeeds, policy=policy) as (bench, errors):
        until(lambda: [w for w in store.workers.present() if w.paused], "a paused worker")
        bench.stop.ask()
        until(lambda: not store.workers.present(), "the worker's end")
    assert errors == []


class Epochs:
    """An objective of two epochs; the machine becomes too hot in each."""

    def __init__(self, laptop: Machine) -> None:
        self._laptop = laptop
        self.paused = threading.Event()
        self.went_on = threading.Event()

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run both epochs, unless the worker must stop."""
        self._laptop.heats_to(90)
        self.paused.set()
        context.report({"epoch": 1}, 10.0)
        self.went_on.set()
        if context.should_stop():
            raise Stopped
        self._laptop.heats_to(90)
        context.report({"epoch": 2}, 0.0)
        return FOUND


def test_a_trial_in_hand_is_held_until_the_machine_has_cooled(
    store: Store, mongo_uri: str, tmp_path: Path, laptop: Machine
) -> None:
    """After its epoch it waits, and its lease is renewed; when it is cooler it is finished.

    The report of the last epoch does not wait, however hot the machine is: the result is complete.
    """
    lease = 3.0  # a beat may be late by two seconds
    post(store, max_attempts=1)
    epochs = Epochs(laptop)
    policy = PausePolicy(laptop.sensors, max_temp=80.0, check_every=0.02)
    with Bench(mongo_uri, tmp_path / "o", epochs, policy=policy, lease=lease) as bench:
        running = threading.Thread(target=bench.run_one)
        running.start()
        assert epochs.paused.wait(60)
        until(lambda: [w.paused for w in store.workers.present()] == ["too hot, 90 °C"], "a pause")
        deadline = time.monotonic() + 1.2 * lease
        while time.monotonic() < deadline:
            assert store.queue.claim("other", new_token(), ["lenet5"]) is None
            time.sleep(0.05)
        assert not epochs.went_on.is_set()
        laptop.heats_to(60)
        running.join(60)
        assert not running.is_alive()
    trial = the_trial(store)
    assert (trial.status, trial.attempts, trial.late) == (Status.DONE, 1, 0)


def test_a_trial_is_not_held_indefinitely(
    store: Store, mongo_uri: str, tmp_path: Path, laptop: Machine
) -> None:
    """If the pause lasts too long, the trial is given back, and its attempt is refunded."""
    store.queue.post(Draft("s", 0, {"epochs": 1}, {}, objective="lenet5", max_attempts=1))
    policy = PausePolicy(laptop.sensors, max_temp=80.0, check_every=0.02, hold_limit=0.1)
    with Bench(mongo_uri, tmp_path / "o", Epochs(laptop), policy=policy) as bench:
        assert bench.run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts, trial.excluded) == (Status.NEW, 0, ())
