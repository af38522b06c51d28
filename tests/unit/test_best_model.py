"""The best model on the live page: its answers are predict-cam's, what it refuses, its files."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from support.lenets import drawn

from hyperhive.coordinator.views import best_model
from hyperhive.coordinator.views.best_model import BestModels
from hyperhive.inference.predictor import Predictor
from hyperhive.model import model_files
from hyperhive.model.calibration import Calibration
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.data.images import decode
from hyperhive.model.data.loading import digits
from hyperhive.model.engines.choice import engine_of
from hyperhive.store.store import Store

PICTURE = np.kron(digits().test_images[0], np.ones((9, 9, 1), np.uint8))[..., 0]


class Page:
    """A site with the routes, and the seconds that pass between its questions to the store."""

    def __init__(self, store: Store) -> None:
        self.seconds = 0.0
        self.models = BestModels(store, lambda: self.seconds)
        self._app = Starlette(routes=list(self.models.routes))

    def ask(self, path: str, data: bytes | None = None) -> httpx.Response:
        """Ask by GET, or send data by POST."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
                method = "GET" if data is None else "POST"
                return await client.request(method, path, content=data)

        return asyncio.run(asked())


@pytest.fixture
def page(store: Store) -> Page:
    """Give a page of a study whose best model so far never answers ``unknown``."""
    store.studies.open("s", {"trials": 3})
    offer(store)
    return Page(store)


def offer(store: Store, seed: int = 0, **changes: Any) -> tuple[bytes, Card]:
    """Store the model of a study's best trial so far."""
    changes = {"study": "s", "trial": seed, "validation_accuracy": 0.5, **changes}
    packed, card = drawn(1, seed, **changes)
    best = {"card": card.to_json(), "weights": store.blobs.put(packed, "w").as_document()}
    store.studies.offer("s", best)
    return packed, card


def encoded(kind: str, pixels: np.ndarray = PICTURE, **more: Any) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, kind, **more)
    return packed.getvalue()


def predicted(packed: bytes, card: Card, picture: bytes) -> Any:
    """Return what predict-cam answers."""
    predictor = Predictor(engine_of(packed, SAFETENSORS, card, "cpu"), card)
    return predictor.predict([decode(picture)])[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_it_answers_as_predict_cam_does(store: Store, page: Page, kind: str) -> None:
    """The label, three likeliest classes with probabilities, and the picture as the model sees."""
    picture = encoded(kind)
    expected = predicted(*drawn(1), picture)
    answer = page.ask("/predict?study=s", picture).json()
    assert (answer["label"], answer["known"], answer["why"]) == (expected.label, True, None)
    top = [(each["label"], each["probability"]) for each in answer["top"]]
    assert top == [(label, pytest.approx(share, abs=1e-4)) for label, share in expected.top]
    assert answer["probability"] == top[0][1]
    seen = Image.open(io.BytesIO(base64.b64decode(answer["input"].partition(",")[2])))
    assert (seen.size, seen.mode) == ((28, 28), "L")


def test_a_picture_that_lies_on_its_side_is_turned(page: Page) -> None:
    """As its EXIF data say, so a photograph of a phone gets the answer of the upright one."""
    turned = Image.Exif()
    turned[0x0112] = 6  # the top is at the right: turn it clockwise
    lying = encoded("PNG", np.rot90(PICTURE), exif=turned.tobytes())
    assert (
        page.ask("/predict?study=s", lying).json()
        == page.ask("/predict?study=s", encoded("PNG")).json()
    )


def test_an_answer_in_doubt_is_unknown_with_the_reason(store: Store, page: Page) -> None:
    """The likeliest classes are there all the same."""
    offer(store, calibration=Calibration(min_confidence=0.99))
    answer = page.ask("/predict?study=s", encoded("PNG")).json()
    assert (answer["label"], answer["known"]) == ("unknown", False)
    assert answer["why"].startswith("not sure enough (confidence 0.")
    assert len(answer["top"]) == 3


def test_what_is_no_picture_is_refused(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other bytes, other formats, damage, and what is too large; each with one sentence."""
    monkeypatch.setattr(best_model, "MOST_PIXELS", 300 * 300)
    monkeypatch.setattr(best_model, "LARGEST", 100_000)
    noise = np.random.RandomState(0).randint(0, 256, (290, 290, 3)).astype(np.uint8)
    for data, status, reason in (
        (b"", 415, "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not a picture"),
        (encoded("GIF"), 415, "not a picture"),
        (encoded("PNG")[:300], 415, "cannot be read"),
        (encoded("PNG", np.zeros((301, 300), np.uint8)), 413, "megapixels"),
        (encoded("PNG", noise), 413, "MB"),
    ):
        refused = page.ask("/predict?study=s", data)
        assert (refused.status_code, refused.text.count("\n")) == (status, 1)
        assert reason in refused.text
    assert page.ask("/predict", b"").status_code == 400
    assert page.ask("/predict?study=s").status_code == 405
    missing = page.ask("/predict?study=none", encoded("PNG"))
    assert (missing.status_code, "none" in missing.text) == (404, True)


def test_a_better_model_answers_from_then_on(
    store: Store, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each model is read once, whatever is asked; the store is asked once in two seconds."""
    read = []
    get = store.blobs.get
    monkeypatch.setattr(store.blobs, "get", lambda ref: read.append(ref) or get(ref))
    picture = encoded("PNG")
    first = [page.ask("/predict?study=s", picture).json() for _ in range(3)]
    assert first[0] == first[1] == first[2]
    assert page.ask("/model/state.json?study=s").json()["model"] == (
        "trial 0, the best so far: 50.0 % of validation images"
    )
    better = offer(store, seed=1)
    assert page.ask("/predict?study=s", picture).json() == first[0]
    page.seconds += best_model.LOOK_S
    answer = page.ask("/predict?study=s", picture).json()
    assert answer["label"] == predicted(*better, picture).label
    assert answer["top"] != first[0]["top"]
    assert len(read) == 2
    assert page.ask("/model/state.json?study=s").json()["model"].startswith("trial 1, ")


def test_no_model_is_no_fault(store: Store, page: Page) -> None:
    """The page asks before there is one; weights that are not the card's are never used."""
    store.studies.open("young", {"trials": 3})
    state = page.ask("/model/state.json?study=young")
    assert (state.status_code, state.json()["model"]) == (200, None)
    _, other = drawn(1, 5)
    weights = store.blobs.put(b"other weights", "w").as_document()
    store.studies.offer("young", {"card": other.to_json(), "weights": weights})
    page.seconds += best_model.LOOK_S
    refused = page.ask("/predict?study=young", encoded("PNG"))
    assert (refused.status_code, "weights are not those" in refused.text) == (409, True)


@pytest.mark.long
def test_the_files_are_what_predict_cam_takes(store: Store, page: Page, tmp_path: Path) -> None:
    """Weights and card; ONNX with its own card, compared on the test images."""
    pytest.importorskip("onnx")
    pytest.importorskip("cv2")
    data = digits()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    offer(store, dataset={"content_hash": data.content_hash})
    for file, card, suffix in (
        ("weights.safetensors", "card.json?study=s", SAFETENSORS),
        ("model.onnx", "card.json?form=onnx&study=s", ".onnx"),
    ):
        got = page.ask(f"/model/{file}?study=s")
        assert got.headers["content-disposition"] == f'attachment; filename="model{suffix}"'
        path = tmp_path / suffix[1:] / f"model{suffix}"
        path.parent.mkdir()
        path.write_bytes(got.content)
        (path.parent / "model.json").write_bytes(page.ask(f"/model/{card}").content)
        packed, of_file = model_files.read(path)
        assert hashlib.sha256(packed).hexdigest() == of_file.sha256(suffix)


def test_an_onnx_that_cannot_be_compared_is_not_given(store: Store, page: Page) -> None:
    """The data set is in no cache and not in the store."""
    offer(store, dataset={"content_hash": "0" * 64})
    refused = page.ask("/model/model.onnx?study=s")
    assert refused.status_code in (409, 501)
    assert refused.text.count("\n") == 1
