"""hyperopt's own tests of its Mongo classes, unmodified, against ours."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from home import REPOSITORY

from store.embedded import find_mongod

THEIR_TESTS = ["hyperopt.tests.integration.test_mongoexp", "hyperopt.tests.test_base"]
OURS = Path(__file__).resolve().parent


def mongod_as_it_was(folder: Path) -> None:
    """Write a ``mongod`` that drops the flag which today's server refuses."""
    shim = folder / "mongod"
    shim.write_text(
        "#!/bin/sh\n"
        'for word; do shift; [ "$word" = --noprealloc ] || set -- "$@" "$word"; done\n'
        'exec {} "$@"\n'.format(shlex.quote(str(find_mongod())))
    )
    shim.chmod(0o755)


def test_hyperopts_own_tests_pass(tmp_path: Path) -> None:
    """All 23 tests of hyperopt's two files pass, none is skipped."""
    mongod_as_it_was(tmp_path)
    environment = {
        **os.environ,
        "PATH": "{}:{}".format(tmp_path, os.environ["PATH"]),
        "PYTHONPATH": "{}:{}".format(REPOSITORY, OURS),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "as_hyperopts", "--pyargs", *THEIR_TESTS, "-v"],
        cwd=str(tmp_path),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(ran.stdout)
    assert re.search(r"= 23 passed(, \d+ warnings?)? in", ran.stdout), ran.stdout
