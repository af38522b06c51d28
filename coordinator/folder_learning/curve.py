"""Is it enough? What a model of half of the pictures lacks, compared with one of all of them."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np
import torch

from hyperhive.common import files
from hyperhive.common.wording import counted, percent
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.series import series_split
from hyperhive.model.interval import wilson_interval
from hyperhive.model.metrics import evaluate
from hyperhive.model.training import TrainingData, train

FILE = "learning-curve.json"
_SURE = 0.05
"""If more pictures made no difference, a gain that is called sure had this probability at most."""
_SMALL = 0.1
"""A gain that need not be waited for, in shares of the validation pictures."""


@dataclass(frozen=True)
class LearningCurve:
    """How many of the validation pictures are right, with half of the training pictures and all.

    Args:
        count: of the validation pictures.
        half: how many a model has right that was trained on half of the pictures.
        whole: how many one has right that was trained on all.
        gained: how many only the second has right.
    """

    count: int
    half: int
    whole: int
    gained: int

    @property
    def lost(self) -> int:
        """How many only the model of half of the pictures has right."""
        return self.gained - (self.whole - self.half)

    @property
    def is_sure(self) -> bool:
        """Whether the gain is hardly chance: the one-sided sign test, which is McNemar's exact."""
        differing = self.gained + self.lost
        ways = sum(math.comb(differing, more) for more in range(self.gained, differing + 1))
        return bool(ways / 2**differing <= _SURE)

    @property
    def most(self) -> float:
        """The largest gain that is likely: the upper end of its 95 % interval, less what is lost.

        It stays above 0 where nothing is gained, the more the fewer pictures are compared.
        """
        return wilson_interval(self.gained / self.count, self.count)[1] - self.lost / self.count

    @property
    def sentence(self) -> str:
        """What it means, for a person."""
        half, whole = (percent(right / self.count, 0) for right in (self.half, self.whole))
        went = f"with twice as many pictures it went from {half} to {whole}"
        if self.is_sure:
            return f"{went}: more will help"
        if self.most <= _SMALL:
            return f"{went}: it is enough"
        return f"{went}, but {counted(self.count, 'validation picture')} are too few to be sure"


def kept_curve(folder: Path, dataset: Dataset) -> LearningCurve | None:
    """Return the curve in a version's folder; None if there is none, or one of other pictures.

    On another server the versions begin with 1 again, and in the same folders.
    """
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    content_hash = kept.pop("dataset", None)
    return LearningCurve(**kept) if content_hash == dataset.content_hash else None


def keep_curve(curve: LearningCurve, folder: Path, dataset: Dataset) -> None:
    """Write the curve of a data set into a version's folder; raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"dataset": dataset.content_hash, **vars(curve)}
    files.write(folder / FILE, json.dumps(kept).encode() + b"\n")


def measure(
    dataset: Dataset, config: Mapping[str, Any], should_stop: Callable[[], bool]
) -> LearningCurve:
    """Train a configuration on half of the training pictures, and on all, and compare the two.

    Both take the same number of steps, and have another seed than the trial that won: its luck does
    not count. Whole series are in the half, or not. Raises ``TrainingStopped``.

    Args:
        dataset: of the study.
        config: of its best trial.
        should_stop: ends the training when it returns true.
    """
    settings = TrainConfig.from_json(config)
    settings = dataclasses.replace(settings, seed=(settings.seed + 1) % 2**63)
    fraction, seed = settings.validation_fraction, settings.split_seed
    kept, held = dataset.validation_split(fraction, seed)
    half = dataclasses.replace(settings, epochs=2 * settings.epochs)
    small = _right(half, _part(dataset, _half(dataset, kept, seed), held), should_stop)
    large = _right(settings, _part(dataset, kept, held), should_stop)
    gained = int((large & ~small).sum())
    return LearningCurve(len(held), int(small.sum()), int(large.sum()), gained)


def _half(dataset: Dataset, kept: np.ndarray, seed: int) -> np.ndarray:
    labels, series = dataset.train_labels[kept], dataset.train_series
    if series is None:
        chosen, _ = stratified_split(labels, 0.5, seed)
    else:
        chosen, _ = series_split(labels, series[kept], 0.5, seed)
    half: np.ndarray = kept[chosen]
    return half


def _part(dataset: Dataset, kept: np.ndarray, held: np.ndarray) -> Dataset:
    """Return a data set with these training images, and with these validation images of its own."""
    both = np.concatenate([kept, held])
    return dataclasses.replace(
        dataset,
        train_images=dataset.train_images[both],
        train_labels=dataset.train_labels[both],
        validation=len(held),
        train_series=None,
    )


def _right(config: TrainConfig, dataset: Dataset, should_stop: Callable[[], bool]) -> np.ndarray:
    """Return which validation images a model of this configuration has right: bool ``[held]``."""
    data = TrainingData(dataset, torch.device("cpu"))
    model = train(config, data, should_stop=should_stop).model
    split = data.split(config)
    found = evaluate(model, split.held_images, split.held_labels, data.normalise, config.views)
    right: np.ndarray = found.logits.argmax(axis=1) == split.held_labels.numpy()
    return right
