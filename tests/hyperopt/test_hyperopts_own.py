"""Run hyperopt's own tests of its Mongo classes, unmodified, with our classes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.hyperopts_own import THEIR_TESTS, environment


@pytest.mark.long
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
