"""An experiment from its table to its page: runs that lack are done, and all are compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Sequence

from rich.progress import Progress

import hyperhive
from hyperhive.common import files
from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.experiments.fleet import SPEEDS, Fleet
from hyperhive.coordinator.experiments.functions import FUNCTIONS
from hyperhive.coordinator.experiments.printed import tables
from hyperhive.coordinator.experiments.runs import Job, Runs, RunsFile, job_of, simulated
from hyperhive.coordinator.experiments.simulation import Simulation, plan_of
from hyperhive.coordinator.experiments.summary import summary
from hyperhive.coordinator.experiments.tables import Table
from hyperhive.coordinator.report.experiment import experiment_page
from hyperhive.coordinator.results.export import require_target


@dataclass(frozen=True)
class Files:
    """Where the runs are kept, and where the page and the JSON are written; None for no JSON."""

    runs: Path
    page: Path
    summary: Path | None

    @classmethod
    def of(cls, name: str, runs: Path | None, page: Path | None, summary: Path | None) -> Files:
        """Return those that were named; the others are here, and begin with the table's name."""
        usual = f"{Path(name).stem}-experiment"
        return cls(runs or Path(f"{usual}.jsonl"), page or Path(f"{usual}.html"), summary)


def run(table: Table, runs: Runs, processes: int, to: Files, console: Screen) -> None:
    """Do the runs that lack, until Ctrl-C; print, and write, what all of them come to.

    Raises ``UsageError`` for an algorithm that there is none of, ``OutputError``.
    """
    for algorithm in runs.algorithms:  # refuses what a study would refuse
        Simulation(table, plan_of(table, algorithm, 0, 1), Fleet(1))
    for path in filter(None, (to.runs, to.page, to.summary)):
        require_target(path)
    file = RunsFile(to.runs, identity(table))
    lacking = [job for job in runs.jobs() if job not in file.runs]
    is_whole = _do(table, lacking, processes, file, console)
    experiment = compared(table, runs, file)
    if not experiment["groups"]:
        tell("stopped before the first run had ended", to=console)
        return
    console.print(tables(experiment))
    if to.summary is not None:
        files.write(to.summary, json.dumps(experiment, indent=1).encode())
    files.write(to.page, experiment_page(experiment))
    tell(f"page written: {to.page}", to=console)
    if not is_whole:
        done, wanted = experiment["runs"], experiment["wanted"]
        tell(f"stopped after {done} of {wanted} runs: the same command goes on", to=console)


def _do(table: Table, jobs: Sequence[Job], processes: int, file: RunsFile, console: Screen) -> bool:
    """Do runs and keep them; return whether all were done."""
    done = 0
    shown = Progress(console=console, transient=True, disable=not console.redraws)
    with StopSignals(only_ctrl_c=True) as signals, shown as bar:
        task = bar.add_task(f"{len(jobs)} runs", total=len(jobs))
        for each in simulated(table, jobs, processes, signals.stop):
            file.add(each)
            bar.advance(task)
            done += 1
    return done == len(jobs)


def opened(name: str) -> Table:
    """Return a table by the name of a function or the path of a CSV file; raises ``UsageError``."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if Path(name).suffix == ".csv":
        from hyperhive.coordinator.experiments.measured import read

        return read(Path(name))
    raise UsageError(
        f"there is no table {name}: name a CSV file that benchmarks/make_table.py wrote, or one of "
        + ", ".join(FUNCTIONS)
    )


def identity(table: Table) -> dict[str, Any]:
    """Return what all runs on a table have in common, as plain JSON."""
    return {
        "table": table.identity,
        "startup": plan_of(table, "random", 0, 1).startup,
        "fleet": {**asdict(Fleet(0)), "speeds": list(SPEEDS)},
        "hyperhive": hyperhive.__version__,
    }


def compared(table: Table, runs: Runs, file: RunsFile) -> dict[str, Any]:
    """Return as plain JSON what the runs that were asked for, and are there, come to."""
    wanted = set(runs.jobs())
    found = [run for run in file.runs.values() if job_of(run) in wanted]
    return {
        "name": table.name,
        "is_share": table.is_share,
        "measure": "regret",
        "minimum": table.minimum,
        "runs": len(found),
        "wanted": len(wanted),
        "groups": summary(found, runs.algorithms, table.minimum),
    }
