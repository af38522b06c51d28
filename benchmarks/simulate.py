"""Evidence: 100 searches of 100 trials by TPE on 16 simulated workers take 11 s of one core.

Those of random search take 3 s (hartmann6, one run). A real study makes the same suggestions as the
simulation: see tests/acceptance/test_simulated_studies.py.

    make .venv/.all-installed && .venv/bin/python -m pip install optuna
    python benchmarks/simulate.py --folder FOLDER [--seeds 20] [--processes 2] [classic extended]

Compares all algorithms on benchmarks/tables/*.csv, or on a function of `hyperhive experiment`, with
Optuna's TPE and Gaussian process and hyperopt's own TPE in the same harness, and prints the
tables of docs/experiments.md. FOLDER keeps every search, and gets a page and JSON for each table:
Ctrl-C stops it, and the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Iterator, Mapping

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hyperhive.common.console import console
from hyperhive.coordinator.experiments.experiment import Files, run
from hyperhive.coordinator.experiments.functions import FUNCTIONS
from hyperhive.coordinator.experiments.measured import read
from hyperhive.coordinator.experiments.on_table import OnTable
from hyperhive.coordinator.experiments.printed import loss_text
from hyperhive.coordinator.experiments.runs import Runs
from hyperhive.worker.device import cores

TABLES = Path(__file__).with_name("tables")
OWN = ("gp", "turbo", "turbo+tpe", "rbf", "mtpe", "tpe", "cma", "anneal", "sobol", "random")
PEERS = ("optuna:TPESampler", "optuna:GPSampler", "hyperopt:hyperopt.tpe.suggest")
WORKERS, TRIALS = (1, 4, 16), (30, 100)


def markdown(experiment: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table: a row for each algorithm, the best of each column in bold."""
    groups = experiment["groups"]
    names = list(dict.fromkeys(row["algorithm"] for group in groups for row in group["rows"]))
    heads = [f"{group['workers']} x {group['trials']}" for group in groups]
    yield "| | " + " | ".join(heads) + " | ms |"
    yield "|---" * (len(heads) + 2) + "|"
    for name in names:
        cells = [_cell(group, name, experiment["is_share"]) for group in groups]
        costs = [row["milliseconds"] for group in groups for row in _rows(group, name)]
        yield f"| {name} | " + " | ".join(cells) + f" | {max(costs):.1f} |"


def _rows(group: Mapping[str, Any], name: str) -> list[Any]:
    return [row for row in group["rows"] if row["algorithm"] == name]


def _cell(group: Mapping[str, Any], name: str, is_share: bool) -> str:
    for row in _rows(group, name):
        text = loss_text(row["mean"], is_share)
        if row["low"] is not None:
            text += f" \u00b1 {loss_text(row['mean'] - row['low'], is_share)}"
        return f"**{text}**" if row is group["rows"][0] else text
    return ""


def main() -> None:
    """Compare, or go on, and print."""
    parser = argparse.ArgumentParser(description="compares search algorithms on tables")
    parser.add_argument("tables", nargs="*", default=["classic", "extended"])
    parser.add_argument("--folder", type=Path, required=True, help="of what it writes")
    parser.add_argument("--algorithms", nargs="+", default=[*OWN, *PEERS])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=cores())
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.tables:
        table = FUNCTIONS[name] if name in FUNCTIONS else read(TABLES / f"{name}.csv")
        subject = OnTable(table, options.processes)
        runs = Runs(options.algorithms, options.seeds, WORKERS, TRIALS)
        paths = [options.folder / f"{name}.{ending}" for ending in ("jsonl", "html", "json")]
        run(subject, runs, Files(*paths), console)
        print("\n".join(markdown(json.loads(paths[2].read_text()))))


if __name__ == "__main__":
    main()
