"""Binaries and their origin as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from homeport.inspection.binaries.facts import BinaryFacts, Packer
from homeport.inspection.binaries.golang import GoFacts
from homeport.inspection.packages.provenance import Binary
from homeport.inspection.packages.verification import Verification
from homeport.printable import printable as safe
from homeport.quantities import counted, human_size

MOST_LINES = 12


def binary_text(binary: Binary, *, verbose: bool = False) -> str:
    """Everything about one binary, its verdict first."""
    facts = binary.facts
    rows = [
        ("Path", f"{binary.path}  ({human_size(binary.size)}, layer {binary.layer})"),
        ("Verdict", binary.verdict),
        ("Package", binary.package),
        ("Missing", ", ".join(binary.missing)),
        *_format(facts),
        *_go(facts.go, verbose),
        *_rust(facts, verbose),
        *_script(facts),
        ("Repositories", ", ".join(facts.repositories[:5])),
        ("Problem", facts.problem),
    ]
    return "\n".join(f"{name:<13} {safe(text)}".rstrip() for name, text in rows if text)


def binaries_text(binaries: Iterable[Binary], *, verbose: bool = False) -> str:
    """One line for each binary; those identical to their package's are only counted."""
    lines: list[str] = []
    verified = 0
    for binary in binaries:
        if binary.matches and not binary.missing and not verbose:
            verified += 1
            continue
        missing = f"  missing {', '.join(binary.missing)}" if binary.missing else ""
        kind = " ".join(
            part
            for part in (binary.facts.format, binary.facts.linking, binary.facts.language)
            if part
        )
        lines.append(f"{safe(binary.path)}  [{safe(kind)}]  {safe(binary.verdict)}{safe(missing)}")
    if verified:
        lines.append(
            f"{counted(verified, 'binary', 'binaries')} identical to the package's (list with -v)"
        )
    return "\n".join(lines) or "no programs or libraries"


def verification_text(found: Verification, *, verbose: bool = False) -> str:
    """Changed and missing files; those of no package are counted, or listed if ``verbose``."""
    lines = []
    unowned = 0
    for one in found.findings:
        if one.status == "unowned" and not verbose:
            unowned += 1
            continue
        layer = f" (layer {one.layer})" if one.layer is not None else ""
        kind = f" [{one.kind}]" if one.kind != "file" else ""
        lines.append(f"{one.status:<8} {safe(one.path)}{kind}  {safe(one.package)}{layer}".rstrip())
    if unowned:
        lines.append(f"{counted(unowned, 'file')} not in any package (list with -v)")
    changed = sum(one.status == "changed" for one in found.findings)
    lines.append(f"{counted(found.checked, 'file')} compared, {changed} changed")
    return "\n".join(lines)


def _format(facts: BinaryFacts) -> Iterator[tuple[str, str]]:
    words = [facts.format, facts.architecture, facts.linking]
    if facts.format == "ELF":
        words.append("stripped" if facts.stripped else "not stripped")
    yield "Format", ", ".join(word for word in words if word)
    if facts.packer is not None:
        yield "Packed", _packer(facts.packer)
    yield "Language", facts.language
    yield "Compiler", facts.compiler
    yield "Distribution", facts.distribution
    yield "C library", facts.libc
    yield "Interpreter", facts.interpreter
    yield "Needed", " ".join(facts.needed)
    yield "Soname", facts.soname
    yield "Run path", ":".join(facts.runpath)
    yield "Build ID", facts.build_id
    yield "Bundle", facts.bundle


def _packer(packer: Packer) -> str:
    text = " ".join(part for part in (packer.name, packer.version, packer.method) if part)
    if packer.unpacked_size:
        text += f", unpacked to {human_size(packer.unpacked_size)} without running it"
    return text + (f": {packer.problem}" if packer.problem else "")


def _go(go: GoFacts | None, verbose: bool) -> Iterator[tuple[str, str]]:
    if go is None:
        return
    yield "Go", go.version or go.note
    yield "Main package", go.main + (f"  (by {go.main_evidence})" if go.main_evidence else "")
    if go.module is not None:
        yield "Module", f"{go.module.path} {go.module.version}".strip()
    if go.revision:
        modified = ", modified" if go.modified else ""
        yield "Revision", f"{go.vcs} {go.revision} of {go.revision_time}{modified}"
    yield "Source", go.source
    yield "GOROOT", f"{go.goroot}  ({go.goroot_origin})" if go.goroot_origin else go.goroot
    yield (
        "Settings",
        " ".join(
            f"{key}={value}" for key, value in go.settings.items() if not key.startswith("vcs")
        ),
    )
    modules = [
        f"{one.path} {one.version}" + (f" => {one.replaced_by}" if one.replaced_by else "")
        for one in go.dependencies
    ]
    yield from _list("Modules", modules, verbose)
    yield from _list("Packages", list(go.packages), verbose)


def _rust(facts: BinaryFacts, verbose: bool) -> Iterator[tuple[str, str]]:
    rust = facts.rust
    if rust is not None:
        crates = [f"{crate.name} {crate.version}" for crate in rust.crates]
        yield from _list(
            f"Crates ({rust.crates_evidence})" if crates else "Crates", crates, verbose
        )


def _script(facts: BinaryFacts) -> Iterator[tuple[str, str]]:
    script = facts.script
    if script is not None:
        yield "Interpreter", f"{script.interpreter} {script.arguments}".strip()
        yield "Main", script.main
        yield "Contains", " ".join(script.modules[:20])


def _list(name: str, items: list[str], verbose: bool) -> Iterator[tuple[str, str]]:
    shown = items if verbose else items[:MOST_LINES]
    for number, item in enumerate(shown):
        yield name if number == 0 else "", item
    if len(items) > len(shown):
        yield "", f"and {len(items) - len(shown)} more (list all with -v)"
