"""Two images side by side: packages, config, files, layers; ``homeport-diff/v1``.

Differences in time only are not counted unless ``times`` is set. Between platforms, directories
named after the machine (``x86_64-linux-gnu``) count as one, and compiled files may differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from homeport.debian.version import BadVersion, parse_version
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.layers.metadata_files import is_metadata_file
from homeport.inspection.model import Package
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.ownership import Owners, find_owners
from homeport.layers.history import StackedEntry
from homeport.printable import path_text
from homeport.quantities import counted

SCHEMA = "homeport-diff/v1"
MAX_TEXT = 64 << 10
_MAX_PAIRS = 4_000_000  # of lines: difflib may compare each with each
MOST_TEXTS = 50
_MOST_LINES = 400
_TRIPLET = re.compile(
    rb"(?:x86_64|i[3-6]86|aarch64|arm|powerpc64le|s390x|riscv64|mips64el)-linux-(?:gnu|musl)(?:eabihf|eabi|abi64)?"
)
_LOADER = re.compile(rb"ld-(?:linux[^/]*|musl-[^/]*)\.so\.\d+|ld64\.so\.\d")


class PackageDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """change: added, removed, upgraded, downgraded, changed (versions that have no order)."""

    change: str
    manager: str
    name: str
    architecture: str = ""
    before: str = ""
    after: str = ""


class ConfigDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of the config, a label, a variable: what it was and is; ``None``: absent."""

    field: str
    before: Any = None
    after: Any = None


class FileDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """change: added, removed, content, kind, target, metadata, time.

    facts: what differs, as words: ``mode 0644 → 0755``
    text:  a unified diff, for small text files
    """

    change: str
    path: str
    package: str = ""
    size_before: int = 0
    size_after: int = 0
    facts: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class LayerDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the lowest layers are shared, by digest of their tars."""

    shared: int
    before: int
    after: int


class ImageDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of two images. ``times``: include paths that differ only in time."""

    before: str
    after: str
    platform_before: str
    platform_after: str
    packages: tuple[PackageDiff, ...]
    config: tuple[ConfigDiff, ...]
    files: tuple[FileDiff, ...]
    layers: LayerDiff
    time_only: int
    size_before: int
    size_after: int

    @property
    def same(self) -> bool:
        """Whether nothing differs that was asked about."""
        return not (self.packages or self.config or self.files)


def diff_images(
    one: OpenedImage, other: OpenedImage, *, times: bool = False, text: bool = True
) -> ImageDiff:
    """What differs from ``one`` to ``other``."""
    across = one.image.platform != other.image.platform
    files, only_time = _files(one, other, times=times, across=across)
    if text:
        files = _with_text(one, other, files, across)
    return ImageDiff(
        before=str(one.image.digest),
        after=str(other.image.digest),
        platform_before=str(one.image.platform or ""),
        platform_after=str(other.image.platform or ""),
        packages=tuple(
            diff_packages(find_packages(one)[0], find_packages(other)[0], across=across)
        ),
        config=tuple(diff_configs(one, other)),
        files=tuple(files),
        layers=_layers(one, other),
        time_only=only_time,
        size_before=sum(listing.size for listing in one.listings),
        size_after=sum(listing.size for listing in other.listings),
    )


def diff_packages(
    before: list[Package], after: list[Package], *, across: bool = False
) -> Iterator[PackageDiff]:
    """By manager, name and architecture; several versions of one name stay separate."""

    def key(package: Package) -> tuple[str, str, str]:
        return package.manager, package.name, "" if across else package.architecture

    old: dict[tuple[str, str, str], set[str]] = {}
    new: dict[tuple[str, str, str], set[str]] = {}
    for packages, found in ((before, old), (after, new)):
        for package in packages:
            found.setdefault(key(package), set()).add(package.version)
    for each in sorted({*old, *new}):
        gone = sorted(old.get(each, set()) - new.get(each, set()))
        come = sorted(new.get(each, set()) - old.get(each, set()))
        manager, name, architecture = each
        for was, now in _pairs(gone, come):
            yield PackageDiff(
                change=_direction(manager, was, now), manager=manager, name=name,
                architecture=architecture, before=was, after=now,
            )  # fmt: skip


def _pairs(gone: list[str], come: list[str]) -> Iterator[tuple[str, str]]:
    for number in range(max(len(gone), len(come))):
        yield (
            gone[number] if number < len(gone) else "",
            come[number] if number < len(come) else "",
        )


def _direction(manager: str, before: str, after: str) -> str:
    if not before:
        return "added"
    if not after:
        return "removed"
    if manager == "dpkg":
        try:
            return "upgraded" if parse_version(before) < parse_version(after) else "downgraded"
        except BadVersion:
            return "changed"
    old, new = _numbers(before), _numbers(after)
    if old == new:
        return "changed"
    return "upgraded" if old < new else "downgraded"


def _numbers(version: str) -> list[tuple[int, str]]:
    """Runs of digits and of letters, for versions of managers without a rule of ours."""
    return [
        (int(part[:18]), "") if part.isdigit() else (-1, part)
        for part in re.findall(r"[0-9]+|[a-zA-Z]+", version)
    ]


def diff_configs(one: OpenedImage, other: OpenedImage) -> Iterator[ConfigDiff]:
    """Field by field; variables, labels, ports and volumes one by one."""
    before, after = _flat(one), _flat(other)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield ConfigDiff(field=name, before=before.get(name), after=after.get(name))


def _flat(opened: OpenedImage) -> dict[str, Any]:
    found: dict[str, Any] = {}
    fields: dict[str, Any] = msgspec.to_builtins(opened.config.config)
    for key, value in fields.items():
        if key == "Env":
            for each in value:
                name, _, text = each.partition("=")
                found[f"Env {name}"] = text
        elif isinstance(value, dict):
            found.update({f"{key} {name}": each or True for name, each in value.items()})
        else:
            found[key] = value
    for name, text in opened.image.document.parsed.annotations.items():
        found[f"annotation {name}"] = text
    return found


def _layers(one: OpenedImage, other: OpenedImage) -> LayerDiff:
    shared = 0
    for a, b in zip(one.listings, other.listings, strict=False):
        if a.diff_id != b.diff_id:
            break
        shared += 1
    return LayerDiff(shared=shared, before=len(one.listings), after=len(other.listings))


def _names(opened: OpenedImage, across: bool) -> dict[bytes, bytes]:
    """The name that a path is compared under → the path."""
    if not across:
        return {path: path for path in opened.history.final}
    return {
        _LOADER.sub(b"ld.so", _TRIPLET.sub(b"<machine>", path)): path
        for path in opened.history.final
    }


def pair_paths(
    one: OpenedImage, other: OpenedImage
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Every path of two images: the name it is compared under, then what each calls it."""
    across = one.image.platform != other.image.platform
    old, new = _names(one, across), _names(other, across)
    for name in sorted({*old, *new}, key=lambda name: name.split(b"/")):
        yield name, old.get(name), new.get(name)


def compare_paths(
    one: OpenedImage, other: OpenedImage, a: bytes, b: bytes
) -> tuple[str, list[str]]:
    """How a path that both have differs (``FileDiff.change``, "" for not at all), and its facts."""
    return _compare(one, other, a, b, one.image.platform != other.image.platform)


def _files(
    one: OpenedImage, other: OpenedImage, *, times: bool, across: bool
) -> tuple[list[FileDiff], int]:
    owners = find_owners(one), find_owners(other)
    rows: list[FileDiff] = []
    only_time = 0
    for _, a, b in pair_paths(one, other):
        if a is None or b is None:
            rows.append(_one_sided(one, other, owners, a, b))
            continue
        change, facts = _compare(one, other, a, b, across)
        if change == "time":
            only_time += 1
        if change and (change != "time" or times):
            rows.append(
                FileDiff(
                    change=change, path=path_text(b), package=_package(owners[1], b),
                    size_before=one.history.size_of(a), size_after=other.history.size_of(b),
                    facts=tuple(facts),
                )
            )  # fmt: skip
    return rows, only_time


def _one_sided(
    one: OpenedImage,
    other: OpenedImage,
    owners: tuple[Owners, Owners],
    a: bytes | None,
    b: bytes | None,
) -> FileDiff:
    path = a if a is not None else b
    assert path is not None
    side, owner = (one, owners[0]) if a is not None else (other, owners[1])
    size = side.history.size_of(path)
    return FileDiff(
        change="removed" if a is not None else "added", path=path_text(path),
        package=_package(owner, path), size_before=size if a is not None else 0,
        size_after=0 if a is not None else size,
    )  # fmt: skip


def _package(owners: Owners, path: bytes) -> str:
    owner = owners.of(path)
    return owner.package if owner is not None else ""


def _compare(
    one: OpenedImage, other: OpenedImage, a: bytes, b: bytes, across: bool
) -> tuple[str, list[str]]:
    before, after = one.history.final[a].entry, other.history.final[b].entry
    old, new = one.history.file_at(a), other.history.file_at(b)
    assert old is not None
    assert new is not None
    facts = []
    if old.entry.mode != new.entry.mode:
        facts.append(f"mode {old.entry.mode:04o} → {new.entry.mode:04o}")
    if (old.entry.uid, old.entry.gid) != (new.entry.uid, new.entry.gid):
        facts.append(f"owner {_ids(old)} → {_ids(new)}")
    if (old.entry.xattrs or {}) != (new.entry.xattrs or {}):
        facts.append("extended attributes")
    if old.entry.kind != new.entry.kind:
        return "kind", [f"{old.entry.kind} → {new.entry.kind}", *facts]
    if old.entry.sha256 != new.entry.sha256 and not (across and _compiled(old, new)):
        return "content", facts
    targets = before.target, after.target
    if before.kind == after.kind == "symlink" and not _same_target(*targets, across):
        return "target", [f"{_text(before.target)} → {_text(after.target)}", *facts]
    if old.entry.device != new.entry.device:
        return "content", [f"device {old.entry.device} → {new.entry.device}", *facts]
    if facts:
        return "metadata", facts
    return ("time" if old.entry.mtime != new.entry.mtime else ""), []


def _compiled(old: StackedEntry, new: StackedEntry) -> bool:
    return old.entry.start == new.entry.start == b"\x7fELF"


def _same_target(before: bytes, after: bytes, across: bool) -> bool:
    if across:
        before, after = (_LOADER.sub(b"ld.so", _TRIPLET.sub(b"", each)) for each in (before, after))
    return before == after


def _ids(place: StackedEntry) -> str:
    return f"{place.entry.uid}:{place.entry.gid}"


def _with_text(
    one: OpenedImage, other: OpenedImage, rows: list[FileDiff], across: bool
) -> list[FileDiff]:
    """Rows with a unified diff where both sides are small text files."""
    new = _names(other, across)
    by_name = {path_text(path): name for name, path in new.items()}
    names = _names(one, across)
    pairs: dict[str, tuple[bytes, bytes]] = {}
    for row in rows:
        if is_metadata_file(row.path.encode().lstrip(b"/"), 0):
            continue  # a database, whose packages are listed
        if row.change != "content" or max(row.size_before, row.size_after) > MAX_TEXT:
            continue
        name = by_name.get(row.path)
        if name is not None and name in names and len(pairs) < MOST_TEXTS:
            pairs[row.path] = (names[name], new[name])
    if not pairs:
        return rows
    before = one.read([a for a, _ in pairs.values()], limit=MAX_TEXT)
    after = other.read([b for _, b in pairs.values()], limit=MAX_TEXT)
    out = []
    for row in rows:
        if row.path in pairs:
            a, b = pairs[row.path]
            lines = text_diff(before.get(a, b""), after.get(b, b""))
            row = msgspec.structs.replace(row, text=lines)  # noqa: PLW2901
        out.append(row)
    return out


def text_diff(before: bytes, after: bytes) -> tuple[str, ...]:
    """A unified diff without its header; nothing if either is not text."""
    try:
        old, new = before.decode("utf-8"), after.decode("utf-8")
    except UnicodeDecodeError:
        return ()
    if "\0" in old or "\0" in new:
        return ()
    before_lines, after_lines = old.splitlines(), new.splitlines()
    if len(before_lines) * len(after_lines) > _MAX_PAIRS:
        return (f"… {counted(len(before_lines), 'line')} → {counted(len(after_lines), 'line')}",)
    lines = list(difflib.unified_diff(before_lines, after_lines, lineterm="", n=2))[2:]
    if len(lines) > _MOST_LINES:
        return (*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES} more lines")
    return tuple(lines)


def _text(target: bytes) -> str:
    return target.decode("utf-8", "backslashreplace")
