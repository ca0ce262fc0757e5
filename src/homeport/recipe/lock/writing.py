"""Writing a lockfile's text (docs/formats/lockfile.md).

JSON with one fact a line, so that diffs and regular expressions find it. Writing what was
read gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeport.content.digest import Digest
from homeport.content.files import write_file
from homeport.recipe.lock.model import (
    FORMAT,
    AccountNumbers,
    LockedPackage,
    LockedPart,
    LockedSuite,
    Lockfile,
)
from homeport.recipe.slices.model import Slice, SliceName


def write_lockfile(lockfile: Lockfile, path: Path) -> Digest:
    """Write it, whole or not at all. The digest of the bytes written."""
    data = format_lockfile(lockfile)
    write_file(path, data)
    return Digest.of(data)


def format_lockfile(lockfile: Lockfile) -> bytes:
    """The text of a lockfile: the same value gives the same bytes."""
    return ("\n".join(_lines(lockfile)) + "\n").encode()


def _lines(lockfile: Lockfile) -> Iterator[str]:
    yield "{"
    yield f'  "format": {FORMAT},'
    yield f'  "recipe": {_text(lockfile.recipe)},'
    yield f'  "request": {_text(str(lockfile.request))},'
    yield f'  "homeport": {_text(lockfile.homeport)},'
    yield f'  "epoch": {lockfile.epoch},'
    if lockfile.as_of:
        yield f'  "as_of": {_text(_iso(lockfile.as_of))},'
    yield f'  "without": {_text(list(lockfile.without))},'
    yield '  "archives": ['
    yield from _separated(f"    {_text(_state_fields(state))}" for state in lockfile.archives)
    yield "  ],"
    yield '  "platforms": {'
    platforms = sorted(lockfile.platforms.items(), key=lambda item: str(item[0]))
    for at, (platform, packages) in enumerate(platforms, 1):
        yield f"    {_text(str(platform))}: ["
        ordered = sorted(packages, key=lambda package: package.name)
        yield from _separated(f"      {_text(_package_fields(package))}" for package in ordered)
        yield "    ]" + _comma(at, platforms)
    yield "  },"
    if lockfile.accounts:
        yield from _account_lines(lockfile.accounts)
    yield '  "slices": {'
    slices = sorted(lockfile.slices.items())
    for at, (name, slice) in enumerate(slices, 1):
        yield from _slice_lines(name, slice, _comma(at, slices))
    if lockfile.parts:
        yield "  },"
        yield '  "parts": {'
        parts = sorted(lockfile.parts.items())
        for at, (part_name, part) in enumerate(parts, 1):
            yield from _part_lines(part_name, part, _comma(at, parts))
    yield "  }"
    yield "}"


def _account_lines(accounts: AccountNumbers) -> Iterator[str]:
    yield '  "accounts": {'
    for kind, numbers, comma in (("users", accounts.users, ","), ("groups", accounts.groups, "")):
        yield f"    {_text(kind)}: {{"
        yield from _separated(
            f"      {_text(name)}: {number}" for name, number in sorted(numbers.items())
        )
        yield "    }" + comma
    yield "  },"


def _part_lines(name: str, part: LockedPart, comma: str) -> Iterator[str]:
    yield f"    {_text(name)}: {{"
    yield f'      "inputs": {_text(str(part.inputs))},'
    yield '      "materials": ['
    yield from _separated(f"        {_text(material)}" for material in part.materials)
    yield "      ],"
    if part.sources:
        yield '      "sources": ['
        for at, source in enumerate(part.sources, 1):
            fields = {"name": source.name, "version": source.version, "archive": source.archive}
            line = _text({**fields, "suite": source.suite})[:-1]
            yield f'        {line}, "files": ['
            yield from _separated(
                "          "
                + _text({"path": each.path, "sha256": each.sha256.hex, "size": each.size})
                for each in source.files
            )
            yield "        ]}" + _comma(at, part.sources)
        yield "      ],"
    yield '      "outputs": {'
    outputs = sorted(part.outputs.items(), key=lambda item: str(item[0]))
    yield from _separated(
        f"        {_text(str(platform))}: " + _text({"digest": str(tree.digest), "size": tree.size})
        for platform, tree in outputs
    )
    yield "      }" + ("," if part.root is not None else "")
    if part.root is not None:
        lines = list(_lines(part.root))
        yield f'      "root": {lines[0]}'
        yield from (f"      {line}" for line in lines[1:])
    yield "    }" + comma


def _slice_lines(name: SliceName, slice: Slice, comma: str) -> Iterator[str]:
    needs = [
        {"slice": str(need.name), **_architectures(need.architectures)} for need in slice.needs
    ]
    yield f"    {_text(str(name))}: {{"
    yield '      "needs": ['
    yield from _separated(f"        {_text(need)}" for need in needs)
    yield "      ],"
    yield '      "paths": ['
    yield from _separated(
        f"        {_text({'path': path.path, **_architectures(path.architectures)})}"
        for path in slice.paths
    )
    yield "      ]"
    yield "    }" + comma


def _architectures(names: tuple[str, ...]) -> dict[str, Any]:
    return {"architectures": list(names)} if names else {}


def _state_fields(state: LockedSuite) -> dict[str, Any]:
    return {
        "archive": state.archive,
        "suite": state.suite,
        "read_as": state.read_as,
        "codename": state.codename,
        "date": _iso(state.date),
        "valid_until": _iso(state.valid_until) if state.valid_until else None,
        "release": str(state.release),
        "signers": list(state.signers),
    }


def _package_fields(package: LockedPackage) -> dict[str, Any]:
    file = package.file
    return {
        "name": file.id.name,
        "version": file.id.version,
        "architecture": file.id.architecture,
        "slices": list(package.slices),
        "archive": file.archive,
        "suite": package.suite,
        "source": package.source_name,
        "source_version": package.source_version,
        "sha256": file.sha256.hex,
        "size": file.size,
        "path": file.path,
    }


def _separated(lines: Iterable[str]) -> Iterator[str]:
    """The lines with a comma after each but the last."""
    before: str | None = None
    for line in lines:
        if before is not None:
            yield before + ","
        before = line
    if before is not None:
        yield before


def _comma(at: int, all_of_them: Sized) -> str:
    return "," if at < len(all_of_them) else ""


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
