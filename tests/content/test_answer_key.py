"""The key of the cache's answers: kept outside the cache, private, or else of one run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from homeport.content.answer_key import find_answer_key, key_of_process
from homeport.errors import UsageError


def test_the_key_is_made_once_private_and_stays(tmp_path: Path) -> None:
    file, cache = tmp_path / "state/homeport/cache.key", tmp_path / "cache"
    before = os.umask(0)
    try:
        key = find_answer_key(file, cache, {})
    finally:
        os.umask(before)

    assert len(key) == 32
    assert key != key_of_process()
    assert find_answer_key(file, cache, {}) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["cache.key"]


def test_without_a_place_for_it_each_process_has_its_own(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert find_answer_key(None, tmp_path / "cache", {}) == key_of_process()
    assert find_answer_key(blocked / "cache.key", tmp_path / "cache", {}) == key_of_process()


def test_a_key_inside_the_cache_is_not_used(tmp_path: Path) -> None:
    inside = tmp_path / "cache/state/cache.key"
    assert find_answer_key(inside, tmp_path / "cache", {}) == key_of_process()
    assert not inside.exists()


@pytest.mark.parametrize("fault", ["readable by others", "a link", "too short", "another user's"])
def test_a_key_that_others_may_know_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    file = tmp_path / "state/cache.key"
    find_answer_key(file, tmp_path / "cache", {})
    if fault == "readable by others":
        file.chmod(0o644)
    elif fault == "a link":
        file.rename(tmp_path / "real")
        file.symlink_to(tmp_path / "real")
    elif fault == "too short":
        file.write_bytes(b"short")
    else:
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert find_answer_key(file, tmp_path / "cache", {}) == key_of_process()


def test_the_environment_gives_the_key_to_jobs_that_share_a_cache(tmp_path: Path) -> None:
    secret = {"HOMEPORT_CACHE_KEY": "0123456789abcdef" * 4}
    key = find_answer_key(None, tmp_path, secret)
    assert key == find_answer_key(tmp_path / "state/cache.key", tmp_path / "cache", secret)
    assert len(key) == 32
    with pytest.raises(UsageError, match="HOMEPORT_CACHE_KEY is too short: 3 characters"):
        find_answer_key(None, tmp_path, {"HOMEPORT_CACHE_KEY": "abc"})
