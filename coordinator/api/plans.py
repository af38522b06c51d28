"""A study as Python's API gives it, as a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from hyperhive.common.console import Screen
from hyperhive.common.errors import UsageError
from hyperhive.common.text import with_home
from hyperhive.coordinator.planning.datasets import loading
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.recipes import recipe_of
from hyperhive.coordinator.planning.study_file import request_of
from hyperhive.coordinator.spaces.named import named
from hyperhive.coordinator.spaces.python_space import from_python
from hyperhive.coordinator.study import require_networks
from hyperhive.model.config import LENET5
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, Fetch, load
from hyperhive.model.data.sources.known import FOLDER, is_name, require_known
from hyperhive.store.trials.draft import NO_PRUNER


def plan_of(
    name: str,
    objective: str,
    space: Any,
    trials: int = 50,
    *,
    data: str | Path | Mapping[str, Any] | None = None,
    image_size: int | None = None,
    network: str = LENET5,
    validation: float = 0.2,
    algorithm: str = "tpe",
    seed: int = 0,
    startup: int = 10,
    max_attempts: int = 3,
    metric: str = "loss",
    direction: str = "minimize",
    target: float | str | None = None,
    max_time: float | str | None = None,
    patience: int | None = None,
    try_first: Sequence[Mapping[str, Any]] = (),
    pruner: str = NO_PRUNER,
    repeats: int = 0,
    folds: int = 0,
    teacher: bool | str = False,
) -> Plan:
    """Return a plan; its fields say what the arguments mean. Raises what ``Plan.usable`` does.

    ``space`` holds what hyperopt's ``hp`` returns, is JSON as in a study file, or the name of a
    space. ``data`` names a data set, is the path of a folder or zip with images, or has what a
    study file has below ``[dataset]``.
    """
    if recipe_of(objective).needs_images and data is None:
        raise UsageError(
            f'which images? Objective {objective} needs data="digits", data="simpsons", or the '
            "path of a folder of class folders"
        )
    return Plan(
        name=name,
        objective=objective,
        **_space(objective, space),
        data=None if data is None else _request(data, seed, image_size),
        network=network,
        validation=validation,
        trials=trials,
        algorithm=algorithm,
        seed=seed,
        startup=startup,
        max_attempts=max_attempts,
        metric=metric,
        direction=direction,
        target=target,
        max_time=max_time,
        patience=patience,
        known=tuple(try_first),
        pruner=pruner,
        repeats=repeats,
        folds=folds,
        teacher=teacher,
    ).usable()


def dataset_of(plan: Plan, console: Screen | None, fetch: Fetch) -> Dataset | None:
    """Load the data set that a plan asks for, if any; raises ``DatasetError``.

    ``UsageError`` is raised for a network that cannot be trained on it.

    The console, if there is one, is told what is in it. ``fetch`` gives what is in the store.
    """
    request = plan.data
    if request is None:
        return None
    screen = console or Screen(quiet=True)
    dataset = loading(lambda progress: load(request, progress, fetch), screen).dataset
    require_networks(plan, dataset)
    return dataset


def _space(objective: str, space: Any) -> dict[str, Any]:
    """Return the fields of a plan that describe its space: LeNet-5's has a default."""
    if isinstance(space, str):
        return named(space)
    if space is None:
        if recipe_of(objective).needs_images:
            return {}
        raise UsageError(
            f"objective {objective} needs a search space, such as "
            '{"lr": hp.loguniform("lr", -9, -2)}'
        )
    return {"space": from_python(space)}


def _request(
    data: str | Path | Mapping[str, Any], seed: int, image_size: int | None
) -> DatasetRequest:
    if isinstance(data, Mapping):
        request = request_of(data, Path())
    elif isinstance(data, str) and data != FOLDER and is_name(data):
        require_known(data)
        request = DatasetRequest(data)
    else:
        request = DatasetRequest(FOLDER, Path(with_home(str(data))))
    size = request.image_size if image_size is None else image_size
    return replace(request, seed=seed, image_size=size)
