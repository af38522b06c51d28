"""Everything on this machine: data, a server, workers, a study."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Iterator, Mapping

from hyperhive.common.errors import DatasetError, InputError
from hyperhive.coordinator.study import Plan, study_name
from hyperhive.model.data.download import Progress
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load, looks_like_simpsons

TRIALS = {"digits": 20}
_TRIALS_OTHERWISE = 30
_STOP_S = 30.0


class WorkersFailed(InputError):
    """The demo's workers ended before the study did."""


def choose_data(
    dataset: str | None, data: Path | None, seed: int, progress: Progress
) -> LoadedDataset:
    """Return the demo's data set.

    What is asked for explicitly is loaded or fails. Without a wish it is Simpsons-MNIST, and where
    that cannot be had, scikit-learn's digits, with a notice that says so.
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
        return LoadedDataset(loaded.dataset, (notice, *loaded.notices))


def plan(loaded: LoadedDataset, trials: int | None, seed: int, **searched: Any) -> Plan:
    """Return a plan under a name that no other run has: two demos at once do not meet.

    Args:
        loaded: the data set.
        trials: how many; None for what suits the data set.
        seed: of suggestions, initial weights and splits.
        searched: what the plan says of its space, see ``hyperhive.coordinator.space.named``.
    """
    name = loaded.dataset.name
    budget = trials or TRIALS.get(name, _TRIALS_OTHERWISE)
    study = study_name(name, prefix="demo-", suffix="-" + uuid.uuid4().hex[:6])
    return Plan(study, DatasetRequest(name), trials=budget, seed=seed, **searched)


@contextlib.contextmanager
def workers(
    environment: Mapping[str, str], study: str, slots: int | None, log: Path
) -> Iterator[Workers]:
    """Run this machine's workers for one study while the context is open.

    Args:
        environment: of the workers, the server's URI in HYPERHIVE_MONGO among it: a command line is
            for everyone to read.
        study: the one they work for.
        slots: how many trials at once; None for one a core.
        log: the file for what they say.
    """
    command = [sys.executable, "-m", "hyperhive", "worker", "--study", study]
    command += [] if slots is None else ["--slots", str(slots)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us, who then stop them in good order
        )
        try:
            yield Workers(process, log)
        finally:
            _stop(process)


class Workers:
    """The demo's worker process, which runs the slots."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def require_alive(self) -> None:
        """Raise ``WorkersFailed``, with their last words, if they have ended."""
        if self._process.poll() is not None:
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise WorkersFailed(
                "the demo's workers ended: {} (log: {})".format(
                    said[-1] if said else "they said nothing", self._log
                )
            )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
