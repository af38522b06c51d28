"""The newest result, rendered for any number of viewers, which never delay the labelling."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from typing import Callable

import numpy as np
from PIL import Image

from hyperhive.inference.drawing.overlay import annotated, pixels, viewfinder
from hyperhive.inference.labelling import Result
from hyperhive.inference.wording import percent, pretty

INTERVAL_S = 1 / 12
"""Seconds between two pictures: to draw and encode one takes as long as to classify it."""

_QUALITY = 80


class Broadcast:
    """Holds the newest result. Publishing never waits; viewers wait for the next result.

    Args:
        input_of: returns the model's input for a picture, see ``Predictor.input_of``.
    """

    def __init__(self, input_of: Callable[[np.ndarray], np.ndarray]) -> None:
        self._changed = threading.Condition()
        self._result: Result | None = None
        self._number = 0
        self.closed = threading.Event()
        self.viewfinder = Channel(self, lambda result: _jpeg(viewfinder(result.frame.image)))
        self.annotated = Channel(self, lambda result: _jpeg(annotated(result)))
        self.labels = Channel(self, lambda result: _labels(result, input_of(result.frame.image)))

    def publish(self, result: Result) -> None:
        """Make this the newest result."""
        with self._changed:
            self._result = result
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End every viewer's wait."""
        self.closed.set()
        with self._changed:
            self._changed.notify_all()

    def after(self, number: int, seconds: float) -> tuple[int, Result] | None:
        """Wait for a result after this number; return the newest one, None once closed.

        After this many seconds return the present result, as soon as there is one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.closed.is_set() or self._number > number, seconds)
            self._changed.wait_for(lambda: self.closed.is_set() or self._result is not None)
            if self.closed.is_set() or self._result is None:
                return None
            return self._number, self._result


class Channel:
    """One rendering of the newest result, made once for all viewers when the first one asks.

    Args:
        broadcast: holds the results.
        render: returns the bytes of a result.
    """

    def __init__(self, broadcast: Broadcast, render: Callable[[Result], bytes]) -> None:
        self._broadcast = broadcast
        self._render = render
        self._lock = threading.Lock()
        self._number = 0
        self._data = b""
        self._rendered = -INTERVAL_S

    def after(self, number: int, seconds: float) -> tuple[int, bytes] | None:
        """Wait for a result after this number; return its number and bytes, None once closed.

        After this many seconds return the present ones.
        """
        newest = self._broadcast.after(number, seconds)
        if newest is None:
            return None
        with self._lock:
            now = time.monotonic()
            if newest[0] > self._number and now - self._rendered >= INTERVAL_S:
                self._number, self._data = newest[0], self._render(newest[1])
                self._rendered = now
            return self._number, self._data


def _jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY)
    return encoded.getvalue()


def _labels(result: Result, seen: np.ndarray) -> bytes:
    """Return what the page shows next to the picture, as JSON; ``input`` is a PNG in base64."""
    encoded = io.BytesIO()
    pixels(seen).save(encoded, "PNG")
    prediction = result.prediction
    content = {
        "frame": result.frame.index,
        "label": pretty(prediction.label),
        "known": prediction.known,
        "reason": "" if prediction.doubt is None else str(prediction.doubt),
        "probability": percent(prediction.probability),
        "top": [
            {"label": pretty(name), "share": share, "probability": percent(share)}
            for name, share in prediction.top
        ],
        "input": base64.b64encode(encoded.getvalue()).decode(),
    }
    return json.dumps(content).encode()
