"""Evidence: 390 trainings for the table ``digits`` in 3.5 minutes, by two workers at once.

The surrogate's error on configurations that it was not fitted to is 0.111, the standard deviation
of the losses 0.356, that of the noise 0.056. Each table's first line has such figures.

    python benchmarks/make_table.py digits --store FOLDER
    python benchmarks/make_table.py classic --store FOLDER --data simpsons-mnist.zip
    python benchmarks/make_table.py extended --store FOLDER --data simpsons-mnist.zip

Each is a study: configurations that are drawn at random, as the space says, and then 30 of them,
from the best to the worst, again under three other seeds (weights and order; of images the split
stays). Workers of this machine run it, on a private server in FOLDER: Ctrl-C stops it, and the
same command goes on. At its end it writes benchmarks/tables/NAME.csv, with the kind of surrogate
that has the smallest error in ten-fold cross-validation. ``--so-far FILE`` writes what there is,
and runs nothing.

``extended`` has the hyperparameters of the space of that name, with 5 to 15 epochs in place of 100
to 200. ``digits`` is a small network for scikit-learn's digits: it takes minutes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._table_digits import DIGITS, train
from hyperhive.common import files
from hyperhive.common.console import console
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.experiments.measured import Measured, deviations, measured_of
from hyperhive.coordinator.experiments.surrogate import KINDS, error
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.results.table import seconds_of
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.spaces.named import CLASSIC, EXTENDED
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node, parameters, to_json
from hyperhive.coordinator.study_run import open_study
from hyperhive.coordinator.views.terminal import showing
from hyperhive.model.data.loading import DatasetRequest, load
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import LENET5, REPEAT, REPEATS_END, SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.local import local_workers

TABLES = Path(__file__).with_name("tables")
REPEATED, REPEATS = 30, 3


@dataclass(frozen=True)
class Recipe:
    """What is measured: a space, how many configurations of it, and by what."""

    space: Node
    configurations: int
    objective: str = LENET5
    function: Callable[..., Any] | None = None


def shorter(space: Node) -> Node:
    """Return a space with 5 to 15 epochs."""
    written = to_json(space)
    return parse({**written, "epochs": {**written["epochs"], "low": 5, "high": 15}})


RECIPES = {
    "classic": Recipe(CLASSIC, 400),
    "extended": Recipe(shorter(EXTENDED), 200),
    "digits": Recipe(parse(DIGITS), 300, "digits", train),
}


def plan_of(name: str, data: Path | None) -> Plan:
    """Return the study of a table."""
    recipe = RECIPES[name]
    of_images = DatasetRequest("simpsons", data) if recipe.function is None else None
    how: Any = {"algorithm": "random", "repeats": REPEATS, "objective": recipe.objective}
    return Plan(f"table-{name}", of_images, recipe.configurations, space=recipe.space, **how)


def measure(store: Store, uri: str, plan: Plan, recipe: Recipe, workers: int) -> bool:
    """Run what lacks; return whether all was run."""
    dataset = None if plan.data is None else load(plan.data, lambda done, total: None).dataset
    study = open_study(store, plan, dataset)
    own = local_workers(recipe.function, recipe.objective, uri, workers, plan.name)
    with StopSignals() as signals, own as local, showing(console) as show:

        def watch(snapshot: Any) -> None:
            local.raise_if_failed()
            show(snapshot)

        search = Search(store, study, watch, signals.stop)
        try:
            search.repeats(to_repeat(search.run()))
        except Interrupted:
            return False
    return True


def to_repeat(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are run again: evenly from the best to the worst."""
    ranked = ranking(trials)
    places = np.linspace(0, len(ranked) - 1, REPEATED).round().astype(int)
    return [ranked[place] for place in sorted(set(places))]


def rows_of(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """Return a line for each run that has a loss, those of a configuration one after the other."""
    labels = list(parameters(plan.space))
    found = []
    for trial in store.trials.find(plan.name):
        if trial.purpose not in (SEARCH, REPEAT) or trial.loss is None:
            continue
        is_first = trial.purpose == SEARCH
        number, again = (trial.tid, 0) if is_first else divmod(trial.tid, REPEATS_END)
        values = {label: trial.vals.get(label, "") for label in labels}
        what = {"number": number, "seed": again, **values}
        found.append({**what, "loss": trial.loss, "seconds": seconds_of(trial), "cost": trial.cost})
    return sorted(found, key=lambda row: (row["number"], row["seed"]))


def table_of(name: str, plan: Plan, rows: list[dict[str, Any]]) -> str:
    """Return a table as CSV, with what is known of it in the first line."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    measured = measured_of(plan.space, list(csv.DictReader(io.StringIO(out.getvalue()))))
    points = points_of(plan.space, measured)
    losses = np.array([np.mean(each.losses) for each in measured])
    errors = {kind: round(error(kind, points, losses, True), 5) for kind in KINDS}
    repeated = [deviations(np.array(each.losses)) for each in measured if len(each.losses) > 1]
    noise = np.sqrt(np.mean(np.concatenate(repeated) ** 2)) if repeated else None
    header = {
        "name": name,
        "command": "python benchmarks/make_table.py " + shlex.quote(name),
        "loss": "share of the held-out images that are misclassified",
        "seconds": "of a run, on one core of the machine that ran it",
        "cost": "epochs",
        "configurations": len(measured),
        "runs": len(rows),
        "is_share": True,
        "surrogate": min(errors, key=errors.__getitem__),
        "error_in_cross_validation": errors,
        "deviation_of_losses": round(float(np.std(losses)), 5),
        "deviation_of_noise": None if noise is None else round(float(noise), 5),
        "space": to_json(plan.space),
    }
    return f"# {json.dumps(header)}\n{out.getvalue()}"


def points_of(space: Node, measured: Sequence[Measured]) -> np.ndarray:
    """Return the configurations as points of the cube."""
    known = Known(space, (Observation(n, each.values, None) for n, each in enumerate(measured)))
    return Cube(variables_of(space)).points(known)


def main() -> None:
    """Measure, or go on, and write the table."""
    parser = argparse.ArgumentParser(description="makes a table of results")
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--store", type=Path, required=True, help="folder of the private server")
    parser.add_argument("--data", type=Path, help="Simpsons-MNIST as a zip or folder")
    parser.add_argument("--workers", type=int, help="trials at once; by default one per core")
    parser.add_argument("--so-far", type=Path, metavar="FILE", help="only write what there is")
    options = parser.parse_args()
    recipe, plan = RECIPES[options.name], plan_of(options.name, options.data)
    target = options.so_far or TABLES / f"{options.name}.csv"
    with embedded_server(options.store) as uri, Store(uri) as store:
        if not options.so_far and not measure(store, uri, plan, recipe, options.workers):
            print(f"stopped after {len(rows_of(store, plan))} runs: the same command goes on")
            return
        rows = rows_of(store, plan)
    target.parent.mkdir(exist_ok=True)
    files.write(target, table_of(options.name, plan, rows).encode())
    print(f"table written: {target}")


if __name__ == "__main__":
    main()
