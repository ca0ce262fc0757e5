"""Commands that take arguments of their own, and have subcommands besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


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
