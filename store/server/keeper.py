"""The process that stops the private server when the last command that used it was killed.

    python -m hyperhive.store.server.keeper DIRECTORY

Nobody else could: mongod does not know its users, and a command that is killed cannot stop it.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from hyperhive.store.server.embedded import keep

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the users of the server
    keep(Path(sys.argv[1]))
