"""Man pages made of the commands themselves, in the language of man(7).

One for the program and one for each command and subcommand, as git has them:
``homeport-build(1)``. They carry no date, so that the same version
makes the same bytes. Checked by mandoc and man (tests/peers/test_man_pages.py).
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping

import click

_SECTION = "1"


def man_pages(program: click.Group, context: click.Context, version: str) -> Mapping[str, str]:
    """File name → page, of the program and of every command."""
    commands = {
        name: command
        for name in program.list_commands(context)
        if (command := program.get_command(context, name)) is not None
    }
    pages = {f"homeport.{_SECTION}": _of_program(program, commands, version)}
    for name, command in commands.items():
        for path, each in _with_children(f"homeport {name}", command):
            pages[f"{path.replace(' ', '-')}.{_SECTION}"] = _of_command(path, each, version)
    return pages


def _with_children(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _with_children(f"{path} {name}", child)


def _of_program(program: click.Group, commands: Mapping[str, click.Command], version: str) -> str:
    lines = [
        *_head("homeport", program.help or "", version),
        ".B homeport",
        ".I COMMAND",
        "[\\fIOPTION\\fR]...",
        *_description(program.help or ""),
        ".SH COMMANDS",
    ]
    for name, command in commands.items():
        lines += [".TP", f".BR homeport\\-{_escaped(name)} (1)", _text(_summary(command.help))]
    lines += [*_examples(program.epilog)]
    return "\n".join(lines) + "\n"


def _of_command(path: str, command: click.Command, version: str) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        *_head(path.replace(" ", "-"), command.help or "", version),
        f".B {_escaped(path)}",
        _text(usage),
        *_description(command.help or ""),
    ]
    options = [each for each in command.params if isinstance(each, click.Option)]
    records = [record for each in options if (record := each.get_help_record(context))]
    if records:
        lines.append(".SH OPTIONS")
        for names, meaning in records:
            lines += [".TP", f"\\fB{_escaped(names)}\\fR", _text(meaning)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for name, child in command.commands.items():
            full = f"{path} {name}".replace(" ", "\\-")
            lines += [".TP", f".BR {full} (1)", _text(_summary(child.help))]
    lines += [*_examples(command.epilog), ".SH SEE ALSO", ".BR homeport (1)"]
    return "\n".join(lines) + "\n"


def _head(name: str, help: str, version: str) -> list[str]:
    return [
        f'.TH "{name.upper()}" "{_SECTION}" "" "homeport {version}" "Homeport"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(_summary(help).rstrip('.'))}",
        ".SH SYNOPSIS",
    ]


def _summary(help: str | None) -> str:
    return " ".join(inspect.cleandoc(help or "").partition("\n\n")[0].split())


def _description(help: str) -> list[str]:
    lines = [".SH DESCRIPTION"]
    for number, paragraph in enumerate(inspect.cleandoc(help).split("\n\n")):
        plain = paragraph.replace("\b\n", "").replace("\f", "")
        lines += [".PP", _text(plain)] if number else [_text(plain)]
    return lines


def _examples(epilog: str | None) -> list[str]:
    if not epilog:
        return []
    text = inspect.cleandoc(epilog).replace("\b\n", "")
    lines = [line for line in text.splitlines() if line.strip() not in ("Example:", "Examples:")]
    body = [_line(line.removeprefix("Example:").strip() or line) for line in lines]
    return [".SH EXAMPLES", ".nf", *body, ".fi"]


def _text(text: str) -> str:
    """A paragraph, in lines as people keep them in such files."""
    lines = textwrap.wrap(
        " ".join(text.split()), 70, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(map(_line, lines))


def _line(text: str) -> str:
    """A line of text: no control line, whatever it begins with."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def _escaped(text: str) -> str:
    """What troff would read as something else."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
