"""Runs compose.yaml and Dockerfile, from `make secrets` to data that survive their containers.

`make compose-test` runs this, as root, with Debian's podman, runc, debootstrap, netavark and
aardvark-dns. The base images are stand-ins made here (stand_ins.py), the engine is podman behind
Docker's API (engine.py), Docker Compose is the real one. The images are built with network access,
which pip needs. Everything else runs in a network namespace of its own, where 192.168.77.1 is this
machine's address. The last line has the counts; the exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable

import stand_ins
from engine import Engine, EngineFailed, missing_programs

sys.path.insert(0, str(stand_ins.REPOSITORY))

from hyperhive.store.errors import StoreError, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

OWNER = "1234"
"""The user that runs everything: neither root nor the user of the image."""
ADDRESS = "192.168.77.1"
TRIALS = 12
SETTINGS = f"""\
HYPERHIVE_BIND={ADDRESS}
HYPERHIVE_STUDY=--dataset digits --name fleet --trials {TRIALS}
"""
UP = ["--profile", "worker", "up", "--detach", "--no-build", "--scale", "worker=2"]
DOWN = ["--profile", "*", "down"]
# Docker Compose takes podman's id of a network for a change: without --no-deps, it recreates mongo.
ADMINISTRATE = ["run", "--rm", "--no-deps", "--no-TTY", "admin"]
SECRETS = ("admin.password", "coordinator.uri", "worker.uri", "viewer.uri")


class Failed(Exception):
    """A check failed, and the next steps depend on it."""


class Run:
    """One run: the engine, the project's copy, and the checks that passed."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine(folder)
        self.project = folder / "hyperhive"
        self.passed = 0
        self._started_at = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.monotonic() - self._started_at:4.0f} s  {text}", flush=True)

    def check(self, holds: Any, what: str, otherwise: str = "") -> None:
        """Count a check that passed, or end the run with the output that shows why not."""
        if not holds:
            raise Failed(f"{what}\n{otherwise}")
        self.passed += 1
        self.say("passed: " + what)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
        """Return what ``holds`` gives once it is true."""
        deadline = time.monotonic() + seconds
        while True:
            value = holds()
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failed("not in time: " + what)
            time.sleep(0.2)

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Docker Compose in the project."""
        self.say("$ docker compose " + " ".join(arguments))
        return self.engine.compose(self.project, *arguments)

    def make(self, *arguments: str) -> None:
        """Run make in the project, as its owner."""
        self.say("$ make " + " ".join(arguments))
        as_owner = ["setpriv", "--reuid", OWNER, "--regid", OWNER, "--clear-groups"]
        command = [*as_owner, "make", "--silent", *arguments]
        subprocess.run(command, cwd=self.project, check=True, env={"PATH": os.environ["PATH"]})

    def read(self, name: str) -> str:
        """Return the content of a file in secrets/."""
        return (self.project / "secrets" / name).read_text().strip()

    def store(self, login: str = "coordinator") -> Store:
        """Open the store over the published port, with TLS, as a device outside does."""
        uri = self.read(login + ".uri").replace("@mongo:", f"@{ADDRESS}:")
        return Store(uri.replace("/run/secrets", str(self.project / "secrets")))

    def containers(self, service: str) -> list[str]:
        """Return the names of a service's running containers."""
        label = "label=com.docker.compose.service=" + service
        return self.engine.podman("ps", "--filter", label, "--format", "{{.Names}}").split()

    def study_ends(self) -> None:
        """Wait until the coordinator ends, and check that it succeeded."""
        code = self.engine.podman("wait", "hyperhive-coordinator-1").strip()
        log = self.engine.podman("logs", "hyperhive-coordinator-1").strip()
        self.check(code == "0", "the study ends", log)
        for line in log.splitlines()[-4:]:
            self.say("  " + line)

    def signal_all(self, container: str, signal: str) -> None:
        """Send a signal to all processes of a container except the first, which starts them."""
        self.engine.podman("exec", container, "bash", "-c", f"kill -{signal} -1")

    def hostname(self, container: str) -> str:
        """Return a container's host name: its worker's id starts with it."""
        return self.engine.podman("inspect", "--format", "{{.Config.Hostname}}", container).strip()


def refuses_without_secrets(run: Run) -> None:
    """Nothing starts without passwords."""
    done = run.compose("up", "--detach", "--no-build")
    run.check(
        done.returncode != 0 and "run `make secrets certs` first" in done.stdout,
        "without secrets it refuses to start and says how to make them",
        done.stdout,
    )


def comes_up(run: Run) -> None:
    """One command starts the server, its users and two workers."""
    run.make("secrets")
    run.make("certs", "HOST=" + ADDRESS)
    with (run.project / ".env").open("a") as settings:
        settings.write(SETTINGS)
    done = run.compose(*UP)
    run.check(done.returncode == 0, "server, init, coordinator, two workers come up", done.stdout)
    run.until(lambda: _answers(run), "the server at the address that is published")
    with run.store() as store:
        hosts = {run.hostname(name) for name in run.containers("worker")}
        run.until(lambda: hosts <= _present(store), "both workers")
    run.check(len(hosts) == 2, "both are there, seen over TLS at " + ADDRESS)
    (server,) = run.containers("mongo")
    published = run.engine.podman("port", server).strip()
    run.check(published == f"27017/tcp -> {ADDRESS}:27017", "published there only", published)
    limit = run.engine.podman("inspect", "--format", "{{.HostConfig.Memory}}", server).strip()
    run.check(limit == str(1 << 30), "the server may use 1 GiB", limit)
    ids = [run.engine.podman("exec", each, "id", "-u").strip() for each in run.containers("worker")]
    run.check(ids == [OWNER, OWNER], "workers run as the owner of secrets/", repr(ids))
    status = run.engine.podman("exec", server, "cat", "/proc/1/status")
    run.check("Uid:\t999\t999\t999\t999" in status, "mongod is not root either", status)


def _answers(run: Run) -> bool:
    """Return whether the server answers from outside: the engine's rules may take a moment."""
    try:
        with run.store() as store:
            store.ping()
    except StoreUnavailable:
        return False
    return True


def _present(store: Store) -> set[str]:
    """Return the hosts of all live workers."""
    return {worker.id.split("-")[0] for worker in store.workers.present()}


def shows_no_password(run: Run) -> None:
    """No password is in what the engine says of its containers, nor in their output."""
    names = run.engine.podman("ps", "--all", "--format", "{{.Names}}").split()
    output = run.engine.podman("inspect", *names)
    output += "".join(run.engine.podman("logs", name) for name in names)
    output += "".join(run.engine.podman("top", name, "args") for name in run.containers("worker"))
    leaked = [name for name in SECRETS if _password(run.read(name)) in output]
    run.check(not leaked, "no password in inspect, logs or process lists", repr(leaked))


def _password(secret: str) -> str:
    """Return the password in a URI, or the first word of any other secret."""
    return secret.partition("@")[0].rpartition(":")[2] if "@" in secret else secret.split()[0]


def survives_a_killed_worker(run: Run) -> None:
    """A worker's container is killed in the middle of a trial; the study still ends correctly."""
    hosts = {run.hostname(name): name for name in run.containers("worker")}
    with run.store() as store:
        doomed = run.until(lambda: _caught(run, store, hosts), "a worker's second trial")
        run.say("$ docker kill " + doomed)
        run.engine.podman("kill", "--signal", "KILL", doomed)
        run.check(len(run.containers("worker")) == 1, "one worker is killed, one is left")
        run.study_ends()
        trials = store.trials.find("fleet")
    searched = sorted(trial.tid for trial in trials if trial.purpose == SEARCH)
    run.check(searched == list(range(TRIALS)), "no trial is missing or doubled", repr(searched))
    run.check({trial.status for trial in trials} == {Status.DONE}, "every trial is done")
    again = [trial.tid for trial in trials if trial.attempts == 2]
    run.check(again, "the killed worker's trial was taken by the other", repr(trials))
    for host, name in hosts.items():
        share = _share(trials, host)
        run.check(share > 0, f"{name} did {share} of {len(trials)} trials")


def _share(trials: list[Trial], host: str) -> int:
    """Return how many trials the workers of a host did."""
    done = [trial for trial in trials if trial.status is Status.DONE]
    return sum((trial.owner or "").startswith(host + "-") for trial in done)


def _caught(run: Run, store: Store, hosts: dict[str, str]) -> str | None:
    """Return the container of a worker that did a trial and runs another; stop it there."""
    trials = store.trials.find("fleet")
    for trial in trials:
        host = (trial.owner or "").split("-")[0]
        if trial.status is not Status.RUNNING or not _share(trials, host):
            continue
        name = hosts[host]
        run.signal_all(name, "STOP")
        now = store.trials.get(trial.id)
        if now is not None and (now.status, now.token) == (trial.status, trial.token):
            return name
        run.signal_all(name, "CONT")
    return None


def keeps_its_data(run: Run) -> None:
    """After down and up the data are unchanged, though init has run again."""
    with run.store() as store:
        before = _summary(store.trials.find("fleet"))
    done = run.compose(*DOWN)
    run.check(done.returncode == 0 and run.containers("mongo") == [], "down", done.stdout)
    done = run.compose(*UP)
    run.check(done.returncode == 0, "up again", done.stdout)
    with run.store("viewer") as store:
        run.check(_summary(store.trials.find("fleet")) == before, "the data are still there")
    run.study_ends()


def _summary(trials: list[Trial]) -> Any:
    return sorted((trial.tid, trial.purpose, trial.status.name, trial.fence) for trial in trials)


def shows_its_page(run: Run) -> None:
    """The dashboard, with the viewer's login, answers from outside at the address in its log."""
    done = run.compose("up", "--detach", "--no-build", "--no-deps", "dashboard")
    run.check(done.returncode == 0, "the dashboard comes up", done.stdout)
    logs = ["logs", "hyperhive-dashboard-1"]
    address = run.until(
        lambda: re.search(r"http://[^:]+(:8765/)(\?key=\S+)", run.engine.podman(*logs)),
        "its address",
    )
    with urllib.request.urlopen(
        "http://" + ADDRESS + address[1] + "fleet.json" + address[2]
    ) as answer:
        fleet = json.load(answer)
    run.check('"fleet"' in json.dumps(fleet), "it shows the study", repr(fleet))


def admits_a_device(run: Run) -> None:
    """A worker outside joins with the line that invite printed, and ends when it is revoked."""
    line = run.compose(*ADMINISTRATE, "invite", "nano").stdout.strip().splitlines()[-1]
    run.check(
        f"@{ADDRESS}:27017/" in line,
        "the line of an invitation has this machine's address",
        line,
    )
    worker = f"{sys.executable} -m hyperhive worker --slots 1 --device cpu"
    home = run.project / "home"
    home.mkdir()
    device = subprocess.Popen(
        ["sh", "-c", line.replace("hyperhive worker", "exec " + worker)],
        cwd=stand_ins.REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with run.store() as store:
            run.until(lambda: "nano" in _present(store), "the device")
        run.check(True, "a worker outside joins with that line")
        run.compose(*ADMINISTRATE, "revoke", "nano")
        output, _ = device.communicate(timeout=120)
        run.check(device.returncode == 1, "revoked, it ends", output)
        run.say("  " + output.strip().splitlines()[-1])
    finally:
        device.kill()


def refuses_wrong_secrets(run: Run) -> None:
    """A missing file and wrong passwords are reported in a sentence."""
    run.compose(*DOWN)
    secrets, kept = run.project / "secrets", run.project / "kept"
    secrets.rename(kept)
    run.make("secrets", "certs", "HOST=" + ADDRESS)
    (secrets / "worker.uri").unlink()
    done = run.compose(*UP)
    run.check(
        done.returncode != 0 and "worker.uri" in done.stdout, "a lost file is named", done.stdout
    )
    run.compose(*DOWN)
    if (
        secrets / "worker.uri"
    ).is_dir():  # podman makes a folder where the file to mount is missing
        (secrets / "worker.uri").rmdir()
    run.make("secrets")
    done = run.compose(*UP)
    init = run.compose("logs", "init").stdout
    run.check(done.returncode != 0, "with other passwords nothing starts", done.stdout)
    run.check("refused the login" in init and "Traceback" not in init, "and init says why", init)
    run.compose(*DOWN)
    shutil.rmtree(secrets)
    kept.rename(secrets)
    done = run.compose(*UP)
    run.check(done.returncode == 0, "with the right ones it comes up", done.stdout)
    run.compose(*DOWN, "--volumes")


STEPS = (
    refuses_without_secrets,
    comes_up,
    shows_no_password,
    survives_a_killed_worker,
    keeps_its_data,
    shows_its_page,
    admits_a_device,
    refuses_wrong_secrets,
)


def build(folder: Path, torch: str) -> None:
    """Make all images, and the copy of the project that runs."""
    run = Run(folder)
    shutil.rmtree(run.project, ignore_errors=True)
    _copy_project(run.project)
    run.say(f"making the stand-in for {stand_ins.PYTHON}")
    stand_ins.make_python(run.engine, folder)
    run.say("making the stand-in for mongo")
    stand_ins.make_mongo(run.engine)
    run.say(f"building our images with torch {torch}")
    stand_ins.make_ours(run.engine, run.project, torch)
    run.say("built")


def _copy_project(project: Path) -> None:
    """Copy the files that git lists: no secrets, and nothing that was built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=stand_ins.REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (stand_ins.REPOSITORY / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stand_ins.REPOSITORY / name, project / name)
    for path in (project, *project.rglob("*")):
        os.chown(path, int(OWNER), int(OWNER))


def rehearse(folder: Path) -> int:
    """Run all steps in this network namespace; return the number of failures."""
    for command in (["link", "set", "lo", "up"], ["addr", "add", ADDRESS + "/24", "dev", "lo"]):
        subprocess.run(["ip", *command], check=True)
    run = Run(folder)
    failed: list[str] = []
    with run.engine.running():
        try:
            for step in STEPS:
                step(run)
        except (Failed, EngineFailed, StoreError, subprocess.SubprocessError) as failure:
            failed.append(str(failure))
            run.say(f"FAILED: {failure}")
            print(run.compose("logs", "--tail", "40").stdout)
    print(f"compose-test: {run.passed} passed, {len(failed)} failed")
    return len(failed)


def main() -> int:
    """Build, run in a separate network, remove everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default="2.13.0", help="a version that pip finds for CPUs")
    parser.add_argument(
        "--keep", type=Path, help="a folder to work in, which is kept and used again"
    )
    parser.add_argument("--rehearse", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rehearse is not None:
        return rehearse(asked.rehearse)
    missing = missing_programs()
    if os.getuid() != 0 or missing:
        raise SystemExit(
            "compose-test needs root and, from Debian, {}".format(missing or "nothing")
        )
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="hyperhive-compose-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # the owner of the project in it comes through here
    try:
        build(folder.resolve(), asked.torch)
        inside = [sys.executable, __file__, "--rehearse", str(folder.resolve())]
        return subprocess.run(["unshare", "--net", *inside], check=False).returncode
    finally:
        if asked.keep is None:
            Engine(folder).remove()


if __name__ == "__main__":
    sys.exit(main())
