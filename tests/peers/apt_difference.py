"""The same packages installed by apt and built by Homeport, as two lists of what lies where."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.debian.deb.path_globs import PathGlobs
from homeport.oci.platform import native_platform

SOURCES = (
    "deb http://deb.debian.org/debian trixie main",
    "deb http://deb.debian.org/debian trixie-updates main",
    "deb http://deb.debian.org/debian-security trixie-security main",
)
_RECIPE = """\
homeport: 1
name: compared
platforms: [{platform}]
variant: essential
packages: {packages}
"""


class Entry(msgspec.Struct, frozen=True):
    """What lies at a path; owners by name, because the numbers of most accounts are chosen."""

    type: str
    mode: int
    user: str
    group: str
    content: str
    capability: bytes = b""


class Difference(msgspec.Struct, frozen=True, order=True):
    """``what``: missing (apt has it alone), extra, content, mode, owner, type, capability."""

    path: str
    what: str
    apt: str = ""
    homeport: str = ""


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Differences that are meant: paths (globs), which kinds of difference, and why."""

    paths: tuple[str, ...]
    what: tuple[str, ...]
    why: str

    def covers(self, difference: Difference) -> bool:
        if difference.what not in self.what:
            return False
        return PathGlobs.of(self.paths).match(difference.path.encode().strip(b"/"), directory=False)


def write_recipe(folder: Path, packages: list[str]) -> None:
    text = _RECIPE.format(
        platform=native_platform(), packages=msgspec.json.encode(packages).decode()
    )
    (folder / "homeport.yaml").write_text(text)


def installed_by_apt(packages: list[str], tar: Path) -> dict[str, Entry]:
    command = [
        "mmdebstrap",
        "--variant=essential",
        "--mode=root",
        "--quiet",
        f"--include={','.join(packages)}",
        "trixie",
        tar,
        *SOURCES,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    return entries_of(tar)


def entries_of(tar: Path) -> dict[str, Entry]:
    with tarfile.open(tar) as archive:
        members = {member.name.removeprefix("./").strip("/"): member for member in archive}
        users, groups = (_names(archive, members[f"etc/{name}"]) for name in ("passwd", "group"))
        found = {}
        for path, member in members.items():
            target = member
            while target.islnk():
                target = members[target.linkname.removeprefix("./")]
            content = member.linkname if member.issym() else ""
            if target.isreg():
                stream = archive.extractfile(target)
                assert stream is not None
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            capability = member.pax_headers.get("SCHILY.xattr.security.capability", "")
            kind = (
                "file"
                if target.isreg()
                else "link"
                if target.issym()
                else "directory"
                if target.isdir()
                else "device"
            )
            found[f"/{path}"] = Entry(
                type=kind,
                mode=member.mode & 0o7777,
                user=users.get(member.uid, str(member.uid)),
                group=groups.get(member.gid, str(member.gid)),
                content=content,
                capability=capability.encode("utf-8", "surrogateescape"),
            )
    return found


def packages_of(tar: Path) -> list[str]:
    """Names in dpkg's database."""
    with tarfile.open(tar) as archive:
        stream = archive.extractfile("var/lib/dpkg/status")
        assert stream is not None
        lines = stream.read().decode().splitlines()
    return [line.removeprefix("Package: ") for line in lines if line.startswith("Package: ")]


def accounts_of(tar: Path) -> dict[str, tuple[str, ...]]:
    """Users with group, comment, home and shell, and groups with their members, without numbers."""
    with tarfile.open(tar) as archive:
        members = {member.name.removeprefix("./"): member for member in archive}
        groups = _names(archive, members["etc/group"])
        found: dict[str, tuple[str, ...]] = {}
        for fields in _lines(archive, members["etc/passwd"]):
            found[fields[0]] = (groups[int(fields[3])], *fields[4:])
        for fields in _lines(archive, members["etc/group"]):
            found[f"group {fields[0]}"] = tuple(sorted(fields[3].split(",")))
    return found


def diversions_of(tar: Path) -> set[tuple[str, ...]]:
    """What, where to, and by whom, in dpkg's database."""
    with tarfile.open(tar) as archive:
        member = next(m for m in archive if m.name.endswith("var/lib/dpkg/diversions"))
        stream = archive.extractfile(member)
        assert stream is not None
        lines = stream.read().decode().splitlines()
    return {tuple(lines[at : at + 3]) for at in range(0, len(lines), 3)}


def _names(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[int, str]:
    return {int(fields[2]): fields[0] for fields in _lines(archive, member)}


def _lines(archive: tarfile.TarFile, member: tarfile.TarInfo) -> list[list[str]]:
    stream = archive.extractfile(member)
    assert stream is not None
    return [line.split(":") for line in stream.read().decode().splitlines()]


def differences(apt: dict[str, Entry], homeport: dict[str, Entry]) -> Iterator[Difference]:
    for path in sorted({*apt, *homeport}):
        a, b = apt.get(path), homeport.get(path)
        if a is None or b is None:
            yield Difference(path, "extra" if a is None else "missing")
            continue
        if a.type != b.type:
            yield Difference(path, "type", a.type, b.type)
            continue
        if a.content != b.content:
            links = a.type == "link"
            yield Difference(
                path, "content", a.content if links else "", b.content if links else ""
            )
        if a.mode != b.mode and a.type != "link":
            yield Difference(path, "mode", f"{a.mode:04o}", f"{b.mode:04o}")
        if (a.user, a.group) != (b.user, b.group):
            yield Difference(path, "owner", f"{a.user}:{a.group}", f"{b.user}:{b.group}")
        if a.capability != b.capability:
            yield Difference(path, "capability", a.capability.hex(), b.capability.hex())
