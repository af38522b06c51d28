"""predict-cam acts when the label changes, as a person runs it: live, on a network camera."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest
import torch
from support.broker import MOSQUITTO, Broker, Listener
from support.home import REPOSITORY, Program, until
from support.hooks import HookServer
from support.lenets import save_model
from support.mjpeg import MjpegServer

from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.networks.lenet import LeNet5

DARK, BRIGHT = "dark", "$(touch owned)"
TOPIC = "home/door"


@pytest.fixture
def shows(server: MjpegServer) -> Callable[[str], None]:
    """Return what chooses the camera's picture, by the label that the model gives it."""
    now = [DARK]

    def picture(_: int) -> np.ndarray:
        return np.full((48, 64, 3), 255 * (now[0] == BRIGHT), np.uint8)

    def choose(label: str) -> None:
        now[0] = label

    server.picture = picture
    return choose


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(fps=30.0) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model that tells black from white."""
    torch.manual_seed(0)
    network = LeNet5(1, 2).eval()
    *_, last = (part for part in network.modules() if isinstance(part, torch.nn.Linear))
    with torch.no_grad():
        black, white = network(torch.stack([torch.full((1, 28, 28), s) for s in (-1.0, 1.0)]))
        way = white[1] - white[0] - black[1] + black[0]
        last.bias[1] -= (white[1] - white[0] + black[1] - black[0]) / 2
        last.weight *= 20 / way
        last.bias *= 20 / way
    packed = pack_weights(network)
    sha256 = hashlib.sha256(packed).hexdigest()
    card = Card([DARK, BRIGHT], 1, [0.5], [0.5], weights_sha256=sha256, dataset={}, config={})
    save_model(tmp_path / "model", packed, card)
    return tmp_path


def start(folder: Path, *arguments: str) -> Program:
    """Start predict-cam in live mode, without a display."""
    without = {name: text for name, text in os.environ.items() if "DISPLAY" not in name}
    command = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]
    return Program(
        [*command, "--model", "model", "--live", *arguments],
        folder / "said",
        folder,
        {**without, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
    )


def program(folder: Path, text: str) -> str:
    (folder / "act").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "act").chmod(0o755)
    return "./act"


@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto: apt install mosquitto")
def test_a_change_reaches_a_program_a_broker_and_a_webhook(
    folder: Path, server: MjpegServer, shows: Callable[[str], None]
) -> None:
    """All three get the same; no password is printed; the counts stand in the summary."""
    copies = program(folder, 'read -r event; printf "%s\\n" "$event" >>got')
    with Broker(folder, [], ("me", "s3cret")) as broker, HookServer() as hook:
        broker_url = f"mqtt://me:s3cret@127.0.0.1:{broker.port}/{TOPIC}"
        (folder / "broker").write_text(broker_url + "\n")
        webhook = f"http://me:s3cret@127.0.0.1:{hook.port}/s3cret"
        acting = ["--on-change", copies, "--mqtt", "broker", "--webhook", webhook, "--hold", "0.2"]
        with Listener(broker.port, TOPIC, ("me", "s3cret")) as heard:
            seen = start(folder, server.url, *acting)

            def have_all(label: str, count: int) -> bool:
                assert seen.is_running(), seen.said()
                published = json.loads(heard.last(TOPIC) or "{}").get("label")
                return published == label and len(lines(folder)) == len(hook.got) == count

            for count, label in enumerate([DARK, BRIGHT, DARK], 1):
                shows(label)
                until(lambda label=label, count=count: have_all(label, count), label)
            seen.signal(signal.SIGINT)
            assert seen.end() == 128 + signal.SIGINT
            until(lambda: heard.last(f"{TOPIC}/availability") == b"offline", "the end")
    events = [json.loads(line) for line in lines(folder)]
    assert [(event["previous"], event["label"]) for event in events] == [
        (None, DARK),
        (DARK, BRIGHT),
        (BRIGHT, DARK),
    ]
    assert all(event["known"] and event["probability"] > 0.5 for event in events)
    assert {event["source"] for event in events} == {server.url}
    assert [json.loads(body) for _, _, body in hook.got] == events
    assert json.loads(heard.last(TOPIC)) == events[-1]
    assert not (folder / "owned").exists()
    assert "s3cret" not in seen.said()
    for title in ("the program ./act", "the broker 127.0.0.1:", "the webhook http://127.0.0.1:"):
        assert title in seen.said()
    assert seen.said().count(": 3 changes delivered") == 3


def lines(folder: Path) -> list[Any]:
    got = folder / "got"
    return got.read_text().splitlines() if got.exists() else []


def test_labelling_does_not_wait_for_a_slow_program(
    folder: Path, server: MjpegServer, shows: Callable[[str], None]
) -> None:
    """While the program runs, the newest change waits, and older ones are dropped."""
    os.mkfifo(folder / "go on")
    slow = program(folder, 'cat >>got; read -r line <"go on"')
    seen = start(folder, server.url, "--on-change", slow, "--hold", "0")
    until(lambda: lines(folder), "the first change")
    for number, label in enumerate([BRIGHT, DARK, BRIGHT]):
        shows(label)
        until(lambda number=number: said_labels(seen) == 2 + number, "another label")
    assert len(lines(folder)) == 1
    with (folder / "go on").open("w"):
        until(lambda: len(lines(folder)) == 2, "the newest change")
    seen.signal(signal.SIGINT)
    seen.end()
    assert json.loads(lines(folder)[-1])["label"] == BRIGHT
    assert "2 dropped because a newer one came" in seen.said()


def said_labels(seen: Program) -> int:
    assert seen.is_running(), seen.said()
    return len(re.findall(r"(?m)^\d\d:\d\d:\d\d ", seen.said()))


@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto: apt install mosquitto")
def test_nothing_survives_a_kill(folder: Path, server: MjpegServer) -> None:
    """The program and its children end with predict-cam, and the broker says that it is gone."""
    alive = folder / "alive"
    os.mkfifo(alive)  # has an end when nobody has it open
    hangs = program(folder, "exec 3>alive; trap '' TERM; sleep 600 & echo >&3; sleep 600")
    with Broker(folder, []) as broker, Listener(broker.port, TOPIC) as heard:
        url = f"mqtt://127.0.0.1:{broker.port}/{TOPIC}"
        seen = start(folder, server.url, "--on-change", hangs, "--mqtt", url)
        with alive.open() as held:
            held.readline()
            until(lambda: heard.last(f"{TOPIC}/availability") == b"online", "the first change")
            seen.signal(signal.SIGKILL)
            held.read()
        until(lambda: heard.last(f"{TOPIC}/availability") == b"offline", "the last will")
        assert seen.end() == -signal.SIGKILL
