"""``predict-cam --teach``: labels a camera, collects its pictures, and learns them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
import time
from typing import ContextManager, Iterator, Sequence

import numpy as np

from hyperhive.common import files
from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.common.wording import counted
from hyperhive.inference.collecting.collection import Collection
from hyperhive.inference.frames import Frame, Say, Source
from hyperhive.inference.labelling import NOTHING_LEARNED, Result, answered
from hyperhive.inference.opening import CAMERA, Terminal, opened_guide, opened_source
from hyperhive.inference.outputs.report import Pace
from hyperhive.inference.settings import DEFAULT_SMOOTHING_S, PredictSettings
from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.sources.resolve import place, read_list
from hyperhive.inference.teaching.controls import QUIT, Controls
from hyperhive.inference.teaching.keyboard import Journal, Status, keyboard_of, status
from hyperhive.inference.teaching.learning import Learning, LearningSettings
from hyperhive.inference.teaching.settings import TeachSettings
from hyperhive.inference.views.display import Display, open_display
from hyperhive.inference.views.remote import CHOOSE, KEY, TAKE, Remote
from hyperhive.inference.wording import percent, pretty
from hyperhive.model.data.images import SIZE, fit

_CHANNELS = 3
_GAP_S = 2.0
"""So long without a picture is a camera that was lost."""


def teach(settings: PredictSettings, teaching: TeachSettings, terminal: Terminal) -> int:
    """Teach until q, a signal, or the source's end.

    Returns:
        The number of the signal that ended it, or 0.

    Raises ``UsageError`` if no key could be pressed, ``SourceError``, ``OutputError``.
    """
    texts = read_list(settings.sources or (CAMERA,), terminal.stdin)
    # Before OpenCV, see ``prepare_model``; the model comes later.
    importlib.import_module("torch")
    say, stdin = terminal.out.print, keyboard_of(terminal)
    source = opened_source(texts, settings, say)
    guide = opened_guide(settings.sight.square, place(texts, source), terminal)
    smoothing = DEFAULT_SMOOTHING_S if settings.smoothing is None else settings.smoothing
    learns = _learned(settings, teaching)
    files.require_writable(learns.models, "the models", "start it in a folder that is writable")
    with StopSignals(restore=True) as signals, contextlib.ExitStack() as opened:
        collection = opened.enter_context(Collection(teaching.folder))
        # A sentence on standard error would be written into the lines that stay in place.
        warn = terminal.warn if stdin is None else say
        learning = opened.enter_context(Learning(learns, say, warn))
        remote = Remote()
        display = opened.enter_context(_display(settings, learning, guide, terminal, remote))
        if stdin is None and settings.serve is None and not display.has_window:
            raise UsageError(
                "--teach asks for keys, and there is no window and no terminal for them (Windows "
                "has none that it can use): run it in one, as by ssh -t and without --quiet, or "
                "with --serve 8000 for a page"
            )
        say(f"teaching {teaching.folder} from {source.title}")
        shows = opened.enter_context(status(stdin, terminal.out, remote, signals.stop))
        run = _Run(source, guide, learning, Smoother(smoothing), display, remote)
        controls = Controls(collection, teaching.burst)
        try:
            run.run(controls, shows, signals.stop, warn)
        finally:
            say("ending; what was learned is kept, and the same command goes on")
    _conclude(teaching, collection, run, say)
    return signals.signal_number


def _learned(settings: PredictSettings, teaching: TeachSettings) -> LearningSettings:
    return LearningSettings(
        teaching.folder,
        teaching.trials,
        settings.model.mongo,
        device=settings.model.device,
        thresholds=settings.unknown.thresholds(),
    )


def _display(
    settings: PredictSettings,
    learning: Learning,
    guide: Guide,
    terminal: Terminal,
    remote: Remote,
) -> ContextManager[Display]:
    return open_display(
        show=settings.show,
        live=True,
        serve_at=settings.serve,
        input_of=functools.partial(_input_of, learning),
        guide=guide,
        announce=terminal.announce,
        warn=terminal.warn,
        environment=terminal.environment,
        remote=remote,
    )


class _Run:
    """The frames of a source, what answers them, and where they are seen."""

    def __init__(
        self,
        source: Source,
        guide: Guide,
        learning: Learning,
        smoother: Smoother,
        display: Display,
        remote: Remote,
    ) -> None:
        self.pace = Pace()
        self._source = source
        self._guide = guide
        self._learning = learning
        self._smoother = smoother
        self._display = display
        self._remote = remote

    def run(
        self, controls: Controls, shows: Status | Journal, stop: threading.Event, left_out: Say
    ) -> None:
        """Show, label and take frames until the source ends, ``stop`` is set, or a key ends it."""
        with contextlib.closing(self._source.frames(stop, left_out)) as frames:
            before = time.monotonic()
            for frame in frames:
                is_late, before = time.monotonic() - before > _GAP_S, time.monotonic()
                result, known = self._answer(frame)
                self.pace.add(result)
                controls.see(result, known)
                view = controls.view(self._learning.progress)
                lines = [_label(result), *view.lines()]
                shows.show(lines)
                while controls.remarks:
                    left_out(controls.remarks.popleft())
                self._remote.shown = view.to_json
                key = self._display.show(result, lines[1:], view.has_taken)
                if not all(self._presses(controls, key, is_late)):
                    return

    def _answer(self, frame: Frame) -> tuple[Result, Sequence[str]]:
        """Return what the model says of a frame, and the classes that it knows."""
        box = self._guide.boxes(frame.image)[0]
        predictor = self._learning.predictor
        if predictor is None:
            return Result(frame, NOTHING_LEARNED, box=box), ()
        known = predictor.card.classes
        [result] = answered([frame], [box], predictor, self._smoother)
        return result, known

    def _presses(self, controls: Controls, key: str | None, is_late: bool) -> Iterator[bool]:
        """Do what was pressed in the window, in the terminal and on the page, in this order.

        What was pressed while the camera gave no picture is left out, but for the end.
        """
        if key is not None:
            if not controls.is_typing:
                self._display.obey(key)
            yield controls.press(key)
        for what, text in self._remote.presses():
            if is_late and (what, text) != (KEY, QUIT):
                continue
            if what == KEY:
                yield controls.press(text)
            elif what == CHOOSE:
                controls.choose(text)
            elif what == TAKE:
                controls.take(text)
            else:
                controls.undo()


def _input_of(learning: Learning, image: np.ndarray) -> np.ndarray:
    predictor = learning.predictor
    return fit(image, _CHANNELS, SIZE) if predictor is None else predictor.input_of(image)


def _label(result: Result) -> str:
    prediction = result.prediction
    if prediction.doubt is not None:
        return f"{result.caption}: {prediction.doubt}"
    return f"{result.caption} {percent(prediction.probability)}"


def _conclude(teaching: TeachSettings, collection: Collection, run: _Run, say: Say) -> None:
    counts = collection.counts()
    each = ", ".join(f"{count:,} {pretty(name)}" for name, count in sorted(counts.items()))
    pictures = counted(sum(counts.values()), "picture")
    say(f"{pictures} in {teaching.folder}{f' ({each})' if each else ''}")
    say(run.pace.line())
