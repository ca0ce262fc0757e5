"""Write docs/reference.md from the commands themselves.

    .venv/bin/python tools/make_reference.py

A test fails while the file is stale (tests/cli/test_reference.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from homeport.cli import options
from homeport.cli.main import COMMANDS, homeport
from homeport.cli.subcommand import CommandWithSubcommand


def reference() -> str:
    """The whole reference as Markdown."""
    lines = [
        "# Commands",
        "",
        "Made from the code by `tools/make_reference.py`; do not edit. Exit codes:",
        "[exit-codes.md](exit-codes.md). Options of every command are listed once, at the end.",
    ]
    context = click.Context(homeport, info_name="homeport")
    for name in COMMANDS:
        command = homeport.get_command(context, name)
        assert command is not None
        lines += _section(command, f"homeport {name}")
    lines += ["", "## Options of every command", "", *_options(_common())]
    return "\n".join(lines) + "\n"


def _section(command: click.Command, path: str, level: int = 2) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield from ("", f"{'#' * level} {path}", "")
    yield "```"
    yield " ".join([path, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\b\n", "").replace("\f", "")
    common = {parameter.name for parameter in _common()}
    rows = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in common
    ]
    if rows:
        yield from ("", *_options(rows))
    if command.epilog:
        yield from ("", "```", inspect.cleandoc(command.epilog).replace("\b\n", "").strip(), "```")
    for name, child in subcommands(command).items():
        yield from _section(child, f"{path} {name}", level + 1)


def subcommands(command: click.Command) -> dict[str, click.Command]:
    """The commands below ``command``, of whichever kind it is."""
    if isinstance(command, click.Group):
        return command.commands
    return command.subcommands if isinstance(command, CommandWithSubcommand) else {}


def _options(parameters: list[click.Option]) -> Iterator[str]:
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in parameters:
        record = parameter.get_help_record(click.Context(click.Command("x")))
        if record is not None:
            names, meaning = (text.replace("|", "\\|").replace("\n", " ") for text in record)
            yield f"| `{names}` | {meaning} |"


def _common() -> list[click.Option]:
    @options.common
    def nothing(session: options.Session) -> None:
        """Carries the common options."""

    found: list[click.Option] = getattr(nothing, "__click_params__", [])
    return found[::-1]


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs/reference.md").write_text(reference())
