"""A recipe as the file of a build: ``# syntax=REGISTRY/homeport`` in its first line.

BuildKit starts the image ``homeport`` as the frontend, without arguments and without a network.
It reads recipe and lockfile, names every package as a source of the engine with its hash, and
lets the engine run one step of the same image that puts them together. Several platforms need no
emulator. Layers are written by BuildKit: their digests are not those of ``homeport build``
(docs/buildkit.md, "A recipe as the file of a build").

Not for parts, nor for files of other images: those need an engine of ``homeport build``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.buildkit.protocol.gateway import CONFIG
from homeport.errors import Faults, HomeportError
from homeport.frontend.bridge import (
    Attestation,
    Attestations,
    Bridge,
    Empty,
    Ref,
    RefMap,
    Result,
    connect,
)
from homeport.frontend.graph import CONFIG_FILE, OWN_IMAGE, SBOM_FILE, assemble_graph
from homeport.frontend.options import Options, read_options
from homeport.frontend.recipe_folder import (
    chosen_platforms,
    fetch_recipe,
    find_lockfile,
    refuse_what_needs_more,
)
from homeport.frontend.subrequests import answer
from homeport.oci.platform import Platform
from homeport.printable import output_text, printable
from homeport.sbom import spdx


def main(arguments: Sequence[str]) -> int:
    """The process of the image ``homeport`` when an engine starts it."""
    if arguments:
        # 250 ms that the frontend saves
        from homeport.frontend.assemble import assemble

        try:
            assemble(arguments[1])
        except HomeportError as error:
            print(output_text(error_text(error)), file=sys.stderr)
            return 1
        return 0
    bridge = connect()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bridge.give(build(bridge, read_options(os.environ), Path(folder)))
    except HomeportError as error:
        bridge.refuse(error_text(error))
    return 0


def build(bridge: Bridge, options: Options, folder: Path) -> Result:
    """The images of all platforms that were asked for, as the engine takes them."""
    recipe = fetch_recipe(bridge, options, folder)
    refuse_what_needs_more(recipe)
    platforms = chosen_platforms(recipe, options)
    lockfile = find_lockfile(recipe)
    if options.request:
        return answer(options.request, recipe)
    own = OWN_IMAGE.read_bytes()
    refs: dict[str, Ref] = {}
    metadata: dict[str, bytes] = {}
    attestations: dict[str, Attestations] = {}
    several = options.multiple or len(platforms) > 1
    for platform in platforms:
        graph = assemble_graph(recipe, lockfile, platform, options, own)
        name = str(platform)
        refs[name] = bridge.solve(graph.root)
        about = bridge.solve(graph.about)
        key = f"{CONFIG}/{name}" if several else CONFIG
        metadata[key] = one_layer(bridge.read_file(about, CONFIG_FILE))
        if options.sbom:
            attestations[name] = _sbom(about)
    if not several:
        return Result(ref=next(iter(refs.values())), metadata=metadata, attestations=attestations)
    metadata["refs.platforms"] = msgspec.json.encode(
        {"Platforms": [{"ID": str(each), "Platform": _as_go(each)} for each in platforms]}
    )
    return Result(refs=RefMap(refs=refs), metadata=metadata, attestations=attestations)


def one_layer(config: bytes) -> bytes:
    """A config whose layers BuildKit fills in: it writes one layer, by its own rules."""
    found: dict[str, Any] = msgspec.json.decode(config)
    found["rootfs"] = {"type": "layers", "diff_ids": []}
    found["history"] = found.get("history", [])[:1]
    return msgspec.json.encode(found)


def error_text(error: HomeportError) -> str:
    """What went wrong with file and line: one line for each fault, then what to do."""
    faults = error.faults if isinstance(error, Faults) else (error,)
    lines = []
    for fault in faults:
        where = fault.where
        place = ":".join(str(where[key]) for key in ("file", "line", "column") if key in where)
        named = place and not fault.what.startswith(str(where.get("file", "\0")))
        lines.append(f"{place}: {fault.what}" if named else fault.what)
        if fault.hint:
            lines.append(f"  hint: {fault.hint}")
    if error.hint and isinstance(error, Faults):
        lines.append(f"  hint: {error.hint}")
    return "\n".join(printable(line) for line in lines)


def _sbom(about: Ref) -> Attestations:
    """The bill of the step, as BuildKit's own scanner would give it: no scanner is run."""
    one = Attestation(
        metadata={"reason": b"sbom", "sbom-core": b"sbom"}, ref=about, path=f"/{SBOM_FILE}",
        predicate_type=spdx.PREDICATE_TYPE, subjects=(Empty(),),
    )  # fmt: skip
    return Attestations(attestation=(one,))


def _as_go(platform: Platform) -> dict[str, str]:
    found = {"architecture": platform.architecture, "os": platform.os}
    return {**found, "variant": platform.variant} if platform.variant else found
