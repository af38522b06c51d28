"""The command predict-cam. Nothing heavy is imported before there is something to do."""

import os
import sys
from pathlib import Path
from typing import IO, List, Optional

import typer

from hyperhive.common.console import Screen
from hyperhive.inference.acting.cli import act
from hyperhive.inference.acting.settings import ActingSettings
from hyperhive.inference.collecting.cli import collect
from hyperhive.inference.collecting.settings import CollectSettings
from hyperhive.inference.option_groups import takes
from hyperhive.inference.settings import (
    DEFAULT_COUNT,
    DEFAULT_COUNTDOWN_S,
    DEFAULT_INTERVAL_S,
    DEFAULT_OUTPUT,
    DEFAULT_SMOOTHING_S,
    ModelSettings,
    PredictSettings,
    Sampling,
    SightSettings,
    UnknownSettings,
    parse_address,
)
from hyperhive.inference.sight.square import Square
from hyperhive.inference.sources.address import CaptureRequest, parse_size
from hyperhive.inference.teaching.cli import teach
from hyperhive.inference.teaching.settings import TeachSettings
from hyperhive.store.cli import MONGO

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",  # otherwise --help keeps the line breaks of the docstring
    pretty_exceptions_enable=False,
)

_PATHS = typer.Argument(
    None, metavar="SOURCE", help="The same as --source; several images are allowed."
)
_SOURCE = typer.Option(
    None,
    metavar="SOURCE",
    show_default="0",
    help="An image, a folder (with its subfolders), a glob, a video file, the number of a camera, "
    "rtsp:// or http:// (MJPEG, or a single image), csi://0 (a Jetson's ribbon "
    "cable; may end in ?w=1280&h=720), or - for paths on standard input.",
)
_MODEL = typer.Option(
    None,
    metavar="FILE-or-DIR",
    show_default="the newest in models/*/",
    help="Weights (.safetensors, .onnx, .pt or .torchscript), with their card in the same folder.",
)
_STUDY = typer.Option(
    None,
    metavar="NAME",
    help="Use the best model of this study instead of --model; the study may still be running. "
    "This device keeps a copy, for times when the store is unavailable.",
)
_WATCH = typer.Option(
    False, "--watch", help="With --study: switch to each better model that the study finds."
)
_ENGINE = typer.Option(
    "auto",
    help="What runs the model: torch, or opencv for an .onnx file of `hyperhive best --export`, "
    "which needs no PyTorch; auto chooses by the model's suffix.",
)
_OUTPUT = typer.Option(
    DEFAULT_OUTPUT,
    metavar="DIR",
    help="Where to write: annotated/ has every frame, as a JPEG of 320 to 1280 pixels; "
    "contact_sheet.png has up to 48, evenly spread; predictions.jsonl and predictions.csv have the "
    "label of each. Files of the same name are replaced.",
)
_COUNT = typer.Option(
    None,
    metavar="N",
    show_default=f"{DEFAULT_COUNT} for a camera",
    help="Number of frames to take from a camera; the most to take from a video or in live mode.",
)
_EVERY = typer.Option(
    None,
    metavar="SECONDS",
    show_default=f"{DEFAULT_INTERVAL_S:.0f}; none with --live",
    help="Time between two frames of a camera or video. With --live: time between two snapshots; 0 "
    "writes every frame.",
)
_COUNTDOWN = typer.Option(
    DEFAULT_COUNTDOWN_S, metavar="SECONDS", help="Time before a camera's first frame."
)
_LIST_CAMERAS = typer.Option(
    False, "--list-cameras", help="Show the cameras of this machine: number, name and size."
)
_BACKEND = typer.Option(
    None,
    metavar="NAME",
    show_default="the system's own",
    help="OpenCV's interface to the camera: v4l2, avfoundation, dshow, msmf, gstreamer, ffmpeg, "
    "any.",
)
_SIZE = typer.Option(
    None,
    metavar="WxH",
    help="Picture size to request from the camera; if it gives another one, a line says so.",
)
_FPS = typer.Option(None, metavar="N", help="Frames per second to request from the camera.")
_PIXEL_FORMAT = typer.Option(
    None,
    metavar="FOUR",
    help="Pixel format to request from the camera: MJPG needs the least USB bandwidth.",
)
_ALL_FRAMES = typer.Option(False, "--all-frames", help="Classify every frame of a video.")
_LIVE = typer.Option(
    False,
    "--live",
    help="Classify a camera, stream or video without a pause until q, Ctrl-C or its end. Only "
    "snapshots are written: with the space key, or as --every says. m shows the model's input.",
)
_SMOOTHING = typer.Option(
    None,
    metavar="SECONDS",
    show_default=f"{DEFAULT_SMOOTHING_S}",
    help="With --live: average the probabilities over about this time; 0 turns it off.",
)
_SERVE = typer.Option(
    None,
    metavar="[HOST:]PORT",
    help="Show frames and labels on a web page at 127.0.0.1. On another address, such as "
    "0.0.0.0:8000, the page's URL holds a secret; there is no encryption.",
)
_SQUARE = typer.Option(
    None,
    metavar="X,Y,SIZE",
    show_default="full, or as last used with this camera",
    help="The square that the model sees: X and Y of its centre and SIZE of its side, as shares of "
    "the picture's width, height and shorter side, such as 0.3,0.5,0.6; or full, which is "
    "0.5,0.5,1. In a window the mouse drags it, and r resets it.",
)
_FACES = typer.Option(
    False,
    "--faces",
    help="Find the faces in each picture (with OpenCV 4) and label each of them.",
)
_SAVE_VIDEO = typer.Option(False, "--save-video", help="Write the annotated frames as a video too.")
_MIN_CONFIDENCE = typer.Option(
    None,
    metavar="SHARE",
    show_default="the model's own",
    help="Answer unknown if the likeliest class has a smaller probability, 0 to 1.",
)
_MIN_MARGIN = typer.Option(
    None,
    metavar="SHARE",
    show_default="the model's own",
    help="Answer unknown if the likeliest class is ahead of the second by less than this, 0 to 1.",
)
_MIN_MEMBERSHIP = typer.Option(
    None,
    metavar="SHARE",
    show_default="the model's own",
    help="Answer unknown if fewer than this share of the training images are less typical than the "
    "picture, 0 to 1.",
)
_NO_UNKNOWN = typer.Option(False, "--no-unknown", help="Never answer unknown.")
_DEVICE = typer.Option("cpu", help="Where to compute: auto, cpu, cuda or mps.")
_SHOW = typer.Option(
    None,
    "--show/--no-show",
    show_default="only with --live",
    help="Show the frames in a window too, if there is a display; q ends.",
)
_QUIET = typer.Option(False, "--quiet", "-q", help="Print only what went wrong.")


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@takes(act)
@takes(collect)
@takes(teach)
def predict(
    act: ActingSettings,
    collect: CollectSettings,
    teach: Optional[TeachSettings],
    paths: Optional[List[str]] = _PATHS,
    source: Optional[str] = _SOURCE,
    model: Optional[Path] = _MODEL,
    study: Optional[str] = _STUDY,
    watch: bool = _WATCH,
    engine: str = _ENGINE,
    mongo: Optional[str] = MONGO,
    output: Path = _OUTPUT,
    count: Optional[int] = _COUNT,
    every: Optional[float] = _EVERY,
    countdown: float = _COUNTDOWN,
    list_cameras: bool = _LIST_CAMERAS,
    backend: Optional[str] = _BACKEND,
    size: Optional[str] = _SIZE,
    fps: Optional[float] = _FPS,
    pixel_format: Optional[str] = _PIXEL_FORMAT,
    all_frames: bool = _ALL_FRAMES,
    live: bool = _LIVE,
    smoothing: Optional[float] = _SMOOTHING,
    square: Optional[str] = _SQUARE,
    faces: bool = _FACES,
    serve: Optional[str] = _SERVE,
    save_video: bool = _SAVE_VIDEO,
    min_confidence: Optional[float] = _MIN_CONFIDENCE,
    min_margin: Optional[float] = _MIN_MARGIN,
    min_membership: Optional[float] = _MIN_MEMBERSHIP,
    no_unknown: bool = _NO_UNKNOWN,
    device: str = _DEVICE,
    show: Optional[bool] = _SHOW,
    quiet: bool = _QUIET,
) -> None:
    """Classify images, a video or a camera's pictures.

    The model sees the centred square of each frame, or what --square or --faces says. A camera
    gives a series of snapshots after a countdown; a video gives one frame every --every seconds.
    --live classifies without a pause, and --teach also takes pictures to learn from.
    """
    settings = PredictSettings(
        sources=(*([] if source is None else [source]), *(paths or [])),
        output=output,
        model=ModelSettings(model, study, watch, engine, mongo, device),
        sampling=Sampling(count, every, countdown, all_frames, live or teach is not None),
        camera=CaptureRequest(backend, parse_size(size) if size else None, fps, pixel_format),
        unknown=UnknownSettings(min_confidence, min_margin, min_membership, no_unknown),
        sight=SightSettings(Square.parse(square) if square else None, faces),
        acting=act,
        save_video=save_video,
        smoothing=smoothing,
        serve=None if serve is None else parse_address(serve),
        show=show,
        list_cameras=list_cameras,
        collect=collect,
        teaching=teach,
    )
    _run(settings, quiet)


def _run(settings: PredictSettings, quiet: bool) -> None:
    """Prepare the process, then run; a signal that ends the run gives the exit code 128 + n."""
    _hush_opencv()
    # A network of this size is computed before a second thread wakes up; the camera needs the
    # other cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from hyperhive.inference import run
    from hyperhive.inference.opening import Terminal

    terminal = Terminal(
        out=_console(sys.stdout, quiet),
        announce=_console(sys.stdout).print,
        warn=_console(sys.stderr).print,
        stdin=getattr(sys.stdin, "buffer", None),
        environment=os.environ,
    )
    signal_number = run.predict(settings, terminal)
    if signal_number:
        raise typer.Exit(128 + signal_number)


def _hush_opencv() -> None:
    """Keep the complaints of OpenCV and FFmpeg off the screen: ours say what to do."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    # The time-out of a stream that hangs. ``stimeout`` (microseconds) is an option of FFmpeg 4;
    # later ones ignore it, and opencv_capture.py gives their OpenCV the time-out in another way.
    # FFmpeg 5's ``timeout`` would make FFmpeg 4 wait for cameras to connect to it. TCP is OpenCV's
    # own choice, which is lost unless it is repeated here.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|stimeout;10000000")


def _console(stream: IO[str], quiet: bool = False) -> Screen:
    return Screen(file=stream, quiet=quiet, soft_wrap=True)
