"""/var/lib/dpkg/status and info: what dpkg and apt inside the image know packages by.

Instead of status.d, which only scanners read: with both, each package would count twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.debian.deb.dpkg_database import DATABASE, InstalledPackage, dpkg_files
from homeport.tree.node import Node


def run(view: View) -> Mapping[bytes, Node]:
    packages = (
        InstalledPackage(
            contents=package.contents,
            kept={each.entry.path: each.path for each in package.chosen},
        )
        for package in view.packages
    )
    mtime = view.plan.mtime
    return {
        path: text_file("dpkg-database", data, mtime, mode)
        for path, data, mode in dpkg_files(packages)
    }


STEP = Step(
    name="dpkg-database",
    about="/var/lib/dpkg/status and info, so that dpkg and apt work in the image",
    reads=("/**",),
    writes=(f"/{DATABASE.decode()}/**",),
    run=run,
)
