"""Runs the benchmarks of docs/benchmarks.md, and writes that page and its curves.

    make bench                         # all: a quarter of an hour
    make bench ONLY="dispatch start"   # renews these sections, and leaves the others as they are

Each benchmark is a process, which prints its table. One that fails is named at the end, with its
message above, and keeps the section that it had; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

import matplotlib

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import hyperhive
from benchmarks._common import PEERS, PEERS_HYPEROPT
from hyperhive.store.server.binary import find_mongod
from hyperhive.worker.device import cores, machine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

    make bench                         # all of this page
    make bench ONLY="dispatch start"   # some sections of it

Each section is what one script printed: it measures hyperhive and its peers in one run, in turn.
Machines differ, and so do their loads: compare the ratios, not the seconds. `make bench` installs
the peers in environments of their own. The images are those of Simpsons-MNIST, from
`simpsons-mnist.zip` in the folder that `HYPERHIVE_DATA` names; without it they are downloaded. The
docstring of a script says how it measures.
"""


@dataclass(frozen=True)
class Benchmark:
    """A script that prints a table, and what the page says about it.

    Args:
        script: its file.
        title: of its section.
        sentence: what it measures.
        has_curve: whether it writes points with ``--points``.
    """

    script: Path
    title: str
    sentence: str
    has_curve: bool = False

    @property
    def name(self) -> str:
        """The name that ``ONLY`` takes."""
        return self.script.stem


def _ours(name: str, title: str, sentence: str, has_curve: bool = False) -> Benchmark:
    return Benchmark(ROOT / "benchmarks" / f"{name}.py", title, sentence, has_curve)


BENCHMARKS = (
    _ours(
        "dispatch",
        "Dispatch",
        "How many trials a second two workers run whose objective returns at once: more is better. "
        "And how long a free worker waits for its next trial: half of the waits are shorter than "
        "p50, all but one in a hundred shorter than p99.",
    ),
    _ours(
        "suggestions",
        "Suggestions",
        "Milliseconds of one suggestion on one core (fewer are better), by the trials of a study "
        "that have ended, by [algorithm](algorithms.md), and with hyperopt and Optuna alone.",
        has_curve=True,
    ),
    _ours(
        "scale",
        "Scale",
        "What many finished trials cost commands, and how much many workers reach of the speed of "
        "workers that never wait. [scale.md](scale.md) explains the columns.",
        has_curve=True,
    ),
    _ours(
        "training",
        "Training",
        "How many images a second LeNet-5 trains on (more is better), beside a notebook with "
        "torchvision's `ImageFolder` and `DataLoader`. A ratio is to the fastest notebook.",
        has_curve=True,
    ),
    _ours(
        "start",
        "Start",
        "How fast commands start, in seconds: the median, and the lowest to the highest of several "
        "runs; fewer are better. And how much memory a coordinator holds.",
    ),
    _ours(
        "overhead",
        "Overhead",
        "What a trial of LeNet-5 costs a warm worker in addition to its training.",
    ),
)
"""The sections of docs/benchmarks.md, in its order."""


def main() -> None:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(description="write docs/benchmarks.md")
    parser.add_argument("only", nargs="*", metavar="NAME", help="a benchmark; without one, all")
    names = parser.parse_args().only
    unknown = set(names) - {each.name for each in BENCHMARKS}
    if unknown:
        known = ", ".join(each.name for each in BENCHMARKS)
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {known}")
    chosen = [each for each in BENCHMARKS if not names or each.name in names]
    failed = renew(PAGE, BENCHMARKS, chosen)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; {PAGE} keeps what it had of them")


def renew(page: Path, benchmarks: Sequence[Benchmark], chosen: Iterable[Benchmark]) -> list[str]:
    """Run the chosen benchmarks, and write their sections; return the names of those that failed.

    Args:
        page: the Markdown file; its curves are in the folder of its name, without ``.md``.
        benchmarks: all that the page has.
        chosen: those to run.
    """
    sections = _sections(page)
    failed = []
    for benchmark in chosen:
        print(f"{benchmark.name} ...", flush=True)
        try:
            sections[benchmark.title] = _section(benchmark, page.with_suffix(""))
        except subprocess.CalledProcessError:
            failed.append(benchmark.name)
            continue
        kept = [sections[each.title] for each in benchmarks if each.title in sections]
        page.write_text("\n".join([INTRODUCTION, *kept]))
        print(sections[benchmark.title], flush=True)
    return failed


def _sections(page: Path) -> dict[str, str]:
    """Return the sections of the page as it is, by title; none if there is no page."""
    written = page.read_text() if page.exists() else ""
    _, *parts = re.split(r"^## ", written, flags=re.MULTILINE)
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


def _section(benchmark: Benchmark, folder: Path) -> str:
    """Run a benchmark and draw its curve; return its section."""
    curve = ""
    with tempfile.TemporaryDirectory() as scratch:
        points = Path(scratch) / "points.json"
        options = ["--points", str(points)] if benchmark.has_curve else []
        command = [sys.executable, str(benchmark.script), *options]
        table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        if benchmark.has_curve:
            folder.mkdir(exist_ok=True)
            drawn = json.loads(points.read_text())
            draw(drawn, folder / f"{benchmark.name}.svg")
            curve = f"![{drawn['title']}]({folder.name}/{benchmark.name}.svg)\n\n"
    return (
        f"## {benchmark.title}\n\n{benchmark.sentence}\n\n"
        f"    python benchmarks/{benchmark.script.name}\n\n"
        f"```text\n{table.strip()}\n```\n\n{curve}{_conditions()}\n"
    )


def draw(points: dict[str, Any], target: Path) -> None:
    """Draw curves that are readable on white and on black, as SVG.

    Args:
        points: ``{"title", "x", "y", "series": {name: [[x, y], ...]}}``, with the axes' labels.
        target: the file.
    """
    matplotlib.use("svg")
    from matplotlib import pyplot

    grey = "#808080"  # seen on both
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), grey)
    ticks = {f"{axis}tick.{key}": grey for axis in "xy" for key in ("color", "labelcolor")}
    style = {**colours, **ticks, "svg.fonttype": "none", "svg.hashsalt": "hyperhive"}
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
        for name, values in points["series"].items():
            axes.plot(*zip(*values), marker="o", markersize=4, label=name)
        for axis, number in (("x", 0), ("y", 1)):
            each = [value[number] for values in points["series"].values() for value in values]
            if min(each) > 0 and max(each) > 30 * min(each):
                getattr(axes, f"set_{axis}scale")("log")
            else:
                getattr(axes, f"set_{axis}lim")(**{("left", "bottom")[number]: 0})
            getattr(axes, f"set_{axis}label")(points[axis])
        axes.set_title(points["title"])
        axes.grid(color=grey, alpha=0.25)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))  # beside the curves
        figure.savefig(target, transparent=True, metadata={"Date": None})
        pyplot.close(figure)


def _conditions() -> str:
    """Return the sentence that says when, with what and on which machine it was measured."""
    versions = {
        "hyperhive": hyperhive.__version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in ("PyMongo", "torch", "hyperopt")},
        "mongod": _mongod(),
        "Optuna": _version_in(PEERS, "optuna"),
        "hyperopt with its own workers": _version_in(PEERS_HYPEROPT, "hyperopt"),
    }
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.date.today()}: {cores()} cores of {machine()}, {memory:.0f} GB, "
        f"{platform.system()}; {shown}."
    )


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return "missing"


def _mongod() -> str:
    said = subprocess.run([str(find_mongod()), "--version"], check=True, stdout=subprocess.PIPE)
    return said.stdout.decode().split()[2].lstrip("v")


def _version_in(environment: Path, package: str) -> str:
    if not (environment / ".installed").exists():
        return "missing"
    ask = f"import importlib.metadata as m; print(m.version('{package}'))"
    command = [str(environment / "bin" / "python"), "-c", ask]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return said.stdout.decode().strip()


if __name__ == "__main__":
    main()
