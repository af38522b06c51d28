"""What the documentation names exists: files, headings, and the commands with their options."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import typer

from hyperhive import Outcome, cli
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.spaces.search_space import to_json
from hyperhive.coordinator.study import Study
from hyperhive.inference.cli import app as predict_app
from hyperhive.worker.objectives.files import load

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(.*)$", re.MULTILINE)
_COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(hyperhive|predict-cam)( .*|)$")


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    bare = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in bare}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every command of ours in a page's blocks of code."""
    blocks = [*_FENCED.findall(text), *_INDENTED.findall(_FENCED.sub("", text))]
    for part in re.split(r"\n|&&|; ", "\n".join(blocks)):
        found = _COMMAND.match(part.strip())
        if found is not None:
            yield [found[1], *shlex.split(found[2], comments=True)]


def parse(program: str, *words: str) -> None:
    """Parse a command line; raise what typer raises if it is not valid."""
    command: Any
    if program == "predict-cam":
        command = typer.main.get_command(predict_app)
    else:
        command, words = cli.load(words[0]), words[1:]
        if hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
    command.make_context(program, list(words))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every file and heading that a page links to exists."""
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_valid(page: Path) -> None:
    """Every command in a page's blocks of code has arguments and options that exist."""
    for words in commands(page.read_text()):
        parse(*words)


def test_the_study_file_is_valid(tmp_path: Path) -> None:
    """The example in docs/studies.md describes the default search on one's own images."""
    text = (REPOSITORY / "docs" / "studies.md").read_text()
    file = tmp_path / "pets.toml"
    file.write_text(next(block for block in _FENCED.findall(text) if "[dataset]" in block))
    plan = Plan(**read_file(file))
    default = Plan("pets", plan.data, trials=40)
    assert plan == default
    assert plan.data.data == tmp_path / "my-pictures"


def test_the_objective_of_ones_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples in docs/objectives.md are objectives; a study file searches the package's."""
    blocks = _FENCED.findall((REPOSITORY / "docs" / "objectives.md").read_text())
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if "Outcome" in block), names)
    file = tmp_path / "mine.toml"
    file.write_text(next(block for block in blocks if 'objective = "mine"' in block))
    study = Study(Plan(name="s", **read_file(file)), "hash", {})
    outcome = names["train"](study.config({"hidden": 48.0}), None)
    assert isinstance(outcome, Outcome)
    assert outcome.result["loss"] == (64 - 48) ** 2
    monkeypatch.setattr(sys, "path", list(sys.path))
    for number, block in enumerate(block for block in blocks if "# digits.py" in block):
        file = tmp_path / f"digits{number}.py"
        file.write_text(block.replace("./train.sh", "echo"))
        assert list(load(str(file))) == [f"digits{number}.py:train"]
    assert number == 1


def test_the_held_values_of_the_example_are_valid(tmp_path: Path) -> None:
    """The example of a space with values that are held still can be read."""
    blocks = _FENCED.findall((REPOSITORY / "docs" / "studies.md").read_text())
    file = tmp_path / "held.toml"
    file.write_text(next(block for block in blocks if "epochs = 5" in block))
    space = to_json(read_file(file)["space"])
    assert (space["epochs"], space["momentum"]) == (5, 0.9)


def test_an_invalid_command_is_found() -> None:
    """The test above sees commands in both kinds of blocks, and what is wrong with them."""
    page = "hyperhive is\n\n```sh\nX=1 hyperhive best a --b c   # d\n```\n    predict-cam --live\n"
    assert list(commands(page)) == [
        ["hyperhive", "best", "a", "--b", "c"],
        ["predict-cam", "--live"],
    ]
    with pytest.raises(Exception, match="--b"):
        parse("hyperhive", "best", "a", "--b", "c")
    with pytest.raises(KeyError):
        parse("hyperhive", "study", "forget")
