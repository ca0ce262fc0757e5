"""The report as one HTML file: works without a network, and without scripts for the tables.

The tree travels as gzipped JSON inside the page; a script of the page, named by its hash in
the page's own policy, draws it. Everything from the image is escaped; nothing of it is ever
markup, style or script.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import atomic_write
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import ImageReport, InspectReport
from homeport.inspection.packages.ownership import find_owners
from homeport.printable import printable

SCHEMA = "homeport-inspect-html/v1"
_MOST_ROWS = 500
_KINDS = ("file", "directory", "symlink", "hardlink", "char", "block", "fifo", "program", "script",
          "archive")  # fmt: skip
_STARTS = ((b"\x7fELF", 7), (b"#!", 8), (b"PK\x03\x04", 9), (b"\x1f\x8b", 9), (b"\xfd7zX", 9))


class HtmlPage(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-inspect-html/v1``: a page that was written, and the image that it shows."""

    schema: str = SCHEMA
    file: str
    size: int
    digest: str


def write_page(report: InspectReport, opened: OpenedImage, path: Path) -> HtmlPage:
    """Write the page of a report to a file."""
    page = html_page(report, opened).encode()
    with atomic_write(path) as stream:
        stream.write(page)
    return HtmlPage(file=str(path), size=len(page), digest=report.image.digest)


def html_page(report: InspectReport, opened: OpenedImage) -> str:
    """The whole page."""
    folder = files("homeport.inspection.report")
    template = folder.joinpath("page.html").read_text("utf-8")
    script = folder.joinpath("page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    packed = gzip.compress(msgspec.json.encode(tree_data(opened)), 6, mtime=0)
    parts = {
        "TITLE": _text(report.address),
        "SCRIPT_HASH": digest,
        "SUMMARY": _summary(report),
        "TABLES": "\n".join(_tables(report)),
        "DATA": base64.b64encode(packed).decode(),
        "SCRIPT": script,
    }
    head, *rest = template.split("@@")
    # Every second piece is a name: the template is cut once, so no value is searched for marks.
    return head + "".join(
        parts[piece] if number % 2 == 0 else piece for number, piece in enumerate(rest)
    )


def tree_data(opened: OpenedImage) -> dict[str, Any]:
    """The final tree by directory: files as [name, size, layer, kind, package]."""
    history, owners = opened.history, find_owners(opened)
    packages: dict[str, int] = {}
    root: list[Any] = ["", 0, []]
    folders: dict[bytes, list[Any]] = {b"": root}
    for path in sorted(history.final, key=lambda path: path.split(b"/")):
        if not path:
            continue
        place = history.final[path]
        parent, _, raw = path.rpartition(b"/")
        name = printable(raw.decode("utf-8", "backslashreplace"))
        above = folders[parent][2]
        if place.entry.kind == "directory":
            folders[path] = [name, place.layer, []]
            above.append(folders[path])
            continue
        owner = owners.of(path)
        package = packages.setdefault(owner.package, len(packages)) if owner else -1
        kind = next(
            (number for start, number in _STARTS if place.entry.start.startswith(start)),
            _KINDS.index(place.entry.kind),
        )
        above.append([name, place.entry.size, place.layer, kind, package])
    return {"tree": root, "packages": [printable(name) for name in packages], "kinds": _KINDS}


def _summary(report: InspectReport) -> str:
    image = report.image
    base = image.base
    dive = image.waste.dive
    rows = [
        ("Digest", report.digest),
        ("Shown", f"{image.platform} {image.digest}"),
        ("System", base.pretty_name or base.distribution or "unknown"),
        ("C library", base.libc),
        ("Base", " ".join(part for part in (base.image, base.image_digest) if part) or "unknown"),
        (
            "Size",
            f"{image.sizes.compressed:,} bytes compressed, {image.sizes.files:,} in "
            f"{image.sizes.paths:,} paths",
        ),
        ("Created", image.age.created),
        ("Newest file", f"{image.age.newest_file} {image.age.newest_file_path}"),
        ("Waste", f"{image.waste.size:,} bytes, about {image.waste.compressed:,} bytes compressed"),
        ("dive's efficiency", f"{dive.score:.2%}, {dive.wasted_bytes:,} bytes wasted"),
        *(("Note", note) for note in image.age.notes),
        *(("Problem", problem) for problem in image.problems),
    ]
    items = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in rows if text.strip()
    )
    return f"<h1>{_text(report.address)}</h1><dl>{items}</dl>"


def _tables(report: InspectReport) -> Iterable[str]:
    image = report.image
    if len(report.platforms) > 1:
        yield _table(
            "Platforms", ("Platform", "Size", "Layers", "Digest", "Config differs"),
            [(one.platform, f"{one.size:,}", one.layers, one.digest, "; ".join(one.differs))
             for one in report.platforms], numbers=(1, 2),
        )  # fmt: skip
    yield _layers(image)
    yield _table(
        "Anomalies", ("Kind", "Count", "Examples"),
        [(one.kind, one.count, "\n".join(one.examples[:20])) for one in image.anomalies],
        numbers=(1,),
    )  # fmt: skip
    yield _waste(image)
    yield _table(
        "Packages", ("Manager", "Name", "Version", "Architecture", "Source"),
        [(one.manager, one.name, one.version, one.architecture, one.source)
         for one in image.packages], folded=len(image.packages) > 60,
    )  # fmt: skip
    yield _table(
        "Attached", ("Kind", "Type", "Bytes", "Digest"),
        [(one.kind, one.type, f"{one.size:,}", one.digest) for one in image.attached], numbers=(2,),
    )  # fmt: skip
    yield _table("Config", ("Field", "Value"), list(_config(image)))


def _waste(image: ImageReport) -> str:
    return _table(
        "Waste", ("Path", "Cause", "Bytes", "Compressed (estimate)", "Shipped in", "Unused since"),
        [
            (
                one.path, one.cause, f"{one.size:,}", f"{one.compressed:,}",
                one.shipped_in, one.unused_since,
            )
            for one in image.waste.paths[:_MOST_ROWS]
        ],
        numbers=(2, 3, 4, 5),
    )  # fmt: skip


def _layers(image: ImageReport) -> str:
    return _table(
        "Layers", ("Layer", "Compressed", "Unpacked", "Wasted", "Changes", "Command"),
        [
            (
                one.number, f"{one.size:,}", f"{one.tar_size:,}", f"{one.wasted:,}",
                ", ".join(f"{count} {change}" for change, count in one.changes.items()),
                one.command or one.digest,
            )
            for one in image.layers
        ],
        numbers=(0, 1, 2, 3),
    )  # fmt: skip


def _config(image: ImageReport) -> Iterable[tuple[str, str]]:
    for key, value in image.config.items():
        if isinstance(value, dict):
            yield from ((f"{key} {name}", str(each)) for name, each in value.items())
        elif isinstance(value, (list, tuple)):
            yield key, "\n".join(map(str, value))
        elif value:
            yield key, str(value)
    yield from ((f"annotation {name}", each) for name, each in image.annotations.items())


def _table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numbers: Sequence[int] = (),
    folded: bool = False,
) -> str:
    if not rows:
        return f'<section><h2>{_text(title)}</h2><p class="none">none</p></section>'
    heads = "".join(
        f'<th scope="col"{_number(column in numbers)}>{_text(name)}</th>'
        for column, name in enumerate(header)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_number(column in numbers)}>{_lines(cell)}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    if folded:
        table = f"<details><summary>{len(rows)} rows</summary>{table}</details>"
    return f"<section><h2>{_text(title)}</h2>{table}</section>"


def _number(is_number: bool) -> str:
    return ' class="n"' if is_number else ' class="p"'


def _lines(cell: object) -> str:
    return "<br>".join(_text(line) for line in str(cell).split("\n"))


def _text(text: str) -> str:
    return escape(printable(text), quote=True)
