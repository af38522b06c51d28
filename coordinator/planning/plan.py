"""A study as a person asks for it: the fields of a study file, of flags, or of Python's API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.algorithms import auto
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.planning.recipes import Baseline, Recipe, recipe_of
from hyperhive.coordinator.planning.stop_rules import StopRules
from hyperhive.coordinator.spaces.known_points import values_of
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.search_space import Choice, Fixed, Node, Table
from hyperhive.coordinator.suggest import require_name as require_algorithm
from hyperhive.coordinator.suggest import use
from hyperhive.model.config import AUGMENTATIONS, TEACHER
from hyperhive.model.config import LENET5 as DEFAULT_NETWORK
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.trials.draft import NO_PRUNER, PRUNERS, Goal
from hyperhive.store.trials.terms import ASK, AUTO, HYPEROPT, LENET5, REPEATS_END

DIRECTIONS = ("minimize", "maximize")
GIVEN = ("dataset", "seed", "validation_fraction", "split_seed")
"""What every configuration of a study of images has, so the space may have no such names."""

VALIDATION = 0.2
"""The share of the training split that is held out, where nobody has said another."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Plan:
    """A study as a person asks for it, before its data set is read.

    Args:
        name: of the study; a name in the store and of a folder.
        data: which data set; None for an objective that brings its own data.
        trials: the number of configurations to try.
        algorithm: the name of one, see ``require_name`` in ``coordinator/suggest.py``.
        seed: of suggestions and, of a study of images, of initial weights and splits.
        validation: the share of the training split that is held out to choose the best trial,
            unless the data set has validation images of its own.
        folds: so many parts of the training split are held out in turn, by one trial, in place of
            that share; 0 for the share.
        batch_size: LeNet-5's images per training step, unless the space has it.
        startup: the number of finished trials before the algorithm begins; those before are drawn
            at random, or spread evenly.
        max_attempts: how often a trial may be started.
        objective: the name under which workers know what a trial runs.
        space: what is searched.
        augment: how LeNet-5's training images are distorted, see ``TrainConfig``.
        network: what objective ``lenet5`` trains, see ``hyperhive.model.networks``.
        metric: what makes a trial good, by its name in a result.
        direction: one of ``DIRECTIONS``: whether the metric is to be small or large.
        target: a value of a metric that ends the search, see ``stop_rules``.
        max_time: how long the search may run, in seconds or as a text such as "2 h".
        patience: how many trials may end after the best one.
        known: configurations to run first. A study file calls them ``try``.
        pruner: one of ``PRUNERS``: the rule by which workers end trials early.
        repeats: how often each of the best few is run again, under other seeds, before one is
            chosen. With 0 the best trial of the search is.
        teacher: the name of a network that is trained first, from whose answers LeNet-5 learns;
            true for the usual one, false for none.

    Raises ``UsageError`` for a value that no study can have.
    """

    name: str
    data: DatasetRequest | None = None
    trials: int = 30
    algorithm: str = "tpe"
    seed: int = 0
    validation: float = VALIDATION
    batch_size: int = 64
    startup: int = 10
    max_attempts: int = 3
    objective: str = LENET5
    space: Node = CLASSIC
    augment: str = "none"
    network: str = DEFAULT_NETWORK
    metric: str = "loss"
    direction: str = "minimize"
    target: float | str | None = None
    max_time: float | str | None = None
    patience: int | None = None
    known: tuple[Mapping[str, Any], ...] = ()
    pruner: str = NO_PRUNER
    repeats: int = 0
    folds: int = 0
    teacher: bool | str = False

    def __post_init__(self) -> None:
        require_name(self.name)
        require_algorithm(self.algorithm)
        for field, words in _WORDS.items():
            chosen = getattr(self, field)
            _require(chosen in words, f"{field} must be one of {', '.join(words)}")
        for field, least in _COUNTS.items():
            value = getattr(self, field)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(whole and value >= least, f"{field} must be a whole number, {least} or more")
            # The database has no whole number above eight bytes, NumPy no seed above four.
            _require(value < 2**32, f"{field} must be below 2**32")
        named = isinstance(self.objective, str) and self.objective not in ("", HYPEROPT)
        _require(named, "objective must be the name under which workers know what a trial runs")
        _require(self.repeats < REPEATS_END, f"repeats must be below {REPEATS_END}")
        _require(
            self.repeats == 0 or self.objective != ASK,
            "repeats are for workers, and programs ask for this study's trials: omit repeats, or "
            "name an objective that workers have",
        )
        is_share = isinstance(self.validation, (int, float)) and 0 < self.validation < 1
        _require(is_share, "validation must be a number between 0 and 1")
        is_metric = isinstance(self.metric, str) and self.metric != ""
        _require(is_metric, "metric must be the name of a number in the objective's results")
        self._require_recipe()
        self._require_folds()
        self._require_space()
        _ = self.rules
        self._require_known()

    @property
    def goal(self) -> Goal:
        """What makes a trial good."""
        return Goal(self.metric, self.direction)  # type: ignore[arg-type]

    @property
    def chosen_algorithm(self) -> str:
        """The algorithm that suggests its trials: of ``auto``, the one that it stands for."""
        if self.algorithm != AUTO:
            return self.algorithm
        return auto.chosen(variables_of(self.space), self.trials)

    def usable(self) -> Plan:
        """Import its algorithm, as a person has typed it for this process; return the plan.

        Raises ``UsageError``, and ``ModuleNotFoundError`` for a package that it lacks.
        """
        use(self.chosen_algorithm)
        return self

    @property
    def rules(self) -> StopRules:
        """The rules that end the search early."""
        return StopRules.of(self.target, self.max_time, self.patience, self.goal)

    @property
    def searched(self) -> frozenset[str]:
        """The names at the top of its space; some may have a value that is always the same."""
        return frozenset(name for table in _tables(self.space) for name in table)

    @property
    def baselines(self) -> Sequence[Baseline]:
        """What its search is compared with, if anything is known of the objective."""
        return self.recipe.baselines(self.searched | ({"teacher"} if self.teacher else set()))

    @property
    def teacher_network(self) -> str | None:
        """The name of the network that teaches, None without a teacher."""
        return TEACHER if self.teacher is True else self.teacher or None

    @property
    def recipe(self) -> Recipe:
        """What is known of the objective in advance."""
        return recipe_of(self.objective)

    @property
    def settings(self) -> dict[str, Any]:
        """What goes into every configuration unless the space has it."""
        return {name: getattr(self, name) for name in self.recipe.settings}

    def _require_recipe(self) -> None:
        is_name = isinstance(self.teacher, (bool, str)) and self.teacher != ""
        _require(is_name, "teacher must be true, false or the name of a network")
        _require(
            not self.teacher or self.recipe.teaching is not None,
            f"a teacher is for objective {LENET5}, and this study's is {self.objective}: omit it",
        )
        has_it = self.augment == "none" or "augment" in self.recipe.settings
        _require(
            has_it,
            f'augment = "{self.augment}" is for objective {LENET5}, and this study\'s is '
            f"{self.objective}: omit it, and --space robust too",
        )
        is_named = isinstance(self.network, str) and self.network != ""
        _require(is_named, "network must be the name of a network")
        _require(
            self.network == DEFAULT_NETWORK or "network" in self.recipe.settings,
            f'network = "{self.network}" is for objective {LENET5}, and this study\'s is '
            f"{self.objective}: omit it",
        )

    def _require_folds(self) -> None:
        _require(self.folds != 1, "folds must be 0, or 2 or more")
        _require(
            not self.folds or "folds" in self.recipe.settings,
            f"folds are for objective {LENET5}, and this study's is {self.objective}: omit them",
        )
        _require(
            not (self.folds and self.teacher),
            "a teacher does not go with folds: it has learned from images that they hold out",
        )
        _require(
            not self.folds or self.validation == VALIDATION,
            f"validation and folds exclude each other: each of {self.folds} folds holds out its "
            "part of the training images",
        )
        _require(
            "folds" not in self.recipe.settings or "folds" not in self.searched,
            "search space, folds: all trials of a study are validated alike: write folds above "
            "[space], or give --folds",
        )

    def _require_space(self) -> None:
        images = GIVEN if self.data is not None or self.recipe.needs_images else ()
        gives = (*images, *(("teacher",) if self.teacher else ()))
        searched = self.searched  # raises, for a space without names
        taken = [name for name in gives if name in searched]
        if taken:
            raise UsageError(
                f"search space, {taken[0]}: a study of images gives its trials {', '.join(gives)}: "
                "choose another name"
            )
        self.recipe.require_space(self.space, self.settings, self.teacher is not False)

    def _require_known(self) -> None:
        _require(
            len(self.known) <= self.trials,
            f"try has {len(self.known)} configurations, and the study only {self.trials} trials",
        )
        for index, config in enumerate(self.known):
            try:
                values_of(self.space, config)
            except UsageError as error:
                raise UsageError(f"try[{index}]: {error}") from error


_WORDS = {
    "augment": AUGMENTATIONS,
    "direction": DIRECTIONS,
    "pruner": PRUNERS,
}
_COUNTS = {
    "trials": 1,
    "seed": 0,
    "batch_size": 1,
    "startup": 1,
    "max_attempts": 1,
    "repeats": 0,
    "folds": 0,
}


def require_name(name: Any) -> None:
    """Raise ``UsageError`` if a study cannot have this name."""
    _require(
        isinstance(name, str) and _NAME.fullmatch(name) is not None,
        "a study's name must be 1 to 64 letters, digits, '.', '_' or '-', and start with a "
        "letter or digit",
    )


def _tables(space: Node) -> Iterator[Mapping[str, Any]]:
    """Return the tables of which each configuration is one; raises ``UsageError`` for others."""
    if isinstance(space, Table):
        yield space.parts
    elif isinstance(space, Fixed) and isinstance(space.value, Mapping):
        yield space.value
    elif isinstance(space, Choice):
        for option in space.options:
            yield from _tables(option)
    else:
        raise UsageError(
            "search space: it must be a table of named parameters, as in "
            '{x = {distribution = "uniform", low = 0, high = 1}}, or a choice of such tables'
        )


def study_name(text: str, prefix: str = "", suffix: str = "") -> str:
    """Return a valid name of a study, made from any text."""
    room = 64 - len(prefix) - len(suffix)
    allowed = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:room]
    return prefix + (allowed or "images") + suffix


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise UsageError(rule)
