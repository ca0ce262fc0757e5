"""``homeport completion``: the script that makes a shell complete our commands."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from homeport.cli.completing import install_path, register, zsh_line
from homeport.cli.show import tell
from homeport.content.files import explained, write_file
from homeport.errors import UsageError
from homeport.home import home_directory

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    name="completion",
    epilog="""\b
Examples:
  homeport completion --install
  homeport completion --install fish
  homeport completion bash > ~/.local/share/bash-completion/completions/homeport""",
)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.option(
    "--install", is_flag=True, help="Write the script where the shell finds it; print its path."
)
@click.pass_context
def command(context: click.Context, shell: str | None, install: bool) -> None:
    """Print or install the completion script for SHELL.

    SHELL is bash, zsh or fish.  [default with --install: that of $SHELL]
    """
    if shell is None and not install:
        raise UsageError("a shell is required", hint="homeport completion bash")
    shell = shell or _own_shell()
    register()
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, "homeport", "_HOMEPORT_COMPLETE").source()
    if not install:
        click.echo(script)
        return
    path = install_path(shell, home_directory(), dict(os.environ))
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, script.encode() + b"\n")
    click.echo(str(path))
    tell(
        {
            "bash": "open a new shell; without the package bash-completion, add to ~/.bashrc: "
            f". {path}",
            "zsh": f"add to ~/.zshrc, unless it is there: {zsh_line(path)}",
            "fish": "open a new shell",
        }[shell]
    )


def _own_shell() -> str:
    """The shell that the user logs in with."""
    name = PurePath(os.environ.get("SHELL", "")).name
    if name in _SHELLS:
        return name
    raise UsageError(
        f"completion is not made for the shell {name!r}" if name else "SHELL is not set",
        hint="name one: homeport completion --install bash",
    )
