"""Evidence: ``status`` takes 0.33 s, a worker 0.54 s from its launch to its first claim.

One run on 2 idle cores; Optuna's own worker is faster, with 0.18 s. A coordinator of 100 trials
held 89 MB. A file that imports ``hp``, and so hyperopt, costs 0.8 s and 60 MB more.

    python benchmarks/start.py [--runs 5] [--finished 10000]

Each figure is the median of some processes, which take turns. Bytecode is compiled, and the server
runs already. "To its first claim" is from the launch of a worker with one slot to the claim of the
trial that waits for it, by the server's clock on the same machine; for Optuna it is the time until
``optimize`` calls the objective, with a study in a journal file. The memory is the largest RSS that
a coordinator had from its launch to the end of its study.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import PEERS, require_peers, scratch
from benchmarks._filled import fill
from hyperhive.model.data.loading import digits
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import LENET5, Status

ROOT = Path(__file__).resolve().parents[1]
OPTUNA_BIN = PEERS / "bin"
PYTHON, HYPERHIVE = [sys.executable, "-c"], [sys.executable, "-m", "hyperhive"]
OBJECTIVE = "quick.py:quick"
SCRIPT = """
space = {
    "learning_rate": {"distribution": "loguniform", "low": 0.0002, "high": 0.1},
    "momentum": {"distribution": "uniform", "low": 0, "high": 0.95},
    "weight_decay": {"distribution": "loguniform", "low": 1e-6, "high": 0.01},
    "dropout": {"distribution": "uniform", "low": 0, "high": 0.5},
    "width": {"distribution": "uniformint", "low": 8, "high": 64},
}


def quick(config):
    return config["momentum"]
"""
"""Its space is that of ``fill``."""
ANOTHER = "{}\n\n\ndef quick(config):\n    return config['momentum']\n"
LARGEST_RSS = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Runs a command. The system counts what its parent held at its start, so this holds little."""
OPTUNA_STORAGE = ("--storage", "sqlite:///optuna.db")
OPTUNA = """
import sys, time, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
optuna.logging.disable_default_handler()
storage = JournalStorage(JournalFileBackend("journal.log"))
study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
def quick(trial):
    print(time.time(), flush=True)
    return 0.0
study.optimize(quick, n_trials=1)
"""


NOTHING, TORCH = 'python -c "pass"', 'python -c "import torch"'
HELP, OPTUNA_HELP = "hyperhive --help", "optuna --help"
STATUS, OPTUNA_STATUS = "hyperhive status", "optuna studies (SQLite)"
QUICK = "hyperhive worker, a function: to its first claim"
OPTUNA_QUICK = "Optuna, study.optimize: to its first trial"
WITH_HP = "hyperhive worker, a file that imports hp: to its claim"
WITH_TORCH = "hyperhive worker, a file that imports torch: to its claim"
LENET5_CLAIM = "hyperhive worker, LeNet-5: to its first claim"
LENET5_DONE = "hyperhive worker, LeNet-5: to the end of a first epoch"
COORDINATOR = "hyperhive coordinator, a function: to its first trial"
GOALS = {
    NOTHING: "",
    TORCH: "",
    HELP: "0.2",
    OPTUNA_HELP: "",
    STATUS: "0.5",
    OPTUNA_STATUS: "",
    QUICK: "1",
    OPTUNA_QUICK: "",
    WITH_HP: "",
    WITH_TORCH: "3",
    LENET5_CLAIM: "3",
    LENET5_DONE: "",
    COORDINATOR: "",
}
"""What is measured, in the order of the table, and how many seconds it may take."""


class Commands:
    """Commands that run in a home of their own, on one server."""

    def __init__(self, folder: Path, uri: str, store: Store) -> None:
        self._folder, self._store = folder, store
        names = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CACHE", "CONFIG")}
        self._environment = {**os.environ, **names, "HYPERHIVE_MONGO": uri}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._studies = 0
        (folder / "quick.py").write_text(SCRIPT)
        (folder / "with_hp.py").write_text(ANOTHER.format("from hyperhive import hp"))
        (folder / "with_torch.py").write_text(ANOTHER.format("import torch"))

    def _start(self, *command: Any, **named: Any) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                list(map(str, command)),
                **{"cwd": self._folder, "env": self._environment, "stdin": subprocess.DEVNULL},
                **{"stdout": log, "stderr": log, **named},
            )

    def _require(self, code: int) -> None:
        if code:
            sys.exit(f"a command ended with {code}:\n{(self._folder / 'log').read_text()}")

    def _require_running(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            sys.exit(f"a command ended too early:\n{(self._folder / 'log').read_text()}")

    def whole(self, *command: Any) -> float:
        """Run a command; return the seconds from its launch to its end."""
        began = time.perf_counter()
        self._require(self._start(*command).wait())
        return time.perf_counter() - began

    def optuna_worker(self) -> float:
        """Return the seconds from a process's launch to its first call of an objective."""
        began = time.time()
        process = self._start(OPTUNA_BIN / "python", "-c", OPTUNA, stdout=subprocess.PIPE)
        said, _ = process.communicate()
        self._require(process.returncode)
        return float(said) - began

    def worker(self, objective: str, config: dict[str, Any], *options: Any) -> tuple[float, float]:
        """Return the seconds from a worker's launch to its claim, and to the trial's end."""
        study = self._new_study()
        self._store.queue.post(Draft(study, 0, config, {}, objective))
        began = time.time()
        with self._working(study, *options) as worker:
            while not (trial := self._store.trials.find(study)[0]).is_final:
                self._require_running(worker)
                time.sleep(0.01)
        assert trial.status is Status.DONE, trial.error
        assert trial.first_claim is not None
        assert trial.refresh_time is not None
        return trial.first_claim.timestamp() - began, trial.refresh_time.timestamp() - began

    def first_trial(self) -> float:
        """Return the seconds from a coordinator's launch to its first trial in the store."""
        study = self._new_study()
        began = time.perf_counter()
        with _ended(self._start(*self._coordinator(study, 1))) as coordinator:
            while not self._store.trials.find(study):
                self._require_running(coordinator)
                time.sleep(0.005)
            return time.perf_counter() - began

    def memory(self, finished: int, more: int) -> float:
        """Return the largest RSS in MB of a coordinator whose study has so many trials."""
        study = self._new_study()
        fill(self._store, study, finished, OBJECTIVE)
        with self._working(study, "--objectives", "quick.py"):
            command = self._coordinator(study, finished + more)
            process = self._start(*PYTHON, LARGEST_RSS, *command, stdout=subprocess.PIPE)
            said, _ = process.communicate()
        self._require(process.returncode)
        return int(said.split()[-1]) / (2**20 if sys.platform == "darwin" else 2**10)

    def _coordinator(self, study: str, trials: int) -> list[Any]:
        options = ["--name", study, "--trials", trials, "--seed", 0]
        return [*HYPERHIVE, "coordinator", "quick.py", *options]

    def _working(self, study: str, *options: Any) -> contextlib.AbstractContextManager[Any]:
        return _ended(self._start(*HYPERHIVE, "worker", "--study", study, "--slots", 1, *options))

    def _new_study(self) -> str:
        self._studies += 1
        return f"start-{self._studies}"


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Stop a process at the end, and wait for it."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="how fast commands start, and what they hold")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--finished", type=int, default=10000, help="trials of the large study")
    options = parser.parse_args()
    require_peers(parser)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch())
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        store = stack.enter_context(Store(uri))
        store.ensure_indexes()
        commands = Commands(folder, uri, store)
        seconds = _times(commands, _lenet5(store), options.runs)
        for name, goal in GOALS.items():
            each = sorted(seconds[name])
            shown = f"{median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"
            print(f"{name:<58}{shown:>22}  {goal and 'goal ' + goal}".rstrip())
        print()
        for finished, more in ((0, 100), (options.finished, 20)):
            trials = f"{finished:,} finished trials and {more}" if finished else f"{more} trials"
            megabytes = commands.memory(finished, more)
            print(f"{f'coordinator of {trials} to run, largest RSS':<58}{megabytes:>19.0f} MB")


def _lenet5(store: Store) -> dict[str, Any]:
    """Publish a data set; return the configuration of a trial of one epoch."""
    data = digits()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    return {"dataset": data.content_hash, "learning_rate": 0.05, "epochs": 1, "momentum": 0.5}


def _times(commands: Commands, lenet5: dict[str, Any], runs: int) -> dict[str, list[float]]:
    """Measure everything in turn, after one round that compiles bytecode; return the seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in GOALS}
    config = {"momentum": 0.5}
    for number in range(runs + 1):
        claim, done = commands.worker(LENET5, lenet5)
        figures = {
            NOTHING: commands.whole(*PYTHON, "pass"),
            TORCH: commands.whole(*PYTHON, "import torch"),
            HELP: commands.whole(*HYPERHIVE, "--help"),
            OPTUNA_HELP: commands.whole(OPTUNA_BIN / "optuna", "--help"),
            STATUS: commands.whole(*HYPERHIVE, "status"),
            OPTUNA_STATUS: commands.whole(OPTUNA_BIN / "optuna", "studies", *OPTUNA_STORAGE),
            QUICK: commands.worker(OBJECTIVE, config, "--objectives", "quick.py")[0],
            OPTUNA_QUICK: commands.optuna_worker(),
            **{
                name: commands.worker(f"{file}:quick", config, "--objectives", file)[0]
                for name, file in ((WITH_HP, "with_hp.py"), (WITH_TORCH, "with_torch.py"))
            },
            LENET5_CLAIM: claim,
            LENET5_DONE: done,
            COORDINATOR: commands.first_trial(),
        }
        for name, each in figures.items():
            if number:
                seconds[name].append(each)
    return seconds


if __name__ == "__main__":
    main()
