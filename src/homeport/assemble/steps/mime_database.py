"""/usr/share/mime: what knows a file's type by its name or content, when shared-mime-info is there.

GLib asks it, and with it gdk-pixbuf: without the database no picture is recognised at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.content.blob import read_verified
from homeport.printable import yaml_word
from homeport.tree.node import Node

PACKAGE = "shared-mime-info"
_FOLDER = b"usr/share/mime/"
_SOURCES = _FOLDER + b"packages/"
_UPSTREAM = re.compile(r"(?:\d+:)?([0-9.]+)")
_LARGEST = 16 << 20  # bytes of one file; freedesktop.org's has 2.4 MB


def run(view: View) -> Mapping[bytes, Node]:
    package = next((each for each in view.packages if each.name == PACKAGE), None)
    files: dict[str, bytes] = {}
    for path, node in view.nodes.items():
        name = path.removeprefix(_SOURCES).decode("utf-8", "replace")
        source = path.startswith(_SOURCES) and "/" not in name and name.endswith(".xml")
        if source and node.content is not None:
            files[name] = read_verified(node.content, _LARGEST, name)
    if package is None or not files or _FOLDER + b"mime.cache" in view.nodes:
        return {}

    # 22 ms that a build without shared-mime-info saves.
    from homeport.assemble.system.mime_database import database
    from homeport.assemble.system.mime_types import read_mime_types

    def fault(name: str, why: str) -> None:
        path = f"/{_SOURCES.decode()}{name}"
        view.warn(
            f"{path} was read in part only: {why}; to leave it out, exclude: [{yaml_word(path)}]"
        )

    version = _UPSTREAM.match(package.contents.id.version)
    made = {
        _FOLDER + path.encode(): text_file("mime-database", data, view.plan.mtime)
        for path, data in database(read_mime_types(files, fault), version[1] if version else "")
    }
    return {path: node for path, node in made.items() if path not in view.nodes}


STEP = Step(
    name="mime-database",
    about="/usr/share/mime, if shared-mime-info is in the image",
    reads=(f"/{_SOURCES.decode()}*.xml",),
    writes=(f"/{_FOLDER.decode()}**",),
    run=run,
)
