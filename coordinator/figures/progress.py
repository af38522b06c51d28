"""The best value so far, trial by trial, with a band that tells how sure it is."""

from __future__ import annotations

from typing import Any, Callable, Tuple

from hyperhive.common.values import whole
from hyperhive.common.wording import counted
from hyperhive.coordinator.figures.metric import ACCURACY
from hyperhive.coordinator.figures.numbers import rounded
from hyperhive.coordinator.figures.source import Source
from hyperhive.coordinator.views.summary import compared
from hyperhive.model.interval import wilson_interval
from hyperhive.store.trials.terms import SHARES

_Band = Callable[[float], Tuple[float, float]]


def progress(source: Source) -> dict[str, Any]:
    """Return the steps of the best value so far by tid, its band, and what it is compared with.

    A step is a trial that is better than all of lower tids; the last step is the last trial, so
    that the line goes on to it. The band is, of these:

    - with repeats of the winner: value ± s, where s is the standard deviation of a sample (n - 1)
      of the repeats' values. Each repeat has seeds of its own, so this is what luck in training
      makes of one run.
    - else, of a share of validation images: its 95 % interval after Wilson, see
      ``wilson_interval``. It is what luck in drawing so many images makes of it.
    """
    noise, band = _noise(source)
    tids, best = _steps(source)
    bands = [band(value) for value in best] if band else []
    return {
        "tid": tids,
        "best": [rounded(value) for value in best],
        "low": [rounded(low) for low, _ in bands],
        "high": [rounded(high) for _, high in bands],
        "noise": noise,
        "baselines": _baselines(source),
        "target": _target(source),
    }


def _steps(source: Source) -> tuple[list[Any], list[float]]:
    ranked = {trial.tid for trial in source.state.ranked()}
    sign = 1 if source.metric.maximise else -1
    tids: list[Any] = []
    best: list[float] = []
    last = None
    for trial in source.state.searched:
        value = source.metric.value(trial) if trial.tid in ranked else None
        if value is None:
            continue
        last = trial.tid
        if not best or sign * value > sign * best[-1]:
            tids.append(trial.tid)
            best.append(value)
    if best and last != tids[-1]:
        tids.append(last)
        best.append(best[-1])
    return tids, best


def _noise(source: Source) -> tuple[str | None, _Band | None]:
    """Return how the band is made, in one sentence, and what makes it; None if nothing is known."""
    repeats = source.state.repeat_results
    if repeats and repeats[0].deviation and repeats[0].metric == source.metric.key:
        spread = repeats[0].deviation
        count = counted(len(repeats[0].values), "repeat")
        said = (
            f"The band is the value plus and minus the standard deviation of {count} of trial "
            f"{repeats[0].trial} under other seeds."
        )
        return said, lambda value: (value - spread, value + spread)
    images = validation_images(source)
    if source.metric.key not in SHARES[:1] or not source.metric.is_share or not images:
        return None, None
    said = f"The band is the 95 % interval (Wilson) of a share of {images:,} validation images."
    return said, lambda value: wilson_interval(min(max(value, 0.0), 1.0), images)


def validation_images(source: Source) -> int:
    """Return how many images a trial is validated on; 0 if that is not known.

    With folds, each training image is held out once.
    """
    if source.study is None:
        return 0
    card, plan = source.study.dataset_card, source.study.plan
    train, own = whole(card.get("train"), 0), whole(card.get("validation"), 0)
    return own or (train if plan.folds else round(train * plan.validation))


def training_images(source: Source) -> int | None:
    """Return how many images LeNet-5 trains on in an epoch; None if that is not known."""
    if source.study is None:
        return None
    train = whole(source.study.dataset_card.get("train"), 0)
    return (train - validation_images(source)) or None


def _baselines(source: Source) -> list[dict[str, Any]]:
    """Return the baselines that have a value; they are accuracies, and nothing else is drawn so."""
    if source.metric.key != ACCURACY:
        return []
    return [{"name": each.name, "value": rounded(value)} for each, value in compared(source.state)]


def _target(source: Source) -> float | int | None:
    """Return the value that ends the search, if it is one of the metric that is drawn."""
    target = None if source.study is None else source.study.plan.rules.target
    if target is None:
        return None
    if target.metric == "loss" and source.metric.key == ACCURACY:  # LeNet-5's is 1 - accuracy
        return rounded(1 - target.value)
    return rounded(target.value) if target.metric == source.metric.key else None
