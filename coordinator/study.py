"""A study: a plan whose data set is known, its specification in the store, its trials' drafts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Mapping

import numpy as np

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.values import number, whole
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.recipes import refit_of
from hyperhive.coordinator.spaces.known_points import values_of
from hyperhive.coordinator.spaces.named import fitting
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import configuration, parameters, samples, to_json
from hyperhive.model.augmentation.views import mirrors
from hyperhive.model.config import LENET5
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.networks import build
from hyperhive.store.trials.draft import NO_PRUNER, Draft
from hyperhive.store.trials.terms import (
    BASELINE,
    REFIT,
    REPEAT,
    SEARCH,
    TEACHER,
    TEACHER_TID,
    repeat_tid,
)
from hyperhive.store.trials.trial import Trial

_OF_IMAGES = ("validation",)
_PLAIN = {"augment": "none"}
"""What no baseline of LeNet-5 has of the study's settings."""
MAY_CHANGE = ("trials", "target", "max_time", "patience", "known", "repeats")
"""What a study may be started again with: these decide only how long it searches, and how sure of
its winner it is to be."""


@dataclass(frozen=True)
class Study:
    """A plan and, if its objective is about images, its data set: by hash, with its card.

    ``answers`` is the hash of its teacher's answers, once there are any.
    """

    plan: Plan
    dataset_hash: str | None = None
    dataset_card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    answers: str | None = None

    @classmethod
    def of(cls, plan: Plan, dataset: Dataset | None) -> Study:
        """Bind a plan to the data set it asked for.

        Raises ``DatasetError``, see below, ``ConfigError`` for folds that it cannot have, and
        ``UsageError`` for a space that mirrors what may not be mirrored.
        """
        if dataset is None:
            return cls(plan)
        require_splittable(dataset)
        _require_unmirrored(plan, dataset)
        if plan.folds:
            dataset.require_folds(plan.folds)
        plan = replace(plan, space=fitting(plan.space, dataset.may_mirror))
        return cls(plan, dataset.content_hash, dataset.card())

    @classmethod
    def stored(cls, name: str, spec: Mapping[str, Any]) -> Study:
        """Return a study by its specification in the store. Raises ``UsageError``."""
        fields = {key: value for key, value in spec.items() if key not in ("dataset", "space")}
        known = {field.name for field in dataclasses.fields(Plan)} - {"name", "data"}
        if set(fields) - known:
            raise UsageError(f"study {name} was made by a newer hyperhive: use that one")
        fields["known"] = tuple(fields.get("known", ()))
        space, card = parse(spec["space"]), dict(spec.get("dataset", {}))
        content_hash = card.pop("content_hash", None)
        data = DatasetRequest(str(card["name"])) if card else None
        return cls(Plan(name=name, data=data, space=space, **fields), content_hash, card)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.plan.name

    def spec(self) -> dict[str, Any]:
        """Return the study as plain JSON: everything that its results depend on.

        What a plan may leave out is not in it unless it was asked for, so that a study of an
        earlier version has the same specification.
        """
        plan = self.plan
        fields = {
            field.name: getattr(plan, field.name)
            for field in dataclasses.fields(plan)
            if field.name not in ("name", "data", "space")
            and (field.name in self._always or getattr(plan, field.name) != field.default)
        }
        if "known" in fields:
            fields["known"] = list(fields["known"])
        fields["space"] = to_json(plan.space)
        if self.dataset_hash is None:
            return fields
        return {**fields, "dataset": {**self.dataset_card, "content_hash": self.dataset_hash}}

    @property
    def _always(self) -> tuple[str, ...]:
        """The fields that every specification has."""
        settings = ("batch_size",) if "batch_size" in self.plan.recipe.settings else ()
        of_images = _OF_IMAGES if self.dataset_hash is not None else ()
        general = ("trials", "algorithm", "seed", "startup", "max_attempts", "objective")
        return (*general, *of_images, *settings)

    def lasting(self) -> dict[str, Any]:
        """Return its specification without what may change, see ``MAY_CHANGE``."""
        return {key: value for key, value in self.spec().items() if key not in MAY_CHANGE}

    def is_extended_by(self, other: Study) -> bool:
        """Return whether another study differs only in what may change, and does not do less."""
        known = len(self.plan.known)
        keeps_known = other.plan.known[:known] == self.plan.known
        is_longer = keeps_known and other.plan.trials >= self.plan.trials
        is_as_sure = other.plan.repeats >= self.plan.repeats
        return is_longer and is_as_sure and self.lasting() == other.lasting()

    def has_no_room_after(self, ended: Study) -> bool:
        """Return whether it knows more configurations than that study, but has no trial more."""
        more = len(self.plan.known) > len(ended.plan.known)
        return more and self.plan.trials <= ended.plan.trials

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of a trial with these values of the search space.

        It is nested as the space is. A study of images adds what its trials need (``plan.GIVEN``),
        and LeNet-5's has all of its settings, the answers of a teacher among them. Raises
        ``ConfigError`` for what it cannot be trained with.
        """
        taught = self.plan.recipe.taught(self.answers) if self.answers else {}
        given = configuration(self.plan.space, values)
        return self._with_searched(self._complete({**taught, **given}), given)

    def suggested(self, tid: int, vals: Mapping[str, Any]) -> Draft:
        """Return a trial of the search with these values, of the parameters that are active."""
        labels = dict.fromkeys(parameters(self.plan.space))
        return self.draft(SEARCH, tid, self.config(vals), {**labels, **vals})

    def known(self, tid: int, config: Mapping[str, Any]) -> Draft:
        """Return a trial of the search with a configuration that somebody knows.

        Raises ``UsageError`` for one that no trial could have.
        """
        return self.suggested(tid, values_of(self.plan.space, config))

    def baselines(self) -> list[Draft]:
        """Return the trials that the search is compared with, if any are known of the objective."""
        return [
            self.draft(BASELINE, each.tid, self._complete({**_PLAIN, **each.values}))
            for each in self.plan.baselines
        ]

    def teacher(self, may_mirror: bool) -> Draft | None:
        """Return the trial whose answers those of the search learn from, None without a teacher.

        It is trained as they are validated: on the training images that are not held out.

        Args:
            may_mirror: whether the images may be mirrored: ``Dataset.may_mirror``.
        """
        network, recipe = self.plan.teacher_network, self.plan.recipe
        if network is None or recipe.teaching is None:
            return None
        config = {**recipe.teaching, "network": network}
        if not may_mirror:
            config.update(mirror=False, views="one")
        return self.draft(TEACHER, TEACHER_TID, self._complete(config))

    def refit(self, winner: Trial) -> Draft | None:
        """Return the trial that trains a winner again on all data, as its result describes it.

        None if the result says nothing of a refit: the objective has none.
        """
        changes = refit_of(winner)
        if changes is None:
            return None
        given = {**self._again(winner), **changes}
        config = self._with_searched(self.plan.recipe.complete(given), given)
        return self.draft(REFIT, winner.tid, config, winner.vals)

    def repeats(self, trial: Trial) -> list[Draft]:
        """Return the trials that run a trial of the search again, each under a seed of its own.

        A study of images keeps its split: only initial weights, order and distortions differ.
        """
        tids = [repeat_tid(trial.tid, number) for number in range(1, self.plan.repeats + 1)]
        return [self.draft(REPEAT, tid, self._reseeded(trial, tid), trial.vals) for tid in tids]

    def _reseeded(self, trial: Trial, tid: int) -> dict[str, Any]:
        has_seed = self.dataset_hash is not None  # otherwise a seed there is a hyperparameter
        return {**self._again(trial), **({"seed": self._seed(REPEAT, tid)} if has_seed else {})}

    def _again(self, trial: Trial) -> dict[str, Any]:
        """Return a trial's configuration; one that was imported had another teacher's answers."""
        is_taught = self.answers is not None and "teacher" in trial.config
        return {**trial.config, **({"teacher": self.answers} if is_taught else {})}

    def _seed(self, purpose: str, tid: int) -> int:
        """Return the seed of a trial: the study's, and of a repeat one that comes of both."""
        if purpose != REPEAT:
            return self.plan.seed
        return int(np.random.SeedSequence([self.plan.seed, tid]).generate_state(1)[0])

    def draft(
        self,
        purpose: str,
        tid: int,
        config: Mapping[str, Any],
        vals: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Return a trial of this study to be posted.

        Its cost is its number of epochs, if any, in all folds.
        """
        epochs = number(config.get("epochs"))
        if epochs is not None and "folds" in self.plan.recipe.settings:
            epochs *= max(1, whole(config.get("folds"), 0))
        return Draft(
            study=self.name,
            purpose=purpose,
            tid=tid,
            config=config,
            vals=vals or {},
            objective=self.plan.objective,
            max_attempts=self.plan.max_attempts,
            cost=epochs if epochs is not None and epochs > 0 else None,
            goal=self.plan.goal,
            pruner=self.plan.pruner if purpose == SEARCH else NO_PRUNER,
            seed=self._seed(purpose, tid),
        )

    def _with_searched(
        self, complete: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a complete configuration with what was searched, if it leaves that out.

        A default is left out; what was searched is shown all the same.
        """
        searched = [name for name in parameters(self.plan.space) if name in given]
        return {**complete, **{name: given[name] for name in searched if name not in complete}}

    def _complete(self, config: Mapping[str, Any]) -> dict[str, Any]:
        plan, given = self.plan, {}
        if self.dataset_hash is not None:
            given = {
                "dataset": self.dataset_hash,
                "seed": plan.seed,
                "validation_fraction": plan.validation,
                "split_seed": plan.seed,
            }
        return plan.recipe.complete({**given, **plan.settings, **config})


def require_splittable(dataset: Dataset) -> None:
    """Raise ``DatasetError`` if a class has too few training images to hold one out."""
    counts = np.bincount(dataset.train_labels, minlength=len(dataset.classes))
    for name, count in zip(dataset.classes, counts):
        if count < 2:
            raise DatasetError(
                f"class {name} has {count} training image beside its test images: add images of "
                "it, for a study needs 2 or more, one of them to choose the best trial"
            )


def _require_unmirrored(plan: Plan, dataset: Dataset) -> None:
    if dataset.may_mirror or "network" not in plan.recipe.settings:
        return  # what the space of another objective calls so is its own affair
    for _, sample in samples(fitting(plan.space, dataset.may_mirror)):
        if sample.get("mirror") or mirrors(str(sample.get("views"))):
            raise UsageError(
                f"the search space mirrors images, and those of data set {dataset.name} may not be "
                "mirrored: leave mirror out of it, and views but for shifted, or pass --mirror"
            )


def require_networks(plan: Plan, dataset: Dataset) -> None:
    """Raise ``UsageError`` if a network that the study may train cannot be trained on its images.

    The teacher is one of them. Each is made once, which takes PyTorch. LeNet-5 can always be.
    """
    if "network" not in plan.recipe.settings:
        return
    chosen = {sample.get("network", plan.network) for _, sample in samples(plan.space)}
    taught_by = {plan.teacher_network or LENET5}
    for name in sorted((chosen | taught_by) - {LENET5}):
        build(name, dataset.channels, len(dataset.classes), dataset.image_size)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return how two specifications differ, one phrase per key: ``seed was 0 and is 1``.

    What a specification leaves out has the plan's default.
    """
    defaults = (
        {field.name: field.default for field in dataclasses.fields(Plan)} if not prefix else {}
    )
    phrases = []
    for key in sorted(set(old) | set(new)):
        before, after = (each.get(key, defaults.get(key)) for each in (old, new))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += differences(before, after, prefix + key + ".")
        elif before != after:
            phrases.append(f"{prefix}{key} was {_short(before)} and is {_short(after)}")
    return phrases


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
