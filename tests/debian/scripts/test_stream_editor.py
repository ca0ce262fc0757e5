"""What sed of maintainer scripts prints, by GNU sed's own words and by ours."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from homeport.budget import Budget, LimitExceeded, Limits
from homeport.debian.scripts.commands import run_command
from homeport.debian.scripts.machine import Files, Machine
from homeport.debian.scripts.stream_editor import edited

_TEXT = "# A=1\n A=old\nB=[2]\n\nuri ldap://a/b+c\nlast \t line"


def machine(**files: str) -> Machine:
    named = {f"/{name}": text for name, text in files.items()}
    return Machine(
        budget=Budget("a script", Limits(steps=100_000)), package="p", architecture="amd64",
        answers={}, account=lambda _kind, _name: False,
        files=Files(
            type_of=lambda path: "file" if path in named else None, target_of=lambda _path: None,
            text_of=named.get, names_in=lambda _path: [],
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["s|^ *A=.*|A=\"x y\"|"],
        ["-E", r"s/[ \t]+/ /g"],
        ["-e", r"s/\(l[a-z]*\)p:/<\1&>/", "-e", "/^#/d"],
        ["-n", "/=/p"],
        ["/^$/d;s/a/b/"],
        ["s/[[:space:]]*$//; s/^[^A-Z]*$/none/"],
        [r"s/#\? A=.*/E=1\/2/"],
        ["-r", r"s/(uri|last)\s+(.*)/\2 \1/"],
        ["/A=/!s/.$/X/"],
        ["s,ldap://[^/]*/,,"],
        ["s/*/star/; s/b+c/d/; s/[]2[]/y/g"],
        ["s/a$/b/;s/B/\\t&\\&/"],
        ["-E", "s/a{2,3}|l/L/g"],
        [r"0,/=/s/#/;/;s/A/a/g"],
        [r"\|uri|s|LDAP:|x|i"],
    ],
)  # fmt: skip
def test_the_result_is_that_of_sed(words: list[str]) -> None:
    program = shutil.which("sed")
    assert program is not None
    done = subprocess.run(
        [program, *words], input=_TEXT, capture_output=True, text=True, check=True,
        env={"LC_ALL": "C"},
    )  # fmt: skip
    assert edited(words, _TEXT, machine()) == done.stdout


@pytest.mark.parametrize(
    "words",
    [["s/a/b/2"], ["y/a/b/"], ["N;s/a/b/"], ["s/a/\\U&/"], ["-f", "x"], ["-s", "s/a/b/"],
     ["-E", "s/(a+)+b/x/"], ["s/" + ".*" * 9 + "x/y/"], [r"s/\(a\)\1/b/"], ["s/a"], ["s/[a/b/"]],
)  # fmt: skip
def test_what_is_not_known_or_takes_long_has_no_result(words: list[str]) -> None:
    assert edited(words, "a" * 900, machine()) is None


def test_a_file_of_the_script_is_changed_and_no_other() -> None:
    ours = machine(shipped="a=1\n")
    ours.write("/etc/own", "a=1\n")
    assert run_command(["sed", "-i", "s/1/2/", "/etc/own"], None, ours) == (True, True)
    assert ours.text_of("/etc/own") == "a=2\n"
    assert run_command(["sed", "-i", "s/1/2/", "/shipped"], None, ours) == (None, False)
    assert run_command(["sed", "-i", "s/3/2/", "/shipped"], None, ours) == (True, True)
    assert edited(["s/a/b/", "/shipped"], None, ours) == "b=1\n"
    run_command(["rm", "-f", "/etc/own"], None, ours)
    assert ours.effects == []


def test_work_is_spent_from_the_scripts_budget() -> None:
    ours = machine()
    with pytest.raises(LimitExceeded):
        for _ in range(1_000):
            edited(["s/a.*b/x/"], "a" * 300, ours)
