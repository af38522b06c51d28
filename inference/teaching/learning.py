"""Learning in the background: a process of its own learns, and the better model takes over."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Callable

from hyperhive.common import paths
from hyperhive.common.errors import CheckpointError
from hyperhive.common.wording import percent
from hyperhive.inference.frames import Say
from hyperhive.inference.models.file import predictor_of
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.teaching.settings import DEFAULT_TRIALS
from hyperhive.inference.teaching.states import (
    FAILED,
    Learned,
    Problem,
    Progress,
    message_of,
)
from hyperhive.model.calibration import Thresholds
from hyperhive.model.card import SAFETENSORS

PROCESS = "hyperhive.coordinator.folder_learning.process"
_END_S = 40.0
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the process is started again; the last one again and again."""
_NEVER_AGAIN = 2
"""The exit code of what a new start cannot mend."""


@dataclass(frozen=True)
class LearningSettings:
    """What is learned, and where.

    Args:
        folder: with a folder of pictures per class; it may not exist yet.
        trials: how many configurations a version tries.
        mongo: a MongoDB URI or a file with it; None for what any command uses.
        models: the folder in which each version leaves its model, ``models/NAME/``.
        device: where PyTorch computes the models that answer.
        thresholds: when they answer ``unknown``.
    """

    folder: Path
    trials: int = DEFAULT_TRIALS
    mongo: str | None = None
    models: Path = Path("models")
    device: str = "cpu"
    thresholds: Thresholds = field(default_factory=Thresholds)


class Learning:
    """Learns from a folder while it is open; ``predictor`` becomes each better model.

    Learning is a process of its own, of lower priority, with its own workers. It ends with this
    one, also if this one is killed. All that it knows is in the folder and in the store: if it is
    killed it is started again, and goes on. Use it as a context manager.

    Args:
        settings: what is learned, and where.
        say: is called with a sentence about each better model, in a thread.
        warn: is called with a sentence if the process has ended and is started again.
        on_progress: is called with each new state, in a thread.
    """

    def __init__(
        self,
        settings: LearningSettings,
        say: Say,
        warn: Say,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.progress = Progress()
        self.predictor: Predictor | None = None
        """The model that answers; None until there is one. It stays the same object."""
        self._settings = settings
        self._say = say
        self._warn = warn
        self._on_progress = on_progress
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self._failures = 0
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)

    def __enter__(self) -> Learning:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._closed.set()
            process = self._process
        if process is not None:
            _end(process)
        self._thread.join()

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.is_set():
            code, reason = self._run_process()
            if self._closed.is_set():
                return
            if code == _NEVER_AGAIN:
                self._take_progress(replace(self.progress, phase=FAILED, problem=reason))
                return
            pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
            problem = f"learning was interrupted ({reason}); it goes on in {pause:.0f} s"
            self._warn(problem)
            self._take_progress(replace(self.progress, problem=problem))
            self._closed.wait(pause)

    def _run_process(self) -> tuple[int, str]:
        """Run the process until it ends; return its exit code, and why it has ended."""
        self._problem = ""
        log = paths.data_directory() / "logs" / "teaching.log"
        try:
            code = self._logged(log)
        except OSError as error:
            return 1, str(error)
        return code, self._problem or f"exit code {code}: {log} has more"

    def _logged(self, log: Path) -> int:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            with self._starting:
                if self._closed.is_set():
                    return 0
                self._process = process = _started(self._settings, errors)
            for line in process.stdout or ():
                if line.endswith("\n"):  # a process that was killed may have begun a line
                    self._take(line)
            code = process.wait()
            self._process = None
            for pipe in (process.stdout, process.stdin):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        return code

    def _take(self, line: str) -> None:
        message = message_of(line)
        if isinstance(message, Problem):
            self._problem = message.sentence
        elif isinstance(message, Learned):
            self._failures = 0
            self._become(message)
        else:
            self._take_progress(message)

    def _take_progress(self, progress: Progress) -> None:
        self.progress = progress
        if not self._closed.is_set():
            self._on_progress(progress)

    def _become(self, learned: Learned) -> None:
        """Answer with a better model; the classes may be others than those of the last one."""
        card, now = learned.card, self.predictor
        if now is not None and now.card == card:
            return
        where = f"version {learned.version}"
        try:
            better = predictor_of(learned.packed, SAFETENSORS, card, self._settings.device, where)
        except CheckpointError as error:
            self._warn(f"a newer model was refused: {error}")
            return
        if now is None:
            better.use_thresholds(self._settings.thresholds)
            self.predictor = better
        else:
            now.become(better)
        if not self._closed.is_set():
            accuracy = percent(card.validation_accuracy)
            self._say(f"{where}, trial {card.trial} answers now: validation accuracy {accuracy}")


def _started(settings: LearningSettings, errors: IO[bytes]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", PROCESS],
        stdin=subprocess.PIPE,  # ends with this process, even if it is killed, and that one with it
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C reaches only this process, which stops it in order
    )
    given = {
        "folder": str(settings.folder.resolve()),
        "trials": settings.trials,
        "mongo": settings.mongo,
        "models": str(settings.models.resolve()),
    }
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # its exit code says why it has ended
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
    return process


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the process to end, by closing its standard input, and wait until it has."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
