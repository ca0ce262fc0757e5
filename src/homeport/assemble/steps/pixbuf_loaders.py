"""loaders.cache of gdk-pixbuf: which loader reads which picture, when it is in the image.

Without the file only the formats that are built into the library are read (PNG, JPEG), so no
SVG, GIF, WebP or BMP. ``gdk-pixbuf-query-loaders`` runs each loader; the answers of Debian's
loaders are the same on every architecture and are recorded in ``pixbuf_loaders.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from homeport.assemble import system
from homeport.assemble.steps.step import Step, View, text_file
from homeport.debian.architecture import TRIPLET_OF
from homeport.printable import path_text
from homeport.tree.node import Node

PACKAGE = "libgdk-pixbuf-2.0-0"
_VERSION = re.compile(r"(?:\d+:)?([0-9.]+)")
_HEAD = (
    "# GdkPixbuf Image Loader Modules file\n"
    "# Automatically generated file, do not edit\n"
    "# Created by gdk-pixbuf-query-loaders from gdk-pixbuf-{version}\n"
    "#\n"
)


def run(view: View) -> Mapping[bytes, Node]:
    package = next((each for each in view.packages if each.name == PACKAGE), None)
    folder = b"usr/lib/%b/gdk-pixbuf-2.0/2.10.0/" % TRIPLET_OF[view.plan.architecture].encode()
    place = folder + b"loaders.cache"
    loaders = sorted(
        path for path in view.nodes if path.startswith(folder + b"loaders/") and path[-3:] == b".so"
    )
    if package is None or not loaders or place in view.nodes:
        return {}
    version = _VERSION.match(package.contents.id.version)
    text = _HEAD.format(version=version[1] if version else "2.0")
    for path in loaders:
        answer = _answers().get(path.rpartition(b"/")[2].decode("utf-8", "replace"))
        if answer is None:
            view.warn(
                f"gdk-pixbuf does not load {path_text(path)}, because Homeport does not know which"
                " image formats it reads; if the image needs it, add to the recipe: files: [{to:"
                f" {path_text(place)}, from: FILE}}] with the output of gdk-pixbuf-query-loaders"
            )
        else:
            text += f'"{path_text(path)}"\n{answer}\n'
    return {place: text_file("pixbuf-loaders", f"{text}\n".encode(), view.plan.mtime)}


STEP = Step(
    name="pixbuf-loaders",
    about="loaders.cache of gdk-pixbuf, if that is in the image",
    reads=("/usr/lib/*/gdk-pixbuf-2.0/2.10.0/loaders/*.so",),
    writes=("/usr/lib/*/gdk-pixbuf-2.0/2.10.0/loaders.cache",),
    run=run,
)


@cache
def _answers() -> Mapping[str, str]:
    file = Path(system.__path__[0]) / "pixbuf_loaders.yaml"
    return msgspec.yaml.decode(file.read_bytes(), type=dict[str, str])
