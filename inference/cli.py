"""The command predict-cam. Nothing heavy is imported before there is something to do."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Iterator, List, Optional

import typer
from rich.console import Console

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.store.cli import mongo_option

if TYPE_CHECKING:
    from hyperhive.inference.models.choice import Chosen
    from hyperhive.inference.predictor import Predictor
    from hyperhive.inference.session import Session
    from hyperhive.inference.views.broadcast import Broadcast
    from hyperhive.inference.views.window import Window
    from hyperhive.model.calibration import Thresholds

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",  # else --help keeps the line breaks of the docstring
    pretty_exceptions_enable=False,
)

_CAMERA = "0"


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def predict(
    paths: Optional[List[str]] = typer.Argument(
        None, metavar="[SOURCE]...", help="Short for --source; images may be many."
    ),
    source: Optional[str] = typer.Option(
        None,
        metavar="SOURCE",
        show_default=_CAMERA,
        help="An image, a folder (searched to the bottom), a glob, a video file, the number of a "
        "camera, rtsp:// or http:// (MJPEG, or a single image), csi://0 (a Jetson's ribbon cable; "
        "?w=1280&h=720&fps=30&flip=2), or - for paths on standard input.",
    ),
    model: Optional[Path] = typer.Option(
        None,
        metavar="FILE-or-DIR",
        show_default="the newest in models/*/",
        help="Weights (.safetensors, .onnx, .pt or .torchscript), with their card beside them.",
    ),
    study: Optional[str] = typer.Option(
        None,
        metavar="NAME",
        help="The best model of this study, instead of --model; also of one that still runs. It "
        "is kept on this device, for when the store is away.",
    ),
    watch: bool = typer.Option(
        False, "--watch", help="With --study: take each better model that it finds meanwhile."
    ),
    engine: str = typer.Option(
        "auto",
        help="What computes: torch, or opencv for an .onnx file of `hyperhive best --export`, "
        "which needs no PyTorch; auto goes by the model's suffix.",
    ),
    mongo: Optional[str] = mongo_option("this machine's own server"),
    output: Path = typer.Option(
        Path("predictions"),
        metavar="DIR",
        help="Where to write: annotated/ has every frame, as a JPEG of 320 to 1280 pixels; "
        "contact_sheet.png has up to 48, evenly spread; predictions.jsonl and predictions.csv say "
        "what each shows. Files of the same name are replaced.",
    ),
    count: Optional[int] = typer.Option(
        None,
        metavar="N",
        show_default="5 of a camera",
        help="Frames to take of a camera, or at most of a video or in live mode.",
    ),
    every: Optional[float] = typer.Option(
        None,
        metavar="SECONDS",
        show_default="2; none with --live",
        help="Time from one frame of a camera or video to the next. With --live: time from one "
        "snapshot to the next; 0 keeps every frame.",
    ),
    countdown: float = typer.Option(
        3.0, metavar="SECONDS", help="Time before a camera's first frame."
    ),
    list_cameras: bool = typer.Option(
        False, "--list-cameras", help="Show the cameras there are, with number, name and size."
    ),
    backend: Optional[str] = typer.Option(
        None,
        metavar="NAME",
        show_default="the system's own",
        help="OpenCV's interface to the camera: v4l2, avfoundation, dshow, msmf, gstreamer, "
        "ffmpeg, any.",
    ),
    size: Optional[str] = typer.Option(
        None, metavar="WxH", help="Pixels to ask the camera for; it says if it gives others."
    ),
    fps: Optional[float] = typer.Option(
        None, metavar="N", help="Frames a second to ask the camera for."
    ),
    pixel_format: Optional[str] = typer.Option(
        None,
        metavar="FOUR",
        help="Pixel format to ask the camera for: MJPG needs least of a USB port.",
    ),
    all_frames: bool = typer.Option(False, "--all-frames", help="Label every frame of a video."),
    live: bool = typer.Option(
        False,
        "--live",
        help="Label a camera, stream or video without a pause until q, Ctrl-C or its end. Only "
        "snapshots are written: with the space key, or as --every says. m shows what the model "
        "sees.",
    ),
    smoothing: Optional[float] = typer.Option(
        None,
        metavar="SECONDS",
        show_default="0.3",
        help="With --live: average the probabilities over about so long; 0 does not.",
    ),
    serve: Optional[str] = typer.Option(
        None,
        metavar="[HOST:]PORT",
        help="Show frames and labels on a web page of this machine, at 127.0.0.1. Beyond it, as "
        "with 0.0.0.0:8000, its address holds a secret; there is no encryption.",
    ),
    save_video: bool = typer.Option(
        False, "--save-video", help="Write the annotated frames as a video too."
    ),
    min_confidence: Optional[float] = typer.Option(
        None,
        metavar="SHARE",
        show_default="the model's own",
        help="Say unknown where the likeliest class has a smaller probability, 0 to 1.",
    ),
    min_margin: Optional[float] = typer.Option(
        None,
        metavar="SHARE",
        show_default="the model's own",
        help="Say unknown where it is ahead of the second by less, 0 to 1.",
    ),
    min_membership: Optional[float] = typer.Option(
        None,
        metavar="SHARE",
        show_default="the model's own",
        help="Say unknown of pictures that resemble the training images less than all but this "
        "share of these do, 0 to 1.",
    ),
    no_unknown: bool = typer.Option(False, "--no-unknown", help="Never say unknown."),
    device: str = typer.Option("cpu", help="Where to compute: auto, cpu, cuda or mps."),
    show: Optional[bool] = typer.Option(
        None,
        "--show/--no-show",
        show_default="only with --live",
        help="Show the frames in a window too, where there is a display; q ends.",
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Say only what went wrong."),
) -> None:
    """Name what images, a video or a camera show.

    The model sees the centred square of each frame. A camera gives a series of snapshots after a
    countdown; a video, one frame every --every seconds. With --live either is labelled on and on.
    """
    if model is not None and study is not None:
        raise UsageError("--model and --study exclude each other: give one")
    if watch and study is None:
        raise UsageError("--watch goes with --study NAME: a file does not get better")
    if live and all_frames:
        raise UsageError(
            "--live skips what it cannot keep up with, --all-frames does not: give one"
        )
    if smoothing is not None and not live:
        raise UsageError("--smoothing is for --live: a series' frames stand each for itself")
    thresholds = _thresholds(min_confidence, min_margin, min_membership, no_unknown)
    _hush_opencv()
    # So small a network is done before a second thread is awake; the camera needs the other cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from hyperhive.inference.frames import DEFAULT_EVERY_S, Sampling
    from hyperhive.inference.live import Snapshots
    from hyperhive.inference.outputs.folder import Outputs
    from hyperhive.inference.outputs.report import Report
    from hyperhive.inference.session import Session
    from hyperhive.inference.smoothing import DEFAULT_S, Smoother
    from hyperhive.inference.sources import choice as sources
    from hyperhive.inference.sources.address import CaptureRequest, parse_size
    from hyperhive.inference.views.views import Views

    out = _console(sys.stdout, quiet)
    if list_cameras:
        _list_cameras(backend, out)
        return
    given = ([] if source is None else [source]) + (paths or [])
    texts = sources.listed(given or [_CAMERA], getattr(sys.stdin, "buffer", None))
    pause = DEFAULT_EVERY_S if every is None else every
    sampling = Sampling(count, pause, countdown, all_frames, live)
    request = CaptureRequest(backend, parse_size(size) if size else None, fps, pixel_format)
    path = _locate(model, study, engine)
    frames = sources.choose(texts, sampling, output, out.print, request)
    if live and not frames.live:
        raise UsageError("--live needs a camera, a stream or a video: leave it out for images")
    snapshots = Snapshots(every if live else 0.0)
    smoother = Smoother(DEFAULT_S if smoothing is None else smoothing) if live else None
    with contextlib.ExitStack() as opened:
        chosen = opened.enter_context(_model(path, study, mongo, device, watch, out))
        _ask_for(thresholds, chosen.predictor)
        out.print(f"labelling {frames.title} with {chosen.title}")
        if chosen.predictor.card.calibration is None and not thresholds.of_probabilities:
            out.print("its card has no thresholds: it never says unknown (--min-confidence does)")
        title = f"{frames.title}, by {chosen.title}"
        outputs = Outputs(output, title, save_video, live)
        broadcast = opened.enter_context(_broadcast(serve, chosen.predictor))
        window = opened.enter_context(_window(show, live))
        views = Views(window, broadcast, chosen.predictor.input_of)
        session = Session(
            frames, chosen.predictor, snapshots, smoother, outputs, views, Report(out, live)
        )
        _run(session)


def _list_cameras(backend: Optional[str], out: Console) -> None:
    """Show which cameras there are, each opened for a moment."""
    from hyperhive.inference.sources.choice import needing_opencv

    with needing_opencv():
        from hyperhive.inference.sources import listing
        from hyperhive.inference.sources import opencv_capture as captures

    found = 0
    for camera in listing.cameras(captures.camera_backend(backend)):
        found += 1
        size = "{}x{} pixels".format(*camera.size) if camera.size else camera.hindrance
        out.print("{}  {}  {}".format(camera.index, camera.name or "(no name)", size))
    if not found:
        raise SourceError("no camera was found: plug one in, and see that no other program uses it")
    names = listing.names_on_a_mac()
    if names:
        out.print("macOS names its cameras, but not their numbers: {}".format(", ".join(names)))


def _thresholds(
    min_confidence: Optional[float],
    min_margin: Optional[float],
    min_membership: Optional[float],
    no_unknown: bool,
) -> "Thresholds":
    from hyperhive.model.calibration import NO_THRESHOLDS, Thresholds

    asked = Thresholds(min_confidence, min_margin, min_membership)
    if not no_unknown:
        return asked
    if asked != Thresholds():
        raise UsageError("--no-unknown excludes --min-...: give one")
    return NO_THRESHOLDS


def _ask_for(thresholds: "Thresholds", predictor: "Predictor") -> None:
    """Have a model go by these; raises ``UsageError`` where it has nothing to measure one by."""
    calibration = predictor.card.calibration
    if thresholds.min_membership and (calibration is None or calibration.members is None):
        raise UsageError(
            "--min-membership: the model's card does not say what its training images look like; "
            "ask for --min-confidence, or take a model of a study that this hyperhive has run"
        )
    predictor.ask_for(thresholds)


def _locate(model: Optional[Path], study: Optional[str], engine: str) -> Optional[Path]:
    """Return the model's file, None for a study's, and import what has to come before OpenCV."""
    from hyperhive.inference.models import choice as models

    if study is not None:
        models.require_weights(engine)
    path = models.locate(model, engine) if study is None else None
    models.import_engine(path)
    return path


@contextlib.contextmanager
def _model(
    path: Optional[Path],
    study: Optional[str],
    mongo: Optional[str],
    device: str,
    watch: bool,
    out: Console,
) -> "Iterator[Chosen]":
    """Give the model of a file, or of a study while it is watched."""
    if study is None:
        from hyperhive.inference.models.choice import from_file

        yield from_file(path, device)
    else:
        from hyperhive.inference.models.study import from_study

        warn = _console(sys.stderr).print
        with from_study(study, mongo, device, watch, out.print, warn) as chosen:
            yield chosen


def _run(session: "Session") -> None:
    """Run it until the source ends, or a signal or q in the window ends it; then sum it up."""
    from hyperhive.common.signals import StopSignals

    errors = _console(sys.stderr)
    left_out: List[str] = []

    def leave_out(sentence: str) -> None:
        left_out.append(sentence)
        errors.print(f"left out: {sentence}")

    try:
        with StopSignals(restore=True) as interrupt, session.outputs:
            if session.run(interrupt.stop, leave_out) and session.smoother is None:
                session.views.linger(interrupt.stop)
    finally:
        session.report.conclude(session.predictor.timings, session.outputs)
    if interrupt.signal_number:
        raise typer.Exit(128 + interrupt.signal_number)
    if left_out:
        frames = session.report.tally.frames
        raise SourceError(
            f"{len(left_out)} of {len(left_out) + frames} images could not be read and were "
            "left out; the others are labelled"
        )


@contextlib.contextmanager
def _broadcast(address: Optional[str], predictor: "Predictor") -> "Iterator[Optional[Broadcast]]":
    """Serve the page, if it is wanted, and say where; also when all else is quiet."""
    if address is None:
        yield None
        return
    from hyperhive.inference.views.broadcast import Broadcast
    from hyperhive.inference.views.page import parse_address, serve

    broadcast = Broadcast(predictor.input_of)
    with serve(broadcast, *parse_address(address)) as url:
        _console(sys.stdout).print(f"watch at {url}")
        yield broadcast


@contextlib.contextmanager
def _window(wanted: Optional[bool], live: bool) -> Iterator[Optional["Window"]]:
    """Open a window if one is wanted, or can be in live mode; else say why not and do without."""
    if not (live if wanted is None else wanted):
        yield None
        return
    try:
        from hyperhive.inference.views import window as display

        hindrance = display.hindrance(os.environ)
    except ImportError as error:
        hindrance = f"OpenCV cannot be imported ({error})"
    if hindrance:
        ignored = ", --show is ignored" if wanted else ""
        _console(sys.stderr).print(f"no window{ignored}: {hindrance}")
        yield None
        return
    window = display.Window()
    try:
        yield window
    finally:
        window.close()


def _hush_opencv() -> None:
    """Keep OpenCV's and FFmpeg's own complaints off the screen: ours say what to do."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    # A stream that hangs: ``stimeout`` (microseconds) is FFmpeg 4's; later ones leave it unused and
    # come with an OpenCV that is told another way (captures.py). FFmpeg 5's ``timeout`` would make
    # FFmpeg 4 wait for cameras to call it. TCP is OpenCV's own choice, lost if it is not repeated.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|stimeout;10000000")


def _console(stream: IO[str], quiet: bool = False) -> Console:
    """Return a console that prints names as they are, whatever is in them."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return Console(
        file=stream, quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
