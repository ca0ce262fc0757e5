"""The recipe's line for a command that is not run."""

from __future__ import annotations

import pytest

from homeport.assemble.system.suggestions import suggest


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("mkdir -p /var/x", "directories: [{path: /var/x}]"),
        ('install -d -o a "/srv/a b"', "directories: [{path: /srv/a b}]"),
        ("ln -sf ../x /etc/y", "links: [{path: /etc/y, target: ../x}]"),
        ("cp -a /usr/share/x /etc/x", "files: [{to: /etc/x, from: FILE}]"),
        ("echo yes > /etc/x", "files: [{to: /etc/x, from: FILE}]"),
        ("sed -i s/a/b/ /etc/x", "files: [{to: /etc/x, from: FILE}]"),
        (
            "chown root:adm /etc/x",
            "files: [{to: /etc/x, from: FILE, mode: MODE, uid: UID}]",
        ),
        (
            "update-alternatives --install /usr/bin/x x /usr/bin/y 5 \\ --slave /a b /c",
            "links: [{path: /usr/bin/x, target: /usr/bin/y}]",
        ),
        ("adduser --system --quiet x", "accounts: {users: [{name: x, uid: NUMBER}]}"),
        ("groupadd -r x", "accounts: {groups: [{name: x, gid: NUMBER}]}"),
        ('cp /usr/share/x "$made"', None),
        ("cp /usr/share/x made", None),
        ("frobnicate /etc/x", None),
        ("echo 'open", None),
    ],
)
def test_a_command_has_the_line_that_does_the_same(command: str, line: str | None) -> None:
    found = suggest(command)
    assert (found.line if found else None) == line
