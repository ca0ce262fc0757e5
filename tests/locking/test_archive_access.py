"""Which archives are reached, with whose keys, and by which mirrors."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from builders.archive import certificate_of, new_key
from builders.recipe import recipe
from builders.runtime import runtime
from homeport.content.thread_pools import Pools
from homeport.debian.archive.mirror_list import MirrorSources
from homeport.errors import HomeportError
from homeport.locking.archive_access import open_access, suite_specs
from homeport.progress import CancelToken

VENDOR = "archives: [{name: vendor, suites: [a, b], mirrors: [./mirror], keys: [KEYS]}]"


def test_each_suite_of_debian_believes_its_own_keys(tmp_path: Path) -> None:
    specs = suite_specs(recipe(tmp_path, "summary: x"))
    assert [(spec.archive, spec.suite) for spec in specs] == [
        ("debian", "trixie"), ("debian", "trixie-updates"), ("debian-security", "trixie-security"),
    ]  # fmt: skip
    archive, security = set(specs[0].keyring.fingerprints), set(specs[2].keyring.fingerprints)
    assert archive.isdisjoint(security)


def test_an_archive_with_keys_of_its_own_believes_no_others(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "key.asc").write_bytes(certificate_of(key))
    specs = suite_specs(recipe(tmp_path, VENDOR.replace("KEYS", "key.asc")))
    assert [spec.suite for spec in specs] == ["a", "b"]
    fingerprint = str(key.extract_certificate().fingerprint).upper()
    assert list(specs[0].keyring.fingerprints) == [fingerprint]


@pytest.mark.parametrize("keys", ["none.asc", "empty.asc", "debian-archive-nonesuch"])
def test_keys_that_cannot_be_used_are_told_at_the_recipes_line(tmp_path: Path, keys: str) -> None:
    (tmp_path / "empty.asc").touch()
    found = recipe(tmp_path, VENDOR.replace("KEYS", keys))
    with pytest.raises(HomeportError) as caught:
        suite_specs(found)
    assert caught.value.where["file"] == str(tmp_path / "homeport.yaml")
    assert caught.value.where["line"] == 4
    assert "cannot use the keys of the archive vendor" in caught.value.what
    assert caught.value.what.count(keys) == 1
    assert caught.value.hint


def never() -> NoReturn:
    raise AssertionError("an HTTP client was made")


def test_the_recipes_directory_is_a_mirror_and_offline_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_bytes(certificate_of(new_key()))
    found = recipe(tmp_path, VENDOR.replace("KEYS", "key.asc"))
    with Pools(CancelToken()) as pools:
        means = runtime(pools=pools)
        access = open_access(found, MirrorSources(), lambda: None, means)  # type: ignore[arg-type,return-value]  # directories need no client
        assert [mirror.label for mirror in access.mirrors.of("vendor")] == [
            str(tmp_path / "mirror")
        ]
        sources = MirrorSources(option=("vendor=file:///elsewhere",))
        access = open_access(found, sources, lambda: None, means)  # type: ignore[arg-type,return-value]  # as above
        assert [mirror.label for mirror in access.mirrors.of("vendor")] == ["/elsewhere"]
        offline = open_access(found, MirrorSources(), never, means, offline=True)
        assert offline.mirrors.of("vendor") == ()
