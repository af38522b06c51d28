"""The best model of a study on the live page: it answers for pictures, and can be downloaded.

Nothing is read before somebody asks. Starlette's endpoints; whoever serves them adds the routes:

    POST predict                     a picture's bytes: JPEG, PNG or WebP
    GET model/state.json             whether there is a model, and which
    GET model/weights.safetensors    with its card, what ``predict-cam --model`` takes
    GET model/card.json
    GET model/model.onnx             its card is model/card.json?form=onnx

Each needs ``?study=NAME``. What goes wrong is a sentence of plain text.
"""

from __future__ import annotations

import base64
import contextlib
import io
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hyperhive.common.errors import CheckpointError, DatasetError, HyperhiveError, InputError
from hyperhive.common.text import printable, shortened
from hyperhive.common.wording import percent
from hyperhive.coordinator.stored_model import dataset_of
from hyperhive.coordinator.views.wording import on_test_images
from hyperhive.inference.predictor import Predictor
from hyperhive.model import model_files
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.data.images import decode
from hyperhive.model.engines.choice import ONNX, engine_of
from hyperhive.store.errors import NotFound, StoreError, StoreUnavailable
from hyperhive.store.store import Store

LARGEST = 16 * 1024 * 1024
"""Bytes of a picture."""

MOST_PIXELS = 50_000_000
"""Of a picture, as a phone takes it."""

LOOK_S = 2.0
"""Seconds between two questions to the store for a study's model."""

_FORMATS = ("JPEG", "PNG", "WEBP")
_MODELS = 2
"""Studies whose models are kept in memory."""

_AT_ONCE = 16
"""Requests that wait for a model or for its answer; more are refused."""

_EXTRAS = {"onnx": "export", "cv2": "camera"}
_LONGEST = 100


class Refused(InputError):
    """What a request asks for is not given; the sentence is the answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class _Best:
    """The model of a study: ``document`` is its card as it is stored, ``looked_at`` when.

    ``predictor`` and ``onnx`` are made when they are asked for; the second has its own card.
    """

    document: dict[str, Any]
    packed: bytes
    card: Card
    is_final: bool
    looked_at: float
    predictor: Predictor | None = None
    onnx: tuple[bytes, Card] | None = None


class BestModels:
    """Answers for the best models of a store's studies, one request at a time.

    A study's model is read once, and again when the study has a better one.

    Args:
        store: has the studies.
        clock: gives seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._working = threading.Lock()
        self._models: dict[str, _Best] = {}  # the newest last

    @property
    def routes(self) -> list[Route]:
        """The routes of a site."""
        return [
            Route("/predict", self._predict, methods=["POST"]),
            Route("/model/state.json", partial(self._get, self._state)),
            Route("/model/weights.safetensors", partial(self._get, self._weights)),
            Route("/model/card.json", partial(self._get, self._card)),
            Route("/model/model.onnx", partial(self._get, self._onnx)),
        ]

    async def _predict(self, request: Request) -> Response:
        data = await request.body()  # the site has bounded and read it
        if len(data) > LARGEST:
            reason = f"the picture has more than {LARGEST >> 20} MB: make it smaller"
            return _plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)

        def predict(name: str, _: Request) -> Response:
            return JSONResponse(self.answer(name, data))

        return await self._get(predict, request)

    async def _get(self, give: Callable[[str, Request], Response], request: Request) -> Response:
        try:
            name = request.query_params.get("study")
            if not name:
                raise Refused(HTTPStatus.BAD_REQUEST, "say which study: ?study=NAME")
            return await run_in_threadpool(self._given, give, name, request)
        except Refused as refused:
            return _plain(refused.status, str(refused))
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get(str(error.name), "torch")
            reason = f"{error.name} is not installed here: pip install 'hyperhive[{extra}]'"
            return _plain(HTTPStatus.NOT_IMPLEMENTED, reason)
        except NotFound as error:
            return _plain(HTTPStatus.NOT_FOUND, str(error))
        except StoreError as error:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except HyperhiveError as error:  # a model that cannot be trusted, run or exported
            return _plain(HTTPStatus.CONFLICT, str(error))

    def _given(
        self, give: Callable[[str, Request], Response], name: str, request: Request
    ) -> Response:
        with self._turn():
            return give(name, request)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other request works with a model; raise ``Refused`` if many wait."""
        if not self._slots.acquire(blocking=False):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once: ask again")
        try:
            with self._working:
                yield
        finally:
            self._slots.release()

    def answer(self, name: str, data: bytes) -> dict[str, Any]:
        """Return what a study's model answers for a picture, as plain JSON.

        ``label`` is a class or ``unknown``, ``known`` tells which, ``why`` is the reason for the
        second. ``probability`` is that of the first of ``top``, the three likeliest classes.
        ``input`` is what the model sees, as a PNG in a data URL. Raises ``Refused`` for bytes that
        are no picture, and what reading and running the model raises.
        """
        image = picture(data)
        best = self._best(name)
        if best.predictor is None:
            engine = engine_of(best.packed, SAFETENSORS, best.card, "cpu")
            best.predictor = Predictor(engine, best.card)
        [prediction] = best.predictor.predict([image])
        return {
            "label": _text(prediction.label),
            "known": prediction.known,
            "why": None if prediction.doubt is None else str(prediction.doubt),
            "probability": round(prediction.probability, 4),
            "top": [
                {"label": _text(label), "probability": round(share, 4)}
                for label, share in prediction.top
            ],
            "input": _data_url(best.predictor.input_of(image)),
        }

    def _best(self, name: str) -> _Best:
        """Return a study's model, the one in memory if the study has no other."""
        known, now = self._models.get(name), self._clock()
        if known is not None and now - known.looked_at < LOOK_S:
            return known
        try:
            model = self._store.model(name)
        except StoreUnavailable:
            if known is None:
                raise
            return known
        if known is not None and known.document == model.card:
            known.looked_at, known.is_final = now, model.is_final
            return known
        card = Card.from_json(model.card)
        packed = self._store.blobs.get(model.weights)
        model_files.require_hash(packed, card.weights_sha256)
        self._models.pop(name, None)
        self._models[name] = _Best(model.card, packed, card, model.is_final, now)
        while len(self._models) > _MODELS:
            del self._models[next(iter(self._models))]
        return self._models[name]

    def _state(self, name: str, _: Request) -> Response:
        try:
            best = self._best(name)
        except (NotFound, CheckpointError) as error:
            return JSONResponse({"model": None, "problem": str(error)})
        return JSONResponse({"model": _said(best.card, best.is_final), "problem": None})

    def _weights(self, name: str, _: Request) -> Response:
        return _file(self._best(name).packed, model_files.WEIGHTS_FILE)

    def _card(self, name: str, request: Request) -> Response:
        best = self._best(name)
        is_of_onnx = request.query_params.get("form") == "onnx"
        card = self._exported(best)[1] if is_of_onnx else best.card
        return JSONResponse(card.to_json(), headers=_as_file(model_files.CARD_FILE))

    def _onnx(self, name: str, _: Request) -> Response:
        return _file(self._exported(self._best(name))[0], "model" + ONNX)

    def _exported(self, best: _Best) -> tuple[bytes, Card]:
        """Return a model as ONNX, compared with it on its test images, and the card of that."""
        if best.onnx is None:
            from hyperhive.model.engines.export import export

            images = dataset_of(best.card, self._store.datasets.fetch).test_images
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / ("model" + ONNX)
                export(path, best.packed, best.card, images)
                best.onnx = model_files.read(path)
        return best.onnx


def picture(data: bytes) -> np.ndarray:
    """Return a picture that somebody sent, as predict-cam reads it: uint8 RGB ``[H, W, 3]``.

    Raises ``Refused`` for one that is too large, of another format, or damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        width = height = MOST_PIXELS
    except Exception:  # Pillow raises almost anything on damaged bytes
        reason = "this is not a picture: send a JPEG, PNG or WebP"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason) from None
    if width * height > MOST_PIXELS:
        reason = f"the picture has more than {MOST_PIXELS // 10**6} megapixels: make it smaller"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
    try:
        return decode(data)
    except DatasetError as error:
        reason = f"the picture cannot be read: {printable(str(error))}"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason) from error


def _said(card: Card, is_final: bool) -> str:
    """Return which model it is, and how good."""
    so_far = "" if is_final else ", the best so far"
    if card.test_accuracy is not None:
        return f"trial {card.trial}{so_far}: {on_test_images(card)}"
    return f"trial {card.trial}{so_far}: {percent(card.validation_accuracy)} of validation images"


def _data_url(pixels: np.ndarray) -> str:
    """Return an image, uint8 ``[S, S, C]``, as a PNG in a data URL."""
    packed = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(packed, "PNG")
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode("ascii")


def _file(data: bytes, name: str) -> Response:
    return Response(data, media_type="application/octet-stream", headers=_as_file(name))


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _plain(status: HTTPStatus, reason: str) -> Response:
    return PlainTextResponse(f"{shortened(printable(reason), 300)}\n", status)


def _text(name: str) -> str:
    return shortened(printable(name), _LONGEST)
