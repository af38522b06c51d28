"""predict-cam's work: from settings to classified frames and a summary."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from rich.console import Console

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.inference.acting.actions import opened_actions
from hyperhive.inference.collecting.keeper import Keeper
from hyperhive.inference.frames import Say, Source
from hyperhive.inference.labelling import Sight
from hyperhive.inference.models.file import Chosen, from_file, prepare_model
from hyperhive.inference.opening import CAMERA, Terminal, opened_guide, opened_source
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.report import Report
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.session import Session, Snapshots
from hyperhive.inference.settings import (
    DEFAULT_SMOOTHING_S,
    ModelSettings,
    PredictSettings,
    SightSettings,
)
from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.sources.resolve import needing_opencv, place, read_list
from hyperhive.inference.views.display import open_display
from hyperhive.model.calibration import PLAIN, Thresholds


def predict(settings: PredictSettings, terminal: Terminal) -> int:
    """Run until the source ends, a signal arrives, or q is pressed in the window.

    Returns:
        The number of the signal that ended it, or 0.

    Raises ``InputError`` and ``StoreError``: sentences about source, model, store and outputs.
    """
    if settings.list_cameras:
        _list_cameras(settings.camera.backend, terminal.out)
        return 0
    if settings.collect.sort is not None:
        from hyperhive.inference.collecting.sort import sort  # here: few runs do this

        return sort(settings.collect.sort, settings.show, terminal)
    if settings.teaching is not None:
        from hyperhive.inference.teaching.teach import teach  # here: few runs do this

        return teach(settings, settings.teaching, terminal)
    thresholds = settings.unknown.thresholds()
    texts = read_list(settings.sources or (CAMERA,), terminal.stdin)
    # Before a source is resolved: PyTorch has to be imported before OpenCV.
    path = prepare_model(settings.model)
    source = opened_source(texts, settings, terminal.out.print)
    sight = _sight(settings.sight, place(texts, source), terminal)
    with contextlib.ExitStack() as opened:
        chosen = opened.enter_context(_opened_model(path, settings.model, terminal))
        _apply(thresholds, chosen.predictor)
        _introduce(source, chosen, thresholds, terminal.out)
        session = _session(settings, source, chosen, sight, terminal, opened)
        return _run(session, terminal.warn)


@contextlib.contextmanager
def _opened_model(
    path: Path | None, settings: ModelSettings, terminal: Terminal
) -> Iterator[Chosen]:
    """Yield the model of a file, or of a study while it is watched."""
    if settings.study is None:
        yield from_file(path, settings.device)
        return
    from hyperhive.inference.models.study import from_study  # here: it needs PyMongo

    say = terminal.out.print
    with from_study(
        settings.study, settings.mongo, settings.device, settings.watch, say, terminal.warn
    ) as chosen:
        yield chosen


def _apply(thresholds: Thresholds, predictor: Predictor) -> None:
    """Have a model use these; raise ``UsageError`` if its card cannot measure membership."""
    calibration = predictor.card.calibration
    if thresholds.min_membership and (calibration is None or calibration.members is None):
        raise UsageError(
            "--min-membership needs a model whose card describes its training images, and this "
            "card does not: use --min-confidence, or a model of a study of this version"
        )
    predictor.use_thresholds(thresholds)


def _introduce(source: Source, chosen: Chosen, thresholds: Thresholds, out: Console) -> None:
    out.print(f"labelling {source.title} with {chosen.title}")
    own = chosen.predictor.card.calibration or PLAIN
    if not (own.ever_doubts or thresholds.of_probabilities or thresholds.min_membership):
        out.print(
            "the model's card has no thresholds, so it never answers unknown; --min-confidence "
            "sets one"
        )


def _sight(settings: SightSettings, name: str | None, terminal: Terminal) -> Sight:
    """Return where the model looks.

    Args:
        settings: what is asked for.
        name: of the source, for which the square is kept; None keeps nothing.
        terminal: prints.
    """
    if settings.faces:
        with needing_opencv():
            from hyperhive.inference.sight.faces import FaceFinder
        return FaceFinder()
    return opened_guide(settings.square, name, terminal)


def _session(
    settings: PredictSettings,
    source: Source,
    chosen: Chosen,
    sight: Sight,
    terminal: Terminal,
    opened: contextlib.ExitStack,
) -> Session:
    """Return the parts of the run; ``opened`` closes the page, the window and the actions."""
    live, predictor, collect = settings.sampling.live, chosen.predictor, settings.collect
    smoothing = DEFAULT_SMOOTHING_S if settings.smoothing is None else settings.smoothing
    title = f"{source.title}, by {chosen.title}"
    actions = opened.enter_context(
        opened_actions(settings.acting, terminal.out.print, terminal.warn)
    )
    display = opened.enter_context(
        open_display(
            show=settings.show,
            live=live,
            serve_at=settings.serve,
            input_of=predictor.input_of,
            guide=sight if isinstance(sight, Guide) else None,
            announce=terminal.announce,
            warn=terminal.warn,
            environment=terminal.environment,
        )
    )
    return Session(
        source,
        predictor,
        Snapshots(settings.sampling.snapshot_interval),
        Smoother(smoothing) if live else None,
        OutputFolder(settings.output, title, settings.save_video, live, collect.save_crops),
        display,
        Report(terminal.out, live, predictor.closer),
        actions,
        sight,
        None if collect.keep is None else Keeper(collect.keep),
    )


def _run(session: Session, warn: Say) -> int:
    """Run a session and print its summary; return the number of the signal that ended it, or 0."""
    omissions = 0

    def leave_out(sentence: str) -> None:
        nonlocal omissions
        omissions += 1
        warn(f"skipped: {sentence}")

    keeper = session.keeper
    try:
        with StopSignals(
            restore=True
        ) as signals, keeper or contextlib.nullcontext(), session.outputs:
            is_complete = session.run(signals.stop, leave_out)
            if is_complete and session.smoother is None:
                session.display.linger(signals.stop)
    finally:
        remarks = () if keeper is None else keeper.remarks()
        session.report.conclude(session.predictor.timings, session.outputs, remarks)
    if omissions and not signals.signal_number:
        images = omissions + session.report.tally.frames
        raise SourceError(
            f"{omissions} of {images} images could not be read and were skipped; the others are "
            "labelled"
        )
    return signals.signal_number


def _list_cameras(backend: str | None, out: Console) -> None:
    """Show which cameras there are; each is opened for a moment."""
    with needing_opencv():
        from hyperhive.inference.sources import listing
        from hyperhive.inference.sources.opencv_capture import camera_backend

    is_empty = True
    for camera in listing.cameras(camera_backend(backend)):
        out.print(f"{camera.index}  {camera.name or '(no name)'}  {camera.state}")
        is_empty = False
    if is_empty:
        raise SourceError(
            "no camera was found: plug one in, and check that no other program uses it"
        )
    names = listing.names_on_a_mac()
    if names:
        out.print(f"macOS names its cameras, but not their numbers: {', '.join(names)}")
