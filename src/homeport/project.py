"""The project file: what a team's repository says of how Homeport is used in it.

``homeport.toml``, or ``[tool.homeport]`` of ``pyproject.toml``, found upwards from the working
directory (docs/configuration.md). A repository may be a stranger's, so a file that was only found
gives defaults that cannot weaken a check, name a place to write to or a program, or send anything
with credentials; one that the user names (``--project``) may also say whose signatures count.
Options, variables and the user's own configuration come first in any case (docs/security.md).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained, open_input
from homeport.errors import Faults, HomeportError, UsageError
from homeport.home import home_directory
from homeport.printable import shell_path
from homeport.quantities import human_size

FILE_NAME = "homeport.toml"
_PYTHON = "pyproject.toml"
_TABLE = b"[tool.homeport"
_LIMIT = 1 << 20

#: Command → its options that a file which was only found may give.
FOUND: Mapping[str, frozenset[str]] = {
    "audit": frozenset(
        {"policy", "baseline", "exclude", "deny", "fail-on", "allow-registry", "assume", "include",
         "group-by"}
    ),
    "build": frozenset({"platform", "compression", "compression-level", "label", "annotation"}),
    "home": frozenset({"exclude"}),
    "init": frozenset({"platform"}),
    "outdated": frozenset({"exclude", "max-age", "platform"}),
    "update": frozenset({"exclude"}),
}  # fmt: skip
#: Those that also a file which the user names may give: whose signatures count.
NAMED: Mapping[str, frozenset[str]] = {
    "import": frozenset({"policy"}),
    "mirror": frozenset({"policy"}),
    "verify": frozenset({"key", "policy"}),
}
#: Options whose value is a file of the project.
_FILES = frozenset({"policy", "baseline", "key"})
#: What makes an audit report less; said whenever it counts.
HIDING = ("baseline", "exclude", "policy")


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a project file says.

    defaults: command → option, as it is written after ``--`` → value
    mirrors:  archive → base URLs
    ignored:  settings that count only in a file that the user names
    """

    file: Path
    named: bool
    defaults: Mapping[str, Mapping[str, Any]]
    mirrors: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...] = ()


class BadProject(UsageError):
    """The project file is not usable."""

    id = "project"


def read_project(named: str, folder: Path) -> Project | None:
    """The project file that the user names, or the nearest one upwards from ``folder``.

    Raises ``Faults`` with every mistake in it.
    """
    if named:
        path = Path(named)
        with explained(path, "read"), open_input(path) as stream:
            raw = stream.read(_LIMIT + 1)
        return _parsed(path, raw, named=True)
    for place in _upwards(folder):
        for name in (FILE_NAME, _PYTHON):
            found = _own_file(place / name)
            if found is not None and (name == FILE_NAME or _TABLE in found):
                return _parsed(place / name, found, named=False)
    return None


def _upwards(folder: Path) -> Iterator[Path]:
    """The folder and those above it, up to a repository's top or the user's home."""
    home = home_directory()
    for place in (folder, *folder.parents):
        yield place
        if place == home or (place / ".git").exists():
            return


def _own_file(path: Path) -> bytes | None:
    """The content of a regular file of this user or of root; no link is followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # most often it is not there
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        raw = stream.read(_LIMIT + 1)
    if status.st_uid not in (0, os.geteuid()) and (path.name == FILE_NAME or _TABLE in raw):
        raise BadProject(
            f"the project file belongs to user {status.st_uid}",
            where={"file": str(path)},
            hint=f"--no-project; or, if you trust it: --project {shell_path(str(path))}",
        )
    return raw


def _parsed(path: Path, raw: bytes, *, named: bool) -> Project:
    if len(raw) > _LIMIT:
        raise BadProject(f"the project file is larger than {human_size(_LIMIT)}").at(file=str(path))
    import tomllib  # 6 ms that commands outside of projects save

    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadProject(f"the project file is not valid TOML: {error}").at(
            file=str(path)
        ) from error
    if path.name == _PYTHON:
        tool = document.get("tool")
        document = tool.get("homeport", {}) if isinstance(tool, dict) else {}
    return _Reader(path, named=named).read(document)


class _Reader:
    """Takes the settings that may stand there, and collects every fault."""

    def __init__(self, path: Path, *, named: bool) -> None:
        self._path = path
        self._root = path.absolute().parent
        self._named = named
        self._faults: list[HomeportError] = []
        self._ignored: list[str] = []

    def read(self, document: Any) -> Project:
        defaults: dict[str, dict[str, Any]] = {}
        mirrors: dict[str, tuple[str, ...]] = {}
        for key, value in document.items() if isinstance(document, dict) else ():
            if key == "home":
                defaults.setdefault("audit", {})["home"] = self._text(key, value)
            elif key == "debian":
                mirrors = self._mirrors(value)
            elif key in FOUND or key in NAMED:
                defaults.setdefault(key, {}).update(self._options(key, value))
            else:
                self._fault(key, f"unknown setting {key}; known: {', '.join(_known())}")
        if self._faults:
            raise Faults(
                self._faults,
                what="the project file is not usable; to leave it aside: --no-project",
            )
        return Project(
            file=self._path,
            named=self._named,
            defaults=defaults,
            mirrors=mirrors,
            ignored=tuple(self._ignored),
        )

    def _options(self, command: str, table: Any) -> dict[str, Any]:
        if not isinstance(table, dict):
            self._fault(command, f"{command} must be a table")
            return {}
        allowed, named = FOUND.get(command, frozenset()), NAMED.get(command, frozenset())
        found = {}
        for option, value in table.items():
            full = f"{command}.{option}"
            if option not in allowed | named:
                known = ", ".join(sorted(allowed | named))
                self._fault(full, f"{full} may not stand in a project file; known: {known}")
            elif option not in allowed and not self._named:
                self._ignored.append(full)
            elif option in _FILES:
                found[option] = self._files(full, value)
            elif isinstance(value, str | int) or _is_texts(value):
                found[option] = value
            else:
                self._fault(full, f"{full} must be text, a number, or a list of texts")
        return found

    def _files(self, full: str, value: Any) -> str | list[str]:
        """Files inside the project, links followed; so no other file is quoted in a message."""
        texts = [value] if isinstance(value, str) else value
        if not _is_texts(texts):
            self._fault(full, f"{full} must be a file or a list of files")
            return ""
        found = []
        for text in texts:
            path = (self._root / text).resolve()
            if not path.is_relative_to(self._root.resolve()):
                self._fault(full, f"{full} leads out of the project: {text}")
            found.append(str(path))
        return found[0] if isinstance(value, str) else found

    def _mirrors(self, table: Any) -> dict[str, tuple[str, ...]]:
        mirrors = table.get("mirrors") if isinstance(table, dict) else None
        if not isinstance(mirrors, dict) or set(table) != {"mirrors"}:
            self._fault("debian", "debian must be a table with mirrors: archive = URLs")
            return {}
        found = {}
        for archive, value in mirrors.items():
            urls = [value] if isinstance(value, str) else value
            full = f"debian.mirrors.{archive}"
            if not _is_texts(urls) or not all(
                url.startswith(("http://", "https://")) for url in urls
            ):
                self._fault(full, f"{full} must be an http or https URL, or a list of them")
            else:
                found[archive] = tuple(urls)
        return found

    def _text(self, full: str, value: Any) -> str:
        if not isinstance(value, str):
            self._fault(full, f"{full} must be text")
            return ""
        return value

    def _fault(self, field: str, what: str) -> None:
        self._faults.append(BadProject(what, where={"file": str(self._path), "field": field}))


def _known() -> list[str]:
    return sorted({"home", "debian", *FOUND, *NAMED})


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
