"""The runs of an experiment: which there are to be, what comes of one, the file that keeps them."""

from __future__ import annotations

import itertools
import json
import threading
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

from hyperhive.common import files
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.stop_rules import end_of
from hyperhive.coordinator.ranking import usable_loss
from hyperhive.store.trials.trial import Trial


class Job(NamedTuple):
    """A run that is to be: what makes it the same run when it is asked for again."""

    algorithm: str
    seed: int
    workers: int
    trials: int


class Usual(NamedTuple):
    """What is run where nobody says."""

    seeds: int
    workers: Sequence[int]
    trials: Sequence[int]


@dataclass(frozen=True)
class Runs:
    """Which runs an experiment has: each algorithm with each seed, budget and number of workers."""

    algorithms: Sequence[str]
    seeds: int
    workers: Sequence[int]
    trials: Sequence[int]

    def jobs(self) -> list[Job]:
        """Return them seed by seed: an experiment that is stopped has compared all algorithms."""
        each = itertools.product(range(self.seeds), self.workers, self.trials, self.algorithms)
        return [Job(algorithm, seed, workers, trials) for seed, workers, trials, algorithm in each]


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        algorithm, seed, workers, trials: what ran.
        seconds: when each trial ended, since the search began, in that order.
        best: the loss of the best so far, as the search saw it, after each of these ends: the true
            one if it is known. None before the first result.
        milliseconds: what a suggestion took, on average, by this machine's clock; None if nobody
            measured that.
    """

    algorithm: str
    seed: int
    workers: int
    trials: int
    seconds: list[float]
    best: list[float | None]
    milliseconds: float | None

    @property
    def job(self) -> Job:
        """What it did."""
        return Job(self.algorithm, self.seed, self.workers, self.trials)

    @classmethod
    def of(
        cls,
        job: Job,
        trials: Iterable[Trial],
        true_loss: Callable[[Trial], float] | None = None,
        milliseconds: float | None = None,
    ) -> Run:
        """Return the run that did a job with these trials, which have ended.

        Args:
            true_loss: of a trial; None if only what it reported is known.
        """
        ended = sorted(trials, key=end_of)
        began = min(trial.first_claim for trial in ended if trial.first_claim is not None)
        best: list[float | None] = []
        lowest, counts = float("inf"), None
        for trial in ended:
            found = usable_loss(trial)
            if found is not None and found < lowest:
                lowest, counts = found, true_loss(trial) if true_loss else found
            best.append(counts)
        seconds = [end_of(trial)[0] - began.timestamp() for trial in ended]
        return cls(*job, [round(each, 3) for each in seconds], best, milliseconds)


class Subject(ABC):
    """What an experiment searches.

    Attributes:
        name: of it.
        identity: what all its runs have in common, as plain JSON.
        is_share: whether a loss is a share of 1.
        minimum: the smallest true loss that there is; None if nobody knows.
        usual: how many seeds, and which numbers of workers and budgets, where nobody says.
    """

    name: str
    identity: Any
    is_share: bool
    minimum: float | None
    usual: Usual

    @abstractmethod
    def plan(self, job: Job) -> Plan:
        """Return the study that does a job. Raises ``UsageError``."""

    @abstractmethod
    def runs(self, jobs: Sequence[Job], stop: threading.Event) -> Iterator[Run]:
        """Do jobs; yield each run as it ends, until ``stop`` is set."""


class RunsFile:
    """The file of an experiment's runs, a line of JSON for each: what is in it is not run again.

    Args:
        path: of the file, which need not exist.
        identity: what all its runs have in common, as plain JSON.

    Raises ``UsageError`` for a file of other runs, ``OSError``.
    """

    def __init__(self, path: Path, identity: Any) -> None:
        self._path = path
        self.runs: dict[Job, Run] = {}
        header, lines = json.loads(_line({"experiment": identity})), _lines(path)
        if lines and lines[0] != header:
            raise UsageError(
                f"{path} has runs of another table, study or fleet: delete it, or name another "
                "file with --runs"
            )
        for line in lines[1:]:
            run = Run(**line)
            self.runs[run.job] = run
        # Without the half line that a killed process may have left.
        whole = [header, *(asdict(run) for run in self.runs.values())]
        files.write(path, "".join(map(_line, whole)).encode())

    def add(self, run: Run) -> None:
        """Keep a run."""
        self.runs[run.job] = run
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(run)))


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


def _lines(path: Path) -> list[Any]:
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(text))
        except ValueError as error:
            if not found:
                raise UsageError(f"{path} holds no runs: name another file with --runs") from error
            break
    return found
