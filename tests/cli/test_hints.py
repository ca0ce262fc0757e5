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


#: What makes a word of a shell, so that it can be pasted whatever the value is.
QUOTING = ("quote", "safe", "shell_path", "lock_command", "catalog_words", "update_word", "_code")
#: Values that are words by their grammar.
WORDS = {
    "near[0]": "a name of an index, a slice or a page, which somebody checked",
    "name": "a package of an index, a page of the documentation, a command",
    "word": "update_word quotes it",
    "version": "Homeport's own",
    "names": "jobs of CI quote it (pipelines.request)",
    "paths": "of shell_path",
    "recipe": "a name of the catalog, or quoted before",
    "place": "quoted before",
    "found[0].reference": "of the grammar of slices",
    "plan.name": "of the recipe's grammar",
    "request.names": "quoted where the request is made",
    "request.repository": "a reference",
    "self.names": "quoted where the request is made",
    "self.repository": "a reference",
    "sign": "an option of ours",
    "publish": "an option of ours",
}


def commands() -> Iterator[tuple[str, str, str]]:
    """Each value in a text behind a command of ours, with its place and the text."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            before = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                elif isinstance(part, ast.FormattedValue):
                    behind = re.split(r"[;|()\n,]|`", before)[-1]
                    if re.search(r"\bhomeport [a-z]", behind):
                        place = f"{path.relative_to(SOURCES)}:{node.lineno}"
                        yield place, ast.unparse(part.value), behind
                    before += VALUE


COMMANDS_WITH_VALUES = list(commands())


def test_there_are_commands_with_values() -> None:
    assert len(COMMANDS_WITH_VALUES) > 40


@pytest.mark.parametrize(("place", "value", "text"), COMMANDS_WITH_VALUES)
def test_a_value_in_a_command_is_one_word_of_a_shell(place: str, value: str, text: str) -> None:
    """A folder may be called ``x; rm -rf ~``: its command is pasted."""
    quoted = re.match(rf"(?:[a-z_]+\.)?(?:{'|'.join(QUOTING)})\(", value)
    assert quoted or value in WORDS, f"{place}: {text}{{{value}}}"
