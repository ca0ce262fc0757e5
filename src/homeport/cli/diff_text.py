"""A comparison of images as text: packages first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from homeport.cli.show import table
from homeport.printable import printable as safe
from homeport.quantities import counted, human_size

if TYPE_CHECKING:  # 40 ms that --help and a usage error save
    from homeport.inspection.report.compare_images import Comparison
    from homeport.inspection.report.diffing import FileDiff, ImageDiff, PackageDiff

MOST_FILES = 60
_SIGNS = {
    "added": "+", "removed": "-", "upgraded": "↑", "downgraded": "↓", "changed": "~",
    "content": "~", "kind": "~", "target": "~", "metadata": "m", "time": "t",
}  # fmt: skip


def comparison_text(found: Comparison, *, verbose: bool = False) -> str:
    """The complete comparison; equal platforms take one line."""
    parts = []
    for word, platforms in (
        (f"only in {found.before}", found.only_before),
        (f"only in {found.after}", found.only_after),
    ):
        if platforms:
            parts.append(f"{safe(word)}: {', '.join(platforms)}")
    if found.equal:
        parts.append(f"identical: {', '.join(found.equal) or 'the image'}")
    for image in found.images:
        parts.append(_image(image, verbose))
    return "\n\n".join(parts)


def _image(image: ImageDiff, verbose: bool) -> str:
    platform = image.platform_before or "image"
    if image.platform_after != image.platform_before:
        platform += f" and {image.platform_after}"
    layers = image.layers
    head = (
        f"{platform}: {human_size(image.size_before)} → {human_size(image.size_after)} "
        f"({image.size_after - image.size_before:+d} bytes), layers {layers.before} → "
        f"{layers.after}, lowest {layers.shared} shared"
    )
    sections = [head]
    if image.same:
        times = (
            f", except the times of {counted(image.time_only, 'path')}" if image.time_only else ""
        )
        sections.append(f"  no differences in packages, config and files{times}")
    if image.packages:
        sections.append("  packages\n" + _packages(image.packages))
    if image.config:
        lines = [
            f"    {safe(one.field)}: {_value(one.before)} → {_value(one.after)}"
            for one in image.config
        ]
        sections.append("  config\n" + "\n".join(lines))
    if image.files:
        sections.append(_files(image, verbose))
    return "\n".join(sections)


def _packages(packages: tuple[PackageDiff, ...]) -> str:
    rows = [
        (
            f"    {_SIGNS[one.change]}", one.manager, safe(one.name), safe(one.before) or "-",
            safe(one.after) or "-",
        )
        for one in packages
    ]  # fmt: skip
    return table(("    ", "", "", "before", "after"), rows)


def _files(image: ImageDiff, verbose: bool) -> str:
    counts: dict[str, int] = {}
    for one in image.files:
        counts[one.change] = counts.get(one.change, 0) + 1
    changes = ", ".join(f"{count} {change}" for change, count in counts.items())
    times = f"; {image.time_only} differ only in time" if image.time_only else ""
    lines = [f"  files ({changes}{times})"]
    by_package: dict[str, list[FileDiff]] = {}
    for one in image.files:
        by_package.setdefault(one.package, []).append(one)
    left = len(image.files) if verbose else MOST_FILES
    for package, rows in sorted(by_package.items()):
        if left <= 0:
            break
        lines.append(f"    {safe(package) or 'in no package'}")
        for row in rows[:left]:
            lines += _file(row)
        left -= len(rows)
    if left < 0:
        lines.append(f"    and {-left} more (list all with -v)")
    return "\n".join(lines)


def _file(row: FileDiff) -> list[str]:
    delta = row.size_after - row.size_before
    facts = f"  {'; '.join(row.facts)}" if row.facts else ""
    size = f"  {delta:+d} bytes" if delta else ""
    lines = [f"      {_SIGNS[row.change]} {safe(row.path)}{size}{safe(facts)}"]
    return lines + [f"          {safe(line[:200])}" for line in row.text]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return safe(text)
