"""/var/lib/dpkg/status and info: what dpkg and apt inside the image know packages by.

Instead of status.d, which only scanners read: with both, each package would count twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from homeport.assemble.steps.alternatives import database, registered
from homeport.assemble.steps.step import Step, View, text_file
from homeport.assemble.system.paths import ImagePaths
from homeport.debian.deb.dpkg_database import DATABASE, InstalledPackage, dpkg_files
from homeport.debian.diversions import dpkg_diversions
from homeport.debian.scripts.effects import SetAttributes
from homeport.tree.node import Node


def run(view: View) -> Mapping[bytes, Node]:
    packages = (
        InstalledPackage(
            contents=package.contents,
            # dpkg knows a diverted file by the package's own path.
            kept={
                each.entry.path: each.entry.path if each.diverted else each.path
                for each in package.chosen
            },
        )
        for package in view.packages
    )
    files = [*dpkg_files(packages, view.plan.architecture), *_choices(view)]
    return {
        path: text_file("dpkg-database", data, view.plan.mtime, mode)
        for path, data, mode in files
        if path not in view.nodes
    }


def _choices(view: View) -> Iterator[tuple[bytes, bytes, int]]:
    """Alternatives, diversions and overrides, which upgrades of packages keep."""
    effects = view.system.effects if view.system is not None else ()
    overrides = [
        f"{each.user} {each.group} {int(each.mode, 8):o} {each.path}\n"
        for each in effects
        if isinstance(each, SetAttributes) and each.override
    ]
    yield DATABASE + b"/diversions", dpkg_diversions(view.diversions), 0o644
    yield DATABASE + b"/statoverride", "".join(overrides).encode(), 0o644
    paths = ImagePaths(view.nodes)
    for name, offers in registered(effects, paths).items():
        if "/" not in name:
            text = database(offers, view.plan.alternatives.get(name))
            yield DATABASE + b"/alternatives/" + name.encode(), text.encode(), 0o644


STEP = Step(
    name="dpkg-database",
    about="/var/lib/dpkg/status and info, so that dpkg and apt work in the image",
    reads=("/**",),
    writes=(f"/{DATABASE.decode()}/**",),
    run=run,
)
