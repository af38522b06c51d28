"""A container engine for the compose test: podman's service, and Docker Compose on it.

Everything that it makes is below one folder, and is removed at the end. Three settings are for
machines like ours: runc (crun refuses the cgroup layout), cgroups without systemd, and limits that
a process without CAP_SYS_RESOURCE may set. Without systemd, podman runs no health checks: a thread
here does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

_PROGRAMS = ("podman", "runc", "debootstrap", "iptables", "ip", "unshare")
_HELPERS = ("netavark", "aardvark-dns")
_HEALTH_EVERY_S = 2.0

_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


class EngineFailed(Exception):
    """A command of podman failed; its output is in the message."""


class Engine:
    """podman, and Docker Compose on podman's socket; all their files are below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("containers.conf", _CONTAINERS), ("storage.conf", _STORAGE)):
            (folder / name).write_text(text.format(folder=folder))
        self._environment = {
            **{key: os.environ[key] for key in os.environ if not key.startswith("HYPERHIVE")},
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "DOCKER_HOST": f"unix://{folder}/socket",
        }

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Run ``podman ARGUMENTS``; return its output."""
        return self._run(["podman", *arguments], None, check).stdout

    def compose(
        self, project: Path, *arguments: str, seconds: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run ``docker compose ARGUMENTS`` in a project's folder, whether it fails or not."""
        command = [str(Path(sys.executable).with_name("docker-compose")), *arguments]
        return self._run(command, project, check=False, seconds=seconds)

    def _run(
        self, command: list[str], cwd: Path | None, check: bool, seconds: float = 1800.0
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            command,
            cwd=cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        if check and ended.returncode != 0:
            raise EngineFailed("{}:\n{}".format(" ".join(command[:3]), ended.stdout[-4000:]))
        return ended

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve Docker's API, and run the health checks, while the context is open."""
        address = self._environment["DOCKER_HOST"]
        socket = self._folder / "socket"
        socket.unlink(missing_ok=True)
        with (self._folder / "service.log").open("w") as log:
            service = subprocess.Popen(
                ["podman", "system", "service", "--time=0", address],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        ended = threading.Event()
        checks = threading.Thread(target=self._check_health, args=(ended,))
        checks.start()
        try:
            while not socket.exists():
                if ended.wait(0.1) or service.poll() is not None:
                    raise EngineFailed(f"podman's service did not start: {log.name}")
            yield
        finally:
            ended.set()
            checks.join()
            self.podman("rm", "--all", "--force", "--time", "5", "--volumes", check=False)
            self.podman("network", "prune", "--force", check=False)
            service.terminate()
            service.wait()

    def _check_health(self, ended: threading.Event) -> None:
        while not ended.wait(_HEALTH_EVERY_S):
            for name in self.podman("ps", "--format", "{{.Names}}", check=False).split():
                self.podman("healthcheck", "run", name, check=False)

    def remove(self) -> None:
        """Remove everything below the folder."""
        self.podman("rmi", "--all", "--force", check=False)
        self.podman("volume", "rm", "--all", "--force", check=False)
        shutil.rmtree(self._folder)


def missing_programs() -> list[str]:
    """Return the programs that are needed and not installed."""
    places = os.pathsep.join(["/usr/lib/podman", "/usr/libexec/podman"])
    return [name for name in _PROGRAMS if shutil.which(name) is None] + [
        name for name in _HELPERS if shutil.which(name, path=places) is None
    ]
