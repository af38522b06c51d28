"""What the repeats of the best trials gave: each ran again under other seeds, and the mean counts.

The run of the search is not in a trial's mean: it was chosen because it was good, so on average
its value is better than what its configuration gives (the winner's curse).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Sequence

from hyperhive.common.values import mapping, number, sequence, text, whole
from hyperhive.common.wording import counted, in_words, percent
from hyperhive.coordinator.ranking import ranking, winner_of
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import LENET5, REPEATS_END, SHARES
from hyperhive.store.trials.trial import Trial

FINALISTS = 3
"""So many of the best trials are repeated: with 3 repeats each, these cost 9 trials, a third of a
usual search of 30."""

_ACCURACY = "validation_accuracy"


@dataclass(frozen=True)
class Repeated:
    """What the repeats of one trial gave.

    Args:
        trial: its number in the search.
        metric: what ``values`` are: the study's metric, ``validation_accuracy`` or ``loss``.
        searched: the value of the trial itself, None if that is not known.
        values: of the repeats that did not diverge.
        losses: of the repeats that have a result, by which trials are compared. The loss of one
            that diverged may be infinite.
        failed: how many repeats have no result.
        diverged: how many of those with a result diverged.
    """

    trial: int
    metric: str
    searched: float | None
    values: tuple[float, ...]
    losses: tuple[float, ...]
    failed: int
    diverged: int = 0

    @property
    def mean_loss(self) -> float | None:
        """The mean of the losses, None without any; the smallest wins."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def mean(self) -> float | None:
        """The mean of the values, None without any."""
        return statistics.mean(self.values) if self.values else None

    @property
    def accuracy(self) -> float | None:
        """That mean, if the values are validation accuracies."""
        return self.mean if self.metric == _ACCURACY else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the values, that of a sample (n - 1); None of fewer than 2."""
        if self.mean is None or len(self.values) < 2:
            return None
        # Not statistics.stdev: the square of a loss that exploded is no float.
        apart = math.hypot(*(value - self.mean for value in self.values))
        return apart / math.sqrt(len(self.values) - 1)

    def __repr__(self) -> str:
        """Return its fields, and the mean and the deviation with them."""
        shown = {"trial": self.trial, "mean": self.mean, "deviation": self.deviation}
        fields = {**shown, **asdict(self)}
        return f"Repeated({', '.join(f'{name}={value!r}' for name, value in fields.items())})"

    @classmethod
    def of(cls, trial: Trial, repeats: Iterable[Trial]) -> Repeated:
        """Return what the repeats of a trial gave; all have ended."""
        of_it = [each for each in repeats if each.tid // REPEATS_END == trial.tid]
        losses = [(each, each.loss) for each in of_it if each.loss is not None]
        metric = _metric(trial)
        found = [each.metrics.get(metric) for each, _ in losses if not each.diverged]
        return cls(
            trial.tid,
            metric,
            trial.metrics.get(metric),
            values=tuple(value for value in found if value is not None),
            losses=tuple(loss if math.isfinite(loss) else math.inf for _, loss in losses),
            failed=len(of_it) - len(losses),
            diverged=sum(each.diverged or not math.isfinite(loss) for each, loss in losses),
        )

    @classmethod
    def from_document(cls, document: Any) -> Repeated:
        """Return what ``as_document`` gave."""
        stored = mapping(document)
        return cls(
            whole(stored.get("trial"), 0),
            text(stored.get("metric")) or "loss",
            number(stored.get("searched")),
            values=tuple(map(float, sequence(stored.get("values")))),
            losses=tuple(map(float, sequence(stored.get("losses")))),
            failed=whole(stored.get("failed"), 0),
            diverged=whole(stored.get("diverged"), 0),
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as plain JSON, but for an infinite loss."""
        return {**asdict(self), "values": list(self.values), "losses": list(self.losses)}


def finalists(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials of a search that are repeated, the best first."""
    return ranking(trials)[:FINALISTS]


def by_mean(finalists: Sequence[Trial], repeats: Sequence[Trial]) -> list[Repeated]:
    """Return what the repeats of each finalist gave, the best mean first.

    Of equals the one that was better in the search is first. One without a result of a repeat comes
    after all that have one.

    Args:
        finalists: the best first.
        repeats: of all of them; all have ended.
    """
    results = [Repeated.of(trial, repeats) for trial in finalists]
    return sorted(results, key=lambda each: (each.mean_loss is None, each.mean_loss or 0.0))


def repeated_of(result: Mapping[str, Any] | None) -> tuple[Repeated, ...]:
    """Return what a study's stored result says of its repeats, the best first; often nothing."""
    return tuple(map(Repeated.from_document, sequence((result or {}).get("repeats"))))


def best_of_study(study: StoredStudy, trials: Iterable[Trial]) -> Trial | None:
    """Return the trial of a search that won or, until that is decided, its best; None without."""
    return winner_of(ranking(trials), (study.result or {}).get("winner"))


def repeat_lines(repeated: Sequence[Repeated]) -> dict[str, str]:
    """Return what a person wants to know of the repeats of a study's winner, and of the others.

    Args:
        repeated: the best first, as ``by_mean`` gives them; may be empty.
    """
    if not repeated:
        return {}
    if not repeated[0].losses:
        return {"repeats": "none gave a result, so the best of the search won"}
    others = "; ".join(f"trial {each.trial}: {in_short(each)}" for each in repeated[1:])
    return {"repeats": in_full(repeated[0]), **({"others": others} if others else {})}


def in_full(one: Repeated) -> str:
    """Return in words what the repeats of a trial gave, and the search before them.

    ``validation accuracy 74.9 % ± 0.9 over 3 repeats (73.9 to 75.6 %); 75.8 % in the search``
    """
    mean = _mean(one)
    metric = one.metric.replace("_", " ") + " " if mean else ""
    extremes = ""
    if len(one.values) > 1:
        least, most = _figure(one, min(one.values)), _figure(one, max(one.values))
        extremes = f" ({least.replace(' %', '')} to {most})"
    searched = "" if one.searched is None else f"; {_figure(one, one.searched)} in the search"
    parts = [f"{metric}{mean}{extremes}", *_without_value(one)]
    return ", ".join(filter(None, parts)) + searched


def in_short(one: Repeated) -> str:
    """Return the mean of a trial's repeats in words: ``74.9 % ± 0.9 over 3 repeats``."""
    return ", ".join(filter(None, [_mean(one), *_without_value(one)]))


def _mean(one: Repeated) -> str:
    if one.mean is None:
        return ""
    spread = "" if one.deviation is None else f" ± {_points(one, one.deviation)}"
    return f"{_figure(one, one.mean)}{spread} over {counted(len(one.values), 'repeat')}"


def _without_value(one: Repeated) -> list[str]:
    counts = {"diverged": one.diverged, "failed": one.failed}
    return [f"{counted(count, 'repeat')} {how}" for how, count in counts.items() if count]


def _metric(trial: Trial) -> str:
    """Return what a trial's value is of, as people are shown it.

    The loss of LeNet-5 is 1 - validation accuracy. That of another objective need not be.
    """
    is_error_rate = trial.objective == LENET5 and trial.goal.metric == "loss"
    return _ACCURACY if is_error_rate and trial.accuracy is not None else trial.goal.metric


def _figure(one: Repeated, value: float) -> str:
    return percent(value) if one.metric in SHARES else in_words({"": value}).strip()


def _points(one: Repeated, deviation: float) -> str:
    return f"{100 * deviation:.1f}" if one.metric in SHARES else f"{deviation:.2g}"
