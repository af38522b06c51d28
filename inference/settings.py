"""What predict-cam is asked to do, checked.

The command line imports this module for ``--help`` too, so it imports nothing heavy.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hyperhive.common.errors import UsageError
from hyperhive.inference.acting.settings import ActingSettings
from hyperhive.inference.collecting.settings import CollectSettings
from hyperhive.inference.sight.square import Square
from hyperhive.inference.sources.address import CaptureRequest
from hyperhive.inference.teaching.settings import TeachSettings

if TYPE_CHECKING:
    from hyperhive.model.calibration import Thresholds

DEFAULT_OUTPUT = Path("predictions")
DEFAULT_COUNT = 5
DEFAULT_INTERVAL_S = 2.0
DEFAULT_COUNTDOWN_S = 3.0
DEFAULT_SMOOTHING_S = 0.3
_LONGEST_WAIT_S = 86_400.0
_LONGEST_SMOOTHING_S = 60.0
_SERVE = re.compile(r"(?:(\[[0-9a-fA-F:.%\w]+\]|[^:\[\]]*):)?(\d{1,5})")


@dataclass(frozen=True)
class Sampling:
    """Which frames to take from a camera or a video.

    Args:
        count: the largest number of frames; None is ``DEFAULT_COUNT`` for a camera's series, and no
            limit otherwise.
        every: seconds between two frames of a series, or between two snapshots in live mode. None
            is ``DEFAULT_INTERVAL_S`` in a series, and no snapshots in live mode.
        countdown: seconds before a camera's first frame.
        all_frames: take every frame of a video, whatever ``every`` is.
        live: take frames without a pause and without an end: the newest frame of a camera, again
            and again; a video at its own pace, as if it were a camera. Frames that arrive in the
            meantime are skipped.

    Raises ``UsageError`` for numbers that make no sense.
    """

    count: int | None = None
    every: float | None = None
    countdown: float = DEFAULT_COUNTDOWN_S
    all_frames: bool = False
    live: bool = False

    def __post_init__(self) -> None:
        if self.live and self.all_frames:
            raise UsageError(
                "--live skips frames that it cannot keep up with, and --all-frames does not: give "
                "one of them"
            )
        if self.count is not None and self.count < 1:
            raise UsageError(f"--count must be 1 or more, not {self.count}")
        for option, seconds in (("--every", self.interval), ("--countdown", self.countdown)):
            if not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_WAIT_S):
                raise UsageError(
                    f"{option} must be from 0 to {_LONGEST_WAIT_S:.0f} seconds, not {seconds}"
                )

    @property
    def interval(self) -> float:
        """Seconds between two frames of a series."""
        return DEFAULT_INTERVAL_S if self.every is None else self.every

    @property
    def snapshot_interval(self) -> float | None:
        """Seconds between two frames that are written; 0 writes all, None only requested ones."""
        return self.every if self.live else 0.0


@dataclass(frozen=True)
class ModelSettings:
    """Which model classifies the frames, and where it runs.

    Args:
        path: the model's file or folder; None is the newest model in models/.
        study: the name of a study, whose best model is used instead of a file's.
        watch: take each better model that the study finds in the meantime.
        engine: auto, torch or opencv.
        mongo: URI of the study's store; None is this machine's own server.
        device: auto, cpu, cuda or mps.

    Raises ``UsageError`` for options that exclude each other.
    """

    path: Path | None = None
    study: str | None = None
    watch: bool = False
    engine: str = "auto"
    mongo: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.path is not None and self.study is not None:
            raise UsageError("--model and --study exclude each other: give one of them")
        if self.watch and self.study is None:
            raise UsageError("--watch needs --study NAME: a file does not get better")


@dataclass(frozen=True)
class UnknownSettings:
    """When to answer ``unknown``; None is the threshold of the model's own card.

    Args:
        min_confidence: smallest probability of the likeliest class, 0 to 1.
        min_margin: smallest distance to the second probability, 0 to 1.
        min_membership: smallest membership, 0 to 1; see ``Predictor.assess``.
        never: never answer ``unknown``.

    Raises ``UsageError`` for ``never`` together with a threshold.
    """

    min_confidence: float | None = None
    min_margin: float | None = None
    min_membership: float | None = None
    never: bool = False

    def __post_init__(self) -> None:
        asked = (self.min_confidence, self.min_margin, self.min_membership)
        if self.never and asked != (None, None, None):
            raise UsageError("--no-unknown excludes the --min-... options: give one of them")

    def thresholds(self) -> Thresholds:
        """Return these as a model's thresholds; raises ``UsageError`` for a share beyond 0 to 1."""
        from hyperhive.model.calibration import NO_THRESHOLDS, Thresholds

        if self.never:
            return NO_THRESHOLDS
        return Thresholds(self.min_confidence, self.min_margin, self.min_membership)


@dataclass(frozen=True)
class SightSettings:
    """Where the model looks in each picture.

    Args:
        square: the square; None is the one that was kept for the source, else the full one.
        faces: the faces, each for itself.

    Raises ``UsageError`` for both together.
    """

    square: Square | None = None
    faces: bool = False

    def __post_init__(self) -> None:
        if self.faces and self.square is not None:
            raise UsageError("--faces searches the whole picture: omit --square")


@dataclass(frozen=True)
class PredictSettings:
    """All that a run of predict-cam is asked to do.

    Args:
        sources: the texts that name the source, in their order; none is the default camera.
        output: the folder for the results.
        model: which model classifies the frames.
        sampling: which frames to take.
        camera: how to open a camera.
        unknown: when to answer ``unknown``.
        sight: where the model looks.
        acting: what to do when the label changes.
        save_video: write the annotated frames as a video too.
        smoothing: time constant of the smoothing in live mode, in seconds; None is the default.
        serve: host and port of the page; None is no page.
        show: open a window; None opens one in live mode only.
        list_cameras: only show which cameras there are.
        collect: which pictures to collect.
        teaching: what to teach; None teaches nothing.

    Raises ``UsageError`` for options that contradict each other.
    """

    sources: tuple[str, ...]
    output: Path
    model: ModelSettings = field(default_factory=ModelSettings)
    sampling: Sampling = field(default_factory=Sampling)
    camera: CaptureRequest = field(default_factory=CaptureRequest)
    unknown: UnknownSettings = field(default_factory=UnknownSettings)
    sight: SightSettings = field(default_factory=SightSettings)
    acting: ActingSettings = field(default_factory=ActingSettings)
    save_video: bool = False
    smoothing: float | None = None
    serve: tuple[str, int] | None = None
    show: bool | None = None
    list_cameras: bool = False
    collect: CollectSettings = field(default_factory=CollectSettings)
    teaching: TeachSettings | None = None

    def __post_init__(self) -> None:
        if self.teaching is not None:
            self._require_only_teaching()
        if self.acting.acts and not self.sampling.live:
            raise UsageError(
                "--on-change, --mqtt and --webhook need --live: the frames of a series are "
                "independent, and predictions.jsonl has the label of each"
            )
        keep = self.collect.keep
        if keep is not None and keep.below is None and self.unknown.never:
            raise UsageError(
                "--no-unknown leaves nothing that --keep unknown would keep: give --keep below=0.6"
            )
        if self.collect.sort is not None and (self.sources or self.sampling.live):
            raise UsageError(
                "--label goes through pictures that are kept, and classifies none: omit the source "
                "and --live"
            )
        if self.smoothing is None:
            return
        if not self.sampling.live:
            raise UsageError("--smoothing needs --live: the frames of a series are independent")
        if self.sight.faces:
            raise UsageError("--faces labels each frame by itself: omit --smoothing")
        if not 0 <= self.smoothing <= _LONGEST_SMOOTHING_S:  # false for NaN too
            raise UsageError(
                f"--smoothing must be from 0 to {_LONGEST_SMOOTHING_S:.0f} seconds, not "
                f"{self.smoothing}"
            )

    def _require_only_teaching(self) -> None:
        """Raise ``UsageError`` for options that have no effect while things are taught."""
        sampling, model = self.sampling, self.model
        given = {
            "--model, --study, --watch and --engine": model
            != ModelSettings(mongo=model.mongo, device=model.device),
            "--count and --every": (sampling.count, sampling.every) != (None, None),
            "--output and --save-video": self.output != DEFAULT_OUTPUT or self.save_video,
            "--faces": self.sight.faces,
            "--on-change, --mqtt and --webhook": self.acting.acts,
            "--keep, --save-crops and --label": self.collect != CollectSettings(),
        }
        for options, is_given in given.items():
            if is_given:
                raise UsageError(
                    f"--teach learns a model of its own and writes only pictures: omit {options}"
                )


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``:PORT`` or ``PORT``; without a host, loopback.

    Port 0 is any free port. Raises ``UsageError`` for anything else.
    """
    match = _SERVE.fullmatch(text)
    if not match or int(match.group(2)) > 65535:
        raise UsageError(
            f"--serve must be PORT or HOST:PORT, such as 8000 or 0.0.0.0:8000, not {text}"
        )
    return (match.group(1) or "127.0.0.1").strip("[]"), int(match.group(2))
