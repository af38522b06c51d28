"""An experiment for real: studies one after the other, with workers of this machine."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Sequence

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.experiments.runs import Job, Run, Subject, Usual
from hyperhive.coordinator.planning.datasets import Connect, fetching, loading
from hyperhive.coordinator.planning.plan import Plan, study_name
from hyperhive.coordinator.planning.script import is_script, read_script, split
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import open_study
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import load
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.device import cores
from hyperhive.worker.local import local_workers
from hyperhive.worker.objectives.registry import registered


class ForReal(Subject):
    """Studies of a study file, or of a Python file with a function and a space.

    A study that was interrupted goes on. All stay in the store, with the trials of their search and
    without repeats, refit or model.

    Args:
        path: of the file.
        connect: opens the server.
        console: where each study is announced.

    Raises ``UsageError`` for a file that this machine's workers could not run.
    """

    is_share = False
    minimum = None

    def __init__(self, path: Path, connect: Connect, console: Screen) -> None:
        fields = read_script(path) if is_script(path) else read_file(path)
        self._plan = Plan(**{"name": study_name(split(path)[0].stem), **fields})
        self._files = _files(path, self._plan)
        self._connect = connect
        self._console = console
        self._dataset: Dataset | None = None
        self.name = self._plan.name
        self.usual = Usual(3, (cores(),), (self._plan.trials,))
        self.identity = {
            "study": Study(self._plan).lasting(),
            "data": str(self._plan.data),
        }

    def plan(self, job: Job) -> Plan:
        """See ``Subject``."""
        suffix = f"-{job.seed}-{job.workers}-{job.trials}"
        return replace(
            self._plan,
            name=study_name(f"{self._plan.name}-{job.algorithm}", suffix=suffix),
            algorithm=job.algorithm,
            seed=job.seed,
            trials=job.trials,
            repeats=0,
        ).usable()

    def runs(self, jobs: Sequence[Job], stop: threading.Event) -> Iterator[Run]:
        """See ``Subject``: one that runs when ``stop`` is set is interrupted, to go on later."""
        request = self._plan.data
        if request is not None and jobs:
            fetch = fetching(self._connect)
            loaded = loading(lambda shown: load(request, shown, fetch), self._console)
            self._dataset = loaded.dataset
        with self._connect() as uri, Store(uri) as store:
            for job in jobs:
                try:
                    yield Run.of(job, self._searched(store, uri, job, stop))
                except Interrupted:
                    return

    def _searched(self, store: Store, uri: str, job: Job, stop: threading.Event) -> list[Trial]:
        plan = self.plan(job)
        study = open_study(store, plan, self._dataset)
        tell(f"study {plan.name} on {store.address}", to=self._console)
        how = (None, plan.objective, uri, job.workers, plan.name, self._files)
        with local_workers(*how) as local:
            search = Search(store, study, lambda snapshot: local.raise_if_failed(), stop)
            search.teach(self._dataset is not None and self._dataset.may_mirror)
            return search.run()


def _files(path: Path, plan: Plan) -> list[str]:
    """Return the file that workers need for a study, none for an objective of this installation."""
    if is_script(path):
        return [str(split(path)[0].absolute())]
    if plan.objective not in registered():
        raise UsageError(
            f"study file {path}: this machine has no objective {plan.objective}: name its Python "
            "file in place of the study file, or install the package that has it"
        )
    return []
