"""What the documentation names exists: files, headings, and the commands with their options."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import pytest
import typer

from hyperhive import Outcome, cli
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.script import read_script
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.search_space import parameters
from hyperhive.coordinator.study import Study
from hyperhive.inference.cli import app as predict_app
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.worker.objectives.files import imported, load

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page for folder in ("", "docs/", "examples/") for page in REPOSITORY.glob(folder + "*.md")
)
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
    """Yield the words of every command of ours in a page's blocks of code; text is output."""
    text = re.sub(r"^```text\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
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
        # `hyperhive worker` is a command, and a group of commands.
        names_one = words and not words[0].startswith("-")
        if hasattr(command, "commands") and (names_one or not command.invoke_without_command):
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
    """The example in docs/studies.md describes the default search on one's own images.

    It has all that a file may say; what is no default is behind a ``#``.
    """
    text = (REPOSITORY / "docs" / "studies.md").read_text()
    block = next(block for block in _FENCED.findall(text) if "[dataset]" in block)
    file = tmp_path / "pets.toml"
    file.write_text(block)
    plan = Plan(**read_file(file))
    default = Plan("pets", plan.data, trials=40)
    assert plan == default
    assert plan.data.data == tmp_path / "my-pictures"
    file.write_text(re.sub(r"^# (?=\w+ = )", "", block, flags=re.MULTILINE))
    fields = read_file(file)
    assert set(fields) == {field.name for field in dataclasses.fields(Plan)}
    assert Plan(**fields) != plan


def test_the_objective_of_ones_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples in docs/objectives.md are objectives; a study file searches the package's."""
    blocks = _FENCED.findall((REPOSITORY / "docs" / "objectives.md").read_text())
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if "Outcome" in block), names)
    file = tmp_path / "mine.toml"
    file.write_text(next(block for block in blocks if 'objective = "mine"' in block))
    study = Study(Plan(name="s", **read_file(file)))
    assert study.config({"hidden": 48.0}) == {"hidden": 48}
    outcome = names["train"](study.config({"hidden": 48.0}), None)
    assert isinstance(outcome, Outcome)
    assert outcome.result["loss"] == (64 - 48) ** 2
    monkeypatch.setattr(sys, "path", list(sys.path))
    for number, block in enumerate(block for block in blocks if "# digits.py" in block):
        file = tmp_path / f"digits{number}.py"
        file.write_text(block.replace("./train.sh", "echo"))
        assert list(load(str(file))) == [f"digits{number}.py:train"]
    assert number == 1


def test_the_spaces_of_lenet5_are_as_the_page_says(tmp_path: Path) -> None:
    """The first is ``classic``; of the second, LeNet-5 can be trained with what is held still."""
    text = (REPOSITORY / "docs" / "spaces.md").read_text().partition("## LeNet-5")[2]
    file = tmp_path / "space.toml"
    read = []
    for block in _FENCED.findall(text):
        file.write_text(block)
        read.append(read_file(file)["space"])
    classic, own = read
    assert classic == CLASSIC
    study = Study(Plan("s", DatasetRequest("digits"), space=own), "hash", {})
    config = study.config({"learning_rate": 0.01})
    assert (config["epochs"], config["momentum"], config["augment"]) == (5, 0.9, "camera")


def test_the_readme_s_function_can_be_searched(tmp_path: Path) -> None:
    """Its block of code is a file that the coordinator and a worker take, and it runs."""
    blocks = _FENCED.findall((REPOSITORY / "README.md").read_text())
    file = tmp_path / "digits.py"
    code = next(block for block in blocks if block.startswith("# digits.py"))
    assert code.count("        ...\n") == 1
    file.write_text(code.replace("        ...\n", "        accuracy = 0.75\n"))
    fields = read_script(file)
    assert fields["objective"] == "digits.py:train"
    assert sorted(parameters(fields["space"])) == ["epochs", "lr", "momentum", "optimizer"]
    train, trial = imported(file).train, mock.Mock()
    assert train({"epochs": 2}, trial) == {"loss": 0.25, "accuracy": 0.75}
    trial.report.assert_called_with(2, of=2, loss=0.25, accuracy=0.75)


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
