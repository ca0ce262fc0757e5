"""The hash of our own code that cache keys hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.assemble import layer_cache
from homeport.content import code_hash as module
from homeport.debian.deb import contents
from homeport.inspection import code_version

Hash = Callable[..., str]


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hash:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/one.py").write_text("1")
    (tmp_path / "two.py").write_text("2")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    find: Hash = module.code_hash.__wrapped__
    return find


def test_every_module_below_a_package_counts(hashed: Hash, tmp_path: Path) -> None:
    before = hashed("a", "two.py")
    (tmp_path / "a/b/one.py").write_text("changed")
    changed = hashed("a", "two.py")
    (tmp_path / "two.py").write_text("changed")
    assert len({before, changed, hashed("a", "two.py")}) == 3


def test_a_module_that_is_not_named_does_not_count(hashed: Hash, tmp_path: Path) -> None:
    before = hashed("a")
    (tmp_path / "two.py").write_text("changed")
    assert hashed("a") == before


def test_a_moved_module_counts(hashed: Hash, tmp_path: Path) -> None:
    before = hashed("a")
    (tmp_path / "a/b/one.py").rename(tmp_path / "a/one.py")
    assert hashed("a") != before


def test_what_is_named_exists() -> None:
    for paths in (layer_cache._DECIDES, contents._DECIDES, code_version._DECIDES):
        assert len(module.code_hash(*paths)) == 64
        for path in paths:
            place = module._ROOT / path
            assert place.is_file() or list(place.rglob("*.py"))
