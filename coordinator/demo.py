"""The command ``hyperhive demo``: data, a server, workers and a study, all on this machine."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Mapping

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import DatasetError, InputError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.planning.datasets import Connect, loading
from hyperhive.coordinator.planning.plan import Plan, study_name
from hyperhive.coordinator.session import ShownSearch, require_models
from hyperhive.coordinator.spaces.named import named
from hyperhive.model.data.download import Progress
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.loading import DatasetRequest, load, looks_like_simpsons
from hyperhive.store.store import Store

_TRIALS = {"quick": 12}
_TRIALS_OF_DIGITS, _TRIALS_OTHERWISE = 20, 30
_STOP_S = 30.0
_LOOK_EVERY_S = 0.1


class WorkersFailed(InputError):
    """The demo's workers ended before the study did."""


@dataclass(frozen=True)
class DemoOptions:
    """The options of ``hyperhive demo``; what is None has a default that fits the data set.

    ``environment`` is that of the command, which its workers inherit.
    """

    dataset: str | None
    data: Path | None
    trials: int | None
    space: str | None
    seed: int
    slots: int | None
    refit: bool
    models: Path
    environment: Mapping[str, str]


def run(options: DemoOptions, connect: Connect, console: Screen) -> bool:
    """Run a study with workers of its own; return whether it came to its end."""
    loaded = loading(
        lambda progress: choose_data(options.dataset, options.data, options.seed, progress), console
    )
    chosen = plan(loaded, options.trials, options.seed, options.space)
    require_models(options.models / chosen.name)
    with StopSignals() as signals, connect() as uri:
        log = options.models / chosen.name / "worker.log"
        # The log is UTF-8, whatever this console has.
        encoding = {"PYTHONIOENCODING": "utf-8"}
        environment = {**options.environment, **encoding, "HYPERHIVE_MONGO": uri}
        with workers(environment, chosen.name, options.slots, log) as running:
            tell("starting this machine's workers", to=console)
            running.wait_for_start(uri, chosen.name, signals.stop)
            shown = ShownSearch(
                chosen,
                loaded.dataset,
                options.models,
                options.refit,
                check=running.require_alive,
                resume="the next demo starts from the beginning",
            )
            return shown.run(uri, signals, console)


def choose_data(
    dataset: str | None, data: Path | None, seed: int, progress: Progress
) -> LoadedDataset:
    """Return the demo's data set.

    A data set that is asked for is loaded, or that fails. Otherwise it is Simpsons-MNIST or, if
    that is not available, scikit-learn's digits, with a notice that says so.
    """
    if dataset is not None:
        return load(DatasetRequest(dataset, data, seed=seed), progress)
    if data is not None:
        name = "simpsons" if looks_like_simpsons(data) else "folder"
        return load(DatasetRequest(name, data, seed=seed), progress)
    try:
        return load(DatasetRequest("simpsons"), progress)
    except DatasetError as error:
        loaded = load(DatasetRequest("digits"), progress)
        notice = f"NO SIMPSONS: {error}. The demo uses scikit-learn's handwritten digits."
        return replace(loaded, notices=(notice, *loaded.notices))


def plan(loaded: LoadedDataset, trials: int | None, seed: int, space: str | None) -> Plan:
    """Return a plan under a name that no other run has: two demos at once do not meet.

    Args:
        loaded: the data set.
        trials: how many; None for a number that suits the data set and the space.
        seed: of suggestions, initial weights and splits.
        space: its name; None for one that suits the data set.

    Raises ``UsageError`` for a name that no space has.
    """
    name = loaded.dataset.name
    space = space or ("classic" if name == "digits" else "quick")
    usual = _TRIALS_OF_DIGITS if name == "digits" else _TRIALS_OTHERWISE
    study = study_name(name, prefix="demo-", suffix="-" + uuid.uuid4().hex[:6])
    budget = trials or _TRIALS.get(space, usual)
    return Plan(study, DatasetRequest(name), trials=budget, seed=seed, **named(space))


@contextlib.contextmanager
def workers(
    environment: Mapping[str, str], study: str, slots: int | None, log: Path
) -> Iterator[Workers]:
    """Run this machine's workers for one study while the context is open.

    Args:
        environment: of the workers. It has the server's URI as HYPERHIVE_MONGO, because every user
            of a machine can read a command line.
        study: the one they work for.
        slots: how many trials run at once; None for one per core.
        log: the file for their output.
    """
    command = [sys.executable, "-m", "hyperhive", "worker", "--study", study, "--while-stdin-open"]
    command += [] if slots is None else ["--slots", str(slots)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,  # ends with this process, even if it is killed, and they with it
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops them in order
        )
        with running as process:
            try:
                yield Workers(process, log)
            finally:
                _stop(process)


class Workers:
    """The demo's worker process, which runs the slots."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def wait_for_start(self, uri: str, study: str, stop: threading.Event) -> None:
        """Wait until a slot is there for the study, or ``stop``; see ``require_alive``."""
        with Store(uri) as store:
            while not store.workers.present(study) and not stop.wait(_LOOK_EVERY_S):
                self.require_alive()

    def require_alive(self) -> None:
        """Raise ``WorkersFailed``, with the last line of their log, if they have ended."""
        if self._process.poll() is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1] if lines else "they gave no reason"
            raise WorkersFailed(f"the demo's workers ended: {reason} (log: {self._log})")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
