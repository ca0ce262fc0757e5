"""The tables of docs/compare.md, and an image of two platforms for their commands."""

from __future__ import annotations

import re
from pathlib import Path

from builders.images import index
from builders.inspection import file, layer, made
from homeport.images.image import Index
from homeport.oci.platform import native_platform

PAGE = Path(__file__).parents[2] / "docs/compare.md"
_ROW = re.compile(r"^\| (?P<task>[^|]+) \|(?: `(?P<other>[^`]+)`)? \| `(?P<ours>[^`]+)` \|$")


def rows(tool: str) -> list[tuple[str, str, str]]:
    """Task, the other tool's command (or none) and ours, of a tool's table."""
    section = PAGE.read_text().partition(f"\n## {tool}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    found = [_ROW.match(line) for line in lines]
    assert all(found), lines
    return [(each["task"], each["other"] or "", each["ours"]) for each in found if each]


def two_platforms() -> Index:
    """This machine's and another: skopeo and crane choose the first by themselves."""
    other = "linux/arm64" if str(native_platform()) == "linux/amd64" else "linux/amd64"
    return index(
        [
            made(layer(file("a", platform.encode())), layer(file("b", b"b")), platform=platform)
            for platform in (str(native_platform()), other)
        ]
    )
