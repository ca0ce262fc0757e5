"""Refusals print the command that was typed, with what was missing added."""

from __future__ import annotations

import click
import pytest

from homeport.cli.typed import typed_without


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        (["lock", "./r"], "homeport lock ./r"),
        (["lock", "./r", "--as-of", "2026-01-01", "--lockfile", "x.lock"],
         "homeport lock ./r --lockfile x.lock"),
        (["build", "--as-of=2026-01-01", "./r"], "homeport build ./r"),
        (["build", "./my recipe", "-o", "oci:a;b"], "homeport build './my recipe' -o 'oci:a;b'"),
        (["lock", "./r", "--mirror", "http://me:geheim@m.example/debian"],
         "homeport lock ./r --mirror 'http://me:***@m.example/debian'"),
    ],
)  # fmt: skip
def test_the_command_is_repeated_without_the_option_and_can_be_pasted(
    typed: list[str], printed: str
) -> None:
    with click.Context(click.Command("homeport"), obj=tuple(typed)):
        assert typed_without("--as-of") == printed
