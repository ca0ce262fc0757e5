"""One state for all platforms: a mirror in mid-sync gives its older whole state or none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from builders.archive import DATE, suite
from builders.deb import deb
from builders.locking import World, versions
from homeport.errors import HomeportError

LATER = DATE + timedelta(days=2)
TEXT = "platforms: [linux/amd64, linux/s390x]\npackages: [app]"


def app(version: str) -> list[bytes]:
    """A package for each architecture: equal indexes would be found by their hash."""
    return [
        deb("app", version, architecture, files={"usr/bin/app": version.encode()})
        for architecture in ("amd64", "s390x")
    ]


def test_platforms_are_never_locked_from_two_states(tmp_path: Path) -> None:
    world = World(tmp_path, app("1"))
    world.archive.publish(suite(packages=app("2"), date=LATER), only={"amd64"})
    world.archive.publish(suite(packages=app("1"), alias="stable"), folder="stable")
    world.archive.publish(suite(packages=app("2"), date=LATER, alias="stable"), only={"amd64"})
    world.now = LATER
    lockfile = world.lock(TEXT).lockfile
    assert versions(lockfile, "linux/amd64") == versions(lockfile, "linux/s390x") == {"app": "1"}
    assert (lockfile.archives[0].read_as, lockfile.archives[0].date) == ("stable", DATE)


def test_without_a_whole_state_the_architectures_are_named(tmp_path: Path) -> None:
    world = World(tmp_path, app("1"))
    world.archive.publish(suite(packages=app("2"), date=LATER), only={"amd64"})
    world.now = LATER
    with pytest.raises(HomeportError) as caught:
        world.lock(TEXT)
    assert "s390x" in caught.value.what
    assert versions(world.lock("packages: [app]").lockfile) == {"app": "2"}
