"""Tests of files, packages and config on an image that is only read: on every platform."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

import msgspec

from homeport.elf import BadElf, read_elf
from homeport.errors import HomeportError
from homeport.imagetests.patterns import BadPattern, has_match
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.packages.databases import find_packages
from homeport.layers.entry import Entry
from homeport.oci.platform import Platform
from homeport.printable import printable
from homeport.recipe.image_tests import ImageTest

_LONGEST = 64 << 20
_SHOWN = 120


def check(test: ImageTest, opened: OpenedImage, platform: Platform) -> str:
    """What differs from what the test requires; empty: it passes. Not for ``run``."""
    checks: dict[str, Callable[[], str]] = {
        "file": lambda: _file(test, opened),
        "absent": lambda: _absent(test, opened),
        "package": lambda: _package(test, opened),
        "elf": lambda: _elf(test, opened, platform),
        "config": lambda: _config(test, opened),
    }
    try:
        return checks[test.kind]()
    except HomeportError as error:
        return error.what


def _file(test: ImageTest, opened: OpenedImage) -> str:
    path = test.path.encode("utf-8", "surrogateescape").strip(b"/")
    history = opened.history
    parent = history.resolve(path.rpartition(b"/")[0])
    place = parent + b"/" + path.rpartition(b"/")[2] if parent else path
    entry = history.final.get(place)
    if entry is None:
        return f"{test.path} is not there"
    if test.target is not None:
        if entry.entry.kind != "symlink":
            return f"{test.path} is a {entry.entry.kind}, not a link"
        target = entry.entry.target.decode("utf-8", "surrogateescape")
        return "" if target == test.target else f"{test.path} is a link to {printable(target)}"
    resolved = history.resolve(place)
    found = history.file_at(resolved) if resolved is not None else None
    if found is None:
        return f"{test.path} is a link to nothing"
    return _metadata(test, found.entry) or _content(test, opened)


def _metadata(test: ImageTest, entry: Entry) -> str:
    mode = entry.mode & 0o7777
    if test.mode is not None and mode != test.mode:
        return f"{test.path} has mode {mode:04o}"
    if test.permissions:
        kinds = {"directory": stat.S_IFDIR, "symlink": stat.S_IFLNK}
        shown = stat.filemode(kinds.get(entry.kind, stat.S_IFREG) | mode)
        if shown != test.permissions:
            return f"{test.path} has the permissions {shown}"
    if test.uid is not None and entry.uid != test.uid:
        return f"{test.path} belongs to {entry.uid}:{entry.gid}"
    if test.gid is not None and entry.gid != test.gid:
        return f"{test.path} belongs to {entry.uid}:{entry.gid}"
    return ""


def _content(test: ImageTest, opened: OpenedImage) -> str:
    if not test.contains and not test.excludes:
        return ""
    path = test.path.encode("utf-8", "surrogateescape").strip(b"/")
    data = opened.read((path,), limit=_LONGEST).get(path)
    if data is None:
        return f"{test.path} has no content that can be read"
    return text_difference(test, data.decode("utf-8", "replace"), test.path)


def text_difference(test: ImageTest, text: str, what: str) -> str:
    """Whether a text has all that is wanted and nothing that is not."""
    for wanted in test.contains:
        if not _has(wanted, text, patterns=test.patterns):
            return f"{what} does not have {wanted[:_SHOWN]!r}"
    for unwanted in test.excludes:
        if _has(unwanted, text, patterns=test.patterns):
            return f"{what} has {unwanted[:_SHOWN]!r}"
    return ""


def _has(wanted: str, text: str, *, patterns: bool) -> bool:
    if not patterns:
        return wanted in text
    try:
        return has_match(wanted, text)
    except BadPattern as error:
        raise HomeportError(str(error)) from error


def _absent(test: ImageTest, opened: OpenedImage) -> str:
    path = test.path.encode("utf-8", "surrogateescape").strip(b"/")
    parent = opened.history.resolve(path.rpartition(b"/")[0])
    place = parent + b"/" + path.rpartition(b"/")[2] if parent else path
    return f"{test.path} is there" if place in opened.history.final else ""


def _package(test: ImageTest, opened: OpenedImage) -> str:
    packages, _ = find_packages(opened)
    versions = sorted({p.version for p in packages if p.name == test.package})
    if not versions:
        return f"no package database has {test.package}"
    if test.version and test.version not in versions:
        return f"{test.package} is {', '.join(versions)}"
    return ""


def _elf(test: ImageTest, opened: OpenedImage, platform: Platform) -> str:
    path = test.path.encode("utf-8", "surrogateescape").strip(b"/")
    data = opened.read((path,), limit=_LONGEST).get(path)
    if data is None:
        return f"{test.path} is not there"
    try:
        found = read_elf(data)
    except BadElf:
        return f"{test.path} is not an ELF file"
    if found.architecture == platform.architecture:
        return ""
    return f"{test.path} is for {found.architecture}, not for {platform}"


def _config(test: ImageTest, opened: OpenedImage) -> str:
    document = opened.image.config()
    whole: dict[str, Any] = msgspec.json.decode(document.raw) if document is not None else {}
    config = whole.get("config") or {}
    for field, text in test.config.items():
        found = config.get(field, whole.get(field))
        if found != _value(text) and not (found is None and text == ""):
            return f"{field} is {msgspec.json.encode(found).decode()[:_SHOWN]}"
    return ""


def _value(text: str) -> Any:
    """JSON where it is a list or an object, else the text itself."""
    if text[:1] in "[{":
        try:
            return msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            return text
    return text
