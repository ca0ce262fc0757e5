"""Reading a lockfile strictly (docs/formats/lockfile.md). ``lock.writing`` writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.debian.package import PackageFile, PackageId
from homeport.debian.version import parse_version
from homeport.errors import HomeportError, UsageError
from homeport.oci.platform import Platform, parse_platform
from homeport.recipe.lock.model import (
    FORMAT,
    NO_NUMBERS,
    AccountNumbers,
    LockedFile,
    LockedPackage,
    LockedPart,
    LockedSource,
    LockedSuite,
    LockedTree,
    Lockfile,
)
from homeport.recipe.slices.model import COPYRIGHT, Slice, SliceName, SliceNeed, SlicePath

#: Bound on a lockfile: some 100,000 packages.
LARGEST = 32 << 20
#: The highest number of an account: the next one means "none" (chown(2)).
_HIGHEST = (1 << 32) - 2


class BadLockfile(UsageError):
    """A lockfile cannot be used as it is; file and field are named."""

    id = "lockfile"


class StoredLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lockfile as it is on disk, with the digest of its bytes."""

    path: Path
    lockfile: Lockfile
    digest: Digest


def read_lockfile(path: Path) -> Lockfile | None:
    """The lockfile at ``path``, or ``None`` if there is none. Raises ``BadLockfile``."""
    found = read_stored_lock(path)
    return found.lockfile if found else None


def read_stored_lock(path: Path) -> StoredLock | None:
    """As ``read_lockfile``, with the digest of the bytes that were read."""
    try:
        with open_input(path) as stream:
            data = read_bounded(stream, LARGEST, str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadLockfile(
            f"cannot read {path}: {error.strerror}", where={"file": str(path)},
            hint="make it a readable file, or remove it and lock the recipe again",
        ) from error  # fmt: skip
    try:
        return StoredLock(path=path, lockfile=parse_lockfile(data), digest=Digest.of(data))
    except HomeportError as error:
        raise error.at(file=str(path)) from None


def parse_lockfile(data: bytes) -> Lockfile:
    """Read a lockfile's text."""
    try:
        version = _VERSION_DECODER.decode(data)
        if version.format != FORMAT:
            raise BadLockfile(
                f"unknown lockfile format {version.format}; this Homeport reads {FORMAT}",
                where={"field": "format"},
                hint="upgrade Homeport, or delete the lockfile and lock the recipe again",
            )
        wire = _WIRE_DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise BadLockfile(f"not a lockfile: {_why(data, error)}", hint=_RESTORE) from error
    try:
        return _from_wire(wire)
    except BadLockfile:
        raise
    except HomeportError as error:
        raise BadLockfile(error.what, where=error.where, hint=error.hint) from error


_RESTORE = "restore it, as with git restore, or delete it and lock the recipe again: homeport lock"
#: What git writes into a file that two branches changed; JSON never begins a line so.
_CONFLICT = re.compile(rb"^<<<<<<< ", re.MULTILINE)


def _why(data: bytes, error: msgspec.DecodeError) -> str:
    if not data.strip():
        return "it is empty"
    if _CONFLICT.search(data):
        return "it contains git merge conflict markers"
    return str(error)


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Version(msgspec.Struct, frozen=True):
    format: int


_VERSION_DECODER = msgspec.json.Decoder(_Version)


class _State(_Strict, frozen=True, kw_only=True):
    archive: str
    suite: str
    read_as: str
    codename: str
    date: datetime
    valid_until: datetime | None
    release: str
    signers: tuple[str, ...]


class _Package(_Strict, frozen=True, kw_only=True):
    name: str
    version: str
    architecture: str
    slices: tuple[str, ...]
    archive: str
    suite: str
    source: str
    source_version: str
    sha256: str
    size: int
    path: str


class _Path(_Strict, frozen=True, kw_only=True):
    path: str
    architectures: tuple[str, ...] = ()


class _Need(_Strict, frozen=True, kw_only=True):
    slice: str
    architectures: tuple[str, ...] = ()


class _Slice(_Strict, frozen=True, kw_only=True):
    needs: tuple[_Need, ...]
    paths: tuple[_Path, ...]


class _Tree(_Strict, frozen=True, kw_only=True):
    digest: str
    size: int


class _File(_Strict, frozen=True, kw_only=True):
    path: str
    sha256: str
    size: int


class _Source(_Strict, frozen=True, kw_only=True):
    name: str
    version: str
    archive: str
    suite: str
    files: tuple[_File, ...]


class _Part(_Strict, frozen=True, kw_only=True):
    inputs: str
    materials: tuple[str, ...]
    sources: tuple[_Source, ...] = ()
    outputs: dict[str, _Tree]
    root: _Wire | None = None


class _Accounts(_Strict, frozen=True, kw_only=True):
    users: dict[str, int]
    groups: dict[str, int]


class _Wire(_Strict, frozen=True, kw_only=True):
    format: int
    recipe: str
    request: str
    homeport: str
    epoch: int
    as_of: datetime | None = None
    without: tuple[str, ...]
    archives: tuple[_State, ...]
    platforms: dict[str, tuple[_Package, ...]]
    accounts: _Accounts | None = None
    slices: dict[str, _Slice]
    parts: dict[str, _Part] = {}


_WIRE_DECODER = msgspec.json.Decoder(_Wire)


def _from_wire(wire: _Wire) -> Lockfile:
    slices = {
        _slice_name(name): _slice(_slice_name(name), found) for name, found in wire.slices.items()
    }
    platforms: dict[Platform, tuple[LockedPackage, ...]] = {}
    for text, packages in wire.platforms.items():
        read = [
            _package(package, slices, f"platforms.{text}[{at}]")
            for at, package in enumerate(packages)
        ]
        platform, names = parse_platform(text), {package.name for package in read}
        if platform in platforms or len(names) < len(read):
            what = "platform" if platform in platforms else "package"
            raise BadLockfile(f"duplicate {what}", where={"field": f"platforms.{text}"})
        platforms[platform] = tuple(sorted(read, key=lambda package: package.name))
    if not 0 <= wire.epoch < 1 << 33:
        raise BadLockfile(f"invalid epoch {wire.epoch}", where={"field": "epoch"})
    return Lockfile(
        recipe=wire.recipe,
        request=Digest.parse(wire.request),
        homeport=wire.homeport,
        epoch=wire.epoch,
        as_of=_moment(wire.as_of, "as_of") if wire.as_of else None,
        without=wire.without,
        archives=tuple(_state(state) for state in wire.archives),
        platforms=dict(sorted(platforms.items(), key=lambda item: str(item[0]))),
        accounts=_accounts(wire.accounts) if wire.accounts else NO_NUMBERS,
        slices=dict(sorted(slices.items())),
        parts={name: _part(part, f"parts.{name}") for name, part in sorted(wire.parts.items())},
    )


def _accounts(wire: _Accounts) -> AccountNumbers:
    for kind, numbers in (("users", wire.users), ("groups", wire.groups)):
        owners: dict[int, str] = {}
        for name, number in sorted(numbers.items()):
            where: dict[str, str | int] = {"field": f"accounts.{kind}", "name": name}
            if not 0 < number <= _HIGHEST:
                raise BadLockfile(f"invalid number {number}", where=where)
            if owners.setdefault(number, name) != name:
                raise BadLockfile(
                    f"duplicate number {number}: {owners[number]} has it too", where=where
                )
    return AccountNumbers(
        users=dict(sorted(wire.users.items())), groups=dict(sorted(wire.groups.items()))
    )


def _part(wire: _Part, field: str) -> LockedPart:
    try:
        return LockedPart(
            inputs=Digest.parse(wire.inputs),
            root=_from_wire(wire.root) if wire.root is not None else None,
            sources=tuple(_source(source, field) for source in wire.sources),
            materials=wire.materials,
            outputs={
                parse_platform(name): LockedTree(
                    digest=Digest.parse(tree.digest), size=_size(tree.size, {"field": field})
                )
                for name, tree in sorted(wire.outputs.items())
            },
        )
    except HomeportError as error:
        raise BadLockfile(error.what, where={"field": field, **error.where}) from error


def _source(wire: _Source, field: str) -> LockedSource:
    where: dict[str, str | int] = {"field": field, "package": wire.name}
    return LockedSource(
        name=wire.name,
        version=wire.version,
        archive=wire.archive,
        suite=wire.suite,
        files=tuple(
            LockedFile(
                path=_below(each.path, where),
                sha256=Digest.parse(f"sha256:{each.sha256}"),
                size=_size(each.size, where),
            )
            for each in wire.files
        ),
    )


def _below(path: str, where: dict[str, str | int]) -> str:
    """A path that is joined to a mirror's URL must stay below it, even in an edited lockfile."""
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise BadLockfile(f"the path {path!r} leads out of the archive", where=where)
    return path


def _size(size: int, where: dict[str, str | int]) -> int:
    if size < 0:
        raise BadLockfile(f"invalid size {size}", where=where)
    return size


def _state(wire: _State) -> LockedSuite:
    return LockedSuite(
        archive=wire.archive,
        suite=wire.suite,
        read_as=wire.read_as,
        codename=wire.codename,
        date=_moment(wire.date, "date"),
        valid_until=_moment(wire.valid_until, "valid_until") if wire.valid_until else None,
        release=Digest.parse(wire.release),
        signers=wire.signers,
    )


def _moment(value: datetime, field: str) -> datetime:
    if value.tzinfo is None:
        raise BadLockfile("time without a time zone: write UTC, with Z", where={"field": field})
    try:
        return value.astimezone(UTC)
    except OverflowError as error:  # the first or last day of the calendar, in another zone
        raise BadLockfile(f"the time {value} is out of range", where={"field": field}) from error


def _package(wire: _Package, slices: Mapping[SliceName, Slice], field: str) -> LockedPackage:
    where: dict[str, str | int] = {"field": field, "package": wire.name}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+.\-_]*", wire.name):
        raise BadLockfile(f"invalid package name {wire.name!r}", where=where)
    for slice in wire.slices:
        if slice != COPYRIGHT and SliceName(package=wire.name, slice=slice) not in slices:
            raise BadLockfile(f"the slice {wire.name}_{slice} is not defined", where=where)
    try:
        parse_version(wire.version)
        digest = Digest.parse(f"sha256:{wire.sha256}")
    except HomeportError as error:
        raise BadLockfile(error.what, where=where) from error
    return LockedPackage(
        file=PackageFile(
            id=PackageId(name=wire.name, version=wire.version, architecture=wire.architecture),
            path=_below(wire.path, where),
            size=_size(wire.size, where),
            sha256=digest,
            archive=wire.archive,
        ),
        suite=wire.suite,
        source_name=wire.source,
        source_version=wire.source_version,
        slices=tuple(sorted(wire.slices)),
    )


def _slice(name: SliceName, wire: _Slice) -> Slice:
    return Slice(
        name=name,
        paths=tuple(
            SlicePath(path=path.path, architectures=path.architectures) for path in wire.paths
        ),
        needs=tuple(
            SliceNeed(name=_slice_name(need.slice), architectures=need.architectures)
            for need in wire.needs
        ),
    )


def _slice_name(text: str) -> SliceName:
    package, _, slice = text.partition("_")
    if not package or not slice:
        raise BadLockfile(f"invalid slice name {text!r}", where={"field": "slices"})
    return SliceName(package=package, slice=slice)
