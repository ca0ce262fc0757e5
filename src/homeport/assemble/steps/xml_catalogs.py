"""/etc/xml: which file is meant by the name of a DTD or schema, as ``update-xmlcatalog`` writes it.

Without it xsltproc and xmllint look for DocBook's DTD in the network.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.assemble.system.paths import ImagePaths
from homeport.debian.scripts.effects import AddCatalogEntry
from homeport.tree.node import Node

_FOLDER = b"etc/xml/"
#: Of xml-core: what stands before and after the entries.
_AROUND = ("/usr/share/xml-core/catalog.header", "/usr/share/xml-core/catalog.footer")


def run(view: View) -> Mapping[bytes, Node]:
    if view.system is None:
        return {}
    catalogs: dict[str, dict[str, str]] = {}
    for effect in view.system.effects:
        if isinstance(effect, AddCatalogEntry):
            # Of two entries for one name the first counts, as there.
            catalogs.setdefault(effect.catalog, {}).setdefault(effect.key, effect.target)
    paths = ImagePaths(view.nodes)
    header, footer = (paths.text_of(path) for path in _AROUND)
    made: dict[bytes, Node] = {}
    for name, entries in sorted(catalogs.items()):
        place = _FOLDER + name.encode("utf-8", "surrogateescape")
        if header is not None and footer is not None and place not in view.nodes:
            ordered = sorted(entries.items(), key=lambda e: e[0].encode("utf-8", "replace"))
            lines = "".join(f'<{key} catalog="{target}"/>\n' for key, target in ordered)
            data = (header + lines + footer).encode("utf-8", "surrogateescape")
            made[place] = text_file("xml-catalogs", data, view.plan.mtime)
    return made


STEP = Step(
    name="xml-catalogs",
    about="/etc/xml/*, if packages register DTDs and schemas",
    reads=_AROUND,
    writes=(f"/{_FOLDER.decode()}*",),
    run=run,
)
