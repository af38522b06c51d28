"""What the coordinator knows of an objective before its first trial: of most, nothing.

An objective's name is looked up here when a study is planned. One that is not in the table gets the
configuration that the search space describes, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Mapping, Sequence

from hyperhive.common.errors import ConfigError, UsageError
from hyperhive.coordinator.spaces.search_space import Node, samples
from hyperhive.model import config
from hyperhive.store.trials.terms import LENET5, THREE_TUNED_TID, UNTUNED_TID, USUAL_TID
from hyperhive.store.trials.trial import Trial


@dataclass(frozen=True)
class Baseline:
    """A configuration that a search is compared with.

    Args:
        tid: of its trial.
        name: for people.
        values: those hyperparameters that it chooses.
    """

    tid: int
    name: str
    values: Mapping[str, Any]


UNTUNED = Baseline(UNTUNED_TID, "untuned", config.UNTUNED)
USUAL = Baseline(USUAL_TID, "usual settings", config.USUAL)
THREE_TUNED = Baseline(THREE_TUNED_TID, "three numbers tuned", config.THREE_TUNED)

BASELINES = (UNTUNED, USUAL, THREE_TUNED)
"""All that there are; a study has some of them."""


@dataclass(frozen=True)
class Recipe:
    """What is known of an objective.

    Args:
        complete: makes an objective's whole configuration of the given one; raises ``ConfigError``
            for one that no worker could run.
        needs_images: whether its studies need a data set.
        makes_model: whether a study that ends without a model has failed.
        settings: fields of the plan, and only of this objective's plans, that go into every
            configuration unless the space has them.
        baselines: returns what a search is compared with, given the names of what it searches.
        teaching: the configuration of a teacher, but for its network; None: the objective learns
            from none.
        learning: what is added to the configuration of a trial that learns from one.
        refit: what changes in the winner's configuration when it is trained again on all data,
            where a result does not say so itself. None: only where a result says so.
    """

    complete: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    needs_images: bool = False
    makes_model: bool = False
    settings: tuple[str, ...] = ()
    baselines: Callable[[Collection[str]], Sequence[Baseline]] = lambda searched: ()
    refit: Mapping[str, Any] | None = None
    teaching: Mapping[str, Any] | None = None
    learning: Mapping[str, Any] = field(default_factory=dict)

    def taught(self, answers: str) -> dict[str, Any]:
        """Return what a trial gets that learns from a teacher's answers with this hash."""
        return {**self.learning, "teacher": answers}

    def require_space(
        self, space: Node, settings: Mapping[str, Any], is_taught: bool = False
    ) -> None:
        """Raise ``UsageError`` if the objective's trials cannot have the values of a space.

        ``settings`` are the plan's, and ``is_taught`` tells whether they learn from a teacher.
        """
        given = {**(_GIVEN_SAMPLE if self.needs_images else {}), **settings}
        if is_taught:
            given.update(self.taught(_HASH_SAMPLE))
        for label, sample in samples(space):
            try:
                self.complete({**given, **sample})
            except ConfigError as error:
                where = "search space" if label is None else f"search space, {label}"
                raise UsageError(f"{where}: {error}") from error


_GIVEN_SAMPLE = {"dataset": ""}
"""What a study of images gives to every trial, as far as a configuration cannot do without it."""

_HASH_SAMPLE = "0" * 64


def _of_lenet5(searched: Collection[str]) -> Sequence[Baseline]:
    """Return LeNet-5's: a search of more than three numbers is compared with the best three."""
    return (UNTUNED, THREE_TUNED if config.IMPROVEMENTS & set(searched) else USUAL)


_RECIPES = {
    LENET5: Recipe(
        complete=config.complete,
        needs_images=True,
        makes_model=True,
        settings=("batch_size", "augment", "folds", "network"),
        baselines=_of_lenet5,
        refit={**config.ON_ALL_DATA, "folds": 0},
        teaching=config.TEACHING,
        learning=config.LEARNING,
    )
}


def recipe_of(objective: str | None) -> Recipe:
    """Return what is known of an objective."""
    return _RECIPES.get(str(objective), Recipe())


def refit_of(winner: Trial) -> Mapping[str, Any] | None:
    """Return what changes in a winner's configuration when it is trained again on all data.

    None if its objective has no refit. A worker of an earlier version did not say how LeNet-5 is
    refitted.
    """
    changes = winner.result.get("refit", recipe_of(winner.objective).refit)
    return changes if isinstance(changes, Mapping) else None
