"""Addresses of streams and cameras as people write them, and as they may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from hyperhive.common.errors import UsageError

_SECRETS = re.compile(
    r"(?i)(\w*(?:user|login|pass|pwd|psw|token|key|auth|sid|session)\w*)=[^/;,&!]*"
)
"""Some cameras expect the login in the path: ``/user=admin&password=1234&channel=1.sdp``."""

_CSI_KEYS = {"w": "width", "h": "height", "fps": "fps", "flip": "flip"}


def without_secrets(text: str) -> str:
    """Return an address as it may be shown and written down: without login, query and password.

    Everything before the last ``@`` is removed, because a password may hold any character: better
    to hide too much than too little. A text that is not an address and holds no secret is returned
    unchanged.
    """
    scheme, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    if not separator and not re.search(r":.*@", rest):
        return _SECRETS.sub(r"\1=...", text)
    rest = rest.rpartition("@")[2]
    path, query, _ = rest.partition("?")
    path = _SECRETS.sub(r"\1=...", path.partition("#")[0])
    return scheme + separator + path + ("?..." if query else "")


@dataclass(frozen=True)
class CaptureRequest:
    """How to open a camera; None is the camera's own choice.

    Args:
        backend: OpenCV's name of the interface: v4l2, avfoundation, gstreamer, ...
        size: width and height in pixels.
        fps: frames per second.
        pixel_format: four characters, such as MJPG or YUYV.

    Raises ``UsageError`` for values that no camera can have.
    """

    backend: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--fps must be from above 0 to 1000, not {self.fps}")
        if self.pixel_format is not None and not re.fullmatch(r"[ -~]{4}", self.pixel_format):
            raise UsageError(
                "--pixel-format must be four characters, such as MJPG or YUYV, not "
                f"{self.pixel_format!r}"
            )


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height of ``1280x720``; raise ``UsageError`` for anything else."""
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if not match or 0 in map(int, match.groups()):
        raise UsageError(f"--size must be WIDTHxHEIGHT, such as 1280x720, not {text}")
    return int(match.group(1)), int(match.group(2))


@dataclass(frozen=True)
class CsiAddress:
    """A camera on a Jetson's ribbon cable; ``flip`` is nvvidconv's flip-method: 2 turns by 180°."""

    sensor: int = 0
    width: int = 1280
    height: int = 720
    fps: int = 30
    flip: int = 0

    @classmethod
    def parse(cls, text: str, request: CaptureRequest) -> CsiAddress:
        """Return the camera of ``csi://0?w=1280&h=720&fps=30&flip=2``.

        Parts that the text omits come from ``request``. Raises ``UsageError`` for a text that does
        not make sense.
        """
        sensor, _, query = text.partition("://")[2].partition("?")
        fields = {"sensor": sensor.rstrip("/") or "0"}
        if request.size is not None:
            fields.update(width=str(request.size[0]), height=str(request.size[1]))
        if request.fps is not None:
            fields["fps"] = f"{request.fps:.0f}"
        pairs = parse_qsl(query, keep_blank_values=True)
        fields.update((_CSI_KEYS.get(key, key), value) for key, value in pairs)
        are_numbers = all(re.fullmatch(r"\d{1,5}", value) for value in fields.values())
        are_known = set(fields) <= {"sensor", *_CSI_KEYS.values()}
        if not (are_known and are_numbers and int(fields.get("flip", "0")) <= 7):
            raise UsageError(
                f"{without_secrets(text)} is not understood: write it as "
                "csi://0?w=1280&h=720&fps=30&flip=2; each part after the ? may be omitted, and "
                "flip is from 0 to 7"
            )
        if 0 in (int(fields.get(key, "1")) for key in ("width", "height", "fps")):
            raise UsageError(f"{text}: w, h and fps must be 1 or more")
        return cls(**{name: int(value) for name, value in fields.items()})

    def pipeline(self) -> str:
        """Return the GStreamer pipeline from NVIDIA's Argus camera driver to OpenCV."""
        return (
            f"nvarguscamerasrc sensor-id={self.sensor} ! video/x-raw(memory:NVMM), "
            f"width={self.width}, height={self.height}, framerate={self.fps}/1, format=NV12 "
            f"! nvvidconv flip-method={self.flip} ! video/x-raw, format=BGRx "
            "! videoconvert ! video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"
        )
