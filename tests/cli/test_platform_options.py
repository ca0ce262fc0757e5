"""``--platform`` means the same in every command."""

from __future__ import annotations

import pytest

from homeport.cli.main import run


@pytest.mark.parametrize(
    "command",
    ["inspect oci:x", "extract oci:x /a -o out", "sbom oci:x", "config oci:x", "digest oci:x",
     "manifest oci:x", "recipe explain", "recipe show", "search a", "show a"],
)  # fmt: skip
def test_options_of_one_platform_have_the_syntax_of_all(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (
        ("", "empty platform in ''"),
        ("all", "--platform all names several platforms"),
        ("amd64,arm64", "--platform amd64,arm64 names several platforms"),
    ):
        assert run([*command.split(), "--platform", text]) == 2
        assert said in capsys.readouterr().err
