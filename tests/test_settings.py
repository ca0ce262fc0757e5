"""The configuration file: strict, all mistakes at once, weaker than options."""

from __future__ import annotations

from pathlib import Path

import pytest

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
