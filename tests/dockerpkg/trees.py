"""Trees of docker-pkg for tests: written in a few words, read by the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from homeport.dockerpkg.configuration import read_configuration
from homeport.dockerpkg.lockfile import TreeLock
from homeport.dockerpkg.planning import Lookup, PlanOptions, Remote, TreePlan, make_plan
from homeport.dockerpkg.tree import Tree, read_tree
from homeport.oci.platform import parse_platform
from homeport.progress import CancelToken

CHANGELOG = """\
{name} ({version}) trixie; urgency=medium

  * x

 -- A <a@b.c>  Sat, 28 Nov 2026 12:00:00 +0000
"""


def add_image(
    root: Path, name: str, template: str | None = "FROM scratch\n", *, version: str = "1",
    control: str = "", files: Mapping[str, str] | None = None,
) -> Path:  # fmt: skip
    """An image directory below ``root``; ``template=None`` leaves the template out."""
    folder = root / name.replace("/", "-")
    folder.mkdir(parents=True)
    (folder / "changelog").write_text(CHANGELOG.format(name=name, version=version))
    if template is not None:
        (folder / "Dockerfile.template").write_text(template)
    if control:
        (folder / "control").write_text(control)
    for path, text in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def tree_at(root: Path, *, suffix: str = "", **configuration: Any) -> Tree:
    """The tree with this configuration."""
    file = root.parent / "config.yaml"
    file.write_text(yaml.safe_dump(configuration))
    return read_tree(root, read_configuration(file), suffix)


def plan_of(
    tree: Tree, remotes: Mapping[str, Remote] | None = None, lock: TreeLock | None = None,
    options: PlanOptions | None = None,
) -> TreePlan:  # fmt: skip
    """The plan, with what registries hold."""
    lookup: Lookup = (remotes or {}).get
    return make_plan(tree, lock or TreeLock(), options or PlanOptions(), lookup, CancelToken())


def remote(digit: str, *platforms: str, inputs: str = "") -> Remote:
    """An image of a registry; its digest repeats ``digit``."""
    return Remote(
        digest=f"sha256:{digit * 64}", inputs=inputs,
        platforms=tuple(parse_platform(each) for each in platforms or ("linux/amd64",)),
    )  # fmt: skip
