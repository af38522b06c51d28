"""The command ``hyperhive experiment``."""

import functools
from pathlib import Path
from typing import List, Optional

import typer

from hyperhive.common.console import console
from hyperhive.common.errors import UsageError
from hyperhive.store.cli import MONGOD, OWN, server

WHAT = typer.Argument(
    help="A table of results: a CSV file that benchmarks/make_table.py wrote, or a function with a "
    "known minimum: branin, noisy-branin, hartmann6, rosenbrock or tree. Or a study's file, TOML "
    "or Python: its studies are run for real, by workers of this machine.",
    metavar="TABLE|FILE",
)
ALGORITHMS = typer.Option(
    "tpe,random", help="What is compared, as `hyperhive coordinator --algorithm` names it."
)
SEEDS = typer.Option(None, min=1, help="How many searches of each kind. [20; for real 3]")
TRIALS = typer.Option(
    None, help="Budgets: each is a search of its own. [30,100; for real that of the file]"
)
WORKERS = typer.Option(
    None,
    help="Numbers of workers; on a table their devices have speeds of 10 : 4 : 1 in turn. "
    "[1,4,16; for real one per core]",
)
PROCESSES = typer.Option(None, min=1, help="Searches of a table at once. [one per core]")
OUTPUT = typer.Option(
    None, "--output", "-o", metavar="FILE", help="The page. [NAME-experiment.html here]"
)
RUNS = typer.Option(
    None,
    metavar="FILE",
    help="Where each search is kept: the same command goes on. [NAME-experiment.jsonl here]",
)
JSON = typer.Option(None, "--json", metavar="FILE", help="Write what is printed as JSON, too.")


def experiment(
    what: str = WHAT,
    algorithms: str = ALGORITHMS,
    seeds: Optional[int] = SEEDS,
    trials: Optional[str] = TRIALS,
    workers: Optional[str] = WORKERS,
    processes: Optional[int] = PROCESSES,
    output: Optional[Path] = OUTPUT,
    runs: Optional[Path] = RUNS,
    json: Optional[Path] = JSON,
    mongo: Optional[str] = OWN,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Compare search algorithms by many searches: of a table on a simulated fleet, or for real.

    On a table the coordinator's search and the algorithms are the real ones; only time and devices
    are simulated. It prints how good the best trial is, how soon a search is as good as the worst
    one at its end, and what a suggestion costs. Ctrl-C ends it with what there is, and the same
    command goes on.
    """
    from hyperhive.coordinator.experiments.experiment import Files, opened, run
    from hyperhive.coordinator.experiments.runs import Runs
    from hyperhive.worker.device import cores

    names = _names(algorithms)
    numbers, budgets = _counts(workers, "--workers"), _counts(trials, "--trials")
    connect = functools.partial(server, mongo, mongod, begins=True)
    subject = opened(what, processes or cores(), connect, console)
    usual = subject.usual
    wanted = Runs(names, seeds or usual.seeds, numbers or usual.workers, budgets or usual.trials)
    run(subject, wanted, Files.of(what, runs, output, json), console)


def _names(given: str) -> List[str]:
    names = list(dict.fromkeys(each.strip() for each in given.split(",")))
    if "" in names:
        raise UsageError("--algorithms must be names with commas between them: tpe,random")
    return names


def _counts(given: Optional[str], option: str) -> Optional[List[int]]:
    if given is None:
        return None
    texts = [each.strip() for each in given.split(",")]
    if not all(each.isdigit() and int(each) > 0 for each in texts):
        raise UsageError(f"{option} must be whole numbers with commas between them: 1,4,16")
    return sorted({int(each) for each in texts})
