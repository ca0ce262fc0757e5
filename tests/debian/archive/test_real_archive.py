"""The real archive of Debian, through whatever mirror this machine uses.

Needs the network: some 70 MB of indexes are fetched, once.
What the mirror holds today is not ours to say, so these tests accept either a whole state
or a no_state_error whose printed date then works.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builders.runtime import runtime
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.debian.archive.apt_sources import read_apt_sources
from homeport.debian.archive.archive import open_archives
from homeport.debian.archive.keyring import debian_keyring
from homeport.debian.archive.mirror_list import MirrorSources, open_mirrors
from homeport.debian.archive.package_fetch import fetch_packages
from homeport.debian.archive.release_errors import NoCompleteState, OnlyExpired
from homeport.debian.archive.state import ArchiveState, SuiteSpec
from homeport.net.client import Client
from homeport.progress import CancelToken

pytestmark = pytest.mark.network

SEVEN = ("amd64", "arm64", "armhf", "i386", "ppc64el", "s390x", "riscv64")
SUITES = (
    ("debian", "trixie"),
    ("debian", "trixie-updates"),
    ("debian-security", "trixie-security"),
)


class Machine:
    """This machine with an empty cache."""

    def __init__(self, cache: Path) -> None:
        self.cancel = CancelToken()
        self.pools = Pools(self.cancel)
        self.client = Client(cancel=self.cancel)
        sources = MirrorSources(apt=read_apt_sources())
        self.mirrors = open_mirrors({archive for archive, _ in SUITES}, sources, self.client)
        self.runtime = runtime(Store(cache), pools=self.pools)

    def open(self, as_of: datetime | None = None, *, offline: bool = False) -> ArchiveState:
        return open_archives(
            [
                SuiteSpec(archive=archive, suite=name, keyring=debian_keyring(archive, name))
                for archive, name in SUITES
            ],
            SEVEN,
            mirrors=self.mirrors,
            runtime=self.runtime,
            as_of=as_of,
            offline=offline,
        )

    def open_whole(self) -> ArchiveState:
        """One whole state, at the date that a no_state_error names if there is no valid one."""
        refusals: list[NoCompleteState | OnlyExpired] = []
        try:
            return self.open()
        except (NoCompleteState, OnlyExpired) as error:
            refusals.append(error)
        (no_state_error,) = refusals
        assert no_state_error.as_of is not None, no_state_error.what
        assert "--as-of" in str(no_state_error.hint)
        return self.open(no_state_error.as_of)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    # Workers of pytest-xdist share one cache, as concurrent runs do, and fetch things once.
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = Machine(shared / "real-archive-cache")
    yield made
    made.client.close()
    made.pools.__exit__(None, None, None)


@pytest.fixture(scope="module")
def state(machine: Machine) -> ArchiveState:
    return machine.open_whole()


def test_one_whole_state_is_found_for_all_seven_architectures(state: ArchiveState) -> None:
    assert tuple(state.indexes) == SEVEN
    for index in state.indexes.values():
        assert index.named("python3.13-minimal")
        assert index.named("libc6")[0].file.path.startswith("pool/")
        assert "mawk" in {package.name for package in index.providers("awk")}
    # Provided under the old name where time_t kept its size, so not on armhf.
    for name, owners in (("amd64", {"libssl3t64"}), ("armhf", set())):
        assert {p.name for p in state.indexes[name].providers("libssl3")} == owners
    assert [suite.suite for suite in state.suites] == [name for _, name in SUITES]
    now = datetime.now(UTC)
    for suite in state.suites:
        assert suite.codename == suite.suite
        assert suite.date < now
        assert all(len(signer) == 40 for signer in suite.signers)
        assert all(newer.date > suite.date for newer in suite.newer)


def test_the_same_state_opens_offline_afterwards(machine: Machine, state: ArchiveState) -> None:
    again = machine.open(state.as_of, offline=True)
    assert [suite.release for suite in again.suites] == [suite.release for suite in state.suites]


def test_packages_of_the_state_are_still_in_the_pool(machine: Machine, state: ArchiveState) -> None:
    files = [state.indexes[name].named("libzstd1")[0].file for name in SEVEN]
    blobs = fetch_packages(
        files,
        mirrors=machine.mirrors,
        runtime=machine.runtime,
        dates={"debian": state.date},
    )
    assert [blob.digest for blob in blobs.values()] == [file.sha256 for file in files]
