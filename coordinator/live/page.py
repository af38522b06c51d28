"""The addresses of the live page, and the thread that reads the store while somebody watches."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any, Dict, Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hyperhive import web
from hyperhive.coordinator.live.answers import Answers, encoded
from hyperhive.coordinator.live.readings import REFRESH_S
from hyperhive.store.errors import StoreError
from hyperhive.web.site import files
from hyperhive.web.streams import Channel, events

TELL_S = 10.0
"""Seconds after which viewers are told the state again that has not changed: the page takes a
server for gone that says nothing for longer."""

_LOOK_S = 0.5
_Event = Dict[str, Any]


class LivePage:
    """What a browser can ask for.

    Args:
        answers: to all questions.
    """

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._channel: Channel[_Event] = Channel(encoded)

    @property
    def routes(self) -> list[BaseRoute]:
        """The page's files, and its questions."""
        views = Path(__file__).parents[1] / "views"
        return [
            *files(views / "web"),
            *files(Path(web.__file__).parent / "figures", "/figures/"),
            Route("/fleet.json", self._fleet),
            Route("/figures.json", self._figures),
            Route("/trial.json", self._trial),
            Route("/events", events(self._channel), methods=["GET"]),
        ]

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read the store every ``REFRESH_S`` while this is open and somebody watches."""
        ended = threading.Event()
        thread = threading.Thread(target=self._read, args=(ended,), name="reading", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _read(self, ended: threading.Event) -> None:
        told: _Event = {}
        quiet_s = 0.0
        while not ended.is_set():
            if not self._channel.watched.wait(_LOOK_S):
                continue
            event = self.answers.event()
            quiet_s += REFRESH_S
            if event["revision"] != told.get("revision") or quiet_s >= TELL_S:
                self._channel.publish(event)
                told, quiet_s = event, 0.0
            ended.wait(REFRESH_S)

    def _fleet(self, _: Request) -> Response:
        return _json(self.answers.fleet())

    def _figures(self, request: Request) -> Response:
        since = request.query_params.get("since", "")
        known = int(since) if since.isdecimal() and len(since) < 20 else None
        try:
            return _json(self.answers.figures(request.query_params.get("study", ""), known))
        except StoreError as error:
            return _away(error)

    def _trial(self, request: Request) -> Response:
        asked = request.query_params
        try:
            found = self.answers.trial(asked.get("study", ""), asked.get("trial", ""))
        except StoreError as error:
            return _away(error)
        if found is None:
            return PlainTextResponse("there is no such trial\n", 404)
        return _json(found)


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _away(error: StoreError) -> Response:
    """Return an answer that says what is wrong with the store."""
    return PlainTextResponse(f"{error}\n", 502)
