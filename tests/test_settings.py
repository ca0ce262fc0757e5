"""The configuration file: strict, all mistakes at once, weaker than options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.app import open_app
from homeport.errors import Faults, UsageError
from homeport.settings import Settings


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_whole_configuration(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        """
        [cache]
        dir = "/var/cache/homeport"
        bound = "2GiB"
        [debian]
        snapshots = "https://snapshot.example/archive"
        [debian.mirrors]
        debian = ["https://mirror.example/debian", "https://other.example/debian"]
        debian-security = "https://mirror.example/debian-security"
        [net]
        ca = "/etc/ssl/own.pem"
        """,
    )
    settings = Settings.load(path)

    assert settings.cache_dir == Path("/var/cache/homeport")
    assert settings.cache_bound == 2 << 30
    assert settings.ca == Path("/etc/ssl/own.pem")
    assert settings.mirrors == {
        "debian": ("https://mirror.example/debian", "https://other.example/debian"),
        "debian-security": ("https://mirror.example/debian-security",),
    }
    assert settings.snapshots == ("https://snapshot.example/archive",)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = config(tmp_path, '[cache]\ndir = "/from/file"\n')
    assert Settings.load(path, cache_dir=tmp_path).cache_dir == tmp_path


def test_every_mistake_is_named_in_one_pass(tmp_path: Path) -> None:
    path = config(tmp_path, 'oflline = true\n[cache]\nbound = "lots"\n[net]\nca = 3\n')
    with pytest.raises(Faults) as caught:
        Settings.load(path)
    assert [fault.where["field"] for fault in caught.value.faults] == [
        "oflline",
        "net.ca",
        "cache.bound",
    ]
    assert caught.value.exit_code == 2


def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1"):
        Settings.load(config(tmp_path, "[cache\n"))


@pytest.mark.parametrize("home", ["missing", "read-only", "unset"])
def test_without_a_home_to_write_to_there_is_no_place_for_cache_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    if home == "unset":
        monkeypatch.setattr(Path, "home", no_home)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / home))
        if home != "missing":
            (tmp_path / home).mkdir()
            monkeypatch.setattr(os, "access", lambda path, mode: False)
    settings = Settings.load()
    assert (settings.cache_dir, settings.cache_key_file) == (None, None)
    assert not (tmp_path / "missing").exists()

    with open_app(settings) as app:
        app.runtime.store.put_bytes(b"content")
        root = app.runtime.store.root
        assert root.is_dir()
    assert not root.exists()


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_document_without_end_is_not_valid(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("a=" + "[" * 100_000)
    with pytest.raises(UsageError, match="not valid TOML"):
        Settings.load(file)
