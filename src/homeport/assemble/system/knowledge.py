"""Knowledge about packages whose scripts cannot be read: data files, one for each package.

``knowledge/NAME.yaml`` says what Debian's package makes at a first installation: ``users``
(name, home, shell, comment, and ``joins``: groups, if the image has them), ``directories`` (path,
mode, user, group), ``files`` (path, text or source, mode), ``links`` (path, target). ``why`` names
where that was read, ``versions`` (globs) of which versions: of any other the scripts are read
too. ``packages``: a glob of names, for a family. ``environments``: program → variables with
which the package's own way of starting it (a unit, a script) would start it. ``prints``: what
a command or pipeline in the scripts prints at a first installation, where that decides; of
``db_fget`` what it answers.
``instead_of_scripts: false`` always reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec

from homeport.debian.scripts.effects import (
    AddMember,
    AddUser,
    Effect,
    MakeDirectory,
    MakeFile,
    MakeLink,
)

_FOLDER = Path(__file__).parent / "knowledge"


class _Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    mode: str = "0755"
    user: str | None = None
    group: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    text: str = ""
    source: str = ""
    mode: str = "0644"


class _Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    target: str


class _User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system account with a group of its own."""

    name: str
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    comment: str = ""
    joins: tuple[str, ...] = ()


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one package's scripts make."""

    why: str
    versions: tuple[str, ...]
    packages: str = ""
    users: tuple[_User, ...] = ()
    directories: tuple[_Directory, ...] = ()
    files: tuple[_File, ...] = ()
    links: tuple[_Link, ...] = ()
    environments: Mapping[str, Mapping[str, str]] = {}
    prints: Mapping[str, str] = {}
    instead_of_scripts: bool = True

    def holds_for(self, version: str) -> bool:
        return any(fnmatchcase(version, each) for each in self.versions)

    def replaces_scripts(self, version: str) -> bool:
        return self.instead_of_scripts and self.holds_for(version)

    def effects(self, package: str) -> Iterator[Effect]:
        for user in self.users:
            yield AddUser(
                package=package, name=user.name, home=user.home, shell=user.shell,
                comment=user.comment,
            )  # fmt: skip
            for group in user.joins:
                yield AddMember(package=package, user=user.name, group=group, only_known=True)
        for each in self.directories:
            yield MakeDirectory(
                package=package, path=each.path, mode=int(each.mode, 8), user=each.user,
                group=each.group,
            )  # fmt: skip
        for file in self.files:
            yield MakeFile(
                package=package, path=file.path, text=file.text, source=file.source,
                mode=int(file.mode, 8),
            )  # fmt: skip
        for link in self.links:
            yield MakeLink(package=package, path=link.path, target=link.target)


def environment_of(program: str, packages: Mapping[str, str]) -> dict[str, str]:
    """Variables that ``program`` cannot do without, as its package sets them.

    packages: name → version, of whole packages
    """
    found: dict[str, str] = {}
    for name, version in packages.items():
        if (_FOLDER / f"{name}.yaml").is_file():
            known = _load(_FOLDER / f"{name}.yaml")
            if known.holds_for(version):
                found |= known.environments.get(program, {})
    return found


def knowledge_of(package: str) -> Knowledge | None:
    """Of the package itself, or of a family whose pattern fits."""
    known = load_knowledge()
    if package in known:
        return known[package]
    families = (each for each in known.values() if each.packages)
    return next((each for each in families if fnmatchcase(package, each.packages)), None)


@cache
def load_knowledge() -> Mapping[str, Knowledge]:
    """Package → knowledge. The files ship with Homeport and are checked by its tests."""
    return {file.stem: _load(file) for file in sorted(_FOLDER.glob("*.yaml"))}


@cache
def _load(file: Path) -> Knowledge:
    return msgspec.yaml.decode(file.read_bytes(), type=Knowledge)
