"""What a step is: a small named thing that adds to a tree what Debian packages leave to scripts.

A step declares which paths it reads and which it writes; writes elsewhere are an error. It
reads the tree that packages and recipe made and returns nodes, which must not conflict with
those of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from homeport.assemble.packages_in_image import PackageInImage
from homeport.assemble.plan import BuildPlan
from homeport.assemble.system.installed import InstalledSystem
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.deb.path_globs import matches
from homeport.debian.scripts.effects import Divert
from homeport.tree.node import Node, Source


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a step may look at.

    diversions: what lies elsewhere because a package's script says so
    system: what packages expect of an installed system; ``None`` in an image that has none
    store:  keeps what steps find out about contents
    warn:   reports to the user what a step could not make
    """

    plan: BuildPlan
    nodes: Mapping[bytes, Node]
    packages: tuple[PackageInImage, ...]
    diversions: tuple[Divert, ...] = ()
    system: InstalledSystem | None = None
    store: Store | None = None
    warn: Callable[[str], None] = lambda _: None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step.

    reads, writes: globs of absolute paths; ``/**`` of a package is written ``PACKAGE:/**``
    run: the nodes that it adds
    """

    name: str
    about: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    run: Callable[[View], Mapping[bytes, Node]]

    def apply(self, view: View) -> Mapping[bytes, Node]:
        """Run the step; a node outside of ``writes`` is a bug in the step."""
        made = self.run(view)
        for path in made:
            assert any(matches(glob, path, directory=False) for glob in self.writes), (
                self.name,
                path,
            )
        return made


def text_file(step: str, data: bytes, mtime: int, mode: int = 0o644) -> Node:
    """A file that a step makes, owned by root."""
    return Node(
        type="file", mode=mode, mtime=mtime, content=BytesBlob(data) if data else None,
        source=Source(kind="step", name=step),
    )  # fmt: skip
