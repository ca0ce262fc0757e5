"""The links of the root into /usr (``homeport.assemble.usrmerge`` has the rules)."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View
from homeport.assemble.usrmerge import links
from homeport.tree.node import Node


def run(view: View) -> Mapping[bytes, Node]:
    return links(view.plan.architecture, view.plan.mtime)


STEP = Step(
    name="usrmerge",
    about="/bin, /sbin, /lib and, where the loader is named by it, /lib64 are links into /usr",
    reads=(),
    writes=(
        "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64",
    ),
    run=run,
)  # fmt: skip
