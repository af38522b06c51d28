"""The newest result, rendered for any number of viewers, which never delay the labelling."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, Callable, Mapping

import numpy as np
from PIL import Image

from hyperhive.inference.drawing.overlay import annotated, pixels, viewfinder
from hyperhive.inference.labelling import Result
from hyperhive.inference.views.remote import Remote
from hyperhive.inference.wording import percent, pretty
from hyperhive.web.streams import Channel

_INTERVAL_S = 1 / 12
"""Seconds between two pictures: to draw and encode one takes as long as to classify it."""

_QUALITY = 80


class Broadcast:
    """Gives the newest result to those who watch. Publishing never waits.

    Args:
        input_of: returns the model's input for a picture, see ``Predictor.input_of``.
        remote: what else the page shows; None shows nothing else.
    """

    def __init__(
        self, input_of: Callable[[np.ndarray], np.ndarray], remote: Remote | None = None
    ) -> None:
        def channel(render: Callable[[Result], bytes]) -> Channel[Result]:
            return Channel(render, _INTERVAL_S)

        self.viewfinder = channel(lambda result: _jpeg(viewfinder(result)))
        self.annotated = channel(lambda result: _jpeg(annotated(result)))
        self.labels = channel(
            lambda result: _labels(result, input_of, None if remote is None else remote.shown())
        )

    def publish(self, result: Result) -> None:
        """Make this the newest result."""
        for channel in (self.viewfinder, self.annotated, self.labels):
            channel.publish(result)


def _jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY)
    return encoded.getvalue()


def _labels(
    result: Result,
    input_of: Callable[[np.ndarray], np.ndarray],
    teaching: Mapping[str, Any] | None,
) -> bytes:
    """Return what the page shows next to the picture, as JSON; ``input`` is a PNG in base64.

    It is empty for a picture without a face.
    """
    encoded = io.BytesIO()
    if result.seen is not None:
        pixels(input_of(result.seen)).save(encoded, "PNG")
    prediction = result.prediction
    content = {
        "frame": result.frame.index,
        "label": result.caption,
        "known": prediction.known,
        "reason": "" if prediction.doubt is None else str(prediction.doubt),
        "probability": percent(prediction.probability),
        "top": [
            {"label": pretty(name), "share": share, "probability": percent(share)}
            for name, share in prediction.top
        ],
        "input": base64.b64encode(encoded.getvalue()).decode(),
        "teaching": teaching,
    }
    return json.dumps(content).encode()
