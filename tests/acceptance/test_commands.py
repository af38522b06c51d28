"""Commands as a person types them: help that is quick, and bad input answered in one line."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from support.home import Home, until

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.study import Study
from hyperhive.model.data.loading import DatasetRequest, digits
from hyperhive.store.store import Store

HEAVY = {"torch", "numpy", "pymongo", "hyperopt", "sklearn", "matplotlib", "cv2", "PIL"}
COMMANDS = [
    [],
    ["demo"],
    ["coordinator"],
    ["worker"],
    ["status"],
    ["dashboard"],
    ["mongo"],
    ["mongo", "start"],
    ["mongo", "stop"],
    ["mongo", "invite"],
    ["mongo", "revoke"],
]
SPACE = """
[space]
learning_rate = { distribution = "loguniform", low = 0.01, high = 0.1 }
epochs = { distribution = "quniform", low = 9, high = 3, step = 1 }
momentum = { distribution = "uniform", low = 0.0, high = 0.9 }
"""
SMALL = {"cats": 2, "dogs": 9}
"""Images of each class in the folder ``small``: one of two is a test image, one is left."""

HELD = """
[dataset]
name = "digits"
[space]
learning_rate = 0.01
epochs = 5
momentum = 0.9
"""
MINE = """
objective = "mine"
batch_size = 32
[dataset]
name = "digits"
[space.hidden]
distribution = "quniform"
low = 16
high = 128
step = 16
"""
FILES = {
    "all-held.toml": HELD,
    "not-mine.toml": MINE,
    "no-space.toml": 'objective = "digits.py:train"',
    "unknown-key.toml": "trails = 3\n",
    "bad-range.toml": '[dataset]\nname = "digits"\n' + SPACE,
    "bad-value.toml": 'trials = "many"\n[dataset]\nname = "digits"\n',
    "not-toml.toml": "trials: 3\n",
    "corrupt.zip": "PK\x03\x04 broken off",
}


# Runs a command as if a package were not installed: the first argument.
WITHOUT = """
import sys

class Lacks:
    def find_spec(self, name, *_):
        if name == lacks:
            raise ModuleNotFoundError("No module named {!r}".format(name), name=name)

lacks = sys.argv.pop(1)
sys.meta_path.insert(0, Lacks())
from hyperhive import cli

cli.main()
"""


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.endswith("\n") and text.count("\n") == 1


@pytest.fixture
def work(home: Home) -> Path:
    """Return the folder that commands run in, with bad input of every kind."""
    for name, text in FILES.items():
        (home.work / name).write_text(text)
    (home.work / "empty").mkdir()
    for name in ("cats", "dogs"):
        (home.work / "no-images" / name).mkdir(parents=True)
        (home.work / "no-images" / name / "note.txt").write_text("no image")
        (home.work / "small" / name).mkdir(parents=True)
        for number in range(SMALL[name]):
            image = Image.new("RGB", (28, 28), (number, 0, 0))
            image.save(home.work / "small" / name / f"{number}.png")
    return home.work


def left_behind(home: Home) -> dict[str, object]:
    """Return what a command that was refused must not have left."""
    return {
        "processes": home.processes(),
        "server": home.mongo.exists(),
        "files": sorted({path.name for path in home.work.iterdir()} - set(FILES)),
    }


NOTHING = {"processes": {}, "server": False, "files": ["empty", "no-images", "small"]}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_quick(home: Home, command: list[str]) -> None:
    """Every command explains itself, and imports nothing heavy to do so."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hyperhive", *command, "--help"],
        env=home.environment,
        cwd=str(home.work),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert " ".join(["Usage:", *command]).split()[0] in done.stdout
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & HEAVY == set()


def test_every_command_has_its_help_in_the_list(home: Home) -> None:
    """The first help names each command with a sentence."""
    said = home.run("--help").stdout
    for name in ("demo", "coordinator", "worker", "status", "dashboard", "mongo"):
        assert any(name in line.split() and len(line.split()) > 5 for line in said.splitlines())


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("coordinator", 2, "which images?"),
        ("coordinator --gray", 2, "--gray and --strict go with"),
        ("coordinator --dataset mnist", 2, "unknown data set 'mnist': choose one of simpsons"),
        (
            "coordinator --dataset digits --algorithm grid",
            2,
            "--algorithm: algorithm must be",
        ),
        (
            "coordinator --dataset digits --algorithm hyperopt:nowhere.suggest",
            2,
            "module nowhere cannot be imported",
        ),
        ("coordinator --dataset digits --trials 0", 2, "--trials: trials must be a whole number"),
        ("coordinator --dataset digits --seed -1", 2, "--seed: seed must be a whole number"),
        ("coordinator --dataset digits --space wide", 2, "no space is called 'wide': choose one"),
        ("demo --space wide", 2, "no space is called 'wide': choose one of classic, robust"),
        ("coordinator --dataset digits --name a/b", 2, "--name: a study's name must be 1 to 64"),
        ("coordinator missing.toml", 2, "missing.toml cannot be read: No such file or directory"),
        ("coordinator unknown-key.toml", 2, "unknown-key.toml has an unknown key: trails"),
        ("coordinator bad-range.toml", 2, "search space, epochs: low must be below high"),
        (
            "coordinator bad-value.toml",
            2,
            "study file bad-value.toml: trials must be",
        ),
        ("coordinator not-toml.toml", 2, "not-toml.toml is not valid TOML"),
        ("coordinator --data empty", 1, "found 0 class folders"),
        ("coordinator --data no-images", 1, "class folder cats has 0 readable images"),
        ("coordinator --data small", 1, "class cats has 1 training image beside its test images"),
        ("demo --data small", 1, "class cats has 1 training image beside its test images: add"),
        (
            "coordinator --data small --image-size 20",
            2,
            "image_size must be a whole number from 28",
        ),
        ("coordinator --dataset digits --network no", 2, "network 'no' is not known"),
        ("coordinator --image-size 64", 2, "--image-size goes with --dataset, --data, or"),
        ("coordinator all-held.toml", 2, "nothing is searched, and all trials would be the same"),
        ("coordinator no-space.toml", 2, "digits.py:train needs a search space: write [space]"),
        ("coordinator not-mine.toml", 2, "batch_size is for objective lenet5: write it below"),
        ("coordinator --data corrupt.zip", 1, "neither a folder nor a readable zip file"),
        ("coordinator --data nowhere", 1, "there is no folder or zip file at nowhere"),
        ("mongo invite nano", 2, "which server? Pass --mongo with an administrator's login"),
        ("mongo revoke n/o --mongo mongodb://h", 2, "a device's name must be 1 to 64 letters"),
        ("demo --data empty", 1, "found 0 class folders"),
        ("worker --device gpu", 2, "unknown device 'gpu': choose auto, cpu, cuda, mps"),
        (
            "worker --mongo mongodb://me:hunter2@@host/",
            2,
            "the MongoDB address in --mongo is not valid",
        ),
        ("coordinator --dataset digits --mongo mongodb://me:hunter2@h:port/", 2, "is not valid"),
        ("dashboard --secret hunter2", 2, "the secret of the dashboard's address must be 16"),
        ("status --mongo mongodb://127.0.0.1:1/", 1, "MongoDB at 127.0.0.1:1/hyperhive does not"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    home: Home, work: Path, command: str, code: int, said: str
) -> None:
    """One sentence on stderr that says what is wrong, the right exit code, and nothing left.

    What is wrong with images is known after they are read, and described.
    """
    done = home.call(*command.split())
    assert said in done.stderr
    assert is_one_line(done.stderr)
    assert done.returncode == code
    assert done.stdout == "" or done.stdout.startswith("data set ")
    assert "hunter2" not in done.stderr
    assert left_behind(home) == NOTHING


def test_a_refused_command_has_no_output(home: Home) -> None:
    """What is piped into another program is empty, not a blank line."""
    assert home.call("coordinator", "--data", "nowhere").stdout == ""


@pytest.mark.parametrize(
    ("command", "lacks", "said"),
    [
        ("coordinator --dataset digits", "scipy", "hyperhive[coordinator]"),
        *(
            pytest.param(
                "coordinator --dataset digits",
                lacking,
                "hyperhive[coordinator]",
                marks=pytest.mark.long,
            )
            for lacking in ("sklearn", "matplotlib")
        ),
        ("worker", "torch", "hyperhive[torch]"),
    ],
)
def test_a_missing_extra_is_named(home: Home, command: str, lacks: str, said: str) -> None:
    """Where a part is not installed, the command says in one line what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, lacks, *command.split()],
        env=home.environment,
        cwd=str(home.work),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert f"this needs {lacks}: pip install '{said}'" in done.stderr
    home.is_empty()


def test_a_device_that_is_not_there_is_refused(home: Home) -> None:
    """A worker for CUDA on a machine without it ends with one sentence, before it asks a server."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    done = home.call("worker", "--device", "cuda")
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert "this machine has no CUDA" in done.stderr


def test_a_port_in_use_is_refused(home: Home) -> None:
    """A private server that is to have another program's port does not start, and says why."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = home.call("mongo", "start", "--port", port)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert f"port {port} is used by another program" in done.stderr
    home.is_empty()


def test_the_dashboard_is_served_until_it_is_stopped(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """It says where it is, without the secret that its owner keeps, and a signal ends it well."""
    store.studies.open("pets", {"trials": 3})
    secret = "kept-by-its-owner"
    page = home.start(
        *("dashboard", "--host", "0.0.0.0", "--port", "0", "--study", "pets"),
        HYPERHIVE_MONGO=mongo_uri,
        HYPERHIVE_DASHBOARD_SECRET=secret,
    )
    page.says("Ctrl-C ends it")
    said = page.said()
    port = re.search(r":(\d+)/\?key=\$HYPERHIVE_DASHBOARD_SECRET\n", said)
    assert port, said
    assert secret not in said
    assert mongo_uri.partition("@")[0].rpartition(":")[2] not in said
    url = f"http://127.0.0.1:{port.group(1)}/fleet.json?key={secret}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert [study["name"] for study in json.load(answer)["fleet"]["studies"]] == ["pets"]
    page.signal(signal.SIGTERM)
    assert page.end() == 0
    assert page.said() == said
    home.is_empty()


@pytest.mark.parametrize("command", [["mongo", "start"], ["status"]])
def test_a_mongod_that_is_not_there_is_refused(home: Home, command: list[str]) -> None:
    """A server program that does not exist is named, and nothing is started."""
    home.mongo.mkdir(parents=True)
    (home.mongo / "login.json").write_text("{}")  # the private server has run before
    done = home.call(*command, "--mongod", "/nonexistent/mongod")
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    reason = "there is no executable at /nonexistent/mongod: check the path in --mongod"
    assert reason in done.stderr
    home.is_empty()


def test_the_private_server_tells_no_password(home: Home) -> None:
    """``mongo start`` shows its address, not its login, and Ctrl-C ends it and the server."""
    server = home.start("mongo", "start")
    server.says("MongoDB runs at 127.0.0.1:")
    uri = home.server()
    assert uri is not None
    password = uri.partition("@")[0].rpartition(":")[2]
    assert password not in server.said()
    assert password not in "".join(home.processes().values())
    assert "no study yet on 127.0.0.1:" in home.call("status").stdout
    server.signal(signal.SIGINT)
    assert server.end() == 0
    home.is_empty()


def test_the_private_server_can_be_stopped_by_another_command(home: Home) -> None:
    """``mongo stop`` stops the server of a ``mongo start``, which takes that calmly."""
    assert home.call("mongo", "stop").stdout == "no server runs here\n"
    server = home.start("mongo", "start")
    server.says("MongoDB runs at 127.0.0.1:")
    assert home.call("mongo", "stop").stdout == "stopped\n"
    assert not any("mongod " in line for line in home.processes().values())
    server.signal(signal.SIGINT)
    assert server.end() == 0
    assert "error" not in server.said()
    home.is_empty()


def test_a_changed_study_is_refused(home: Home, store: Store, mongo_uri: str) -> None:
    """A name that another specification has is refused with what differs, and nothing is posted."""
    before = Study.of(Plan("taken", DatasetRequest("digits"), seed=1), digits()).spec()
    store.studies.open("taken", before)
    command = ["coordinator", "--dataset", "digits", "--name", "taken"]
    done = home.call(*command, HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "seed was 1 and is 0" in done.stderr
    assert store.trials.find("taken") == []
    assert store.studies.get("taken").spec == before  # type: ignore[union-attr]


def test_a_place_for_models_that_cannot_be_is_refused_first(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """A models folder that cannot be made is told before hours of work, not after them."""
    (home.work / "file").write_text("in the way")
    command = ["coordinator", "--dataset", "digits", "--name", "s", "--models", "file/models"]
    program = home.start(*command, HYPERHIVE_MONGO=mongo_uri)
    until(lambda: not program.is_running() or store.trials.find("s"), "an error, or a trial")
    assert store.trials.find("s") == []
    assert store.studies.all() == []  # nor is the name taken
    assert program.end() in (1, 2)
    assert is_one_line(program.said())
    assert "file" in program.said()


def test_a_demo_that_cannot_keep_its_model_is_refused_first(home: Home, mongo_uri: str) -> None:
    """The demo says in one line that it cannot write where it is told to."""
    (home.work / "file").write_text("in the way")
    command = ["demo", "--dataset", "digits", "--models", "file/models"]
    done = home.call(*command, HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert "Not a directory" in done.stderr
    home.is_empty()
