"""The panel of the best model in a browser: a picture is dropped, and its camera runs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from support import browser
from support.browser import CHROMIUM, browsing
from support.home import until
from support.lenets import drawn

from hyperhive.coordinator.views.best_model import BestModels
from hyperhive.model.data.loading import digits
from hyperhive.store.store import Store
from hyperhive.web.site import Site, files

ROOT = Path(__file__).resolve().parents[2]
FAKE = " --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
PAGE = """<!DOCTYPE html><html lang="en"><head><title>best</title><link rel="icon" href="data:,">
<script src="test.js" type="module"></script></head>
<body><main><h1>best</h1><div id="model"></div></main></body></html>"""
SCRIPT = """import "./model.js";
window.show = (name, best, trial = null) => {
  const studies = [{ name, best, is_open: true }];
  document.dispatchEvent(new CustomEvent("shown", { detail: { studies, trial } }));
};
window.drop = (text, kind) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "picture", { type: kind }));
  const dropped = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector("#model .drop").dispatchEvent(dropped);
};
window.show("s", 0);"""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the panel is not looked at in a browser")
def test_the_panel_answers_for_a_picture_and_for_the_camera(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are text, a refusal is a sentence, the camera stops when it is asked to."""
    monkeypatch.setattr(browser, "FLAGS", browser.FLAGS + FAKE)
    classes = [f"<b>{number}</b>" for number in range(10)]
    packed, card = drawn(1, classes=classes, trial=7, validation_accuracy=0.5)
    store.studies.open("s", {"trials": 3})
    store.studies.open("none", {"trials": 3})
    weights = store.blobs.put(packed, "w").as_document()
    store.studies.offer("s", {"card": card.to_json(), "weights": weights})
    pixels = io.BytesIO()
    Image.fromarray(digits().test_images[0][..., 0]).save(pixels, "PNG")

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    async def script(_: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    routes = [
        *(Route("/", page), Route("/test.js", script)),
        *files(ROOT / "web" / "figures", "/figures/"),
        *(each for each in files(ROOT / "coordinator/views/web") if each.path != "/"),
        *BestModels(store).routes,
    ]
    site = Site(routes, "127.0.0.1", 0, "test")
    with site.running(), browsing(site.url, tmp_path) as seen:
        seen.shows("trial 7, the best so far: 50.0 % of validation images", "#model")
        seen.evaluate(f"drop({text(pixels.getvalue())!r}, 'image/png')")
        seen.shows("<b>", "#model .answer")
        assert seen.count("#model .top li") == 3
        assert seen.count("#model b") == 0
        assert seen.evaluate("document.querySelector('#model img').naturalWidth") == 28
        assert seen.errors == []

        seen.evaluate(f"drop({text(b'GIF89a')!r}, 'image/gif')")
        seen.shows("this is not a picture: send a JPEG, PNG or WebP", "#model .problem")
        seen.errors.clear()  # the console has the 415

        answered = "performance.getEntriesByType('resource').filter(e => /predict/.test(e.name))"
        before = seen.evaluate(f"{answered}.length")
        seen.click("#model button:not([hidden])")
        until(lambda: seen.evaluate(f"{answered}.length") >= before + 3, "three answers", 60)
        assert seen.text("#model .problem") == ""
        assert seen.text("#model button:not([hidden])") == "Stop the camera"
        seen.click("#model button:not([hidden])")
        assert seen.evaluate("document.querySelector('#model video').srcObject") is None
        assert seen.text("#model button:not([hidden])") == "Start the camera"

        links = "[...document.querySelectorAll('#model .links a')]"
        fetched = f"fetch({links}[0].href).then(got => got.arrayBuffer())"
        assert seen.evaluate(f"{fetched}.then(got => got.byteLength)") == len(packed)
        seen.evaluate("show('none', null)")
        until(lambda: seen.evaluate("document.getElementById('model').hidden"), "it is hidden", 60)
        seen.evaluate("show('s', 1, {})")
        assert seen.evaluate("document.getElementById('model').hidden")
        seen.evaluate("show('s', 1)")
        seen.shows("trial 7", "#model")
        assert seen.text("#model .answer") == ""
        assert seen.errors == []
