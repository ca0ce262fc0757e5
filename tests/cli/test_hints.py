"""A hint runs when it is pasted: every command and option that a hint names exists.

Hints are read from the sources, so that one cannot be forgotten.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import homeport
from homeport.cli.main import homeport as program

SOURCES = Path(homeport.__file__).parent
#: What a value in a hint stands for here.
VALUE = "VALUE"


def texts(node: ast.expr) -> Iterator[str]:
    """The texts of an expression, each value in them as a word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values
        )
    else:
        for below in ast.iter_child_nodes(node):
            if isinstance(below, ast.expr):
                yield from texts(below)


def hints() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            values: list[ast.expr] = []
            if isinstance(node, ast.keyword) and node.arg in ("hint", "help"):
                values = [node.value]
            elif isinstance(node, ast.Assign):
                names = [getattr(each, "attr", getattr(each, "id", "")) for each in node.targets]
                values = [node.value] if "hint" in names else []
            for value in values:
                for text in texts(value):
                    yield f"{path.relative_to(SOURCES)}:{node.value.lineno}", text


HINTS = list(hints())
NAMED = [(place, text) for place, text in HINTS if re.search(r"\bhomeport [a-z]", text)]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    context = click.Context(program)
    command: click.Command = program
    while words and isinstance(command, click.Group):
        below = command.get_command(context, words[0])
        if below is None:
            break
        command, words = below, words[1:]
    return command, words


def test_there_are_hints_with_commands() -> None:
    assert len(HINTS) > 300
    assert len(NAMED) > 15


@pytest.mark.parametrize(("place", "text"), NAMED, ids=lambda value: value[:60])
def test_a_command_in_a_hint_exists_with_its_options(place: str, text: str) -> None:
    for match in re.finditer(r"\bhomeport ((?:[a-z][a-z-]*)(?: [^;|()]*)?)", text):
        words = match[1].split()
        if words[0] in ("reads", "may", "pushes"):  # a sentence about Homeport
            continue
        command, rest = command_of(words)
        assert command is not program, f"{place}: no command {words[0]}"
        known = {"--help", *(name for option in command.params for name in option.opts)}
        for word in rest:
            if word.startswith("--"):
                assert re.split("[=,:]", word)[0] in known, f"{place}: {command.name} has no {word}"


@pytest.mark.parametrize(("place", "text"), HINTS, ids=lambda value: value[:60])
def test_no_hint_and_no_help_names_a_file_that_only_the_repository_has(
    place: str, text: str
) -> None:
    assert not re.search(r"(?<!/)\bdocs/", text), place
