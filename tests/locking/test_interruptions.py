"""A lock that is stopped at any point leaves the old lockfile, and the next run succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builders.archive import Server, archive, serve, suite
from builders.deb import deb
from builders.locking import World, versions
from builders.recipe import recipe_file
from homeport.errors import Interrupted
from homeport.locking.lock import lock
from homeport.recipe.lock.reading import read_lockfile

RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app, lib1]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The archive over HTTP, and the recipe in ``tmp_path/work``."""
    packages = [deb(name, files={f"usr/bin/{name}": b"x" * 9000}) for name in ("app", "lib1")]
    made = archive(tmp_path / "mirror", [suite(packages=packages, valid_for=None)])
    with serve(made.root) as running:
        recipe_file(tmp_path / "work", RECIPE.format(url=running.url))
        (tmp_path / "work" / "key.asc").write_bytes(made.certificate)
        yield running


def start(root: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "HOMEPORT_CACHE_DIR": str(root / "cache")}
    return subprocess.Popen(
        [sys.executable, "-m", "homeport", "lock", "./work", "--lockfile", "test.lock"],
        cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
@pytest.mark.parametrize("moment", ["*InRelease", "*/by-hash/*", "*/app_*.deb"])
def test_whenever_it_is_stopped_nothing_is_half_written_and_the_next_run_succeeds(
    tmp_path: Path, server: Server, moment: str, how: signal.Signals
) -> None:
    running: list[subprocess.Popen[str]] = []
    server.fault(moment, hook=lambda _: running[0].send_signal(how), times=1, stall=10)
    running.append(start(tmp_path))
    _, said = running[0].communicate(timeout=20)
    assert running[0].returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir() if "test.lock" in path.name] == []
    again = start(tmp_path)
    _, said = again.communicate(timeout=20)
    assert again.returncode == 0, said
    lockfile = read_lockfile(tmp_path / "test.lock")
    assert lockfile is not None
    assert versions(lockfile) == {"app": "1.0-1", "lib1": "1.0-1"}


def test_a_cancelled_lock_raises_interrupted(tmp_path: Path) -> None:
    world = World(tmp_path, [deb("app", files={"usr/bin/app": b"x"})])
    with pytest.raises(Interrupted), world.access() as access:
        access.runtime.cancel.cancel()
        lock(world.recipe("packages: [app]"), access)


def test_two_locks_at_once_share_a_cache_and_agree(tmp_path: Path) -> None:
    world = World(tmp_path, [deb(n, files={f"usr/{n}": b"x" * 100_000}) for n in ("app", "lib1")])
    asked = world.recipe("packages: [app, lib1]")
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: world.lock(asked).lockfile, range(3)))
    assert found[0] == found[1] == found[2]
