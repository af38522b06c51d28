"""``python -m hyperhive`` is the command ``hyperhive``."""

from __future__ import annotations

from hyperhive.cli import program

if __name__ == "__main__":
    program()
