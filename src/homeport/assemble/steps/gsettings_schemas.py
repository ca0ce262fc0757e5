"""gschemas.compiled: without it a program of GLib finds no setting, not even a default, and ends.

Made where an image has schemas; what ``glib-compile-schemas`` makes when GLib is installed.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.content.blob import read_verified
from homeport.printable import yaml_word
from homeport.tree.node import Node

_FOLDER = b"usr/share/glib-2.0/schemas/"
_COMPILED = _FOLDER + b"gschemas.compiled"
_SCHEMA = ".gschema.xml"
_READ = (_SCHEMA, ".enums.xml", ".gschema.override")
_LARGEST = 4 << 20  # bytes of one file


def run(view: View) -> Mapping[bytes, Node]:
    files: dict[str, bytes] = {}
    for path, node in view.nodes.items():
        name = path.removeprefix(_FOLDER).decode("utf-8", "replace")
        ends = name.endswith(_READ)
        if path.startswith(_FOLDER) and "/" not in name and ends and node.content is not None:
            files[name] = read_verified(node.content, _LARGEST, name)
    if not any(name.endswith(_SCHEMA) for name in files) or _COMPILED in view.nodes:
        return {}

    # 14 ms that a build without schemas saves.
    from homeport.assemble.system.gsettings import compile_schemas

    def fault(name: str, why: str) -> None:
        path = f"/{_FOLDER.decode()}{name}"
        view.warn(f"{path} was not compiled: {why}; to leave it out, exclude: [{yaml_word(path)}]")

    data = compile_schemas(files, fault)
    return {_COMPILED: text_file("gsettings-schemas", data, view.plan.mtime)}


STEP = Step(
    name="gsettings-schemas",
    about="/usr/share/glib-2.0/schemas/gschemas.compiled, if an image has schemas",
    reads=(f"/{_FOLDER.decode()}*",),
    writes=(f"/{_COMPILED.decode()}",),
    run=run,
)
