"""Of the packages that servers are made of every script is read, or known, in three releases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from benchmarks.scripts_read import SUITES, rows, server_packages

from homeport.app import App, Settings, open_app

pytestmark = pytest.mark.network
#: Read in every run: what scripts of servers usually do, each in a second or two.
SOME = ("nginx", "redis-server", "postgresql-common", "openssh-server")
FULL = bool(os.environ.get("HOMEPORT_FULL"))


@pytest.fixture
def app() -> Iterator[App]:
    with open_app(Settings.load()) as opened:
        yield opened


@pytest.mark.parametrize("suite", SUITES if FULL else ("trixie",))
def test_no_script_is_left_that_the_table_does_not_explain(suite: str, app: App) -> None:
    listed = server_packages()
    groups = listed.packages.values() if FULL else (SOME,)
    found = [row for names in groups for row in rows(app, suite, names)]
    assert [row for row in found if row.warnings and row.package not in listed.left] == []
