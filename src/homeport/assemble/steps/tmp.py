"""The folder /tmp, writable by everyone, each to their own files (mode 1777)."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View
from homeport.tree.node import Node, Source


def run(view: View) -> Mapping[bytes, Node]:
    source = Source(kind="step", name="tmp")
    return {b"tmp": Node(type="directory", mode=0o1777, mtime=view.plan.mtime, source=source)}


STEP = Step(name="tmp", about="The folder /tmp with mode 1777", reads=(), writes=("/tmp",), run=run)  # noqa: S108  of the image
