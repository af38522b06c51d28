"""The command ``hyperhive coordinator``: from its options to the result on the console."""

from __future__ import annotations

import contextlib
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Mapping

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import UsageError
from hyperhive.common.extras import require_installed
from hyperhive.common.files import require_writable
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.changes.ending import finishable
from hyperhive.coordinator.planning.datasets import Connect, DatasetOptions, fetching, loading
from hyperhive.coordinator.planning.plan import Plan, study_name
from hyperhive.coordinator.planning.recipes import recipe_of
from hyperhive.coordinator.planning.script import is_script, read_script, split
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.report.writing import keep_report
from hyperhive.coordinator.search import Interrupted
from hyperhive.coordinator.spaces.named import named
from hyperhive.coordinator.study import Study, require_networks
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.coordinator.views.terminal import opening, showing
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, load
from hyperhive.model.data.sources.known import FOLDER
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import LENET5

WhenDone = Callable[[str, Result], None]
"""Gets the name of a study that has come to its end, and its result."""

Beside = Callable[[Store, str, Callable[[str], None]], ContextManager[object]]
"""Opens what runs beside a study: gets the store, the study's name, and what tells a sentence."""


def no_page(store: Store, study: str, say: Callable[[str], None]) -> ContextManager[object]:
    """Open nothing."""
    return contextlib.nullcontext()


def live_page(store: Store, study: str, say: Callable[[str], None]) -> ContextManager[object]:
    """Open the live page, and say where it is."""
    require_installed("starlette", "uvicorn")
    from hyperhive.coordinator.views.dashboard_page import beside

    return beside(store, study, say)


_PLAN_FLAGS = (
    *("name", "trials", "algorithm", "seed", "metric", "direction"),
    *("pruner", "repeats", "folds", "teacher", "network"),
)
_HASH_SHOWN = len("sha256:") + 12
_RULES = ("target", "max_time", "patience")


@dataclass(frozen=True)
class StudyOptions:
    """The options of ``hyperhive coordinator``; what is None comes from the file or a default."""

    file: Path | None
    name: str | None
    images: DatasetOptions
    trials: int | None
    algorithm: str | None
    space: str | None
    seed: int | None
    metric: str | None
    direction: str | None
    target: str | None
    max_time: str | None
    patience: int | None
    pruner: str | None
    repeats: int | None
    folds: int | None
    teacher: bool | None
    network: str | None
    refit: bool
    timeout: float | None
    dashboard: bool
    models: Path
    when_done: WhenDone


def run(options: StudyOptions, connect: Connect, console: Screen) -> bool:
    """Start or resume the study that the options describe; return whether it came to its end."""
    plan = plan_of(options)
    dataset = None
    if plan.data is not None:
        request, fetch = plan.data, fetching(connect)
        require_models(options.models / plan.name)
        dataset = loading(lambda progress: load(request, progress, fetch), console).dataset
        require_networks(plan, dataset)
    with StopSignals() as signals, connect() as uri:
        if options.file is not None and is_script(options.file):
            plan = _pinned(plan, options.file, uri)
        shown = ShownSearch(
            *(plan, dataset, options.models, options.refit, options.timeout),
            when_done=options.when_done,
            beside=live_page if options.dashboard else no_page,
        )
        return shown.run(uri, signals, console)


def _pinned(plan: Plan, script: Path, uri: str) -> Plan:
    """Return a plan whose objective is the published version of a Python file, if it has one."""
    from hyperhive.coordinator.publishing.pinning import pinned

    with Store(uri) as store:
        file = split(script)[0]
        return replace(plan, objective=pinned(plan.objective, file, plan.name, store))


@dataclass(frozen=True)
class FinishOptions:
    """The options of ``hyperhive study finish``; ``refit`` is None for what its coordinator has."""

    name: str
    refit: bool | None
    timeout: float | None
    models: Path
    when_done: WhenDone = lambda study, result: None


def finish(options: FinishOptions, connect: Connect, console: Screen) -> bool:
    """End a study with the trials that have ended; return whether it came to its end.

    A study that has ended already is not run again: its model is written. Raises ``NotFound``,
    ``NothingToFinish``, and ``StudyWithdrawn`` for a study that was cancelled.
    """
    with StopSignals() as signals, connect() as uri, Store(uri) as store:
        stored = finishable(store, options.name)
        study = Study.stored(stored.name, stored.spec)
        dataset = None
        if study.dataset_hash is not None:
            require_installed("torch", "matplotlib")
            require_models(options.models / options.name)
            dataset = DatasetCache().get(study.dataset_hash, store.datasets.fetch)
            require_networks(study.plan, dataset)
        refit = stored.refits if options.refit is None else options.refit
        resume = "run the same command again and it goes on from here"
        shown = ShownSearch(
            *(study.plan, dataset, options.models, refit, options.timeout),
            resume=resume,
            when_done=options.when_done,
        )
        return shown.show(store, study, signals, console, finishes=stored.result is None)


def plan_of(options: StudyOptions) -> Plan:
    """Return what the study file and the flags describe; a flag wins.

    Raises what ``Plan.usable`` does.
    """
    fields: dict[str, Any] = {}
    if options.file is not None:
        fields = read_script(options.file) if is_script(options.file) else read_file(options.file)
        taught = {} if options.teacher is None else {"teacher": options.teacher}
        # A space may have what only goes with a teacher, which a flag asks for.
        _require_valid(f"study file {options.file}", {**fields, **taught})
    request = options.images.request(fields.get("data"))
    if request is not None:
        fields["data"] = request
    _require_whole(fields, options)
    for flag in (*_PLAN_FLAGS, *_RULES):
        value = getattr(options, flag)
        if value is not None:
            fields[flag] = _as_in_a_file(value) if flag in _RULES else value
            _require_valid(f"--{flag.replace('_', '-')}", {flag: fields[flag]})
    if options.space is not None:
        fields.update(named(options.space))
    if "data" in fields:
        # The study's seed also splits images that come without a test/ folder.
        fields["data"] = replace(fields["data"], seed=fields.get("seed", 0))
    fields.setdefault("name", study_name(_default_name(options.file, fields.get("data"))))
    return Plan(**fields).usable()


def _require_whole(fields: Mapping[str, Any], options: StudyOptions) -> None:
    """Raise ``UsageError`` if a study has nothing to search on, or nothing to search."""
    objective = fields.get("objective", LENET5)
    if not recipe_of(objective).needs_images:
        if options.space is not None:
            raise UsageError(f"--space names a space of {LENET5}, and the objective is {objective}")
        if "space" not in fields and options.space is None:
            raise UsageError(
                f"study file {options.file}: objective {objective} needs a search space: write "
                "[space] with its parameters"
            )
    elif "data" not in fields:
        raise UsageError(
            "which images? Pass --dataset simpsons or --dataset digits, --data PATH for a folder "
            "of class folders, or a study file"
        )


def _as_in_a_file(value: Any) -> Any:
    """Return a flag's value as a study file has it: ``--target 0.1`` is a number there."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _default_name(file: Path | None, request: DatasetRequest | None) -> str:
    """Return what a study without a name is called after: its images, or else its file."""
    if request is None:
        return file.stem if file is not None else ""
    if request.name == FOLDER and request.data is not None:
        return request.data.resolve().stem
    return request.name if request.published is None else request.name[:_HASH_SHOWN]


def _require_valid(source: str, fields: dict[str, Any]) -> None:
    """Raise ``UsageError`` that names where these values of a plan come from."""
    try:
        Plan(**{"name": "x", "data": DatasetRequest("digits"), **fields})
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


@dataclass(frozen=True)
class ShownSearch:
    """A study to run, and how to show it.

    Args:
        plan: of the study.
        dataset: that the plan asks for, if it asks for one.
        models: the model goes to the folder of the study's name in here.
        refit: see ``StudyRun``.
        timeout: see ``StudyRun``.
        check: called at every look; what it raises ends the run.
        resume: what is printed about going on, when the run was stopped.
        when_done: called at the end of a study that had not ended before.
        beside: opens what is served while it runs.
    """

    plan: Plan
    dataset: Dataset | None
    models: Path
    refit: bool
    timeout: float | None = None
    check: Callable[[], None] = lambda: None
    resume: str = "start the same study again and it goes on from here"
    when_done: WhenDone = lambda study, result: None
    beside: Beside = no_page

    def run(self, uri: str, signals: StopSignals, console: Screen) -> bool:
        """Run the study to its end; return False if it was stopped before."""
        with Store(uri) as store:
            study = open_study(store, self.plan, self.dataset)
            return self.show(store, study, signals, console)

    def show(
        self,
        store: Store,
        study: Study,
        signals: StopSignals,
        console: Screen,
        finishes: bool = False,
    ) -> bool:
        """Run an opened study to its end, with the trials that it has if it ``finishes``.

        Ctrl-C on a terminal lets the user choose whether it finishes or stops; anything else stops
        it. Returns False if it was stopped.
        """
        had_ended = store.study(study.name).result is not None
        tell(opening(study.name, store.address, study.plan.goal), to=console)
        with self.beside(store, study.name, lambda line: tell(line, to=console)):
            result, has_best = self._attempt(store, study, signals, console, finishes)
            if result is None and has_best and not finishes and _is_to_finish(signals, console):
                signals.forget()
                result, _ = self._attempt(store, study, signals, console, finishes=True)
        if result is None:
            tell(f"stopped; {self.resume}", to=console)
            return False
        written = keep_report(store, study.name, self.models / study.name)
        result = replace(result, report=written)
        console.print(summary(result), soft_wrap=True)
        if not had_ended:
            self.when_done(study.name, result)
        return True

    def _attempt(
        self, store: Store, study: Study, signals: StopSignals, console: Screen, finishes: bool
    ) -> tuple[Result | None, bool]:
        """Return the result, None if the run was stopped, and whether a trial was best by then."""
        has_best = False
        with showing(console) as show:

            def watch(snapshot: Snapshot) -> None:
                nonlocal has_best
                self.check()
                has_best = snapshot.study.best is not None
                show(snapshot)

            folder, stop = self.models / study.name, signals.stop
            run = StudyRun(
                store, study, self.dataset, folder, self.refit, watch, stop, self.timeout
            )
            try:
                if finishes:
                    run.finish()
                return run.run(), has_best
            except Interrupted:
                return None, has_best


def _is_to_finish(signals: StopSignals, console: Screen) -> bool:
    """Ask on a terminal, after Ctrl-C, whether the study is to finish; without one, it is not."""
    at_a_terminal = console.file.isatty() and sys.stdin is not None and sys.stdin.isatty()
    if signals.signal_number != signal.SIGINT or not at_a_terminal:
        return False
    question = (
        "f and Enter: finish now with the trials that have ended; Ctrl-C again, or Enter: stop"
    )
    tell(question, "yellow", console)
    try:
        return console.input().strip().lower() == "f"
    except (KeyboardInterrupt, EOFError):
        return False


def require_models(folder: Path) -> None:
    """Raise ``OutputError`` now, and not after hours of work, if the model could not be written."""
    require_writable(folder, "the study's model", "choose another with --models")
