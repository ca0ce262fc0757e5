"""Diversions: files of packages that lie elsewhere because another package says so.

A preinst or postinst says ``dpkg-divert``; dpkg then unpacks the file of every other package
to the other name (dpkg-divert(1)). This is read before files are put together, because two
packages with one path would clash without it. As dpkg does, paths are compared as packages
ship them, before /usr is merged. In an image all packages are installed at once, so whether
a file that is there is renamed (``--no-rename``) makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.deb import Entry
from homeport.debian.script_reader import SCRIPTS, make_reader
from homeport.debian.scripts.effects import Divert, EndDiversion
from homeport.debian.scripts.machine import Files
from homeport.errors import HomeportError

_COMMAND = "dpkg-divert"


class DiversionsDiffer(HomeportError):
    """Two packages divert one path to different places."""

    id = "diversions-differ"
    exit_code = 2


class ShippedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A package of an image, and those of its entries that the image gets, by their place.

    whole: whether the package's scripts count
    """

    contents: PackageContents
    placed: Mapping[bytes, Entry]
    whole: bool


def read_diversions(packages: Iterable[ShippedFiles], architecture: str) -> tuple[Divert, ...]:
    """The diversions that are left after all scripts, in the order of their paths.

    Raises ``DiversionsDiffer``; ``UsageError`` without the parser of shell.
    """
    packages = tuple(packages)
    saying = [each.contents for each in packages if each.whole and _says_it(each.contents)]
    if not saying:
        return ()
    entries = {path: entry for each in packages for path, entry in each.placed.items()}

    def type_of(path: str) -> str | None:
        entry = entries.get(_bytes(path))
        kind = entry.type if entry is not None else None
        return "file" if kind == "hardlink" else kind

    def target_of(path: str) -> str | None:
        entry = entries.get(_bytes(path))
        is_link = entry is not None and entry.type == "symlink"
        return entry.target.decode("utf-8", "surrogateescape") if entry and is_link else None

    files = Files(
        type_of=type_of, target_of=target_of, text_of=lambda _: None, names_in=lambda _: []
    )
    # No diversion known depends on an account.
    read = make_reader(architecture, files, lambda _kind, _name: False)
    found: dict[str, Divert] = {}
    # As dpkg unpacks packages before it configures them: a postinst may end what another
    # package's preinst says (base-files and libc6).
    effects = (each for script in SCRIPTS for one in saying for each in read(one, (script,)))
    for effect in effects:
        if isinstance(effect, EndDiversion):
            found.pop(effect.path, None)
        elif isinstance(effect, Divert):
            _check(effect, found.setdefault(effect.path, effect))
    return tuple(found[path] for path in sorted(found))


def diverted_paths(diversions: Iterable[Divert], package: str) -> dict[bytes, bytes]:
    """Path → other path, for what ``package`` ships there and does not keep."""
    return {_bytes(each.path): _bytes(each.to) for each in diversions if each.owner != package}


def dpkg_diversions(diversions: Iterable[Divert]) -> bytes:
    """The text of /var/lib/dpkg/diversions: three lines for each."""
    lines = (f"{each.path}\n{each.to}\n{each.owner}\n" for each in diversions)
    return "".join(lines).encode("utf-8", "surrogateescape")


def _says_it(contents: PackageContents) -> bool:
    return any(_COMMAND in contents.scripts.get(script, "") for script in SCRIPTS)


def _check(diversion: Divert, first: Divert) -> None:
    if (diversion.to, diversion.owner) != (first.to, first.owner):
        raise DiversionsDiffer(
            f"{first.package} and {diversion.package} divert {diversion.path} to different places",
            where={"package": diversion.package, "path": diversion.path},
            hint="leave one of them out, or write steps: {diversions: false}",
        )


def _bytes(path: str) -> bytes:
    return path.lstrip("/").encode("utf-8", "surrogateescape")
