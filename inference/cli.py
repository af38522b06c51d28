"""The command predict-cam. Nothing heavy is imported before there is something to do."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Iterator, List, Optional

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference.errors import SourceError
from model.errors import UsageError

if TYPE_CHECKING:
    from inference.display import Window
    from inference.frames import Source
    from inference.labelling import Result, Tally
    from inference.models import Chosen
    from inference.outputs import Outputs
    from inference.predictor import Predictor

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",  # else --help keeps the line breaks of the docstring
    pretty_exceptions_enable=False,
)

_CAMERA = "0"
_LINES_SHOWN = 20


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
        help="Weights, with their card beside them.",
    ),
    study: Optional[str] = typer.Option(
        None, metavar="NAME", help="The best model of this study, instead of --model."
    ),
    mongo: Optional[str] = typer.Option(
        None,
        metavar="URI",
        envvar="HYPERHIVE_MONGO",
        show_envvar=True,
        help="MongoDB URI of the store with the study; without it, this machine's own server. "
        "Prefer the variable: it keeps the password out of the process list.",
    ),
    output: Path = typer.Option(
        Path("predictions"),
        metavar="DIR",
        help="Where to write: annotated/ has every frame, as a JPEG of 320 to 1280 pixels; "
        "contact_sheet.png has up to 48, evenly spread. Files of the same name are replaced.",
    ),
    count: Optional[int] = typer.Option(
        None,
        metavar="N",
        show_default="5 of a camera",
        help="Frames to take of a camera, or at most of a video.",
    ),
    every: float = typer.Option(
        2.0, metavar="SECONDS", help="Time from one frame of a camera or video to the next."
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
    jsonl: bool = typer.Option(
        False,
        "--jsonl",
        help="Write predictions.jsonl too, an object a frame: frame (number, from 0), source, time "
        "(seconds: position in a video, Unix time of a snapshot, null of an image), label, "
        "probability, top3.",
    ),
    device: str = typer.Option("cpu", help="Where to compute: auto, cpu, cuda or mps."),
    show: bool = typer.Option(
        False, help="Show the frames in a window too, where there is a display; q ends."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Say only what went wrong."),
) -> None:
    """Name what images, a video or a camera show.

    The model sees the centred square of each frame. A camera gives a series of snapshots after a
    countdown; a video, one frame every --every seconds.
    """
    if model is not None and study is not None:
        raise UsageError("--model and --study exclude each other: give one")
    _hush_opencv()
    from inference import sources
    from inference.address import CaptureRequest, parse_size
    from inference.frames import Sampling
    from inference.outputs import Outputs

    out = _console(sys.stdout, quiet)
    if list_cameras:
        _list_cameras(backend, out)
        return
    given = ([] if source is None else [source]) + (paths or [])
    texts = sources.listed(given or [_CAMERA], getattr(sys.stdin, "buffer", None))
    sampling = Sampling(count, every, countdown, all_frames)
    request = CaptureRequest(backend, parse_size(size) if size else None, fps, pixel_format)
    frames = sources.choose(texts, sampling, output, out.print, request)
    chosen = _choose_model(model, study, mongo, device)
    out.print("labelling {} with {}".format(frames.title, chosen.title))
    outputs = Outputs(output, "{}, by {}".format(frames.title, chosen.title), jsonl)
    _run(frames, chosen.predictor, outputs, out, show)


def _list_cameras(backend: Optional[str], out: Console) -> None:
    """Show which cameras there are, each opened for a moment."""
    from inference.sources import needing_opencv

    with needing_opencv():
        from inference import captures, listing

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


def _choose_model(
    model: Optional[Path], study: Optional[str], mongo: Optional[str], device: str
) -> "Chosen":
    from inference import models
    from model.device import choose

    where = choose(device)
    if study is not None:
        return models.from_study(study, mongo, where)
    return models.from_file(model, where)


def _run(
    source: "Source", predictor: "Predictor", outputs: "Outputs", out: Console, show: bool
) -> None:
    """Label, write and report until the source ends, or a signal or q in the window ends it."""
    from inference.interrupt import Interrupt
    from inference.labelling import Tally, label

    errors = _console(sys.stderr)
    left_out: List[str] = []

    def leave_out(sentence: str) -> None:
        left_out.append(sentence)
        errors.print("left out: {}".format(sentence))

    tally = Tally()
    try:
        with Interrupt() as interrupt, outputs, _window(show, errors) as window:
            for result in label(source, predictor, interrupt.stop, leave_out):
                picture = outputs.add(result)
                tally.add(result)
                _report(result, tally.frames, out)
                if window is not None and not window.show(picture):
                    break
            else:
                if window is not None:
                    window.wait(interrupt.stop)
    finally:
        _summarise(tally, outputs, out)
    if interrupt.signal_number:
        raise typer.Exit(128 + interrupt.signal_number)
    if left_out:
        raise SourceError(
            "{} of {} images could not be read and were left out; the others are labelled".format(
                len(left_out), len(left_out) + tally.frames
            )
        )


def _report(result: "Result", number: int, out: Console) -> None:
    """Print a frame's line; of a long series only the first ones."""
    from inference.text import percent, pretty, printable

    if number <= _LINES_SHOWN:
        top = ["{} {}".format(pretty(name), percent(p)) for name, p in result.prediction.top]
        out.print("{}: {} ({})".format(printable(result.frame.name), top[0], ", ".join(top[1:])))
    elif number == _LINES_SHOWN + 1:
        out.print("... (--jsonl writes down every one)")


def _summarise(tally: "Tally", outputs: "Outputs", out: Console) -> None:
    from inference.text import percent, pretty

    if not tally.frames:
        return
    table = Table("label", box=box.SIMPLE)
    table.add_column("frames", justify="right")
    table.add_column("mean confidence", justify="right")
    for name, frames, probability in tally.rows():
        table.add_row(Text(pretty(name)), str(frames), percent(probability))
    out.print(table)
    if tally.expected:
        out.print(
            "{} of {} agree with the folder they lie in ({:.1f} %)".format(
                tally.agreeing, tally.expected, 100 * tally.agreeing / tally.expected
            )
        )
    for path in outputs.written():
        out.print("written: {}".format(path))


@contextlib.contextmanager
def _window(wanted: bool, errors: Console) -> Iterator[Optional["Window"]]:
    """Open a window if one is wanted; where there can be none, say so and go on without."""
    if not wanted:
        yield None
        return
    try:
        from inference import display

        hindrance = display.hindrance(os.environ)
    except ImportError as error:
        hindrance = "OpenCV cannot be imported ({})".format(error)
    if hindrance:
        errors.print("no window, --show is ignored: {}".format(hindrance))
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
