"""The package database of an image without dpkg: /var/lib/dpkg/status.d, and copyright files.

One file per package, as scanners read them (trivy, syft; the layout is distroless's):
NAME is the control file as it came, NAME.md5sums has a line for each file that was kept.
``/var/lib/dpkg/status`` must not exist beside it, or every package counts twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from homeport.content.blob import Blob, verified
from homeport.debian.deb.contents import PackageContents

STATUS_DIRECTORY = b"var/lib/dpkg/status.d"
_DOC = b"usr/share/doc/"
_MOST_LINKS = 40


def status_path(name: str) -> bytes:
    """Where the stanza of a package goes."""
    return STATUS_DIRECTORY + b"/" + name.encode()


def md5sums_path(name: str) -> bytes:
    """Where its list of files goes."""
    return status_path(name) + b".md5sums"


def status_stanza(contents: PackageContents) -> bytes:
    """One stanza and nothing after it: the control file, byte for byte."""
    return contents.control.strip(b"\n") + b"\n"


def md5sums(contents: PackageContents, kept: Mapping[bytes, bytes]) -> bytes:
    """Lines for the files that are in the image.

    kept: path in the package → path in the image, where /usr was merged
    Files for which the package has no sum are left out (its conffiles), unless it has none
    at all: then they are computed, as dpkg does when it unpacks such a package.
    """
    known = contents.md5sums or _computed(contents, kept)
    lines = [(path, known[source]) for source, path in kept.items() if source in known]
    return b"".join(b"%s  %s\n" % (digits.encode(), path) for path, digits in sorted(lines))


def _computed(contents: PackageContents, kept: Mapping[bytes, bytes]) -> dict[bytes, str]:
    sums = {}
    for path in kept:
        blob = contents.blobs.get(path)
        if blob is not None and path not in contents.conffiles:
            sums[path] = _md5(blob)
    return sums


def _md5(blob: Blob) -> str:
    hasher = hashlib.md5(usedforsecurity=False)
    with verified(blob, "a package's file") as stream:
        while data := stream.read(1 << 20):
            hasher.update(data)
    return hasher.hexdigest()


class Copyright(msgspec.Struct, frozen=True, kw_only=True):
    """Where the copyright file of a package is.

    links:   links on the way, each with the package that ships it; they belong to the image
    holder:  the package that ships the file; ``None`` if none of those looked at does
    path:    the file in that package
    missing: the package that should be asked, when ``holder`` is ``None`` and one is known
    """

    links: tuple[tuple[str, bytes], ...]
    holder: str | None
    path: bytes
    missing: str | None = None


def find_copyright(
    contents: PackageContents, other: Callable[[str], PackageContents | None]
) -> Copyright:
    """Look for ``/usr/share/doc/NAME/copyright``, through links into other packages too.

    other: a package of the same image by name, or ``None`` if it is not part of it
    """
    current = contents
    path = _DOC + contents.id.name.encode() + b"/copyright"
    links: list[tuple[str, bytes]] = []
    asked = {current.id.name}
    while len(links) < _MOST_LINKS:
        if (link := _first_link(current, path)) is not None:
            links.append((current.id.name, link))
            path = _followed(current.entries[link].target, link, path)
            continue
        if path in current.entries:
            return Copyright(links=tuple(links), holder=current.id.name, path=path)
        owner = _owner(path)
        if owner is None or owner in asked:
            break
        asked.add(owner)
        found = other(owner)
        if found is None:
            return Copyright(links=tuple(links), holder=None, path=path, missing=owner)
        current = found
    return Copyright(links=tuple(links), holder=None, path=path)


def _first_link(contents: PackageContents, path: bytes) -> bytes | None:
    """The shortest leading part of ``path`` that this package ships as a symbolic link."""
    steps = path.split(b"/")
    for depth in range(1, len(steps) + 1):
        part = b"/".join(steps[:depth])
        entry = contents.entries.get(part)
        if entry is not None and entry.type == "symlink":
            return part
    return None


def _followed(target: bytes, link: bytes, path: bytes) -> bytes:
    """``path`` with ``link``, which it begins with, replaced by what it leads to."""
    base = b"" if target.startswith(b"/") else link.rpartition(b"/")[0]
    steps: list[bytes] = []
    for step in (base + b"/" + target + path[len(link) :]).split(b"/"):
        if step == b"..":
            del steps[-1:]
        elif step not in (b"", b"."):
            steps.append(step)
    return b"/".join(steps)


def _owner(path: bytes) -> str | None:
    """The package whose documentation directory ``path`` is in (Debian Policy 12.5)."""
    if not path.startswith(_DOC):
        return None
    return path[len(_DOC) :].partition(b"/")[0].decode("ascii", "replace")
