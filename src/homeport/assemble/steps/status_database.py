"""/var/lib/dpkg/status.d: what scanners of vulnerabilities know packages by.

One file per package with its control paragraph as the package has it, and beside it its
md5sums, only of files that the image really holds (``homeport.debian.deb.status``).
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.debian.deb.status import (
    STATUS_DIRECTORY,
    md5sums,
    md5sums_path,
    status_path,
    status_stanza,
)
from homeport.tree.node import Node


def run(view: View) -> Mapping[bytes, Node]:
    nodes: dict[bytes, Node] = {}
    mtime = view.plan.mtime
    for package in view.packages:
        name, contents = package.name, package.contents
        stanza = status_stanza(contents)
        nodes[status_path(name)] = text_file("status-database", stanza, mtime)
        kept = {each.entry.path: each.path for each in package.chosen if each.entry.type == "file"}
        if sums := md5sums(contents, kept):
            nodes[md5sums_path(name)] = text_file("status-database", sums, mtime)
    return nodes


STEP = Step(
    name="status-database",
    about="/var/lib/dpkg/status.d, so that scanners see every package",
    reads=("/**",),
    writes=(f"/{STATUS_DIRECTORY.decode()}/*",),
    run=run,
)
