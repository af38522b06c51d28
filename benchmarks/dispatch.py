"""Evidence: 2.9 times as many random trials a second as Optuna's journal, 2.6 times with TPE.

One run on 2 idle cores: 953 and 583 trials a second. docs/benchmarks.md has all of it.

    make .venv-peers/.installed .venv-peers-hyperopt/.installed    # the peers
    python benchmarks/dispatch.py [--trials 400] [--repeats 3] [--only-ours]

An objective that returns at once, two worker processes, one machine. A trial is suggested, posted,
claimed, run, delivered and counted. hyperhive: a real mongod, `hyperhive worker --slots 2`, and the
coordinator in this process, with its lines of progress. Optuna: two processes call
``study.optimize`` for half of the trials each, with one journal file, or with one SQLite database
(a quarter of the trials, because it is slow).
hyperopt: its own `hyperopt-mongo-worker`, twice, beside its own ``fmin``, and few trials, because
it does about one a second, with the shortest pauses that its workers can make.

What counts is the time from the call that posts the first trial to its return with all results.
Nothing counts of starting and importing: every process has run at least 20 trials before, and
hyperhive's workers have run another study just now, so they are not in the pause, of a second at
most, of workers that have nothing to do. Optuna's study exists, hyperhive's is made in the time.

The latency is that of a worker that is free: from one call's end to the next call of the objective
in its process, by time stamps that the objective takes. Optuna suggests in between, in the worker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import PEERS, PEERS_HYPEROPT, require_peers, scratch
from benchmarks._dispatch_objective import STAMPS, gaps
from hyperhive.common.console import Screen
from hyperhive.coordinator.api.plans import plan_of
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.terminal import showing
from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.server.mongod import client, free_port
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status

HERE = Path(__file__).resolve().parent
OPTUNA = PEERS / "bin" / "python"
SPACE = {
    "x": {"distribution": "uniform", "low": -5, "high": 5},
    "y": {"distribution": "uniform", "low": -5, "high": 5},
    "rate": {"distribution": "loguniform", "low": 1e-5, "high": 1},
    "kind": {"choices": ["a", "b", "c"]},
}
WARM_UP = 20
SLOW = "Optuna, SQLite"
SLEEPS = {0.05: 100, 0.2: 40}
"""Seconds that a trial sleeps, and how many such trials a repetition has."""

Run = Callable[[str, int, float], float]
"""Runs a study of an algorithm, a number of trials and a sleep; returns the seconds it took."""
Series = Dict[Tuple[str, str, float], list]
"""What was measured, by the name of the runner, the algorithm and the sleep."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="how many trials a second two workers are given")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--algorithms", nargs="+", default=["random", "tpe"])
    parser.add_argument("--hyperopt-trials", type=int, default=12)
    parser.add_argument("--only-ours", action="store_true", help="without the peers")
    options = parser.parse_args()
    if not options.only_ours:
        require_peers(parser)
    rates: Series = {}
    latencies: Series = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch())
        (folder / "stamps").mkdir()
        os.environ[STAMPS] = str(folder / "stamps")
        runs = {"hyperhive": stack.enter_context(hyperhive(folder))}
        if not options.only_ours:
            runs.update(stack.enter_context(optuna(folder)))
        for name, algorithm, seconds, trials in [*studies(options, runs)] * options.repeats:
            rate = trials / runs[name](algorithm, trials, seconds)
            rates.setdefault((name, algorithm, seconds), []).append(rate)
            latencies.setdefault((name, algorithm, seconds), []).extend(gaps(folder / "stamps"))
        for algorithm in () if options.only_ours else options.algorithms:
            for rate in hyperopts(folder, algorithm, options.hyperopt_trials):
                rates["hyperopt's workers", algorithm, 0.0] = [rate]
    print_rates(rates, options.algorithms)
    print_latencies(latencies)


def studies(
    options: argparse.Namespace, runs: Iterable[str]
) -> Iterator[tuple[str, str, float, int]]:
    """Give the studies of a repetition: who runs it, algorithm, sleep, and number of trials."""
    for algorithm in options.algorithms:
        for name in runs:
            yield name, algorithm, 0.0, options.trials // (4 if name == SLOW else 1)
    for seconds, trials in SLEEPS.items():
        for name in runs:
            if name != SLOW:
                yield name, options.algorithms[-1], seconds, trials


# -- the runners -------------------------------------------------------------------------------


@contextlib.contextmanager
def hyperhive(folder: Path) -> Iterator[Run]:
    """Start a server and a worker of two slots; give what runs a study with them."""
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        store = stack.enter_context(Store(uri))
        (folder / "uri").write_text(uri)
        log = stack.enter_context(open(folder / "worker.log", "w"))
        own = Path(sys.executable).parent / "hyperhive"
        worker = [str(own), "worker", "--mongo", str(folder / "uri"), "--device", "cpu"]
        worker += ["--slots", "2", "--objectives", str(HERE / "_dispatch_objective.py")]
        environment = {**os.environ, "XDG_DATA_HOME": str(folder / "home")}
        stack.enter_context(process(worker, stdout=log, stderr=log, env=environment))
        screen = Screen(file=stack.enter_context(open(os.devnull, "w")))
        show = stack.enter_context(showing(screen))
        numbers = iter(range(1 << 30))

        def study(algorithm: str, trials: int, seconds: float) -> float:
            name = f"dispatch-{next(numbers)}"
            space = {**SPACE, "seconds": seconds}
            plan = plan_of(
                name,
                "_dispatch_objective.py:objective",
                space,
                trials,
                algorithm=algorithm,
                seed=next(numbers),
            )
            began = time.monotonic()
            study = open_study(store, plan, None)
            StudyRun(store, study, None, folder / "models", True, show, threading.Event()).run()
            seconds = time.monotonic() - began
            found = store.trials.find(name, SEARCH)
            assert [(t.tid, t.status) for t in found] == [(n, Status.DONE) for n in range(trials)]
            return seconds

        def run(algorithm: str, trials: int, seconds: float) -> float:
            study("tpe", WARM_UP, 0.0)
            gaps(Path(os.environ[STAMPS]))
            return study(algorithm, trials, seconds)

        yield run


@contextlib.contextmanager
def optuna(folder: Path) -> Iterator[dict[str, Run]]:
    """Start two processes of Optuna; give what runs a study with each of its storages."""
    script = [str(OPTUNA), str(HERE / "_dispatch_optuna.py")]
    numbers = iter(range(1 << 30))
    with contextlib.ExitStack() as stack:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        both = [stack.enter_context(process(script, **pipes)) for _ in range(2)]
        for each in both:
            assert each.stdout.readline() == "ready\n"

        def study(kind: str, algorithm: str, trials: int, seconds: float) -> float:
            file = folder / f"optuna-{next(numbers)}"
            where = f"sqlite:///{file}" if kind == "SQLite" else str(file)
            subprocess.run([*script, where, "study"], check=True)
            gaps(Path(os.environ[STAMPS]))
            began = time.monotonic()
            for each, share in zip(both, (trials // 2, trials - trials // 2)):
                print(json.dumps([where, "study", algorithm, share, seconds]), file=each.stdin)
                each.stdin.flush()
            for each in both:
                assert each.stdout.readline() == "done\n"
            return time.monotonic() - began

        yield {
            "Optuna, journal": lambda *how: study("journal", *how),
            SLOW: lambda *how: study("SQLite", *how),
        }


def hyperopts(folder: Path, algorithm: str, trials: int) -> Iterator[float]:
    """Give the trials a second of hyperopt's fmin and two of its workers, if they are installed."""
    if not (PEERS_HYPEROPT / ".installed").exists():
        print("hyperopt's own workers are missing: run make .venv-peers-hyperopt/.installed\n")
        return
    port = free_port()
    data = folder / f"hyperopt-{algorithm}"
    data.mkdir()
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": str(data)}
    server = [str(find_mongod()), "--dbpath", str(data), "--port", str(port)]
    server += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    worker = [
        str(PEERS_HYPEROPT / "bin" / "hyperopt-mongo-worker"),
        f"--mongo=127.0.0.1:{port}/dispatch",
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    fmin = [str(PEERS_HYPEROPT / "bin" / "python"), str(HERE / "_dispatch_hyperopt.py"), str(port)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(process(server, **quiet))
        with client(f"mongodb://127.0.0.1:{port}/") as started:
            started.admin.command("ping")
        for _ in range(2):
            stack.enter_context(process([*worker, "--poll-interval=1.1"], env=environment, **quiet))
        ran = subprocess.run([*fmin, str(trials), algorithm], stdout=subprocess.PIPE, check=True)
        yield trials / float(ran.stdout)


@contextlib.contextmanager
def process(command: list[str], **how: Any) -> Iterator[Any]:
    """Run a process while the context is open."""
    running = subprocess.Popen(command, **how)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


# -- the tables --------------------------------------------------------------------------------


def print_rates(rates: Series, algorithms: list[str]) -> None:
    """Print the trials a second without sleep: median, lowest to highest, and the ratio."""
    print(f"{'trials a second, two workers':28}" + "".join(f"{name:>26}" for name in algorithms))
    names = dict.fromkeys(name for name, _, seconds in rates if not seconds)
    for name in names:
        row = f"{name:28}"
        for algorithm in algorithms:
            found = sorted(rates.get((name, algorithm, 0.0), ()))
            shown = f"{statistics.median(found):.1f} ({found[0]:.1f} to {found[-1]:.1f})"
            row += f"{shown if found else '-':>26}"
        print(row)
    for name in [name for name in names if name != "hyperhive"]:
        row = f"{'hyperhive : ' + name:28}"
        for algorithm in algorithms:
            ours, theirs = (
                statistics.median(rates[each, algorithm, 0.0]) for each in ("hyperhive", name)
            )
            row += f"{ours / theirs:>26.2f}"
        print(row)


def print_latencies(latencies: Series) -> None:
    """Print what a free worker waits for its next trial."""
    print()
    print(f"{'from a free worker to its next trial':38} {'sleep':>8} {'p50':>10} {'p99':>10}")
    for (name, algorithm, seconds), found in sorted(latencies.items(), key=lambda item: item[0][2]):
        found = sorted(found)
        p50, p99 = (1000 * found[int(share * (len(found) - 1))] for share in (0.5, 0.99))
        sleep = f"{1000 * seconds:.0f} ms"
        print(f"{name + ', ' + algorithm:38} {sleep:>8} {p50:>7.1f} ms {p99:>7.1f} ms")


if __name__ == "__main__":
    main()
