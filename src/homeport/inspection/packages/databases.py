"""The packages that the package databases of an image record.

dpkg (status and distroless's status.d), apk, rpm (sqlite and ndb), opkg, pacman, Python
and Node. Tolerant: a database that cannot be read becomes a problem of the report, not
an error. Not for which file belongs to which package (``ownership``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from homeport.debian.deb822 import Malformed, parse_paragraphs
from homeport.errors import TooLarge
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import Package
from homeport.inspection.packages.rpmdb import BadRpmDatabase, read_rpm_database
from homeport.printable import path_text
from homeport.quantities import whole_number

_STATUS_D = b"var/lib/dpkg/status.d/"
_RPM_PLACES = (b"var/lib/rpm", b"usr/lib/sysimage/rpm", b"usr/share/rpm")
_PYTHON = re.compile(r"(?:.*/)?([^/]+)\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_NODE = re.compile(rb"(?:.*/)?node_modules/(?:@[^/]+/)?[^/]+/package\.json")
_OWN_PYTHON = ("dpkg", "rpm", "apk")


def find_packages(opened: OpenedImage) -> tuple[list[Package], list[str]]:
    """All packages, sorted, and what could not be read."""
    problems: list[str] = []
    found: list[Package] = []
    readers: list[tuple[str, Callable[[OpenedImage], Iterator[Package]]]] = [
        ("dpkg", _dpkg),
        ("apk", _apk),
        ("opkg", _opkg),
        ("rpm", _rpm),
        ("pacman", _pacman),
        ("python", _python),
        ("npm", _node),
    ]
    for name, reader in readers:
        try:
            found.extend(reader(opened))
        except (Malformed, TooLarge, BadRpmDatabase, ValueError) as error:
            problems.append(f"cannot read the whole {name} database: {error}")
    return sorted(set(found)), problems


def _dpkg(opened: OpenedImage) -> Iterator[Package]:
    places = [b"var/lib/dpkg/status"]
    places += (
        path
        for path in opened.metadata_paths
        if path.startswith(_STATUS_D) and not path.endswith(b".md5sums")
    )
    for place in places:
        text = opened.metadata(place)
        if text:
            yield from _stanzas(text, "dpkg", place)


def _opkg(opened: OpenedImage) -> Iterator[Package]:
    text = opened.metadata(b"usr/lib/opkg/status")
    if text:
        yield from _stanzas(text, "opkg", b"usr/lib/opkg/status")


def _stanzas(text: bytes, manager: str, place: bytes) -> Iterator[Package]:
    text = text.decode("utf-8", "replace").replace("\0", "").encode()
    for stanza in parse_paragraphs(text):
        name = stanza.get("Package")
        state = stanza.get("Status", "install ok installed").split()
        if not name or state[-1:] == ["not-installed"] or state[-1:] == ["config-files"]:
            continue
        source, _, version = stanza.get("Source", name).partition(" ")
        size = stanza.get("Installed-Size")
        yield Package(
            manager=manager,
            name=name,
            version=stanza.get("Version"),
            architecture=stanza.get("Architecture"),
            source=source,
            source_version=version.strip("() ") or stanza.get("Version"),
            origin=stanza.get("Maintainer"),
            size=(whole_number(size) or 0) * 1024,
            recorded_in=_text(place),
        )


def apk_records(text: bytes) -> Iterator[list[tuple[str, str]]]:
    """The records of an apk database: lines ``letter:value``, blank lines between."""
    record: list[tuple[str, str]] = []
    for line in text.decode("utf-8", "replace").split("\n"):
        if not line:
            if record:
                yield record
            record = []
        elif line[1:2] == ":":
            record.append((line[0], line[2:]))
    if record:
        yield record


def _apk(opened: OpenedImage) -> Iterator[Package]:
    for place in (b"lib/apk/db/installed", b"usr/lib/apk/db/installed"):
        text = opened.metadata(place)
        if not text or (
            place.startswith(b"usr") and opened.metadata(b"lib/apk/db/installed") == text
        ):
            continue
        for record in apk_records(text):
            fields: dict[str, str] = {}
            for letter, value in record:
                fields.setdefault(letter, value)
            if "P" in fields:
                yield Package(
                    manager="apk", name=fields["P"], version=fields.get("V", ""),
                    architecture=fields.get("A", ""), source=fields.get("o", ""),
                    license=fields.get("L", ""), origin=fields.get("m", ""),
                    size=_number(fields.get("I", "")), recorded_in=_text(place),
                )  # fmt: skip


def _rpm(opened: OpenedImage) -> Iterator[Package]:
    for place in _RPM_PLACES:
        for name in (b"rpmdb.sqlite", b"Packages.db", b"Packages"):
            path = place + b"/" + name
            data = opened.metadata(path)
            if not data:
                continue
            wal = opened.metadata(path + b"-wal") or b""
            for header in read_rpm_database(data, wal):
                yield Package(
                    manager="rpm", name=header.name, version=header.full_version,
                    architecture=header.architecture, source=header.source,
                    license=header.license, origin=header.vendor, size=header.size,
                    recorded_in=_text(path),
                )  # fmt: skip
            return
    manifest = opened.metadata(b"var/lib/rpmmanifest/container-manifest-2")
    for line in (manifest or b"").decode("utf-8", "replace").splitlines():
        columns = line.split("\t")
        if len(columns) >= 8:  # name, version-release, times, vendor, epoch, size, arch, …
            yield Package(
                manager="rpm", name=columns[0], version=columns[1], architecture=columns[7],
                recorded_in="/var/lib/rpmmanifest/container-manifest-2",
            )  # fmt: skip


def _pacman(opened: OpenedImage) -> Iterator[Package]:
    for path in opened.metadata_paths:
        if not path.startswith(b"var/lib/pacman/local/"):
            continue
        text = opened.metadata(path)
        if not text:
            continue
        lines = text.decode("utf-8", "replace").splitlines()
        fields = {
            line[1:-1]: lines[number + 1]
            for number, line in enumerate(lines[:-1])
            if line[:1] == line[-1:] == "%"
        }
        if "NAME" in fields:
            yield Package(
                manager="pacman", name=fields["NAME"], version=fields.get("VERSION", ""),
                architecture=fields.get("ARCH", ""), source=fields.get("BASE", ""),
                recorded_in=_text(path),
            )  # fmt: skip


def _python(opened: OpenedImage) -> Iterator[Package]:
    for path in opened.metadata_paths:
        if b"-info" not in path[-24:]:
            continue
        text = _text(path)
        found = _PYTHON.fullmatch(text)
        data = opened.metadata(path) if found else None
        if found is None or not data:
            continue
        fields = _mail_fields(data)
        name, version = fields.get("name"), fields.get("version", "")
        if name:
            yield Package(
                manager="python", name=name, version=version,
                license=fields.get("license-expression", "") or fields.get("license", "")[:80],
                origin=_git_origin(opened, path), recorded_in=text,
            )  # fmt: skip


def _mail_fields(data: bytes) -> dict[str, str]:
    """The header of a METADATA file; its body is the description."""
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            fields.setdefault(name.lower(), value.strip())
    return fields


def _git_origin(opened: OpenedImage, metadata: bytes) -> str:
    data = opened.metadata(metadata.rpartition(b"/")[0] + b"/direct_url.json")
    if not data:
        return ""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    commit = document.get("vcs_info")
    suffix = f"@{commit['commit_id']}" if isinstance(commit, dict) and "commit_id" in commit else ""
    return str(document.get("url", "")) + suffix


def _node(opened: OpenedImage) -> Iterator[Package]:
    for path in opened.metadata_paths:
        if not path.endswith(b"/package.json") or not _NODE.fullmatch(path):
            continue
        try:
            document = json.loads(opened.metadata(path) or b"")
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict) and isinstance(document.get("name"), str):
            license = document.get("license")
            yield Package(
                manager="npm", name=document["name"], version=str(document.get("version", "")),
                license=license if isinstance(license, str) else "", recorded_in=_text(path),
            )  # fmt: skip


def _number(text: str) -> int:
    return whole_number(text) or 0


def _text(path: bytes) -> str:
    return path_text(path)
