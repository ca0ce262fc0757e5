"""Which programs a shell script calls."""

from __future__ import annotations

import pytest

from homeport.debian.scripts.called import called_programs


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("cat x | grep y", ("cat", "grep")),
        ("if [ -x /a ]; then rm -f b; else /usr/bin/sort c; fi", ("rm", "/usr/bin/sort")),
        ('x=$(uname -s); y=`basename "$0"`', ("uname", "basename")),
        ("find . | xargs -0 rm", ("find", "xargs", "rm")),
        ("exec /usr/bin/env sed -e s/a/b/", ("exec", "/usr/bin/env", "sed")),
        ("f() { tr a b; }\nf", ("tr",)),
        ('"$JAVA" -jar x; ${cmd} y', ()),
        ("case $1 in a) date;; esac", ("date",)),
    ],
)
def test_commands_that_are_written_out(text: str, programs: tuple[str, ...]) -> None:
    assert called_programs(f"#!/bin/sh\n{text}\n".encode()).programs == programs


def test_files_that_a_script_reads() -> None:
    found = called_programs(b'. "$HOME"/bin/setup.sh\nsource /etc/defaults\n')
    assert found.sourced == ("setup.sh", "defaults")


def test_any_bytes_end() -> None:
    assert called_programs(b"#!/bin/sh\n" + bytes(range(256)) * 50).programs is not None
