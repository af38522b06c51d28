"""Evidence: ``asha`` finds as good a trial as a search without a pruner in 58 % of the time.

Three searches of 30 trials together; 59, 51 and 75 % one by one. ``median`` needs 79 %, and "few
epochs for all, the best few to the end" 81 %. docs/studies.md has every figure.

    python benchmarks/pruning.py [--data simpsons-mnist.zip] [--trials 30] [--seeds 3]

For each seed, four searches of Simpsons-MNIST in colour with the space ``classic`` (2 to 30
epochs), each on two workers with one thread. All try the same configurations in the same order,
drawn at random by the seed, so they differ only in which of them they end early:

- ``none``: every trial runs to its end;
- ``median``, ``asha``: the study's ``pruner``;
- ``few first``: every configuration is trained for ``--few`` epochs, then the best ``--keep`` of
  them are trained again, to their own end.

The goal of a seed is the best validation accuracy of ``none``, less 0.5 points. A search has
reached it when a trial that ran to its end has ended with it. Times are the server's, from the
first claim of a trial of the search. Baselines and the refit are not part of it.
"""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import loaded, simpsons_option
from hyperhive.common.values import sequence
from hyperhive.common.wording import percent
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study_run import open_study
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import LENET5
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.local import LocalWorkers, local_workers

SLACK = 0.005
"""How far below the best accuracy of ``none`` still counts as reaching it."""

WAYS = ("none", "median", "asha", "few first")


@dataclass(frozen=True)
class Searched:
    """The trials of one search, all and those that ran to their end, the best first."""

    trials: list[Trial]
    full: list[Trial]

    @property
    def best(self) -> float:
        """The best validation accuracy, 0..1."""
        return float(self.full[0].accuracy or 0.0)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self._seconds_until(max(_ends(self.trials)))

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return sum(len(sequence(trial.result.get("history"))) for trial in self.trials)

    def seconds_to(self, accuracy: float) -> float | None:
        """Return when a full trial first ended with this validation accuracy; None for never."""
        good = [trial for trial in self.full if (trial.accuracy or 0.0) >= accuracy]
        return self._seconds_until(min(_ends(good))) if good else None

    def _seconds_until(self, end: datetime) -> float:
        began = min(trial.first_claim for trial in self.trials if trial.first_claim)
        return (end - began).total_seconds()


def _ends(trials: Sequence[Trial]) -> list[datetime]:
    return [trial.refresh_time for trial in trials if trial.refresh_time]


class Bench:
    """Runs searches on two workers of this machine, one after another."""

    def __init__(
        self, store: Store, uri: str, dataset: Dataset, options: argparse.Namespace
    ) -> None:
        self._store = store
        self._uri = uri
        self._dataset = dataset
        self._options = options

    def searched(self, way: str, seed: int, configs: Sequence[dict[str, Any]]) -> Searched:
        """Return one search; ``configs`` are the configurations of ``none``, in their order."""
        name = f"{way.replace(' ', '-')}-{seed}"
        with local_workers(None, LENET5, self._uri, 2, name) as workers:
            if way != "few first":
                trials = self._run(workers, name, seed, self._options.trials, pruner=way)
                return Searched(trials, ranking(trials))
            few = [{**each, "epochs": min(each["epochs"], self._options.few)} for each in configs]
            tried = self._run(workers, name, seed, len(few), known=tuple(few))
            # A configuration that has no more epochs of its own has been run to its end already.
            best = [configs[trial.tid] for trial in ranking(tried)[: self._options.keep]]
            known = [*few, *(each for each in best if each not in few)]
            trials = self._run(workers, name, seed, len(known), known=tuple(known))
            return Searched(trials, [t for t in ranking(trials) if _shown(t) in configs])

    def _run(
        self, workers: LocalWorkers, name: str, seed: int, trials: int, **fields: Any
    ) -> list[Trial]:
        data = DatasetRequest("simpsons", seed=seed)
        plan = Plan(name, data, trials, algorithm="random", seed=seed, **fields)
        study = open_study(self._store, plan, self._dataset)

        def watch(snapshot: object) -> None:
            workers.raise_if_failed()

        trials_of = Search(self._store, study, watch, threading.Event()).run()
        return sorted(trials_of, key=lambda trial: int(trial.tid))


def _shown(trial: Trial) -> dict[str, Any]:
    """Return a configuration as a study's known configurations have it."""
    return {name: trial.config[name] for name in trial.vals}


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("how soon searches that end trials early find as good a trial")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--few", type=int, default=3, help="epochs of the first round")
    parser.add_argument("--keep", type=int, default=6, help="configurations of the second round")
    options = parser.parse_args()
    dataset = loaded("simpsons", options.data)
    print("| seed | way | best accuracy | goal reached after | all | epochs | pruned |")
    print("|---|---|---|---|---|---|---|")
    times: dict[str, list[tuple[float | None, float]]] = {way: [] for way in WAYS}
    with TemporaryDirectory() as home, embedded_server(Path(home)) as uri, Store(uri) as store:
        bench = Bench(store, uri, dataset, options)
        for seed in options.seeds:
            _compare(bench, seed, times)
    print()
    for way, found in times.items():
        _sum_up(way, found, times["none"])


def _compare(bench: Bench, seed: int, times: dict[str, list[tuple[float | None, float]]]) -> None:
    """Print a seed's rows, and add each way's seconds to the goal, and to the end."""
    first: list[dict[str, Any]] = []
    goal = 0.0
    for way in WAYS:
        found = bench.searched(way, seed, first)
        if way == "none":
            first = [_shown(trial) for trial in found.trials]
            goal = found.best - SLACK
        seconds = found.seconds_to(goal)
        times[way].append((seconds, found.seconds))
        after = "never" if seconds is None else f"{seconds:.0f} s"
        pruned = sum(trial.pruned for trial in found.trials)
        cells = (seed, way, percent(found.best), after, f"{found.seconds:.0f} s")
        print(f"| {' | '.join(map(str, (*cells, found.epochs, pruned)))} |", flush=True)


def _sum_up(
    way: str, found: list[tuple[float | None, float]], none: list[tuple[float | None, float]]
) -> None:
    """Print the times of all seeds together, as shares of those of ``none``."""
    both = [(one, other) for (one, _), (other, _) in zip(found, none) if one and other]
    reached = f"{way}: the goal in {len(both)} of {len(found)} searches"
    if both:
        share = sum(one for one, _ in both) / sum(other for _, other in both)
        reached += f", after {percent(share, 0)} of the time"
    whole = sum(one for _, one in found) / sum(other for _, other in none)
    print(f"{reached}; the whole search in {percent(whole, 0)}")


if __name__ == "__main__":
    main()
