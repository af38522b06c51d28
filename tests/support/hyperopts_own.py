"""hyperopt's own tests of its Mongo classes, and the environment in which they test ours."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from hyperhive.store.server.binary import find_mongod
from support.home import REPOSITORY

THEIR_TESTS = ["hyperopt.tests.integration.test_mongoexp", "hyperopt.tests.test_base"]
SUPPORT = REPOSITORY / "tests" / "support"


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose ``mongod`` drops the flag that today's server refuses.

    Its log goes nowhere: hyperopt's tests give it a pipe that they do not read, and once that is
    full, mongod stands still.
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
