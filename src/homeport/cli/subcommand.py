"""Commands that take arguments of their own, and have one subcommand besides."""

from __future__ import annotations

from typing import Any

import click


class CommandWithSubcommand(click.Command):
    """The subcommand's name as the first word; a file of that name is ``./NAME``."""

    def __init__(self, *arguments: Any, subcommand: click.Command, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.subcommand = subcommand

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        if args[:1] == [self.subcommand.name]:
            name = f"{info_name} {self.subcommand.name}"
            return self.subcommand.make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)
