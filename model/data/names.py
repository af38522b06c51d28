"""Names from outside, turned into ours: class folders, entries of zips, and what systems add."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib

from hyperhive.common.text import composed

_SYSTEM = frozenset(
    [
        "$recycle.bin",
        "__macosx",
        "__pycache__",
        "#recycle",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
    ]
)
"""Files and folders that Windows, macOS, Linux, Synology and QNAP put beside a person's own, in
lower case."""

_LONGEST = 255
_IS_UTF8 = 1 << 11
_UNICODE_PATH = 0x7075


def is_clutter(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or a system's own."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def class_name(folder: str) -> str:
    """Return the class of a folder: its name, composed (NFC) and without spaces at its ends."""
    return composed(folder).strip()


def is_storable(name: str) -> bool:
    """Return whether a class may have this name: valid Unicode without control characters."""
    is_valid = not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    return is_valid and 0 < len(name) <= _LONGEST


def path_in_zip(member: zipfile.ZipInfo) -> str:
    r"""Return the path of a zip's member, with ``/``, and with one at its end if it is a folder.

    Some Windows tools write ``\``. Many tools write UTF-8 without the flag for it, and Python takes
    what has no flag for code page 437 (APPNOTE.TXT 4.4.4, D.1); Info-ZIP puts UTF-8 into a field
    of its own (APPNOTE.TXT 4.6.9).
    """
    name = member.orig_filename
    if not member.flag_bits & _IS_UTF8:
        raw = name.encode("cp437")
        name = _in_unicode_path(member.extra, raw) or _decoded(raw)
    path = name.partition("\0")[0].replace("\\", "/").lstrip("/")
    is_folder = member.external_attr & 0x10 and not member.file_size
    return path + "/" if is_folder and not path.endswith("/") else path


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _in_unicode_path(extra: bytes, raw: bytes) -> str:
    """Return the name in Info-ZIP's field; "" if there is none, or it belongs to another name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and field[1:5] == struct.pack("<L", zlib.crc32(raw)):
            return field[5:].decode("utf-8", errors="replace")
    return ""
