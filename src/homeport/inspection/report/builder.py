"""Builds the report of one image."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec

from homeport.inspection.image.base_image import find_base
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import (
    Age,
    Attached,
    HistoryRow,
    ImageReport,
    LayerRow,
    Sizes,
    Waste,
    time_text,
)
from homeport.inspection.packages.compiled_packages import compiled_packages
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.report.anomalies import find_anomalies
from homeport.inspection.report.waste import find_waste
from homeport.layers.listing import Listing
from homeport.oci.documents import History as HistoryEntry
from homeport.printable import path_text

MOST_WASTE = 1000


def report_image(opened: OpenedImage, attached: tuple[Attached, ...] = ()) -> ImageReport:
    """The complete report of one image."""
    packages, problems = find_packages(opened)
    waste = find_waste(opened.history, most=MOST_WASTE)
    image = opened.image
    return ImageReport(
        platform=str(image.platform or opened.config.platform),
        digest=str(image.digest),
        media_type=image.document.media_type,
        config=_config(opened),
        annotations=dict(image.document.parsed.annotations),
        base=find_base(opened),
        sizes=sizes_of(opened),
        age=find_age(opened),
        history=history_rows(opened.config.history, opened.history.listings),
        layers=layers_of(opened, waste),
        packages=tuple(sorted({*packages, *compiled_packages(opened.programs)})),
        waste=waste,
        anomalies=tuple(find_anomalies(opened)),
        problems=(*problems, *opened.history.problems),
        attached=attached,
    )


def sizes_of(opened: OpenedImage) -> Sizes:
    history = opened.history
    return Sizes(
        compressed=sum(listing.size for listing in history.listings),
        tar=sum(listing.tar_size for listing in history.listings),
        files=sum(place.entry.size for place in history.final.values()),
        paths=len(history.final),
    )


def history_rows(
    history: tuple[HistoryEntry, ...], listings: tuple[Listing, ...]
) -> tuple[HistoryRow, ...]:
    """History entries with their layers, where their numbers match."""
    fits = sum(not step.empty_layer for step in history) == len(listings)
    rows = []
    made = 0
    for step in history:
        layer = made if fits and not step.empty_layer else None
        made += not step.empty_layer
        rows.append(
            HistoryRow(
                command=step.created_by, created=step.created, comment=step.comment,
                author=step.author, layer=layer,
                size=listings[layer].size if layer is not None else 0,
            )
        )  # fmt: skip
    return tuple(rows)


def layers_of(opened: OpenedImage, waste: Waste) -> tuple[LayerRow, ...]:
    listings = opened.history.listings
    by_layer = {
        row.layer: row
        for row in history_rows(opened.config.history, listings)
        if row.layer is not None
    }
    rows = []
    for number, listing in enumerate(listings):
        changes = Counter(str(change.action) for change in opened.history.changes[number])
        step = by_layer.get(number)
        wasted = waste.by_layer[number]
        rows.append(
            LayerRow(
                number=number, digest=listing.digest, diff_id=listing.diff_id,
                media_type=opened.descriptors[number].media_type, codec=listing.codec,
                size=listing.size, tar_size=listing.tar_size, entries=len(listing.entries),
                changes=dict(changes), wasted=wasted,
                wasted_compressed=round(wasted * listing.size / listing.tar_size)
                if listing.tar_size else 0,
                command=step.command if step else "", created=step.created if step else "",
                anomalies=listing.anomalies,
            )
        )  # fmt: skip
    return tuple(rows)


def find_age(opened: OpenedImage) -> Age:
    """Creation time, newest file, newest history entry; and which of them are fixed values."""
    notes = []
    newest, path = 0, b""
    times = set()
    for name, place in opened.history.final.items():
        entry = place.entry
        if entry.kind == "file" and entry.mtime not in times:
            times.add(entry.mtime)
            if entry.mtime > newest:
                newest, path = entry.mtime, name
    created = opened.config.created
    if _is_epoch(created):
        notes.append(
            f"the creation time ({created or 'not recorded'}) is a fixed value, not a date"
        )
    if len({moment // 10**9 for moment in times}) == 1 and len(opened.history.final) > 1:
        notes.append("all files have the same modification time, set by the build")
    elif newest and newest // 10**9 < 86400:
        notes.append("all files are dated 1970, set by the build")
    steps = sorted(step.created for step in opened.config.history if not _is_epoch(step.created))
    return Age(
        created=created,
        created_is_fixed=_is_epoch(created),
        newest_file=time_text(newest) if newest else "",
        newest_file_path=path_text(path) if newest else "",
        newest_history=steps[-1] if steps else "",
        newest_package=_newest_package(opened),
        notes=tuple(notes),
    )


def _newest_package(opened: OpenedImage) -> str:
    """The package whose list of files dpkg wrote last, and when."""
    folder, suffix = b"var/lib/dpkg/info/", b".list"
    found = [
        (opened.history.final[path].entry.mtime, path[len(folder) : -len(suffix)])
        for path in opened.metadata_paths
        if path.startswith(folder) and path.endswith(suffix)
    ]
    if not found:
        return ""
    moment, name = max(found)
    return f"{time_text(moment)} {name.decode('utf-8', 'replace')}"


def _is_epoch(created: str) -> bool:
    return not created or re.match(r"0001-|19[78]0-01-01", created) is not None


def _config(opened: OpenedImage) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(opened.config.config)
    return found
