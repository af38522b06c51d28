"""What a person may change from the live page: the same as with commands, each asked twice.

``POST action`` takes JSON: ``action``, its name, and what it is about. The first time the answer is
``question``, which names exactly what will happen, and ``button``, its short form. With
``"confirmed": true`` it is done, and the answer is ``said``, what came of it. A refusal is
``problem``, one sentence, and nothing has changed. Whatever may be done may be done again: after a
lost reply, ask again.

| action | with |
|---|---|
| ``cancel study``, ``finish`` | ``study`` |
| ``cancel trial`` | ``study``, ``trial`` |
| ``extend`` | ``study``, ``trials``: how many in all |
| ``enqueue`` | ``study``, ``config``: text as on the command line |
| ``note`` | ``study``, ``text``, ``id`` (8 to 32 letters or digits), ``trial`` or null |
| ``pause``, ``drain``, ``resume`` | ``device`` |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hyperhive.common.errors import HyperhiveError, UsageError
from hyperhive.common.extras import advice
from hyperhive.common.text import printable_lines, storable
from hyperhive.common.wording import counted, in_words
from hyperhive.coordinator.api import enqueueing
from hyperhive.coordinator.changes import ending, extending, noting
from hyperhive.coordinator.spaces.written import of_text
from hyperhive.coordinator.study import Study
from hyperhive.store import ordering
from hyperhive.store.errors import NotAllowed, NotFound, StoreUnavailable
from hyperhive.store.notes import NOTE_ID
from hyperhive.store.orders import Wish
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status

_LARGEST = 64 * 1024
"""Bytes of a request."""
_LONGEST_NAME = 1000


class ActionsOff(HyperhiveError):
    """The page was started without ``--allow-actions``."""


_STATUS = {
    ActionsOff: HTTPStatus.FORBIDDEN,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    UsageError: HTTPStatus.BAD_REQUEST,
}


@dataclass(frozen=True)
class Action:
    """Something that can be done now: what is asked before it, and what does it."""

    question: str
    button: str
    do: Callable[[], str]


class Asked:
    """What a request is about. Each part is read once, and one that nobody reads is a mistake."""

    def __init__(self, contents: Mapping[str, Any]) -> None:
        self._left = dict(contents)

    def text(self, key: str, most: int = _LONGEST_NAME) -> str:
        """Return a text; raises ``UsageError``, as all of these do."""
        value = self._left.pop(key, None)
        if not isinstance(value, str) or storable(value, most) != value:
            raise UsageError(f"{key} must be Unicode text of at most {most:,} characters")
        return value

    def whole(self, key: str, least: int) -> int:
        """Return a whole number."""
        value = self._left.pop(key, None)
        if type(value) is not int or not least <= value < 2**31:
            raise UsageError(f"{key} must be a whole number, {least} or more")
        return value

    def trial_if_any(self) -> int | None:
        """Return the number of a trial; None for the study."""
        if self._left.get("trial") is None:
            self._left.pop("trial", None)
            return None
        return self.whole("trial", 0)

    def note_id(self) -> str:
        """Return the id of a note."""
        value = self.text("id")
        if NOTE_ID.fullmatch(value) is None:
            raise UsageError("id must be 8 to 32 letters or digits")
        return value

    def end(self) -> None:
        """Raise ``UsageError`` if there is more."""
        if self._left:
            names = ", ".join(sorted(map(str, self._left)))
            raise UsageError(f"this action takes no {names:.100}: reload the page")


def require_right(store: Store) -> None:
    """Raise ``NotAllowed`` unless the login may do all that the page offers.

    If the server does not answer, the page waits for it, and each action is refused by the server.
    """
    try:
        store.roles.require_coordinator()
    except NotAllowed as error:
        raise NotAllowed(f"--allow-actions: {error}") from error
    except StoreUnavailable:
        return


class Actions:
    """Answers ``/action``.

    Args:
        store: of the page.
        allowed: whether anything may be changed.
        study: the only one that may be; None for any.
    """

    def __init__(self, store: Store, allowed: bool, study: str | None = None) -> None:
        self._store = store
        self._allowed = allowed
        self._study = study

    def routes(self) -> list[Route]:
        """Return the routes for a site that checks who may POST."""
        return [
            Route("/action", self._tell_if_allowed, methods=["GET"]),
            Route("/action", self._act, methods=["POST"]),
        ]

    async def _tell_if_allowed(self, _: Request) -> Response:
        return JSONResponse({"allowed": self._allowed})

    async def _act(self, request: Request) -> Response:
        body = await request.body()
        status, answer = await run_in_threadpool(self.answer, body)
        return JSONResponse(answer, status)

    def answer(self, body: bytes) -> tuple[HTTPStatus, dict[str, str]]:
        """Return the status and the JSON that answers a request."""
        try:
            return HTTPStatus.OK, self._answered(body)
        except HyperhiveError as error:
            found = (status for kind, status in _STATUS.items() if isinstance(error, kind))
            status = next(found, HTTPStatus.CONFLICT)
            return status, {"problem": printable_lines(str(error))}
        except ModuleNotFoundError as error:
            why = advice(error)
            if why is None:
                raise
            return HTTPStatus.CONFLICT, {"problem": why}

    def _answered(self, body: bytes) -> dict[str, str]:
        if not self._allowed:
            raise ActionsOff(
                "nothing can be changed from this page: start `hyperhive dashboard "
                "--allow-actions` with a coordinator's login"
            )
        contents = _contents(body)
        confirmed = contents.pop("confirmed", False)
        if not isinstance(confirmed, bool):
            raise UsageError("confirmed must be true or false")
        asked = Asked(contents)
        name = asked.text("action")
        if name not in _ACTIONS:
            raise UsageError(f"there is no action {name!r:.50}: reload the page")
        if self._study is not None and contents.get("study", self._study) != self._study:
            raise UsageError(f"this page is only about study {self._study}")
        action = _ACTIONS[name](self._store, asked)
        if confirmed:
            return {"said": printable_lines(action.do())}
        return {"question": printable_lines(action.question), "button": action.button}


def _contents(body: bytes) -> dict[str, Any]:
    if len(body) > _LARGEST:
        raise UsageError(f"the request has more than {_LARGEST >> 10} kB")
    try:
        contents = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error
    if not isinstance(contents, dict):
        raise UsageError("the request must be a JSON object")
    return contents


def _cancel_study(store: Store, asked: Asked) -> Action:
    name = asked.text("study")
    asked.end()
    if store.is_experiment(name):
        question = f"Cancel experiment {name!r}? Its waiting jobs end, and then its fmin."
    else:
        store.study(name)
        left = sum(not trial.is_final for trial in store.trials.find(name, in_short=True))
        question = (
            f"Cancel study {name}, and its {counted(left, 'unfinished trial')}? It gets no refit "
            "and no test, and cannot go on. Its results stay."
        )
    return Action(question, "Cancel the study", lambda: ending.cancel(store, name))


def _cancel_trial(store: Store, asked: Asked) -> Action:
    name, tid = asked.text("study"), asked.whole("trial", 0)
    asked.end()
    trial = ending.trial_of(store, name, tid)
    runs = f", which {trial.owner} runs" if trial.status is Status.RUNNING else ""
    question = (
        f"Cancel trial {tid} of study {name}{runs}? It ends without a result, and counts as one of "
        "the study's trials."
    )
    return Action(question, "Cancel the trial", lambda: ending.cancel_trial(store, name, tid))


def _finish(store: Store, asked: Asked) -> Action:
    name = asked.text("study")
    asked.end()
    ending.finishable(store, name)
    question = (
        f"Finish study {name} with the trials that have ended? Those that wait or run are "
        "withdrawn, and the best is refitted and tested."
    )
    return Action(question, "Finish the study", lambda: ending.ask_to_finish(store, name))


def _extend(store: Store, asked: Asked) -> Action:
    name, trials = asked.text("study"), asked.whole("trials", 1)
    asked.end()
    budget = extending.open_budget(store, name)
    extending.require_more(name, budget, trials)
    question = f"Have study {name} run {counted(trials, 'trial')} in all? It has {budget} now."
    return Action(question, "Run more trials", lambda: extending.extend(store, name, trials))


def _enqueue(store: Store, asked: Asked) -> Action:
    name, config = asked.text("study"), of_text(asked.text("config", _LARGEST))
    asked.end()
    Study.stored(name, store.study(name).spec).known(0, config)  # a mistake in it is told first
    question = f"Have study {name} try this next: {in_words(config)}?"
    return Action(question, "Try it", lambda: enqueueing.told(store, name, config))


def _note(store: Store, asked: Asked) -> Action:
    name, words = asked.text("study"), asked.text("text", _LARGEST)
    trial, note_id = asked.trial_if_any(), asked.note_id()
    asked.end()
    noting.require_writable(store, name, words, trial)
    about = f"study {name}" if trial is None else f"trial {trial} of study {name}"
    question = f"Keep this note on {about}, for all who can see it?\n{words.strip()}"
    return Action(
        question, "Keep the note", lambda: noting.write(store, name, words, trial, note_id)
    )


def _order(wish: Wish, what: str) -> Callable[[Store, Asked], Action]:
    def order(store: Store, asked: Asked) -> Action:
        name = asked.text("device")
        asked.end()
        command = ordering.OrderCommand(store, name)

        def give() -> str:
            command.give(wish)
            return f"{name} is to {wish.value}: the list of workers shows when it has"

        return Action(
            f"{wish.value.capitalize()} {name}? {what}, and takes none until it is resumed.",
            f"{wish.value.capitalize()} it",
            give,
        )

    return order


def _resume(store: Store, asked: Asked) -> Action:
    name = asked.text("device")
    asked.end()
    question = f"Resume {name}? It takes trials again, and so does each worker of it."
    return Action(question, "Resume it", lambda: ordering.withdraw(store, name))


_ACTIONS: Mapping[str, Callable[[Store, Asked], Action]] = {
    "cancel study": _cancel_study,
    "cancel trial": _cancel_trial,
    "finish": _finish,
    "extend": _extend,
    "enqueue": _enqueue,
    "note": _note,
    "pause": _order(Wish.PAUSE, "It ends or hands back the trials that it runs"),
    "drain": _order(Wish.DRAIN, "It runs its trials to their end"),
    "resume": _resume,
}
