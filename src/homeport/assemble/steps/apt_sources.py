"""/etc/apt/sources.list.d: the recipe's archives, for apt inside the image (sources.list(5)).

An archive of Debian is signed by the certificates of debian-archive-keyring, when the image
has them; one of a third party is written if the recipe puts its certificate at
/etc/apt/keyrings/NAME.asc, .gpg or .pgp. apt trusts nothing that is not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.recipe.entries import Archive
from homeport.tree.node import Node

_FOLDER = b"etc/apt/sources.list.d/"
_DEBIAN = {
    "debian": "http://deb.debian.org/debian",
    "debian-security": "http://deb.debian.org/debian-security",
}
#: The second is how the first was called before trixie.
_KEYRINGS = (
    "usr/share/keyrings/debian-archive-keyring.pgp",
    "usr/share/keyrings/debian-archive-keyring.gpg",
)


def run(view: View) -> Mapping[bytes, Node]:
    nodes: dict[bytes, Node] = {}
    for archive in view.plan.archives:
        text = "\n".join(_source(archive, view))
        if text:
            path = _FOLDER + archive.name.encode() + b".sources"
            nodes[path] = text_file("apt-sources", text.encode(), view.plan.mtime)
    return nodes


def _source(archive: Archive, view: View) -> Iterator[str]:
    """Stanzas of one archive, each without a blank line after it."""
    uris = [mirror for mirror in archive.mirrors if mirror.startswith(("http://", "https://"))]
    if not archive.mirrors and archive.name in _DEBIAN:
        uris = [_DEBIAN[archive.name]]
    keyring = _keyring(archive, view)
    if not uris or keyring is None:
        return
    flat = [suite for suite in archive.suites if suite.endswith("/")]
    usual = [suite for suite in archive.suites if suite not in flat]
    for suites, components in ((usual, archive.components), (flat, ())):
        if suites:
            lines = ["Types: deb", f"URIs: {' '.join(uris)}", f"Suites: {' '.join(suites)}"]
            lines += [f"Components: {' '.join(components)}"] if components else []
            yield "".join(f"{line}\n" for line in [*lines, f"Signed-By: /{keyring}"])


def _keyring(archive: Archive, view: View) -> str | None:
    own = [f"etc/apt/keyrings/{archive.name}.{end}" for end in ("asc", "gpg", "pgp")]
    places = [*own, *(_KEYRINGS if archive.name in _DEBIAN else ())]
    return next((path for path in places if path.encode() in view.nodes), None)


STEP = Step(
    name="apt-sources",
    about="/etc/apt/sources.list.d, so that apt in the image uses the recipe's archives",
    reads=("/etc/apt/keyrings/*", "/usr/share/keyrings/*"),
    writes=(f"/{_FOLDER.decode()}*.sources",),
    run=run,
)
