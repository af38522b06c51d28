"""Run hyperopt's own tests of its Mongo classes, unmodified, with our classes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.home import REPOSITORY

from hyperhive.store.server.embedded import find_mongod

THEIR_TESTS = ["hyperopt.tests.integration.test_mongoexp", "hyperopt.tests.test_base"]
SUPPORT = REPOSITORY / "tests" / "support"


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose ``mongod`` ignores a flag that today's server refuses.

    It discards its log: hyperopt's tests give it a pipe that they do not read, and mongod would
    block once the pipe is full.
    """
    shim = folder / "mongod"
    shim.write_text(
        "#!/bin/sh\n"
        'for word; do shift; [ "$word" = --noprealloc ] || set -- "$@" "$word"; done\n'
        f'exec {shlex.quote(str(find_mongod()))} "$@" >/dev/null 2>&1\n'
    )
    shim.chmod(0o755)
    return {
        "PATH": "{}:{}".format(folder, os.environ["PATH"]),
        "PYTHONPATH": f"{REPOSITORY}:{SUPPORT}",
    }


def test_hyperopts_own_tests_pass(tmp_path: Path) -> None:
    """All 23 tests of hyperopt's two files pass, and none is skipped."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "as_hyperopts", "--pyargs", *THEIR_TESTS, "-v"],
        cwd=str(tmp_path),
        env={**os.environ, **environment(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert re.search(r"= 23 passed(, \d+ warnings?)? in", ran.stdout), ran.stdout
