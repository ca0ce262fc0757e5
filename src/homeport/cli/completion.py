"""``homeport completion``: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    name="completion",
    epilog="""\b
Examples:
  homeport completion bash > ~/.local/share/bash-completion/completions/homeport
  homeport completion zsh > ~/.zfunc/_homeport
  homeport completion fish > ~/.config/fish/completions/homeport.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "homeport", "_HOMEPORT_COMPLETE").source())
