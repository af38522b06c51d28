"""What to do when a camera does not work: a sentence for each way in which cameras fail.

People report these cases; docs/camera.md lists them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hyperhive.common.text import printable

SYSFS = Path("/sys/class/video4linux")
"""Where Linux describes its cameras."""

_DEVICES = Path("/dev")

_RAW_FORMATS = re.compile(r"(RG|BG|GB|BA|GR)1[0246]|BYR2|p[RBGg][AG][A ]")
"""V4L2's names of Bayer pixels of more than 8 bits, which OpenCV does not convert."""

INSTEAD = "or classify files with --source FILE-or-FOLDER"

STREAM_ADVICE = (
    "check that the camera is switched on and in this network, that user and password in the "
    "address are right, and that another program (VLC, a browser) can show it"
)


CSI_ADVICE = (
    "check that the ribbon cable sits firmly and that no other program uses the camera; if it "
    "worked before, the camera's service still holds it: `sudo systemctl restart nvargus-daemon`"
)


def no_gstreamer(version: str) -> str:
    """Return the advice for an OpenCV that cannot open a camera on a Jetson's ribbon cable."""
    return (
        f"csi:// needs an OpenCV with GStreamer, which this one ({version}) and all others from "
        "PyPI do not have: `pip uninstall opencv-python`, use the Jetson's own cv2 (it is in "
        "JetPack, or `sudo apt install python3-opencv`), and make the virtual environment with "
        "--system-site-packages"
    )


def camera_advice(index: int) -> str:
    """Return what to do about a camera that opens, and then gives no picture."""
    if _is_raw_sensor(index):
        return _raw_advice(index)
    return (
        "check its cable, and check that no other program uses it; a camera that needs more "
        "bandwidth than its port has works in another port (not through a hub), or with "
        "--pixel-format MJPG or a smaller --size"
    )


def cannot_open(index: int) -> str:
    """Return the sentence about a camera that cannot be opened."""
    if sys.platform == "darwin":
        hint = (
            "allow your terminal the camera in System Settings > Privacy & Security > Camera, then "
            "run this again; --list-cameras shows all cameras"
        )
    elif _is_raw_sensor(index):
        hint = _raw_advice(index)
    else:
        devices = sorted(str(path) for path in _DEVICES.glob("video*"))
        hint = f"this machine has {', '.join(devices)}" if devices else "plug one in"
        hint += ", and check that no other program uses it"
    return f"camera {index} cannot be opened: {hint}; {INSTEAD}"


def raw_pixels(index: int, given: str) -> str:
    """Return the sentence about a camera that gives raw sensor data instead of colours."""
    return f"camera {index} gives {given}, not pictures in 8-bit colour: {_raw_advice(index)}"


def is_raw(pixel_format: str) -> bool:
    """Return whether V4L2's four characters mean Bayer pixels that OpenCV does not convert."""
    return _RAW_FORMATS.match(pixel_format) is not None


def camera_name(index: int) -> str:
    """Return Linux's name of a camera, or an empty text."""
    try:
        name = (SYSFS / f"video{index}" / "name").read_text(errors="replace")
    except OSError:  # not Linux, or there is no camera of this number
        return ""
    return printable(name.strip())


def _is_raw_sensor(index: int) -> bool:
    """Return whether Tegra's driver named this camera: then it is on a Jetson's ribbon cable."""
    return camera_name(index).startswith("vi-output")


def _raw_advice(index: int) -> str:
    return (
        "that is the raw (Bayer) signal of a camera on a ribbon cable; on a Jetson, use "
        f"--source csi://{index}"
    )
