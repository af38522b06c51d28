"""An artifact of 200 MB passes on a device of 1 GB, to the store and back: it streams."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from support.home import Home, slot, until

import hyperhive
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status

pytestmark = pytest.mark.long

SIZE = 200_000_000
GROWTH = 50_000_000
"""Bytes of memory that a process may need beside what it had; the files' are 200 MB."""
SPACE = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
PEAK = """
def peak(pid="self"):  # the most memory that a process has had, in bytes
    # Not ru_maxrss: a program begins with that of the process that started it.
    with open(f"/proc/{pid}/status") as file:
        (line,) = [line for line in file if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])
"""
OBJECTIVE = f"""
import hashlib, json, os, tempfile
{PEAK}
def train(config, trial):
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = os.path.join(folder, "model.bin")
        with open(path, "wb") as file:
            for _ in range(200):
                part = os.urandom(1_000_000)
                digest.update(part)
                file.write(part)
        before = peak()
        trial.save("model.bin", path)
    with open("facts.json", "w") as file:
        json.dump(dict(sha256=digest.hexdigest(), before=before), file)
    return config["x"]
"""
READER = f"""
import sys
import hyperhive
{PEAK}
with hyperhive.open_study("s", store=sys.argv[1]) as study:
    best, before = study.best, peak()
    best.download("model.bin", "best.bin")
    print(peak() - before)
"""


def test_200_megabytes_pass_on_a_small_device(home: Home, store: Store, mongo_uri: str) -> None:
    """Neither the worker nor the reader holds them in memory; the hash is the same at both ends."""
    (home.work / "saving.py").write_text(OBJECTIVE)
    objective = "saving.py:train"
    with hyperhive.open_study("s", SPACE, objective=objective, trials=1, store=mongo_uri) as study:
        study.enqueue({"x": 0.5})
    worker = home.start("worker", "--objectives", "saving.py", HYPERHIVE_MONGO=mongo_uri)
    until(lambda: store.trials.find("s")[0].status is Status.DONE, "the artifact", 600)
    (trial,) = store.trials.find("s")
    worker.says("done in")
    facts = json.loads((home.work / "facts.json").read_text())
    measured: dict[str, Any] = {}
    exec(PEAK, measured)
    assert 0 <= measured["peak"](slot(trial)) - facts["before"] < GROWTH
    read = subprocess.run(
        [sys.executable, "-c", READER, mongo_uri],
        cwd=str(home.work),
        env=home.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert 0 <= int(read.stdout) < GROWTH
    digest = hashlib.sha256()
    with (home.work / "best.bin").open("rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    assert digest.hexdigest() == facts["sha256"]
    assert trial.artifacts[0]["sha256"] == facts["sha256"]
    assert trial.artifacts[0]["length"] == SIZE
