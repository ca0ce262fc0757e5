"""A recipe in a git repository, and what an update does to it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.freshness import FreshWorld, entry, package
from builders.net import quick_client
from homeport.content.thread_pools import Pools
from homeport.freshness.inputs import InputAccess
from homeport.freshness.outdated import OutdatedAccess
from homeport.imagetests.run import ImageTestRequest, run_tests
from homeport.progress import CancelToken
from homeport.updating.model import TestsSaid, UpdateResult
from homeport.updating.update import UpdateAccess, UpdateRequest, run_update


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


class UpdateWorld(FreshWorld):
    """A recipe in a git repository with a bare one as its origin."""

    def __init__(self, root: Path, suites: Mapping[str, list[bytes]]) -> None:
        super().__init__(root, suites)
        self.environment: dict[str, str] = {}

    def make_repository(self) -> None:
        origin = self.root / "origin.git"
        git(self.root, "init", "-q", "--bare", "-b", "main", str(origin))
        git(self.home, "init", "-q", "-b", "main")
        for name, value in (("user.name", "Me"), ("user.email", "me@home.example")):
            git(self.home, "config", name, value)
        git(self.home, "remote", "add", "origin", str(origin))
        git(self.home, "add", "-A")
        git(self.home, "commit", "-qm", "First")
        git(self.home, "push", "-q", "origin", "main")

    def update(self, *wanted: str, **options: Any) -> UpdateResult:
        options = {"directory": self.root, **options}
        request = UpdateRequest(wanted=wanted or (str(self.home / "homeport.yaml"),), **options)
        with (
            Pools(CancelToken(), processor=2) as pools,
            self.connections(pools) as connections,
            self.access() as access,
        ):
            outdated = OutdatedAccess(
                archives=lambda _recipe, _mirrors: access,
                open_image=connections.open_image,
                inputs=InputAccess(digest_of=self._digest_of),
                fetch=lambda _url: b"",
                runtime=access.runtime,
                clock=lambda: self.now,
            )
            return run_update(
                request,
                UpdateAccess(
                    outdated=outdated, connections=connections, client=quick_client,
                    runtime=access.runtime, environment=self.environment, test=self._test,
                ),
            )  # fmt: skip

    def _test(self, address: str, recipe: str) -> TestsSaid:
        """The recipe's tests, as ``homeport.app`` runs them."""
        with (
            Pools(CancelToken(), processor=2) as pools,
            self.connections(pools) as connections,
            self.access() as access,
        ):
            asked = ImageTestRequest(subject=address, tests=(recipe,))
            tested = run_tests(asked, access.runtime, connections, connections.open_image)
        failed = tuple(f"{one.name} ({one.platform}): {one.why}" for one in tested.failed)
        passed = len(tested.results) - len(failed) - len(tested.not_run)
        return TestsSaid(passed=passed, failed=failed, not_run=len(tested.not_run))

    def branch(self, name: str = "homeport/update") -> str:
        return git(self.root / "origin.git", "for-each-ref", f"refs/heads/{name}",
                   "--format=%(objectname)")  # fmt: skip


def lib(name: str, version: str, text: str = "* New.", **more: Any) -> bytes:
    return package(name, version, log=[entry(name, version, text), entry(name, "1-1")], **more)
