"""The report as one HTML file: works without a network, and without scripts for the tables.

The tree travels as gzipped JSON inside the page, and a script of the page draws it
(``homeport.pages``).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import atomic_write
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import ImageReport, InspectReport, LayerRow
from homeport.inspection.packages.ownership import find_owners
from homeport.pages.page import render
from homeport.printable import printable
from homeport.quantities import counted, human_size

SCHEMA = "homeport-inspect-html/v1"
_MOST_ROWS = 500
#: Hues of the look, for layers above the base, again and again.
_HUES = 8
#: From this share of all unpacked bytes on, waste is worth a word.
_MUCH = 0.05
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
    image = report.image
    hues = layer_hues(image)
    largest = max((layer.tar_size for layer in image.layers), default=0) or 1
    address = shlex.quote(report.address)
    return render(
        "homeport.inspection.report:page.html",
        {
            "report": report, "image": image, "most": _MOST_ROWS, "hues": hues,
            "verdicts": list(_verdicts(image)), "config": list(_config(image)),
            "layers": [(layer, hues[layer.number], _bar(layer, hues, largest), _done(layer))
                       for layer in image.layers],
            "legend": list(_legend(image, hues)),
            "base": _base(image),
            # An address that cannot be pasted as it is shown gets no commands.
            "address": address if printable(report.address) == report.address else "",
        },
        script="homeport.inspection.report:page.js",
        data={**tree_data(opened), "hues": hues},
    )  # fmt: skip


def layer_hues(image: ImageReport) -> list[str]:
    """The class of each layer's colour: grey for the base's, then hues in turn."""
    below = _below(image)
    return [
        "base" if number < below else f"h{(number - below) % _HUES}"
        for number in range(len(image.layers))
    ]


def _below(image: ImageReport) -> int:
    """How many layers are the base's; the lowest one where no base was recognised."""
    if image.base.layers is not None:
        return image.base.layers
    return 1 if len(image.layers) > 1 else 0


def _legend(image: ImageReport, hues: list[str]) -> Iterable[tuple[str, str]]:
    below = _below(image)
    if below:
        known = image.base.layers is not None
        yield "base", "layers of the base" if known else "lowest layer (base not recognised)"
    if own := min(len(hues) - below, _HUES):
        for number in range(own):
            rest = range(below + number, len(hues), _HUES)
            yield f"h{number}", f"layer {', '.join(map(str, rest[:3]))}" + "…" * (len(rest) > 3)
    yield "waste", "waste: shipped, but removed or replaced by a later layer"


def _bar(layer: LayerRow, hues: list[str], largest: int) -> list[tuple[float, str]]:
    """Shares of the largest layer: what is used, then what is waste."""
    wasted = min(layer.wasted, layer.tar_size)
    used = layer.tar_size - wasted
    return [(100 * used / largest, hues[layer.number]), (100 * wasted / largest, "waste")]


def _done(layer: LayerRow) -> str:
    return ", ".join(f"{count} {change}" for change, count in layer.changes.items())


def _base(image: ImageReport) -> str:
    base = image.base
    named = " ".join(part for part in (base.image, base.image_digest) if part)
    system = base.pretty_name or base.distribution
    return ", based on ".join(part for part in (system, named) if part)


def _verdicts(image: ImageReport) -> Iterable[tuple[str, str]]:
    if image.problems:
        yield "bad", f"{counted(len(image.problems), 'problem')}: {image.problems[0]}"
    unpacked = sum(layer.tar_size for layer in image.layers)
    waste = image.waste.size
    if unpacked and waste > _MUCH * unpacked:
        yield "warn", f"{human_size(waste)} of {human_size(unpacked)} unpacked bytes are waste"
    if image.anomalies:
        kinds = counted(len(image.anomalies), "kind of anomaly", "kinds of anomalies")
        names = ", ".join(one.kind for one in image.anomalies[:3])
        yield "warn", f"{kinds}: {names}" + ("…" if len(image.anomalies) > 3 else "")
    elif not image.problems and waste <= _MUCH * unpacked:
        yield "good", "No anomalies, little or no waste"


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


def _config(image: ImageReport) -> Iterable[tuple[str, list[str]]]:
    for key, value in image.config.items():
        if isinstance(value, dict):
            yield from ((f"{key} {name}", [str(each)]) for name, each in value.items())
        elif isinstance(value, (list, tuple)):
            yield key, list(map(str, value))
        elif value:
            yield key, [str(value)]
    yield from ((f"annotation {name}", [each]) for name, each in image.annotations.items())
