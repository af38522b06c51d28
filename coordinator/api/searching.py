"""``hyperhive.search``: a search from its beginning to its end, in the program that has it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import ObjectiveError, UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.api.connection import Connection, fetching
from hyperhive.coordinator.api.naming import fresh_name, given_name, objective_name
from hyperhive.coordinator.api.plans import dataset_of, plan_of
from hyperhive.coordinator.api.study import Study
from hyperhive.coordinator.api.trial import StudyTrial
from hyperhive.coordinator.changes.extending import as_raised
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.stop_rules import end_of
from hyperhive.coordinator.report.writing import keep_report
from hyperhive.coordinator.search import Interrupted
from hyperhive.coordinator.study import Study as PlannedStudy
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.study_state import Snapshot, StudyState, Watch
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.coordinator.views.terminal import opening, showing
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.local import LocalWorkers, local_workers
from hyperhive.worker.objectives.function import arguments
from hyperhive.worker.objectives.registry import registered

OnTrialEnd = Callable[[Study, StudyTrial], Any]


def search(
    train: Callable[..., Any] | str,
    space: Any = None,
    trials: int = 50,
    *,
    data: str | Path | Mapping[str, Any] | None = None,
    image_size: int | None = None,
    network: str = "lenet5",
    validation: float = 0.2,
    name: str | None = None,
    store: str | None = None,
    workers: int | None = None,
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
    pruner: str = "none",
    repeats: int = 0,
    folds: int = 0,
    teacher: bool | str = False,
    on_trial_end: OnTrialEnd | None = None,
    progress: bool = True,
) -> Study:
    """Search a function's best configuration, with workers of this machine; return the study.

    Args:
        train: called with ``(config, trial)`` or ``(config)``; returns its loss, or a dictionary
            with it. Or a ``hyperhive.command``, or the name of an objective: ``"lenet5"``.
        space: what ``hp`` returns, in a dictionary, or JSON as in a study file, or one of LeNet-5's
            by name: ``"classic"``, its default, ``"robust"``, ``"quick"``, ``"extended"``.
        trials: how many configurations to try. docs/studies.md has the settings not listed here.
        data: of images: a name such as ``"digits"``, a folder or zip, or a table ``[dataset]``.
        name: of a study to make, resume or extend; by default a new one with a name of its own.
        store: a MongoDB URI or a file with it; by default the server of ``hyperhive coordinator``.
        workers: how many on this machine; by default one per core, or one on a GPU. With 0, those
            elsewhere do it: ``hyperhive worker --objectives FILE``.
        target, max_time, patience: end it: ``"loss <= 0.1"``, ``"2 h"``, trials after the best.
        pruner: ends trials early that are worse than others: ``"none"``, ``"median"``, ``"asha"``.
        repeats: how often each of the best few is run again, under other seeds; the mean decides.
        on_trial_end: called with the study and each trial; ``study.stop()`` in it ends the search.

    Raises ``UsageError`` for what cannot be searched, ``StudyFailed`` if no trial has a result,
    ``WorkersFailed``, ``StoreError``, ``KeyboardInterrupt``: the study then stays as it is.
    """
    _require_usable(train, workers)
    objective = objective_name(train) if workers == 0 else given_name(train)
    chosen = fresh_name(objective, data) if name is None else name
    what: Any = {"data": data, "image_size": image_size, "network": network, "teacher": teacher}
    sure: Any = {"validation": validation, "folds": folds, "repeats": repeats, "pruner": pruner}
    drawn: Any = {"algorithm": algorithm, "seed": seed, "startup": startup, "try_first": try_first}
    goal: Any = {"metric": metric, "direction": direction, "max_attempts": max_attempts}
    ends: Any = {"target": target, "max_time": max_time, "patience": patience}
    plan = plan_of(chosen, objective, space, trials, **what, **sure, **drawn, **goal, **ends)
    return _searched(plan, store, train, workers, on_trial_end, progress)


def _require_usable(train: Any, workers: Any) -> None:
    if isinstance(train, str):
        if workers != 0 and train not in registered():
            raise ObjectiveError(
                f"this machine has no objective {train}: it has {', '.join(sorted(registered()))}"
            )
    elif not callable(train) or arguments(train) is None:
        raise ObjectiveError(
            f"search needs a function of (config, trial), and {train!r:.80} is none"
        )
    if workers == 0 and callable(train) and ":" not in objective_name(train):
        raise UsageError(
            "workers=0 leaves the trials to workers with --objectives FILE: that takes a function "
            "with a name in a file, not one of a notebook, a REPL or another function"
        )
    if workers is not None and (
        isinstance(workers, bool) or not isinstance(workers, int) or workers < 0
    ):
        raise UsageError("workers must be a whole number, 0 or more")


def _searched(
    plan: Plan,
    store: str | None,
    train: Callable[..., Any] | str,
    workers: int | None,
    on_trial_end: OnTrialEnd | None,
    progress: bool,
) -> Study:
    """Return a plan's study, run to its end; it is closed if that fails."""
    # A notebook gets plain lines: rich would make each of them an output of its own.
    console = Screen(force_jupyter=False) if progress else None
    dataset = dataset_of(plan, console, fetching(store))
    study = Study(plan.name, Connection(store, begins=True))
    try:
        _search(study, plan, dataset, train, workers, on_trial_end, console)
    except BaseException:
        study.close()
        raise
    return study


def _search(
    study: Study,
    plan: Plan,
    dataset: Dataset | None,
    train: Callable[..., Any] | str,
    workers: int | None,
    on_trial_end: OnTrialEnd | None,
    console: Screen | None,
) -> None:
    """Run a study to its end, with local workers unless it has ended before."""
    local = None
    try:
        with contextlib.ExitStack() as running:
            stop = running.enter_context(_until_ctrl_c())
            if workers != 0 and not _has_ended(study, PlannedStudy.of(plan, dataset)):
                # Before the study is made: a function that cannot be given leaves none behind.
                function = None if isinstance(train, str) else train
                own = local_workers(function, plan.objective, study.uri, workers, plan.name)
                local = running.enter_context(own)
            planned = open_study(study.store, plan, dataset)
            watching = _Watching(study, local, on_trial_end, console)
            watch = running.enter_context(watching.shown(plan.goal))
            folder = Path("models") / plan.name
            result = StudyRun(study.store, planned, dataset, folder, True, watch, stop).run()
    except Interrupted:
        how = f"study {plan.name} stays: search with name={plan.name!r} goes on with it"
        if console is None:
            raise KeyboardInterrupt(how) from None
        tell(f"stopped; {how}", to=console)
        raise KeyboardInterrupt from None
    report = keep_report(study.store, plan.name, folder)
    watching.end(replace(result, report=report))


def _has_ended(study: Study, planned: PlannedStudy) -> bool:
    """Return whether exactly this study is in the store, and has its result."""
    stored = study.store.studies.get(study.name)
    if stored is None or stored.result is None:
        return False
    return PlannedStudy.stored(study.name, stored.spec).spec() == as_raised(planned, stored).spec()


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C sets; only the main thread hears of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield threading.Event()
        return
    with StopSignals(only_ctrl_c=True) as signals:
        yield signals.stop


class _Watching:
    """What a program sees of its search: the view, and each trial that ends.

    Args:
        study: as the program has it.
        local: this machine's workers, if it has started some.
        on_trial_end: see ``search``.
        console: where to show the search; None for nowhere.
    """

    def __init__(
        self,
        study: Study,
        local: LocalWorkers | None,
        on_trial_end: OnTrialEnd | None,
        console: Screen | None,
    ) -> None:
        self._study = study
        self._local = local
        self._on_trial_end = on_trial_end
        self._console = console
        self._ended = {t.id for t in self._trials(in_short=True) if t.is_final}
        self._seen: StudyState | None = None

    @contextlib.contextmanager
    def shown(self, goal: Goal) -> Iterator[Watch]:
        """Give the function that shows a search, as fits the console."""
        if self._console is None:
            yield self._look
            return
        tell(opening(self._study.name, self._study.store.address, goal), to=self._console)
        with showing(self._console) as show:

            def watch(snapshot: Snapshot) -> None:
                self._look(snapshot)
                are_starting = self._local is not None and not snapshot.had_workers
                show(replace(snapshot, are_starting=are_starting))

            yield watch

    def end(self, result: Result) -> None:
        """Tell how the search ended; a late result may have come since it was last looked at."""
        self._pass_on(self._trials(in_short=True))
        if self._console is not None:
            self._console.print(summary(result), soft_wrap=True)

    def _look(self, snapshot: Snapshot) -> None:
        if self._local is not None:
            self._local.raise_if_failed()
        if snapshot.study is not self._seen:  # it is the same while nothing changed
            self._seen = snapshot.study
            self._pass_on(snapshot.study.searched)

    def _pass_on(self, trials: Sequence[Trial]) -> None:
        new = [trial.tid for trial in trials if trial.id not in self._ended and trial.is_final]
        for trial in sorted(self._trials(new) if new else [], key=end_of):  # with their histories
            self._ended.add(trial.id)
            if self._on_trial_end is not None:
                self._on_trial_end(self._study, StudyTrial.of(trial, self._study))

    def _trials(self, tids: list[int] | None = None, in_short: bool = False) -> list[Trial]:
        find = self._study.store.trials.find
        return find(self._study.name, SEARCH, tids, in_short=in_short)
