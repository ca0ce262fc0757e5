"""A comparison of images as text: packages first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from homeport.cli.screen import PLAIN, Column, Screen
from homeport.printable import printable as safe
from homeport.quantities import counted, human_size

if TYPE_CHECKING:  # 40 ms that --help and a usage error save
    from homeport.inspection.report.compare_images import Comparison
    from homeport.inspection.report.diffing import FileDiff, ImageDiff, PackageDiff
    from homeport.inspection.report.diffing_sboms import SbomDiff, SbomSide

MOST_FILES = 60
MOST_DISAGREEMENTS = 20
_SIGNS = {
    "added": "+", "removed": "-", "upgraded": "↑", "downgraded": "↓", "changed": "~",
    "content": "~", "kind": "~", "target": "~", "metadata": "m", "time": "t",
}  # fmt: skip


_STYLES = {"added": "added", "removed": "removed"}
_PACKAGES = (
    Column(name=""),
    Column(name="manager", drop=1),
    Column(name="package", least=16),
    Column(name="before", least=12),
    Column(name="after", least=12),
)
_LICENSES = (
    Column(name="package", least=16),
    Column(name="before", least=12),
    Column(name="after", least=12),
)
_DISAGREEMENTS = (
    Column(name="manager", drop=1),
    Column(name="package", least=16),
    Column(name="SBOM", least=12),
    Column(name="image", least=12),
)
_FORMS = {"spdx": "SPDX", "cyclonedx": "CycloneDX"}
_PLACES = {
    "index": "in the index", "bundle": "attested", "tag": "attested by a tag",
    "referrer": "attached",
}  # fmt: skip


def comparison_text(found: Comparison, screen: Screen = PLAIN, *, verbose: bool = False) -> str:
    """The complete comparison; equal platforms take one line."""
    parts = []
    for word, platforms in (
        (f"only in {found.before}", found.only_before),
        (f"only in {found.after}", found.only_after),
    ):
        if platforms:
            parts.append(f"{safe(word)}: {', '.join(platforms)}")
    if found.equal:
        equal = ", ".join(found.equal) or "the image"
        parts.append(screen.styled(f"identical: {equal}", "good"))
    for image in found.images:
        parts.append(_image(image, screen, verbose=verbose))
    for sbom in found.sboms:
        parts.append(_sbom(sbom, screen, verbose=verbose))
    return "\n\n".join(parts)


def _image(image: ImageDiff, screen: Screen, *, verbose: bool) -> str:
    platform = image.platform_before or "image"
    if image.platform_after != image.platform_before:
        platform += f" and {image.platform_after}"
    layers = image.layers
    head = (
        f"{platform}: {human_size(image.size_before)} → {human_size(image.size_after)} "
        f"({_delta(image.size_after - image.size_before)}), layers {layers.before} → "
        f"{layers.after}, lowest {layers.shared} shared"
    )
    sections = [screen.styled(head, "title")]
    if image.same:
        times = (
            f", except the times of {counted(image.time_only, 'path')}" if image.time_only else ""
        )
        sections.append(f"  no differences in packages, config and files{times}")
    if image.packages:
        sections.append("  packages\n" + _packages(image.packages, screen))
    if image.config:
        lines = [
            f"    {safe(one.field)}: {_value(one.before)} → {_value(one.after)}"
            for one in image.config
        ]
        sections.append("  config\n" + "\n".join(lines))
    if image.files:
        sections.append(_files(image, screen, verbose=verbose))
    return "\n".join(sections)


def _sbom(sbom: SbomDiff, screen: Screen, *, verbose: bool) -> str:
    platform = sbom.platform_before or "image"
    if sbom.platform_after != sbom.platform_before:
        platform += f" and {sbom.platform_after}"
    sides = (("before", sbom.before), ("after", sbom.after))
    head = ", ".join(f"{word}: {_side(side)}" for word, side in sides)
    sections = [screen.styled(f"{platform}: SBOM {head}", "title")]
    if not sbom.compared:
        sections.append("  not compared; packages above are those found in the images")
    elif sbom.same:
        sections.append("  no differences in packages and licenses")
    if sbom.packages:
        sections.append("  packages by SBOM\n" + _packages(sbom.packages, screen))
    if sbom.licenses:
        rows = [
            (safe(one.name), safe(one.before) or "not stated", safe(one.after) or "not stated")
            for one in sbom.licenses
        ]
        sections.append("  licenses by SBOM\n" + screen.table(_LICENSES, rows, indent=4))
    for word, side in sides:
        if side is not None and side.problem:
            sections.append(f"  warning: SBOM {word} not used: {safe(side.problem)}")
        if side is not None and side.disagreements:
            sections.append(_disagreements(word, side, screen, verbose=verbose))
    return "\n".join(sections)


def _side(side: SbomSide | None) -> str:
    if side is None:
        return "none"
    if not side.form:
        return "not usable"
    form = _FORMS[side.form]
    return f"{form}, {counted(side.packages, 'package')}, {_PLACES.get(side.found_as, 'attached')}"


def _disagreements(word: str, side: SbomSide, screen: Screen, *, verbose: bool) -> str:
    shown = side.disagreements if verbose else side.disagreements[:MOST_DISAGREEMENTS]
    rows = [
        (one.manager, safe(one.name), safe(one.listed) or "not listed",
         safe(one.found) or "not found")
        for one in shown
    ]  # fmt: skip
    count = counted(len(side.disagreements), "package")
    text = f"  warning: SBOM {word} and image disagree on {count}\n" + screen.table(
        _DISAGREEMENTS, rows, indent=4
    )
    left = len(side.disagreements) - len(shown)
    return f"{text}\n    and {left} more (list all with -v)" if left else text


def _packages(packages: tuple[PackageDiff, ...], screen: Screen) -> str:
    rows = [
        (
            (_SIGNS[one.change], _style(one.change)), one.manager, safe(one.name),
            safe(one.before) or "-", safe(one.after) or "-",
        )
        for one in packages
    ]  # fmt: skip
    return screen.table(_PACKAGES, rows, indent=4)


def _style(change: str) -> str:
    return _STYLES.get(change, "changed")


def _files(image: ImageDiff, screen: Screen, *, verbose: bool) -> str:
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
            lines += _file(row, screen)
        left -= len(rows)
    if left < 0:
        lines.append(f"    and {-left} more (list all with -v)")
    return "\n".join(lines)


def _file(row: FileDiff, screen: Screen) -> list[str]:
    delta = row.size_after - row.size_before
    facts = f"  {'; '.join(row.facts)}" if row.facts else ""
    size = f"  {_delta(delta)}" if delta else ""
    name = screen.styled(f"{_SIGNS[row.change]} {safe(row.path)}", _style(row.change))
    lines = [f"      {name}{size}{safe(facts)}"]
    return lines + [f"          {_text_line(line, screen)}" for line in row.text]


def _text_line(line: str, screen: Screen) -> str:
    style = {"+": "added", "-": "removed"}.get(line[:1], "")
    return screen.styled(safe(line[:200]), style)


def _delta(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{human_size(abs(size))}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return safe(text)
