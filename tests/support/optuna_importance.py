"""Prints Optuna's PED-ANOVA for the studies on standard input; run by ``importance_cases.py``."""

from __future__ import annotations

import json
import sys
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial


def distribution(parameter: dict[str, Any]) -> Any:
    if parameter["kind"] == "category":
        return CategoricalDistribution(parameter["categories"])
    kind = IntDistribution if parameter["kind"] == "integer" else FloatDistribution
    return kind(parameter["low"], parameter["high"], log=parameter["log"])


def shares(given: dict[str, Any]) -> dict[str, float]:
    direction = "maximize" if given["metric"]["maximise"] else "minimize"
    study = optuna.create_study(direction=direction)
    spaces = {each["name"]: distribution(each) for each in given["parameters"]}
    trials = given["trials"]
    for number, value in enumerate(trials["value"]):
        params = {name: column[number] for name, column in trials["params"].items()}
        params = {name: each for name, each in params.items() if each is not None}
        for parameter in given["parameters"]:
            if parameter["kind"] == "category":
                params[parameter["name"]] = parameter["categories"][params[parameter["name"]]]
        state = TrialState.COMPLETE if trials["status"][number] == 2 else TrialState.FAIL
        own = {name: spaces[name] for name in params}
        study.add_trial(create_trial(params=params, distributions=own, value=value, state=state))
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


optuna.logging.set_verbosity(optuna.logging.WARNING)
json.dump([shares(each) for each in json.load(sys.stdin)], sys.stdout)
