"""Debian packages made in memory, honest and hostile ones.

    deb("hello", "1.0", files={"usr/bin/hello": b"#!/bin/sh\\n", "usr/bin/hi": link("hello")})

Hostile packages are put together from ``ar``, ``tar`` and ``compress``; whatever the
format allows to be wrong can be written with them. Needs no dpkg.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import zstandard

#: 2026-01-01 00:00:00 UTC
MTIME = 1_767_225_600

_TYPES = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of a tar archive, written exactly as it is given."""

    type: str = "file"
    data: bytes = b""
    target: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = MTIME
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] = field(default_factory=dict)


Content = bytes | str | Entry
Files = Mapping[str, Content] | Iterable[tuple[str, Content]]


def file(data: bytes | str = b"", *, mode: int = 0o644, **more: object) -> Entry:
    data = data.encode() if isinstance(data, str) else data
    return Entry(data=data, mode=mode, **more)  # type: ignore[arg-type]  # fields of Entry


def directory(*, mode: int = 0o755, **more: object) -> Entry:
    return Entry(type="directory", mode=mode, **more)  # type: ignore[arg-type]  # fields of Entry


def link(target: str) -> Entry:
    """A symbolic link."""
    return Entry(type="symlink", target=target, mode=0o777)


def hardlink(target: str) -> Entry:
    """A second name of a file that the same archive holds earlier; relative to the root."""
    return Entry(type="hardlink", target=f"./{target}")


def tar(files: Files, *, prefix: str = "", pax: bool = False) -> bytes:
    """A tar archive of exactly these members, in this order, names after ``prefix``."""
    pairs = files.items() if isinstance(files, Mapping) else files
    stream = io.BytesIO()
    format_ = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=stream, mode="w", format=format_, encoding="utf-8") as archive:
        for name, content in pairs:
            entry = content if isinstance(content, Entry) else file(content)
            member = tarfile.TarInfo(prefix + name)
            member.type = _TYPES[entry.type]
            member.size = len(entry.data)
            member.mode, member.uid, member.gid = entry.mode, entry.uid, entry.gid
            member.mtime, member.linkname = entry.mtime, entry.target
            member.devmajor, member.devminor = entry.device
            member.pax_headers = dict(entry.pax)
            archive.addfile(member, io.BytesIO(entry.data))
    return stream.getvalue()


def compress(data: bytes, compression: str) -> bytes:
    """``compression`` as the end of a member's name: ``xz``, ``gz``, ``zst``, ``bz2`` or ``""``."""
    match compression:
        case "":
            return data
        case "xz":
            return lzma.compress(data, preset=1)
        case "gz":
            return gzip.compress(data, mtime=0)
        case "zst":
            return zstandard.compress(data)
        case "bz2":
            return bz2.compress(data)
        case _:
            raise ValueError(compression)


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An ar archive of exactly these members."""
    parts = [b"!<arch>\n"]
    for name, data in members:
        header = f"{name:<16}{MTIME:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        parts += [header.encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def control_text(  # the fields of a package, as people know them
    name: str,
    version: str,
    architecture: str,
    *,
    fields: Mapping[str, str] | None = None,
    **relations: str,
) -> str:
    """A control file; ``pre_depends="x"`` becomes ``Pre-Depends: x``."""
    lines = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Somebody <somebody@debian.example>",
        "Installed-Size": "1",
        **{key.replace("_", "-").title(): value for key, value in relations.items() if value},
        "Section": "misc",
        "Priority": "optional",
        "Description": "an example\n It has a longer text.",
        **(fields or {}),
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def with_parents(files: Files) -> list[tuple[str, Content]]:
    """The members in byte order, each after the directories above it, as dpkg-deb writes them."""
    given = dict(files.items() if isinstance(files, Mapping) else files)
    members: dict[str, Content] = {}
    for name in sorted(given):
        steps = name.strip("/").split("/")
        for depth in range(1, len(steps)):
            members.setdefault("/".join(steps[:depth]) + "/", directory())
        content = given[name]
        is_directory = isinstance(content, Entry) and content.type == "directory"
        members[name.rstrip("/") + "/" if is_directory else name] = content
    return list(members.items())


def md5sums(files: Files) -> str:
    """The md5sums file that a package of these files carries."""
    lines = []
    for name, content in with_parents(files):
        entry = content if isinstance(content, Entry) else file(content)
        if entry.type == "file":
            lines.append(f"{hashlib.md5(entry.data, usedforsecurity=False).hexdigest()}  {name}\n")
    return "".join(lines)


def deb(
    name: str = "hello",
    version: str = "1.0-1",
    architecture: str = "all",
    *,
    files: Mapping[str, Content] | None = None,
    scripts: Mapping[str, str] | None = None,
    conffiles: Iterable[str] = (),
    compression: str = "xz",
    fields: Mapping[str, str] | None = None,
    members: Iterable[tuple[str, bytes]] = (),
    data: bytes | None = None,
    **relations: str,
) -> bytes:
    """A whole package.

    files:     path without leading slash → bytes, text or ``Entry``; parents are added
    scripts:   ``postinst`` and so on → text
    fields:    more or other control fields; ``depends="…"`` and the like work directly
    members:   more members of the outer archive, after the usual three
    data:      the data archive as it is, uncompressed, instead of one made from ``files``
    """
    files = files or {}
    end = f".{compression}" if compression else ""
    control: dict[str, Content] = {
        "control": control_text(name, version, architecture, fields=fields, **relations),
        "md5sums": md5sums(files),
    }
    if conffiles:
        control["conffiles"] = "".join(f"{path}\n" for path in conffiles)
    for script, text in (scripts or {}).items():
        control[script] = file(text, mode=0o755)
    root = [("", directory())]
    if data is None:
        data = tar([*root, *with_parents(files)], prefix="./")
    control_end = end if compression != "bz2" else ".gz"  # dpkg knows no control.tar.bz2
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (
                f"control.tar{control_end}",
                compress(tar([*root, *control.items()], prefix="./"), control_end[1:]),
            ),
            (f"data.tar{end}", compress(data, compression)),
            *members,
        ]
    )


def packages_stanza(deb_bytes: bytes, control: str, path: str) -> str:
    """A package's stanza in a Packages index: its control file and where the package is."""
    digest = hashlib.sha256(deb_bytes).hexdigest()
    return f"{control}Filename: {path}\nSize: {len(deb_bytes)}\nSHA256: {digest}\n"
