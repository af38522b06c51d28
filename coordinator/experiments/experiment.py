"""An experiment from what it searches to its page: what lacks is run, and all is compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from rich.progress import Progress

from hyperhive.common import files
from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.experiments.functions import FUNCTIONS
from hyperhive.coordinator.experiments.on_table import OnTable
from hyperhive.coordinator.experiments.printed import tables
from hyperhive.coordinator.experiments.runs import Job, Runs, RunsFile, Subject
from hyperhive.coordinator.experiments.summary import summary
from hyperhive.coordinator.planning.datasets import Connect
from hyperhive.coordinator.planning.script import is_script
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


def run(subject: Subject, runs: Runs, to: Files, console: Screen) -> None:
    """Do the runs that lack, until Ctrl-C; print, and write, what all of them come to.

    Raises ``UsageError`` for an algorithm that there is none of, ``OutputError``.
    """
    for job in runs.jobs()[: len(runs.algorithms)]:
        subject.plan(job)  # refuses what a study would refuse, before anything is written
    for path in filter(None, (to.runs, to.page, to.summary)):
        require_target(path)
    file = RunsFile(to.runs, subject.identity)
    lacking = [job for job in runs.jobs() if job not in file.runs]
    done = _do(subject, lacking, file, console)
    experiment = compared(subject, runs, file)
    if not experiment["groups"]:
        tell("stopped before the first run had ended: the same command goes on", to=console)
        return
    console.print(tables(experiment))
    if to.summary is not None:
        files.write(to.summary, json.dumps(experiment, indent=1).encode())
    files.write(to.page, experiment_page(experiment))
    tell(f"page written: {to.page}", to=console)
    if done < len(lacking):
        kept, wanted = experiment["runs"], experiment["wanted"]
        tell(f"stopped after {kept} of {wanted} runs: the same command goes on", to=console)


def _do(subject: Subject, jobs: Sequence[Job], file: RunsFile, console: Screen) -> int:
    """Do runs and keep them; return how many were done."""
    done = 0
    shown = Progress(console=console, transient=True, disable=not console.redraws)
    with StopSignals(only_ctrl_c=True) as signals, shown as bar:
        task = bar.add_task(f"{len(jobs)} runs", total=len(jobs))
        for each in subject.runs(jobs, signals.stop):
            file.add(each)
            bar.advance(task)
            done += 1
    return done


def compared(subject: Subject, runs: Runs, file: RunsFile) -> dict[str, Any]:
    """Return as plain JSON what the runs that were asked for, and are there, come to."""
    wanted = set(runs.jobs())
    found = [run for run in file.runs.values() if run.job in wanted]
    return {
        "name": subject.name,
        "is_share": subject.is_share,
        "measure": "loss" if subject.minimum is None else "regret",
        "minimum": subject.minimum,
        "runs": len(found),
        "wanted": len(wanted),
        "groups": summary(found, runs.algorithms, subject.minimum),
    }


def opened(name: str, processes: int, connect: Connect, console: Screen) -> Subject:
    """Return what a name stands for: a function, a CSV file of results, or a study's file.

    Raises ``UsageError``.
    """
    if name in FUNCTIONS:
        return OnTable(FUNCTIONS[name], processes)
    path = Path(name)
    if path.suffix == ".csv":
        from hyperhive.coordinator.experiments.measured import read

        return OnTable(read(path), processes)
    if path.suffix == ".toml" or is_script(path):
        from hyperhive.coordinator.experiments.for_real import ForReal

        return ForReal(path, connect, console)
    raise UsageError(
        f"there is nothing called {name}: name a table (a CSV file that benchmarks/make_table.py "
        f"wrote), a study's file (TOML or Python), or one of {', '.join(FUNCTIONS)}"
    )
