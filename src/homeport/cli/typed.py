"""The command that was typed, for refusals that print the one to type instead."""

from __future__ import annotations

import shlex

import click

from homeport.net.url import redact


def typed_without(option: str) -> str:
    """The command line as it was, without ``option`` and its value, ready for a shell.

    Passwords in addresses are not repeated.
    """
    kept = ["homeport"]
    is_value = False
    for word in click.get_current_context().find_root().obj:
        if is_value or word == option:
            is_value = not is_value
        elif not word.startswith(f"{option}="):
            kept.append(redact(word))
    return shlex.join(kept)
