"""Groups of commands, and commands that take arguments of their own and have subcommands."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import click

#: Characters of a summary in the list of a group, which wraps it.
_SUMMARY = 200


class CommandGroup(click.Group):
    """A group whose unknown commands are reported in one wording, with those of a near name."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole summary: click's own list cuts them with an ellipsis."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(limit=_SUMMARY)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, n=2)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"unknown command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


class CommandWithSubcommand(click.Command):
    """A subcommand's name as the first word; a file of that name is ``./NAME``."""

    def __init__(self, *arguments: Any, subcommands: Sequence[click.Command], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.subcommands = {command.name: command for command in subcommands}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        if args and (subcommand := self.subcommands.get(args[0])) is not None:
            name = f"{info_name} {subcommand.name}"
            return subcommand.make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)
