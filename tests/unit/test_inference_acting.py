"""What happens when the label changes: a program, a broker, a webhook; labelling never waits."""

from __future__ import annotations

import json
import shutil
import ssl
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from support.broker import MOSQUITTO, Broker, Listener
from support.home import until
from support.hooks import HookServer

from hyperhive.common.errors import DeviceError, UsageError
from hyperhive.inference.acting import courier, program
from hyperhive.inference.acting.actions import Actions
from hyperhive.inference.acting.changes import LastingChanges
from hyperhive.inference.acting.courier import Courier, NotDelivered
from hyperhive.inference.acting.program import Program
from hyperhive.inference.acting.settings import ActingSettings, address_of
from hyperhive.inference.acting.webhook import Webhook
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.settings import PredictSettings
from hyperhive.model.calibration import Doubt

PYTHON = sys.executable
HOSTILE = "$(touch owned) `touch owned`; touch owned\n\x1b]0;\udce9"


def result(label: str, doubt: Doubt | None = None, index: int = 0) -> Result:
    prediction = Prediction(((label, 0.75), ("other", 0.25)), doubt)
    return Result(Frame(np.zeros((8, 8, 3), np.uint8), "n", "camera 0", index, 1e9), prediction)


# -- when a label counts as changed ----------------------------------------------------------------


def test_a_label_that_lasts_is_a_change_and_a_flicker_is_none() -> None:
    """Every frame of the time must have it; the first label that lasts is a change too."""
    changes = LastingChanges(0.5)
    seen = [(0.0, "a"), (0.4, "a"), (0.6, "a"), (0.9, "a"), (1.0, "b"), (1.4, "a"), (1.5, "b")]
    seen += [(1.9, "b"), (2.1, "b"), (2.2, "b")]
    events = [(moment, changes.event(result(label), moment)) for moment, label in seen]
    found = [(moment, event["label"], event["previous"]) for moment, event in events if event]
    assert found == [(0.6, "a", None), (2.1, "b", "a")]


def test_a_class_named_unknown_is_not_unknown() -> None:
    """With 0 seconds each frame with another answer is a change, and has all that is known."""
    changes = LastingChanges(0.0)
    assert changes.event(result("unknown"), 1.0) is not None
    doubtful = result("a", Doubt("margin", 0.1, 0.2), index=7)
    event = changes.event(doubtful, 2.0)
    assert event == {**doubtful.to_json(), "previous": "unknown"}
    assert (event["label"], event["known"], event["frame"]) == ("unknown", False, 7)
    assert changes.event(doubtful, 3.0) is None


# -- the courier -----------------------------------------------------------------------------------


class Hand:
    """A way that waits for the test, fails when told to, and keeps what it was given."""

    title = "the hand"

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.fails = self.is_lost = self.is_closed = False

    def deliver(self, event: bytes, stop: threading.Event) -> None:
        """See ``Way``."""
        self.given.append(event)
        while not self.goes_on.wait(0.01):
            if stop.is_set():
                raise NotDelivered("was stopped")
        if self.fails:
            raise NotDelivered("is busy")
        self.is_lost = False

    def holds(self) -> bool:
        """See ``Way``."""
        return not self.is_lost

    def close(self) -> None:
        """See ``Way``."""
        self.is_closed = True


def test_while_one_is_delivered_only_the_newest_waits() -> None:
    """The others are dropped and counted, and who sends never waits."""
    hand = Hand()
    hand.goes_on.clear()
    with Courier(hand, print) as sent:
        sent.send(b"1")
        until(lambda: hand.given == [b"1"], "the first")
        for number in range(2, 6):
            sent.send(b"%d" % number)
        assert hand.given == [b"1"]
        hand.goes_on.set()
    assert (hand.given, hand.is_closed) == ([b"1", b"5"], True)
    assert sent.summary() == "the hand: 2 changes delivered, 3 dropped because a newer one came"


def test_a_failure_is_one_sentence_and_so_is_its_end() -> None:
    """Further failures within a minute are counted only."""
    hand, said = Hand(), []
    hand.fails = True
    with Courier(hand, said.append) as sent:
        for number in range(1, 4):
            sent.send(b"x")
            until(lambda number=number: len(hand.given) == number, "another try")
        until(lambda: said, "a sentence")
        hand.fails = False
        sent.send(b"x")
        until(lambda: len(said) == 2, "another sentence")
        sent.send(b"x")
    assert said == ["the hand is busy; labelling goes on", "the hand works again"]
    assert sent.summary() == "the hand: 2 changes delivered, 3 not delivered"


def test_what_does_not_hold_is_delivered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With growing pauses, and counted once."""
    monkeypatch.setattr(courier, "_FIRST_PAUSE_S", 0.01)
    hand = Hand()
    hand.fails = hand.is_lost = True
    with Courier(hand, print) as sent:
        sent.send(b"on")
        until(lambda: len(hand.given) == 4, "four tries")
        hand.fails = False
        until(lambda: not hand.is_lost, "the last try")
    assert set(hand.given) == {b"on"}
    assert sent.summary() == "the hand: 1 change delivered"


def test_a_way_that_hangs_does_not_keep_the_run_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told to stop, and what still waits is not begun."""
    monkeypatch.setattr(courier, "_AT_THE_END_S", 0.05)
    hand = Hand()
    hand.goes_on.clear()
    with Courier(hand, print) as sent:
        sent.send(b"1")
        until(lambda: hand.given, "the first")
        sent.send(b"2")
    assert (hand.given, hand.is_closed) == ([b"1"], True)
    assert sent.summary() == "the hand: 0 changes delivered, 2 not delivered"


# -- programs --------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> str:
    """Write a program of Python; return the command that runs it."""
    (folder / "a program.py").write_text(text)
    return f"{PYTHON} '{folder / 'a program.py'}'"


def never() -> threading.Event:
    return threading.Event()


def test_a_program_gets_the_change_and_no_shell_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that a shell would run is a text like any other, and so are the command's words."""
    monkeypatch.chdir(tmp_path)
    copies = "import sys; print(sys.argv[1:], sys.stdin.read(), file=open('got', 'w'))"
    way = Program(script(tmp_path, copies) + " '$(touch owned)' $HOME")
    with Courier(way, print) as sent:
        Actions(LastingChanges(0.0), [sent]).see(result(HOSTILE))
    words, _, event = (tmp_path / "got").read_text().partition(" {")
    assert words == "['$(touch owned)', '$HOME']"
    assert json.loads("{" + event)["label"] == HOSTILE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a program.py", "got"]


def test_a_program_that_fails_says_its_last_line(tmp_path: Path) -> None:
    """Of its standard error, and nothing in it reaches the terminal as it is."""
    says = "import sys; print('first', file=sys.stderr); sys.exit('no door \\x1b[2J')"
    with pytest.raises(NotDelivered) as failed:
        Program(script(tmp_path, says)).deliver(b"{}", never())
    assert str(failed.value) == "ended with exit code 1: no door \\x1b[2J"


def test_a_program_need_not_read(tmp_path: Path) -> None:
    """However much there is to read; and what it leaves running is ended."""
    lasting = tmp_path / "pid"
    starts = (
        "import subprocess, sys\n"
        "left = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(lasting)!r}, 'w').write(str(left.pid))\n"
    )
    Program(script(tmp_path, starts)).deliver(b"x" * 10_000_000, never())
    until(lambda: not is_running(int(lasting.read_text())), "the end of what was left running")


def test_a_program_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten seconds."""
    assert program._LONGEST_S == 10
    pids = tmp_path / "pids"
    hangs = (
        "import os, signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open('{pids}.new', 'w').write('%d %d' % (os.getpid(), child.pid))\n"
        f"os.rename('{pids}.new', '{pids}')\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(program, "_END_S", 0.1)
    monkeypatch.setattr(program, "_LONGEST_S", 3.0)
    with pytest.raises(NotDelivered, match="ran for more than 3 seconds and was ended"):
        Program(script(tmp_path, hangs)).deliver(b"{}", never())
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not is_running(pid), "the end of the program")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- webhooks --------------------------------------------------------------------------------------


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with HookServer() as hook:
        yield hook


def test_a_webhook_gets_a_post_with_its_login(hook: HookServer) -> None:
    """The login goes to a server that asks for it."""
    hook.login = ("me", "p@ss")
    way = Webhook(f"http://me:p%40ss@127.0.0.1:{hook.port}/api/webhook/secret?to=me")
    way.deliver(b'{"label": "a"}', never())
    assert hook.got == [("/api/webhook/secret?to=me", "application/json", b'{"label": "a"}')]
    assert way.title == f"the webhook http://127.0.0.1:{hook.port}"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (500, "answers 500 Internal Server Error"),
        (302, "redirects to another address: give --webhook that one"),
    ],
)
def test_a_webhook_that_refuses_says_so(hook: HookServer, status: int, sentence: str) -> None:
    """A redirect would make a GET of the POST."""
    hook.status = status
    with pytest.raises(NotDelivered) as failed:
        Webhook(f"http://127.0.0.1:{hook.port}/secret").deliver(b"{}", never())
    assert str(failed.value) == sentence
    assert [path for path, _, _ in hook.got] == ["/secret"]


def test_a_webhooks_certificate_is_verified() -> None:
    """So nobody else gets what is posted, or its login."""
    trustme = pytest.importorskip("trustme")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HookServer(context) as hook:
        with pytest.raises(NotDelivered, match="its certificate is not trusted"):
            Webhook(f"https://127.0.0.1:{hook.port}/secret").deliver(b"{}", never())
        assert hook.got == []


# -- brokers ---------------------------------------------------------------------------------------

needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto: apt install mosquitto")
TOPIC = "home/door"


def mqtt(url: str) -> Any:
    from hyperhive.inference.acting.mqtt import Mqtt

    return Mqtt(url)


@needs_broker
def test_a_topic_has_the_latest_label(tmp_path: Path) -> None:
    """It is retained, and so is whether predict-cam runs; a broker that comes back gets both."""
    with Broker(tmp_path, [], ("me", "p@ss")) as broker:
        url = f"mqtt://me:p%40ss@127.0.0.1:{broker.port}/{TOPIC}"
        way, said = mqtt(url), []
        with Listener(broker.port, TOPIC, ("me", "p@ss")) as heard:
            with Courier(way, said.append) as sent:
                sent.send(b"1")
                until(lambda: heard.last(TOPIC) == b"1", "the first change")
                assert heard.last(f"{TOPIC}/availability") == b"online"
                broker.down()
                sent.send(b"2")
                until(lambda: said, "a sentence")
                broker.up()
                until(lambda: heard.last(TOPIC) == b"2", "the second change")
                until(lambda: len(said) == 2, "another sentence")
            until(lambda: heard.last(f"{TOPIC}/availability") == b"offline", "the end")
        with Listener(broker.port, TOPIC, ("me", "p@ss")) as later:
            until(lambda: len(later.said) == 2, "what is retained")
        kept = {name: (payload, retained) for name, payload, retained in later.said}
        assert kept == {TOPIC: (b"2", True), f"{TOPIC}/availability": (b"offline", True)}
    assert said[0].startswith(f"the broker 127.0.0.1:{broker.port} ")
    assert said[1] == f"the broker 127.0.0.1:{broker.port} works again"
    assert sent.summary().endswith(": 2 changes delivered")


@needs_broker
def test_a_broker_that_refuses_says_why(tmp_path: Path) -> None:
    """A wrong password, and nobody there."""
    refused = pytest.raises(NotDelivered, match="refuses the connection: Not authorized")
    with Broker(tmp_path, [], ("me", "right")) as broker, refused:
        mqtt(f"mqtt://me:wrong@127.0.0.1:{broker.port}/{TOPIC}").deliver(b"1", never())
    with pytest.raises(NotDelivered, match="cannot be reached: Connection refused"):
        mqtt(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}").deliver(b"1", never())


@needs_broker
def test_a_brokers_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With mqtts://, by what the system trusts or SSL_CERT_FILE names."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    lines = [f"certfile {tmp_path / 'cert.pem'}", f"keyfile {tmp_path / 'key.pem'}"]
    with Broker(tmp_path, lines) as broker:
        way = mqtt(f"mqtts://127.0.0.1:{broker.port}/{TOPIC}")
        with pytest.raises(NotDelivered, match="has a certificate that is not trusted"):
            way.deliver(b"1", never())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        way.deliver(b"1", never())
        assert way.holds()
        way.close()


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"hold": 1.0}, "--hold needs --on-change, --mqtt or --webhook"),
        ({"hold": -1.0, "command": "x"}, "--hold must be from 0 to 60 seconds, not -1.0"),
        ({"hold": float("nan"), "command": "x"}, "--hold must be from 0 to 60 seconds, not nan"),
    ],
)
def test_senseless_settings_are_refused(given: dict[str, Any], sentence: str) -> None:
    """In one sentence."""
    with pytest.raises(UsageError) as refused:
        ActingSettings(**given)
    assert str(refused.value) == sentence


def test_a_series_does_not_act() -> None:
    """Its frames have nothing to do with each other."""
    with pytest.raises(UsageError, match="--on-change, --mqtt and --webhook need --live"):
        PredictSettings((), Path("out"), acting=ActingSettings(command="true"))


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://me:secret@/topic",
        "mqtt://me:secret@host:0/topic",
        "mqtt://me:secret@host:x/topic",
        "mqtt://me:secret@host",
        "mqtt://me:secret@host/a/+/b",
        "mqtt://me:secret@host/a%00b",
        "mqtt://me:secret#1@host/topic",
        "mqtt://me:secret@a..b/topic",
        "mqtt://me:secret@[::1/topic",
    ],
)
def test_a_wrong_topic_is_refused_without_its_password(url: str) -> None:
    """Before the camera is opened."""
    pytest.importorskip("paho.mqtt")
    with pytest.raises(UsageError) as refused:
        mqtt(url)
    assert "secret" not in str(refused.value)


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    """Which keeps a password out of the process list; no sentence has it."""
    file = tmp_path / "broker"
    file.write_text(" MQTTS://me:secret@host/topic\n")

    def read(given: str) -> str:
        return address_of(given, "--mqtt", "mqtt://HOST/TOPIC")

    assert read("mqtt://host/topic") == "mqtt://host/topic"
    assert read(str(file)) == "MQTTS://me:secret@host/topic"
    file.write_text("http://me:secret@host/topic")
    for given in (str(file), str(tmp_path), "me:secret@host/topic", "secret://host", "\0secret"):
        with pytest.raises(UsageError) as refused:
            read(given)
        assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match="--webhook cannot be opened: that is not a valid address"):
        Webhook("http://me:secret@host:x/")


def test_a_program_that_is_missing_is_refused_at_once() -> None:
    """Not at the first change."""
    assert shutil.which("tru") is None
    with pytest.raises(DeviceError, match="there is no program tru here"):
        Program("tru")
