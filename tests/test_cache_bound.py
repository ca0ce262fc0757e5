"""A command that adds to the cache leaves it within its bound; others do not look at it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from builders.build_push import pushing_build
from homeport.app import Settings, open_app
from homeport.content.digest import Digest
from homeport.content.store import Store

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)


def settings(folder: Path, bound: int = 0) -> Settings:
    return Settings(cache_dir=folder / "cache", cache_bound=bound)


def add_blob(store: Store) -> None:
    store.put(io.BytesIO(CONTENT))


def add_answer(store: Store) -> None:
    store.remember("test", "key", CONTENT)


def add_part_of_a_download(store: Store) -> None:
    with store.partial(DIGEST) as stream:
        stream.write(CONTENT)


@pytest.mark.parametrize("add", [add_blob, add_answer, add_part_of_a_download])
@pytest.mark.parametrize(("bound", "left"), [(0, 0), (100, len(CONTENT))])
def test_the_cache_is_pruned_after_a_command_that_added_to_it(
    tmp_path: Path, add, bound: int, left: int
) -> None:
    with open_app(settings(tmp_path, bound)) as app:
        add(app.runtime.store)
    assert Store(tmp_path / "cache").usage().total_bytes == left


def test_the_cache_is_pruned_also_after_a_command_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_app(settings(tmp_path)) as app:
        add_blob(app.runtime.store)
        _ = 1 / 0
    assert Store(tmp_path / "cache").usage().total_bytes == 0


def test_a_command_that_was_interrupted_ends_at_once(tmp_path: Path) -> None:
    with open_app(settings(tmp_path)) as app:
        add_blob(app.runtime.store)
        app.runtime.cancel.cancel()
    assert Store(tmp_path / "cache").usage().total_bytes == len(CONTENT)


def test_a_command_that_only_reads_the_cache_does_not_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_blob(Store(tmp_path / "cache"))
    monkeypatch.setattr(Store, "_files", lambda *_arguments: pytest.fail("the cache was counted"))
    with open_app(settings(tmp_path)) as app:
        assert app.runtime.store.get(DIGEST) is not None
        assert app.runtime.store.recall("test", "key") is None


def test_a_build_without_changes_does_not_count_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pushing_build(tmp_path) as build:
        output = f"oci:{tmp_path / 'out'}:1"
        assert build.run("-o", output).exit_code == 0
        monkeypatch.setattr(
            Store, "_files", lambda *_arguments: pytest.fail("the cache was counted")
        )
        result = build.run("-o", output)
        assert (result.exit_code, result.exception) == (0, None)
