"""A study's specification: what it searches, as a TOML file or flags describe it."""

from __future__ import annotations

import dataclasses
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.files import read_text
from hyperhive.common.text import with_home
from hyperhive.common.values import number
from hyperhive.coordinator import space as spaces
from hyperhive.coordinator.space import Space
from hyperhive.model.config import AUGMENTATIONS, ON_ALL_DATA, UNTUNED, USUAL, TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import NAMES as DATASET_NAMES
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.trials.trial import (
    BASELINE,
    HYPEROPT,
    LENET5,
    REFIT,
    UNTUNED_TID,
    USUAL_TID,
    Draft,
    Trial,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALGORITHMS = ("tpe", "random", "anneal")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Plan:
    """A study as a person asks for it, before its data set is read.

    Args:
        name: of the study; a name in the store and of a folder.
        data: which data set.
        trials: the number of configurations to try.
        algorithm: one of ``ALGORITHMS``.
        seed: of suggestions, initial weights and splits.
        validation: the share of the training split that is held out to choose the best trial,
            unless the data set has validation images of its own.
        batch_size: LeNet-5's images per training step, unless the space has it.
        startup: the number of finished trials before TPE stops drawing at random.
        max_attempts: how often a trial may be started.
        objective: the name under which workers know what a trial runs.
        space: what is searched.
        augment: how LeNet-5's training images are distorted, see ``TrainConfig``.

    Raises ``UsageError`` for a value that no study can have.
    """

    name: str
    data: DatasetRequest
    trials: int = 30
    algorithm: str = "tpe"
    seed: int = 0
    validation: float = 0.2
    batch_size: int = 64
    startup: int = 10
    max_attempts: int = 3
    objective: str = LENET5
    space: Space = spaces.CLASSIC
    augment: str = "none"

    def __post_init__(self) -> None:
        require_name(self.name)
        _require(self.algorithm in ALGORITHMS, "algorithm must be one of " + ", ".join(ALGORITHMS))
        _require(
            self.augment in AUGMENTATIONS, "augment must be one of " + ", ".join(AUGMENTATIONS)
        )
        for field, least in {
            "trials": 1,
            "seed": 0,
            "batch_size": 1,
            "startup": 1,
            "max_attempts": 1,
        }.items():
            value = getattr(self, field)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(whole and value >= least, f"{field} must be a whole number, {least} or more")
            # The database has no whole number above eight bytes, NumPy no seed above four.
            _require(value < 2**32, f"{field} must be below 2**32")
        named = isinstance(self.objective, str) and self.objective not in ("", HYPEROPT)
        _require(named, "objective must be the name under which workers know what a trial runs")
        is_share = isinstance(self.validation, (int, float)) and 0 < self.validation < 1
        _require(is_share, "validation must be a number between 0 and 1")
        _require(
            self.augment == "none" or self.objective == LENET5,
            f'augment = "{self.augment}" is for objective {LENET5}, and this study\'s is '
            f"{self.objective}: omit it, and --space robust too",
        )
        spaces.require_usable(self.space, self.objective)


@dataclass(frozen=True)
class Study:
    """A plan whose data set is known: its specification in the store, and its trials' drafts."""

    plan: Plan
    dataset_hash: str
    dataset_card: Mapping[str, Any]

    @classmethod
    def of(cls, plan: Plan, dataset: Dataset) -> Study:
        """Bind a plan to the data set it asked for; raises ``DatasetError``, see below."""
        require_splittable(dataset)
        return cls(plan, dataset.content_hash, dataset.card())

    @classmethod
    def stored(cls, name: str, spec: Mapping[str, Any]) -> Study:
        """Return a study by its specification in the store. Raises ``UsageError``."""
        card = dict(spec["dataset"])
        content_hash = str(card.pop("content_hash"))
        fields = {key: value for key, value in spec.items() if key not in ("dataset", "space")}
        unknown = set(fields) - {field.name for field in dataclasses.fields(Plan)}
        _require(not unknown, f"study {name} was made by a newer hyperhive: use that one")
        space = spaces.from_tables(spec["space"], str(spec["objective"]))
        data = DatasetRequest(str(card["name"]))
        return cls(Plan(name=name, data=data, space=space, **fields), content_hash, card)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.plan.name

    def spec(self) -> dict[str, Any]:
        """Return the study as plain JSON: everything that its results depend on.

        Without augmentation it has no key for it, so that a study from before augmentation existed
        has the same specification.
        """
        plan = dataclasses.asdict(self.plan)
        for key in ("name", "data") + (("augment",) if self.plan.augment == "none" else ()):
            del plan[key]
        plan["space"] = {each.name: each.to_json() for each in self.plan.space}
        return {**plan, "dataset": {**self.dataset_card, "content_hash": self.dataset_hash}}

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of a trial with these values of the search space.

        It has the whole space and what every trial needs (``space.GIVEN``); LeNet-5's has all of
        ``TrainConfig``. Raises ``ConfigError`` for what LeNet-5 cannot be trained with.
        """
        chosen = {
            each.name: each.to_config(values[each.name] if each.is_searched else each.low)
            for each in self.plan.space
        }
        return self._config({**chosen, "augment": self.plan.augment} if self._is_lenet5 else chosen)

    def baselines(self) -> list[Draft]:
        """Return the trials that the search is compared with: LeNet-5 untuned, and as is usual.

        Nobody knows such configurations of another objective.
        """
        if not self._is_lenet5:
            return []
        choices = {UNTUNED_TID: UNTUNED, USUAL_TID: USUAL}
        return [self.draft(BASELINE, tid, self._config(each)) for tid, each in choices.items()]

    def refit(self, winner: Trial) -> Draft | None:
        """Return the trial that trains a winner again on all data, as its result describes it.

        None if the result says nothing of a refit: the objective has none.
        """
        # A worker of an earlier version trained LeNet-5, and did not say how it is refitted.
        changes = winner.result.get("refit", ON_ALL_DATA if self._is_lenet5 else None)
        if not isinstance(changes, Mapping):
            return None
        return self.draft(REFIT, winner.tid, {**winner.config, **changes}, winner.vals)

    def draft(
        self,
        purpose: str,
        tid: int,
        config: Mapping[str, Any],
        vals: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Return a trial of this study to be posted; its cost is its number of epochs, if any."""
        epochs = number(config.get("epochs"))
        return Draft(
            study=self.name,
            purpose=purpose,
            tid=tid,
            config=config,
            vals=vals or {},
            objective=self.plan.objective,
            max_attempts=self.plan.max_attempts,
            cost=epochs if epochs is not None and epochs > 0 else None,
        )

    @property
    def _is_lenet5(self) -> bool:
        return self.plan.objective == LENET5

    def _config(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        given = {
            "dataset": self.dataset_hash,
            "seed": self.plan.seed,
            "validation_fraction": self.plan.validation,
            "split_seed": self.plan.seed,
        }
        if not self._is_lenet5:
            return {**given, **hyperparameters}
        values = {**given, "batch_size": self.plan.batch_size, **hyperparameters}
        return TrainConfig.from_json(values).to_json()


def require_splittable(dataset: Dataset) -> None:
    """Raise ``DatasetError`` if a class has too few training images to hold one out."""
    counts = np.bincount(dataset.train_labels, minlength=len(dataset.classes))
    for name, count in zip(dataset.classes, counts):
        if count < 2:
            raise DatasetError(
                f"class {name} has {count} training image beside its test images: add images of "
                "it, for a study needs 2 or more, one of them to choose the best trial"
            )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return how two specifications differ, one phrase per key: ``seed was 0 and is 1``."""
    phrases = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += differences(before, after, prefix + key + ".")
        elif before != after:
            phrases.append(f"{prefix}{key} was {_short(before)} and is {_short(after)}")
    return phrases


def require_name(name: Any) -> None:
    """Raise ``UsageError`` if a study cannot have this name."""
    _require(
        isinstance(name, str) and _NAME.fullmatch(name) is not None,
        "a study's name must be 1 to 64 letters, digits, '.', '_' or '-', and start with a "
        "letter or digit",
    )


def study_name(text: str, prefix: str = "", suffix: str = "") -> str:
    """Return a valid name of a study, made from any text."""
    room = 64 - len(prefix) - len(suffix)
    allowed = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:room]
    return prefix + (allowed or "images") + suffix


def read_file(path: Path) -> dict[str, Any]:
    """Return the fields of a ``Plan`` that a study file sets; raises ``UsageError``.

    A relative ``data`` is relative to the study file's folder.
    """
    try:
        tables = tomllib.loads(read_text(path))
    except OSError as error:
        raise UsageError(f"study file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5,000 digits
        raise UsageError(f"study file {path} is not valid TOML: {error}") from error
    known = {field.name for field in dataclasses.fields(Plan)} - {"data"} | {"dataset"}
    _refuse_unknown(path, set(tables), known)
    try:
        fields = {key: value for key, value in tables.items() if key not in ("dataset", "space")}
        objective = fields.get("objective", LENET5)
        _require(
            objective == LENET5 or "batch_size" not in fields,
            f"batch_size is for objective {LENET5}: write it below [space] for another",
        )
        if isinstance(tables.get("space"), str):
            fields = {**spaces.named(tables["space"]), **fields}
        elif "space" in tables:
            fields["space"] = spaces.from_tables(_table(tables, "space"), objective)
        if "dataset" in tables:
            fields["data"] = _request(path, _table(tables, "dataset"))
    except UsageError as error:
        raise UsageError(f"study file {path}: {error}") from error
    return fields


def _request(path: Path, table: Mapping[str, Any]) -> DatasetRequest:
    known = {"name", "data", "gray", "strict"}
    _refuse_unknown(path, set(table), known, "dataset.")
    kinds = {"name": str, "data": str, "gray": bool, "strict": bool}
    words = {str: "a string", bool: "true or false"}
    for key, value in table.items():
        _require(isinstance(value, kinds[key]), f"dataset.{key} must be {words[kinds[key]]}")
    name = table.get("name")
    _require(name in DATASET_NAMES, "dataset.name must be one of " + ", ".join(DATASET_NAMES))
    data: Path | None = path.parent / with_home(table["data"]) if "data" in table else None
    return DatasetRequest(str(name), data, table.get("gray", False), table.get("strict", False))


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    names = ", or the name of a space: " + ", ".join(spaces.NAMED) if name == "space" else ""
    _require(isinstance(tables[name], dict), f"[{name}] must be a table{names}")
    table: Mapping[str, Any] = tables[name]
    return table


def _refuse_unknown(path: Path, keys: set[str], known: set[str], prefix: str = "") -> None:
    unknown = ", ".join(prefix + key for key in sorted(keys - known))
    if unknown:
        raise UsageError(
            f"study file {path} has an unknown key: {unknown}; there are "
            f"{', '.join(prefix + key for key in sorted(known))}"
        )


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise UsageError(rule)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
