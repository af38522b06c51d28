"""What the coordinator knows of an objective before its first trial: of most, nothing.

An objective's name is looked up here when a study is planned. One that is not in the table gets the
configuration that the search space describes, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from hyperhive.common.errors import ConfigError, UsageError
from hyperhive.coordinator.spaces.search_space import Node, samples
from hyperhive.model import config
from hyperhive.store.trials.terms import LENET5
from hyperhive.store.trials.trial import Trial


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
        baselines: the configurations that a search is compared with, by their names for people.
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
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refit: Mapping[str, Any] | None = None
    teaching: Mapping[str, Any] | None = None
    learning: Mapping[str, Any] = field(default_factory=dict)

    def taught(self, answers: str) -> dict[str, Any]:
        """Return what a trial gets that learns from a teacher's answers with this hash."""
        return {**self.learning, "teacher": answers}

    def require_space(self, space: Node, is_taught: bool = False) -> None:
        """Raise ``UsageError`` if the objective's trials cannot have the values of a space.

        ``is_taught`` tells whether they learn from a teacher.
        """
        given = {**_GIVEN_SAMPLE} if self.needs_images else {}
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

_RECIPES = {
    LENET5: Recipe(
        complete=config.complete,
        needs_images=True,
        makes_model=True,
        settings=("batch_size", "augment", "network"),
        baselines={
            "untuned": {**config.UNTUNED, "augment": "none"},
            "usual settings": {**config.USUAL, "augment": "none"},
        },
        refit=config.ON_ALL_DATA,
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
