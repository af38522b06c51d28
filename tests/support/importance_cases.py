"""Studies with random trials, and Optuna's importances of them.

    python tests/support/importance_cases.py

writes ``importance_cases.json`` again, with the Optuna of ``.venv-peers`` (made by ``make bench``).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict

import numpy as np

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parents[1] / ".venv-peers" / "bin" / "python"
TABLE = FOLDER / "importance_cases.json"

_Json = Dict[str, Any]

PARAMETERS: list[_Json] = [
    {"name": "x", "kind": "number", "log": False, "low": -2.0, "high": 3.0, "categories": None},
    {"name": "rate", "kind": "number", "log": True, "low": 1e-5, "high": 1.0, "categories": None},
    {"name": "layers", "kind": "integer", "log": False, "low": 1, "high": 7, "categories": None},
    {"name": "wide", "kind": "integer", "log": False, "low": 10, "high": 900, "categories": None},
    {"name": "units", "kind": "integer", "log": True, "low": 4, "high": 512, "categories": None},
    {"name": "kind", "kind": "category", "log": False, "low": None, "high": None,
     "categories": ["a", "b", "c", "d"]},
    {"name": "only a", "kind": "number", "log": False, "low": 0.0, "high": 1.0, "categories": None},
    {"name": "noise", "kind": "number", "log": False, "low": 0.0, "high": 1.0, "categories": None},
]  # fmt: skip


def study(seed: int, trials: int) -> _Json:
    """Return a study of the figures whose trials are random; an even seed's metric is maximised.

    Of every eleven trials one failed. A third of the values is rounded, so that some are equal.
    """
    random = np.random.RandomState(seed)
    columns = {each["name"]: _drawn(each, random, trials) for each in PARAMETERS}
    has_it = np.array(columns["kind"]) == 0
    columns["only a"] = [v if p else None for v, p in zip(columns["only a"], has_it)]
    values = _values(columns, has_it, random)
    if seed % 3 == 0:
        values = np.round(values, 1)
    if seed % 2 == 0:
        values = -values
    failed = np.arange(trials) % 11 == 10
    return {
        "parameters": PARAMETERS,
        "statuses": ["waiting", "running", "done", "pruned", "diverged", "failed"],
        "metric": {"maximise": seed % 2 == 0},
        "trials": {
            "status": [5 if each else 2 for each in failed],
            "value": [None if each else float(v) for each, v in zip(failed, values)],
            "params": columns,
        },
    }


def _drawn(parameter: _Json, random: np.random.RandomState, trials: int) -> list[Any]:
    uniform = random.random_sample(trials)
    if parameter["kind"] == "category":
        return [int(each) for each in uniform * len(parameter["categories"])]
    low, high = parameter["low"], parameter["high"]
    is_log = parameter["log"]
    drawn = low * (high / low) ** uniform if is_log else low + (high - low) * uniform
    if parameter["kind"] == "integer":
        return [int(each) for each in np.round(drawn)]
    return [float(each) for each in drawn]


def _values(columns: _Json, has_it: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return losses that depend most on the rate, then on the kind and what only it has."""
    rate, x, layers = (np.array(columns[name], float) for name in ("rate", "x", "layers"))
    own = np.array([each or 0 for each in columns["only a"]], float)
    loss = (np.log10(rate) + 2) ** 2 + 0.3 * x**2 + 0.1 * layers
    loss += np.where(has_it, 2 * own, 1.5)
    return np.asarray(loss + 0.3 * random.standard_normal(len(loss)))


def asked_of_optuna(studies: list[_Json]) -> list[dict[str, float]]:
    """Return Optuna's shares for each study, by the hyperparameter's name."""
    ran = subprocess.run(
        [str(PEERS), str(FOLDER / "optuna_importance.py")],
        input=json.dumps(studies).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    shares: list[dict[str, float]] = json.loads(ran.stdout)
    return shares


if __name__ == "__main__":
    WHICH = [(0, 34), (1, 60), (2, 120), (3, 250), (4, 500)]
    shares = asked_of_optuna([study(*each) for each in WHICH])
    rows = [{"seed": s, "trials": n, "shares": found} for (s, n), found in zip(WHICH, shares)]
    TABLE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
