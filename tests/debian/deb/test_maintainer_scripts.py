"""Scripts are not run: those that are known are answered for, others are warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.deb import deb
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.deb.contents import read_contents
from homeport.debian.deb.maintainer_scripts import KNOWN, Scripts, judge_scripts, what_it_does
from homeport.debian.deb.path_globs import NOTHING


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def judge(store: Store, name: str, **scripts: str) -> Scripts:
    package = deb(name, scripts={key: f"#!/bin/sh\n{text}" for key, text in scripts.items()})
    return judge_scripts(read_contents(BytesBlob(package), NOTHING, store))


def test_a_package_that_is_known_is_answered_for_and_not_warned_of(store: Store) -> None:
    found = judge(store, "ca-certificates", postinst="update-ca-certificates\n")
    assert [(each.script, each.instead) for each in found.replaced] == [
        ("postinst", "the step ca-bundle writes the bundle")
    ]
    assert found.warnings == ()


def test_an_unknown_script_is_a_warning_that_says_what_it_would_have_done(store: Store) -> None:
    found = judge(
        store, "mawk", postinst="update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5\n"
    )
    assert list(map(str, found.warnings)) == [
        "mawk: postinst is not run; "
        "it registers /usr/bin/awk → /usr/bin/mawk with update-alternatives"
    ]


def test_scripts_that_only_run_at_removal_say_nothing(store: Store) -> None:
    found = judge(store, "a", prerm="rm -rf /x\n", postrm="deluser x\n", config="db_input high a\n")
    assert found == Scripts(replaced=(), warnings=())


DEBHELPER = """
set -e
case "$1" in
    configure)
        : nothing to do
    ;;
    abort-upgrade|abort-remove|abort-deconfigure)
    ;;
    *)
        echo "postinst called with unknown argument" >&2
        exit 1
    ;;
esac
# Automatically added by dh_python3
if command -v py3compile >/dev/null 2>&1; then
	py3compile -p hello
fi
if command -v pypy3compile >/dev/null 2>&1; then
	pypy3compile -p hello || true
fi
# End automatically added section
# Automatically added by dh_installsystemd
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ]; then
	if deb-systemd-helper --quiet was-enabled 'hello.service'; then
		deb-systemd-helper enable 'hello.service' >/dev/null || true
	fi
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		deb-systemd-invoke start 'hello.service' >/dev/null || true
	fi
fi
# End automatically added section
# Automatically added by dh_installdeb
dpkg-maintscript-helper rm_conffile /etc/hello 1.0~ -- "$@"
# End automatically added section
# Automatically added by dh_installinit
if [ "$1" = "install" ] && [ -n "$2" ] && [ -e "/etc/init.d/hello" ] ; then
	chmod +x "/etc/init.d/hello" >/dev/null || true
fi
# End automatically added section
ldconfig
exit 0
"""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("set -e\n", None),
        (DEBHELPER, None),
        ("adduser --system hello\n", "creates accounts"),
        ("mkdir -p /x\nchown hello /x\n", "makes directories, changes owners or permissions"),
        ("ln -sf /etc/a /usr/b\n", "makes links"),
        ("install -d -m 755 /srv\n", "makes directories"),
        ("cat > /etc/hello <<EOF\nEOF\n", "writes files"),
        ('echo hello >> "$DPKG_ROOT/etc/hello"\n', "writes files"),
        ("dpkg-divert --add /usr/bin/x\n", "diverts files of other packages"),
        ("pam-auth-update --package\n", "runs pam-auth-update"),
        ("update-mime-database /usr/share/mime\n", "runs update-mime-database"),
        (
            "frobnicate --all\n",
            "runs commands that Homeport does not recognise, for example: frobnicate --all",
        ),
        (
            "update-alternatives \\\n  --install /usr/bin/vi vi \\\n /usr/bin/vim 5\n",
            "registers /usr/bin/vi → /usr/bin/vim with update-alternatives",
        ),
    ],
)
def test_what_a_script_does_is_told_in_a_line(script: str, told: str | None) -> None:
    assert what_it_does(f"#!/bin/sh\n{script}") == told


def test_a_script_that_is_no_shell_script_is_told_as_such() -> None:
    assert what_it_does("#!/usr/bin/perl -w\nunlink;\n") == "is a program for /usr/bin/perl -w"
    assert what_it_does("#! /bin/bash\nset -e\n") is None


def test_every_known_package_has_a_reason_on_one_line() -> None:
    assert all(known.instead and "\n" not in known.instead for known in KNOWN)
