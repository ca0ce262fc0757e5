"""Checks a tree for what stands in the way of several platforms, and for loose ends.

Each finding has file and line, and what to do. Nothing is connected; whether bases have the
platforms is found when a plan is made (``planning``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.dockerpkg.dependencies import make_graph
from homeport.dockerpkg.names import reference_of
from homeport.dockerpkg.planning import images_of, named_images, render_all
from homeport.dockerpkg.templates import names_image
from homeport.dockerpkg.tree import CONTROL, TEMPLATE, SourceImage, Tree, read_text

Rule = Literal[
    "one-architecture", "download", "undeclared-dependency", "other-tree", "floating-base",
    "outside-link",
]  # fmt: skip
_ARCHITECTURE = re.compile(
    r"(?<![A-Za-z0-9])(?:amd64|x86[_-]64|linux64|linux32|x64|dpkg-architecture)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_DOWNLOAD = re.compile(
    r"\b(?:curl|wget)\b|\bADD\s+(?:--\S+\s+)*https?://|https?://\S+\.(?:tar|tgz|zip|deb|jar)\b"
)
_BY_PLATFORM = re.compile(r"TARGETARCH|TARGETPLATFORM|--print-architecture|uname -m|\barch\b")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One place; ``line`` is 0 for a whole file."""

    rule: Rule
    image: str
    file: str
    line: int
    what: str
    fix: str


def check_tree(tree: Tree) -> tuple[Finding, ...]:
    """All findings, by file and line. Raises ``Faults`` for templates that cannot be rendered."""
    rendered = render_all(tree)
    used = {name: images_of(each) for name, each in rendered.items()}
    graph = make_graph(tree, named_images(tree, rendered, used))
    found: list[Finding] = []
    for name, image in tree.images.items():
        found += _links(image)
        if image.is_recipe:
            continue
        lines = read_text(image.path / TEMPLATE).splitlines()
        found += _lines(image, lines)
        for parent in graph.undeclared[name]:
            found.append(_undeclared(image, parent, lines))
        for other in graph.elsewhere[name]:
            found.append(_elsewhere(image, other))
        for text in used[name]:
            if names_image(text, tree) is None and (finding := _floating(image, text, lines)):
                found.append(finding)
    return tuple(sorted(found, key=lambda each: (each.file, each.line, each.rule)))


def _lines(image: SourceImage, lines: list[str]) -> Iterator[Finding]:
    file = str(image.path / TEMPLATE)
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(("#", "{#")):
            continue
        names = sorted({each.group().lower() for each in _ARCHITECTURE.finditer(line)})
        if names:
            yield Finding(
                rule="one-architecture", image=image.name, file=file, line=number,
                what=f"names one architecture: {', '.join(names)}",
                fix="use TARGETARCH (ARG TARGETARCH) or dpkg --print-architecture, or limit the"
                " image with Platforms: in control",
            )  # fmt: skip
        elif _DOWNLOAD.search(line) and "://" in line and not _BY_PLATFORM.search(line):
            yield Finding(
                rule="download", image=image.name, file=file, line=number,
                what="downloads the same file for every platform",
                fix="check that it is for all platforms, and verify its checksum",
            )  # fmt: skip


def _undeclared(image: SourceImage, parent: str, lines: list[str]) -> Finding:
    return Finding(
        rule="undeclared-dependency", image=image.name, file=str(image.path / TEMPLATE),
        line=_line_of(lines, parent.rpartition("/")[2]),
        what=f"names the image {parent}, which control does not",
        fix=f"add {parent} to Depends: in {CONTROL}; docker-pkg orders builds by it alone",
    )  # fmt: skip


def _elsewhere(image: SourceImage, other: str) -> Finding:
    path = image.path / CONTROL
    return Finding(
        rule="other-tree", image=image.name, file=str(path),
        line=_line_of(read_text(path).splitlines(), other),
        what=f"depends on {other}, which is not an image of this tree",
        fix="check the name; an image of another tree belongs to base_images, with its tag",
    )  # fmt: skip


def _floating(image: SourceImage, text: str, lines: list[str]) -> Finding | None:
    reference = reference_of(text)
    if reference is None or reference.digest or reference.tag != "latest":
        return None
    return Finding(
        rule="floating-base", image=image.name, file=str(image.path / TEMPLATE),
        line=_line_of(lines, reference.repository.rpartition("/")[2]),
        what=f"is built on {text}, a tag that moves",
        fix="name a version; the tree's lockfile pins the digest that was built on",
    )  # fmt: skip


def _links(image: SourceImage) -> Iterator[Finding]:
    """docker-pkg copies what links lead to; engines are sent the links."""
    inside = os.path.realpath(image.path)
    for at, folders, files in os.walk(image.path):
        for name in (*folders, *files):
            path = os.path.join(at, name)
            if os.path.islink(path) and not _below(os.path.realpath(path), inside):
                yield Finding(
                    rule="outside-link", image=image.name, file=path, line=0,
                    what="a link that leads out of the image's directory",
                    fix="copy the file: the link is sent to the engine, not what it leads to",
                )  # fmt: skip


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _line_of(lines: list[str], text: str) -> int:
    """The first line with a word; 1 if a variable stands for it."""
    word = re.compile(rf"(?<![A-Za-z0-9_.-]){re.escape(text)}(?![A-Za-z0-9_-])")
    return next((number for number, line in enumerate(lines, 1) if word.search(line)), 1)
