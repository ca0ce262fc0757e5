"""A report of ``inspect`` as text; names from the image are made printable."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from homeport.cli.screen import PLAIN, Column, Screen
from homeport.inspection.model import (
    ImageReport,
    InspectReport,
    LayerRow,
    Package,
    Waste,
    time_text,
)
from homeport.printable import printable as safe
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.inspection.image.file_listing import FileRow
    from homeport.inspection.report.policy import RuleResult

MOST_PACKAGES = 40
MOST_WASTE = 15
MOST_EXAMPLES = 5
_MANY = 3  # signatures with one verdict, told in one line
_COMMAND = 90


_WASTE = (
    Column(name="size", right=True),
    Column(name="cause", drop=1),
    Column(name="layers"),
    Column(name="path", least=24),
)
_RULES = (
    Column(name="result"),
    Column(name="rule"),
    Column(name="limit", least=12),
    Column(name="found", least=16),
)
_PLATFORMS = (
    Column(name=""),
    Column(name="platform"),
    Column(name="size", right=True),
    Column(name="layers", right=True, drop=1),
    Column(name="digest"),
    Column(name="config differs", least=20, drop=2),
)
_LAYERS = (
    Column(name="", right=True),
    Column(name="size", right=True),
    Column(name="unpacked", right=True, drop=2),
    Column(name="codec", drop=3),
    Column(name="paths", right=True, drop=1),
    Column(name="waste", right=True),
    Column(name="command", least=16),
)
_PACKAGES = (
    Column(name="manager", drop=1),
    Column(name="name", least=16),
    Column(name="version", least=12),
    Column(name="arch", drop=2),
)
_ATTACHED = (
    Column(name="kind"),
    Column(name="type", least=20),
    Column(name="size", right=True, drop=2),
    Column(name="digest"),
    Column(name="found as", drop=1),
)


def report_text(report: InspectReport, screen: Screen = PLAIN, *, verbose: bool = False) -> str:
    """The complete report, section by section, without empty sections, and what to do next."""
    image = report.image
    sections = [
        _head(report, screen),
        _platforms(report, screen),
        _config(image, screen),
        _layers(image, screen),
        _packages(image.packages, screen, verbose=verbose),
        _attached(image, screen),
        waste_text(image.waste, screen, most=len(image.waste.paths) if verbose else MOST_WASTE),
        _anomalies(image, screen, verbose=verbose),
        _problems(image, screen),
        _next(report, screen),
    ]
    return "\n\n".join(section for section in sections if section)


def waste_text(waste: Waste, screen: Screen = PLAIN, *, most: int) -> str:
    """Bytes that no longer reach the final tree, and dive's figures."""
    dive = waste.dive
    lines = [
        f"Waste: {human_size(waste.size)} unpacked, about {human_size(waste.compressed)} "
        "compressed",
        f"  in dive's figures: efficiency {dive.score:.2%}, wasted "
        f"{human_size(dive.wasted_bytes)}, {dive.user_wasted:.1%} above the base",
    ]
    lines += [f"  {human_size(size):>10}  {cause}" for cause, size in waste.by_cause.items()]
    if waste.paths and most:
        rows = [
            (
                human_size(one.size),
                one.cause,
                f"{one.shipped_in}→{one.unused_since}",
                safe(one.path),
            )
            for one in waste.paths[:most]
        ]
        lines.append(screen.table(_WASTE, rows, indent=2))
        if len(waste.paths) > most:
            lines.append(f"  and {len(waste.paths) - most} more (list all with --waste)")
    return "\n".join(lines)


def rules_text(checked: Sequence[RuleResult], screen: Screen = PLAIN) -> str:
    """One row per rule, and how many passed."""
    rows = [
        (("ok", "good") if one.passed else ("FAILED", "bad"), one.rule, safe(one.limit),
         safe(one.found))
        for one in checked
    ]  # fmt: skip
    passed = sum(one.passed for one in checked)
    return f"{screen.table(_RULES, rows)}\n{passed} of {counted(len(checked), 'rule')} passed"


def files_text(rows: Iterable[FileRow], *, by_size: bool = False) -> Iterator[str]:
    """One line per path, as ``ls -l`` prints it, after its layer."""
    if by_size:
        rows = sorted(rows, key=lambda row: (-row.size, row.path))
    for row in rows:
        yield file_line(row)
        for event in row.events:
            by = f" with {safe(event.by)}" if event.by else ""
            yield f"      layer {event.layer}: {event.change}{by}"


def file_line(row: FileRow) -> str:
    arrow = {"symlink": " → ", "hardlink": " = "}.get(row.kind, "")
    change = f"{_SIGNS[row.change]} " if row.change else ""
    wasted = f"  [wastes {human_size(row.wasted)} in lower layers]" if row.wasted else ""
    by = f"  (with {safe(row.by)})" if row.by else ""
    return (
        f"{change}{row.layer:>3}  {_mode(row)} {row.uid:>5}:{row.gid:<5} {row.size:>11} "
        f"{time_text(row.mtime)} {safe(row.path)}{arrow}{safe(row.target)}{by}{wasted}"
    )


_SIGNS = {
    "added": "+", "changed": "~", "metadata": "m", "rewritten": "=", "removed": "-",
    "hidden": "-", "replaced": "-",
}  # fmt: skip
_LETTERS = {
    "file": "-", "directory": "d", "symlink": "l", "hardlink": "h", "char": "c", "block": "b",
    "fifo": "p",
}  # fmt: skip


def _mode(row: FileRow) -> str:
    mode = int(row.mode, 8)
    text = "".join(
        letter if mode & 1 << (8 - place) else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    for bit, place, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if mode & bit:
            letter = letter if text[place] == "x" else letter.upper()  # noqa: PLW2901
            text = text[:place] + letter + text[place + 1 :]
    return _LETTERS[row.kind] + text


def _head(report: InspectReport, screen: Screen) -> str:
    image = report.image
    base, age, sizes = image.base, image.age, image.sizes
    system = base.pretty_name or " ".join(
        part for part in (base.distribution, base.version) if part
    )
    if base.version and base.version not in system:
        system += f" ({base.version})"
    if base.libc:
        system = f"{system or 'no os-release file'}, {base.libc}"
    lines = [
        ("Image", safe(report.address)),
        ("Digest", report.digest),
        ("Shown", f"{image.platform}  {screen.digest(image.digest)}"),
        ("System", safe(system) or "unknown (no os-release file)"),
        ("Base", _base(image)),
        (
            "Size",
            f"{human_size(sizes.compressed)} compressed, {human_size(sizes.files)} in "
            f"{counted(sizes.paths, 'path')}, {counted(len(image.layers), 'layer')}",
        ),
        ("Created", safe(age.created) or "not recorded"),
        ("Newest file", f"{age.newest_file} {safe(age.newest_file_path)}".strip()),
        ("Newest package", safe(age.newest_package)),
        *(("", note) for note in age.notes),
    ]
    return "\n".join(
        f"{screen.styled(name, 'title')}{' ' * (14 - len(name))} {text}".rstrip()
        for name, text in lines
        if text
    )


def _base(image: ImageReport) -> str:
    base = image.base
    text = " ".join(part for part in (base.image, base.image_digest) if part)
    if base.layers is not None:
        text += f" (lowest {counted(base.layers, 'layer')})"
    evidence = ", ".join(base.evidence)
    return safe(f"{text or 'unknown'}" + (f"; according to {evidence}" if evidence else ""))


def _platforms(report: InspectReport, screen: Screen) -> str:
    if len(report.platforms) < 2:
        return ""
    rows = [
        (
            "*" if row.shown else "", row.platform, human_size(row.size), str(row.layers),
            row.digest, safe("; ".join(row.differs)),
        )
        for row in report.platforms
    ]  # fmt: skip
    return f"{screen.styled('Platforms', 'title')}\n{screen.table(_PLATFORMS, rows, indent=2)}"


def _config(image: ImageReport, screen: Screen) -> str:
    lines = []
    for key, value in image.config.items():
        if isinstance(value, dict):
            lines += [
                f"{key}  {name}" + (f" = {each}" if each else "") for name, each in value.items()
            ]
        elif isinstance(value, (list, tuple)):
            if key in ("Env", "env"):
                lines += [f"{key}  {each}" for each in value]
            else:
                lines.append(f"{key}  {' '.join(map(repr, value))}")
        elif value:
            lines.append(f"{key}  {value}")
    lines += [f"annotation  {name} = {each}" for name, each in image.annotations.items()]
    title = screen.styled("Config", "title")
    return "\n".join([title, *(f"  {safe(line)}" for line in lines)]) if lines else ""


def _layers(image: ImageReport, screen: Screen) -> str:
    rows = [_layer(layer) for layer in image.layers]
    lines = [screen.styled("Layers", "title"), screen.table(_LAYERS, rows, indent=2)]
    lines += [
        f"  layer {layer.number}: {safe(one)}" for layer in image.layers for one in layer.anomalies
    ]
    empty = [entry for entry in image.history if entry.layer is None]
    if empty:
        lines.append("  history entries without a layer:")
        lines += [f"    {safe(_short(entry.command))}" for entry in empty]
    return "\n".join(lines)


def _layer(layer: LayerRow) -> tuple[str, ...]:
    changes = layer.changes
    changed = sum(changes.get(word, 0) for word in ("changed", "metadata", "rewritten"))
    gone = sum(changes.get(word, 0) for word in ("removed", "hidden", "replaced"))
    return (
        str(layer.number), human_size(layer.size), human_size(layer.tar_size), layer.codec,
        f"+{changes.get('added', 0)} ~{changed} -{gone}",
        human_size(layer.wasted) if layer.wasted else "",
        safe(_short(layer.command)) or f"{layer.digest[:19]}…",
    )  # fmt: skip


def _packages(packages: tuple[Package, ...], screen: Screen, *, verbose: bool) -> str:
    if not packages:
        return "Packages\n  none recorded in a package database"
    counts: dict[str, int] = {}
    for package in packages:
        counts[package.manager] = counts.get(package.manager, 0) + 1
    managers = ", ".join(f"{count} {name}" for name, count in counts.items())
    shown = packages if verbose else packages[:MOST_PACKAGES]
    rows = [
        (one.manager, safe(one.name), safe(one.version), safe(one.architecture)) for one in shown
    ]
    title = screen.styled(f"Packages ({managers})", "title")
    lines = [title, screen.table(_PACKAGES, rows, indent=2)]
    if len(packages) > len(shown):
        lines.append(f"  and {len(packages) - len(shown)} more (list all with -v)")
    return "\n".join(lines)


def _attached(image: ImageReport, screen: Screen) -> str:
    if not image.attached:
        return "Attached\n  no SBOM, provenance or signature found"
    rows = [
        (
            one.kind,
            safe(one.type),
            human_size(one.size) if one.size else "-",
            one.digest,
            one.found_as,
        )
        for one in image.attached
    ]
    lines = [screen.styled("Attached", "title"), screen.table(_ATTACHED, rows, indent=2)]
    verdicts: dict[str, list[str]] = {}
    for one in image.attached:
        if one.verdict:
            verdicts.setdefault(safe(one.verdict), []).append(screen.digest(one.digest))
    for verdict, digests in verdicts.items():
        told = digests if len(digests) < _MANY else [counted(len(digests), "signature")]
        lines += [f"  {each}: {verdict}" for each in told]
    return "\n".join(lines)


def _anomalies(image: ImageReport, screen: Screen, *, verbose: bool) -> str:
    lines = []
    for anomaly in image.anomalies:
        lines.append(f"  {screen.styled(f'{anomaly.count} × {anomaly.kind}', 'changed')}")
        shown = anomaly.examples if verbose else anomaly.examples[:MOST_EXAMPLES]
        lines += [f"      {safe(one)}" for one in shown]
        if anomaly.count > len(shown):
            lines.append(f"      and {anomaly.count - len(shown)} more")
    return "\n".join([screen.styled("Anomalies", "title"), *lines]) if lines else ""


def _problems(image: ImageReport, screen: Screen) -> str:
    return (
        "\n".join(
            [screen.styled("Problems", "title"), *(f"  {safe(one)}" for one in image.problems)]
        )
        if image.problems
        else ""
    )


def _short(command: str) -> str:
    command = " ".join(command.split())
    return command if len(command) <= _COMMAND else command[: _COMMAND - 1] + "…"


def _next(report: InspectReport, screen: Screen) -> str:
    """On a terminal, a command for what the report only counts."""
    if screen.width is None:
        return ""
    command = f"homeport inspect {safe(shlex.quote(report.address))} --files"
    return f"Next: {command}   # or --waste, --binaries, --verify, --interactive"
