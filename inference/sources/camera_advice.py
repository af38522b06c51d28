"""What to do when a camera does not work: a sentence for each way in which cameras fail.

The cases are those that people report; docs/camera.md lists them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hyperhive.inference.drawing.text import printable

SYSFS = Path("/sys/class/video4linux")
"""Where Linux describes its cameras."""

_DEVICES = Path("/dev")

_RAW_FORMATS = re.compile(r"(RG|BG|GB|BA|GR)1[0246]|BYR2|p[RBGg][AG][A ]")
"""V4L2's names of Bayer pixels with more than 8 bits, which OpenCV does not convert."""

INSTEAD = "or label files with --source FILE-or-FOLDER"

STREAM_ADVICE = (
    "see that the camera is switched on and in this network, that user and password in the address "
    "are right, and that another program (VLC, a browser) can show it"
)

NO_GSTREAMER = (
    "csi:// needs an OpenCV with GStreamer, and this one ({}) has none, as none from PyPI has: "
    "`pip uninstall opencv-python`, take the Jetson's own cv2 (it is in JetPack, or `sudo apt "
    "install python3-opencv`), and make the virtual environment with --system-site-packages"
)

CSI_ADVICE = (
    "see that the ribbon cable sits firmly and that no other program uses the camera; if it worked "
    "before, the camera's service still holds it: `sudo systemctl restart nvargus-daemon`"
)


def camera_advice(index: int) -> str:
    """Return what to do about a camera that opens, and then gives no picture."""
    if _is_raw_sensor(index):
        return _raw_advice(index)
    return (
        "check its cable and see that no other program uses it; a camera that asks too much of its "
        "port works in another one (not through a hub), or with --pixel-format MJPG or a smaller "
        "--size"
    )


def cannot_open(index: int) -> str:
    """Return what to say of a camera that cannot be opened."""
    if sys.platform == "darwin":
        hint = (
            "allow your terminal the camera in System Settings > Privacy & Security > Camera, then "
            "run this again; --list-cameras shows which there are"
        )
    elif _is_raw_sensor(index):
        hint = _raw_advice(index)
    else:
        there = sorted(str(path) for path in _DEVICES.glob("video*"))
        hint = "there is {}".format(", ".join(there)) if there else "plug one in"
        hint += ", and see that no other program uses it"
    return f"camera {index} cannot be opened: {hint}; {INSTEAD}"


def raw_pixels(index: int, found: str) -> str:
    """Return what to say of a camera whose pictures are no colours yet."""
    return f"camera {index} gives {found}, not pictures in 8-bit colour: {_raw_advice(index)}"


def is_raw(pixel_format: str) -> bool:
    """Return whether V4L2's four characters mean Bayer pixels that OpenCV does not convert."""
    return _RAW_FORMATS.match(pixel_format) is not None


def camera_name(index: int) -> str:
    """Return the name that Linux has for a camera, or nothing."""
    try:
        name = (SYSFS / f"video{index}" / "name").read_text(errors="replace")
    except OSError:  # not Linux, or no such camera
        return ""
    return printable(name.strip())


def _is_raw_sensor(index: int) -> bool:
    """Return whether this is a sensor on a Jetson's ribbon cable, as Tegra's driver names them."""
    return camera_name(index).startswith("vi-output")


def _raw_advice(index: int) -> str:
    return (
        "that is the raw (Bayer) signal of a camera on a ribbon cable: on a Jetson, give "
        f"--source csi://{index}"
    )
