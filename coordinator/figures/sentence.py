"""What a study has come to, in a few lines: the most important one first."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from hyperhive.common.wording import counted, percent
from hyperhive.coordinator.figures.numbers import text
from hyperhive.coordinator.figures.source import Source
from hyperhive.coordinator.results.repeated import repeat_lines
from hyperhive.coordinator.views.summary import compared
from hyperhive.coordinator.views.wording import counts, hyperparameters, outcome, with_interval
from hyperhive.store.trials.terms import AUTO


def sentence(source: Source, devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines: best, test, what it is compared with, trials, and the devices' hours.

    A study of ``auto`` has another, with the algorithm that it chose.
    """
    state, best = source.state, source.state.best
    chosen = "" if best is None else hyperparameters(best)
    lines = [
        "best: none yet" if best is None else f"best: {best.title}, {outcome(best)}",
        f"hyperparameters: {chosen}" if chosen else "",
        *(f"{label}: {line}" for label, line in repeat_lines(state.repeat_results).items()),
    ]
    if state.test_accuracy is not None:
        lines.insert(1, f"test: {with_interval(state.test_accuracy, state.test_images)}")
    about = [_compared(source), _work(source, devices), _algorithm(source)]
    return [text(line) for line in [*lines, *about] if line]


def _compared(source: Source) -> str:
    known = [f"{percent(share)} {each.name}" for each, share in compared(source.state)]
    return f"compared with: {', '.join(known)} (of validation images)" if known else ""


def _algorithm(source: Source) -> str:
    if source.study is None or source.study.plan.algorithm != AUTO:
        return ""
    return f"algorithm: {source.study.plan.chosen_algorithm}, which auto chose"


def _work(source: Source, devices: Sequence[Mapping[str, Any]]) -> str:
    hours = sum(each["hours"] or 0.0 for each in devices)
    took = f"{hours:.1f} hours" if hours >= 1 else counted(round(60 * hours), "minute")
    on = f"; {took} on {counted(len(devices), 'device')}" if devices else ""
    return f"trials: {counts(source.state)}{on}"
