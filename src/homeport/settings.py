"""The user's configuration file and its defaults.

One TOML file, ``$XDG_CONFIG_HOME/homeport/config.toml`` unless ``--config`` or
``HOMEPORT_CONFIG`` names another (docs/configuration.md). Command line options and
environment variables override it; it overrides a recipe.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained, open_input
from homeport.content.store import DEFAULT_BOUND
from homeport.errors import Faults, HomeportError, UsageError
from homeport.home import home_directory
from homeport.project import Project
from homeport.quantities import human_size, parse_size

_LIMIT = 1 << 20


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is configured outside recipes and commands.

    file: the configuration file that was read
    cache_key_file: the key of the cache's answers (``content.answer_key``); kept outside the cache
    cache_dir:   ``None``: there is no place for a cache, each run has a temporary one
    mirrors:     archive name (``debian``, ``debian-security``, …) → base URLs, first wins
    project_mirrors: the same of the project file; those of ``mirrors`` come first
    catalog:     the user's catalog as it is written (docs/formats/catalog.md); empty: none
    catalog_policy: the policy that must let in a catalog of a registry
    cache_bound: bytes that ``cache prune`` and every command that adds to it leave at most
    """

    cache_dir: Path | None
    file: Path | None = None
    cache_key_file: Path | None = None
    cache_bound: int = DEFAULT_BOUND
    offline: bool = False
    ca: Path | None = None
    mirrors: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    snapshots: tuple[str, ...] = ()
    project_mirrors: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    catalog: str = ""
    catalog_policy: Path | None = None

    @classmethod
    def load(
        cls,
        config: Path | None = None,
        *,
        cache_dir: Path | None = None,
        offline: bool = False,
        ca: Path | None = None,
        project: Project | None = None,
        catalog: str = "",
        catalog_policy: Path | None = None,
    ) -> Settings:
        """Read the configuration file, if there is one, and put the options over it.

        Raises ``Faults`` that name file and field for every mistake in it.
        """
        path = config or default_config_path()
        found = _read(path) if config or os.path.isfile(path) else {}
        faults = _Reader(path)
        table = faults.table(
            found, "", {"cache", "catalog", "catalog_policy", "debian", "net", "offline"}
        )
        cache = faults.table(table.get("cache", {}), "cache", {"dir", "bound"})
        debian = faults.table(table.get("debian", {}), "debian", {"mirrors", "snapshots"})
        net = faults.table(table.get("net", {}), "net", {"ca"})
        configured_dir = faults.text(cache.get("dir"), "cache.dir")
        configured_ca = faults.text(net.get("ca"), "net.ca")
        settings = cls(
            file=path if found or config else None,
            cache_dir=cache_dir or _path(configured_dir) or default_cache_dir(),
            cache_key_file=state / "cache.key" if (state := default_state_dir()) else None,
            cache_bound=faults.size(cache.get("bound"), "cache.bound", DEFAULT_BOUND),
            catalog=catalog or faults.text(table.get("catalog"), "catalog") or "",
            catalog_policy=catalog_policy
            or _path(faults.text(table.get("catalog_policy"), "catalog_policy")),
            offline=offline or faults.flag(table.get("offline"), "offline"),
            ca=ca or _path(configured_ca),
            project_mirrors=project.mirrors if project else {},
            mirrors=faults.url_lists(debian.get("mirrors"), "debian.mirrors"),
            snapshots=faults.urls(debian.get("snapshots"), "debian.snapshots"),
        )
        faults.raise_if_any()
        return settings


def default_config_path() -> Path:
    """The default path of the configuration file."""
    return _user_folder("XDG_CONFIG_HOME", ".config", "user_config_path") / "config.toml"


def default_cache_dir() -> Path | None:
    """The default cache directory (XDG base directory specification, or the platform's rule).

    ``None`` without a home directory to write to, as in a container with any user id.
    """
    return _usable(_user_folder("XDG_CACHE_HOME", ".cache", "user_cache_path"))


def default_state_dir() -> Path | None:
    """Where what must outlive a run is kept (XDG base directory specification); or ``None``."""
    return _usable(_user_folder("XDG_STATE_HOME", ".local/state", "user_state_path"))


def _usable(folder: Path) -> Path | None:
    """``folder`` if it is there or can be made. A home that is missing is never made."""
    home = home_directory()
    if folder.is_relative_to(home) and not home.is_dir():
        return None
    existing = folder
    while not existing.exists():
        existing = existing.parent
    return folder if os.access(existing, os.W_OK | os.X_OK) else None


def _user_folder(variable: str, usual: str, elsewhere: str) -> Path:
    """Our folder by the XDG base directory specification; platformdirs knows other systems."""
    if os.uname().sysname == "Linux":
        named = os.environ.get(variable, "")
        root = Path(named) if os.path.isabs(named) else home_directory() / usual
        return root / "homeport"
    import platformdirs  # 10 ms that every command on Linux saves

    found: Path = getattr(platformdirs, elsewhere)("homeport")
    return found


def _read(path: Path) -> dict[str, Any]:
    with explained(path, "read"), open_input(path) as stream:
        raw = stream.read(_LIMIT + 1)
    if len(raw) > _LIMIT:
        raise UsageError(f"the configuration is larger than {human_size(_LIMIT)}").at(
            file=str(path)
        )
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the configuration is not valid TOML: {error}").at(
            file=str(path)
        ) from error


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


class _Reader:
    """Takes typed values out of parsed TOML and collects every fault."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: list[HomeportError] = []

    def fault(self, what: str, name: str) -> None:
        self._faults.append(UsageError(what, where={"file": str(self._path), "field": name}))

    def raise_if_any(self) -> None:
        if self._faults:
            raise Faults(self._faults, what="the configuration is not usable")

    def table(self, value: Any, name: str, known: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fault(f"{name} must be a table", name)
            return {}
        for key in value.keys() - known:
            full = f"{name}.{key}" if name else key
            self.fault(f"unknown setting {full}; known: {', '.join(sorted(known))}", full)
        return value

    def text(self, value: Any, name: str) -> str | None:
        if value is not None and not isinstance(value, str):
            self.fault(f"{name} must be text", name)
            return None
        return value

    def flag(self, value: Any, name: str) -> bool:
        if value is not None and not isinstance(value, bool):
            self.fault(f"{name} must be true or false", name)
        return value is True

    def size(self, value: Any, name: str, default: int) -> int:
        if value is None:
            return default
        try:
            return parse_size(str(value))
        except UsageError as error:
            self.fault(error.what, name)
            return default

    def urls(self, value: Any, name: str) -> tuple[str, ...]:
        if isinstance(value, str):
            return (value,)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
            self.fault(f"{name} must be a URL or a list of URLs", name)
            return ()
        return tuple(value)

    def url_lists(self, value: Any, name: str) -> dict[str, tuple[str, ...]]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fault(f"{name} must be a table: archive = URL", name)
            return {}
        return {key: self.urls(urls, f"{name}.{key}") for key, urls in value.items()}
