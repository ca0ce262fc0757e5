"""New changelog entries for an image and everything that is built on it.

The image gets the given reason and version; those that need it get the next version and say
why. All entries are made before the first file is written.
"""

from __future__ import annotations

import email.utils
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from homeport.content.files import write_file
from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.dependencies import Graph
from homeport.dockerpkg.names import next_version
from homeport.dockerpkg.tree import CHANGELOG, SourceImage, Tree, read_text
from homeport.errors import UsageError


class ImageUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """One changelog: the version before and after."""

    name: str
    file: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the entries say.

    version: of the named image; by default the next one
    author:  ``NAME <ADDRESS>``
    """

    reason: str
    author: str
    now: datetime
    version: str = ""


def update(
    tree: Tree, graph: Graph, name: str, change: Change, *, dry_run: bool = False
) -> tuple[ImageUpdated, ...]:  # fmt: skip
    """Raises ``UsageError`` for an unknown name or dependency, ``BadVersion``."""
    if name not in tree.images:
        known = [each for each in tree.images if name in each]
        near = known or list(tree.images)[:5]
        raise UsageError(f"no image {name!r} in {tree.root}", hint=f"it has {', '.join(near)}")
    for child, missing in graph.elsewhere.items():
        if missing:
            raise UsageError(
                f"{child} depends on {missing[0]}, which is not an image of the tree",
                where={"file": str(tree.images[child].path / "control")},
                hint="remove it from control, or correct its name",
            )
    update_id = str(tree.configuration.variables.get("update_id") or "")
    planned: list[tuple[SourceImage, ImageUpdated, bytes]] = []
    for each in graph.descendants([name]):
        image = tree.images[each]
        if each == name:
            after, reason = change.version or next_version(image.version, update_id), change.reason
        else:
            after = next_version(image.version, update_id)
            reason = f"Refresh for update in parent image {name}:\n{change.reason}"
        tree.naming.tag(after)
        entry = _entry(image, after, reason, change, tree.configuration.text("distribution"))
        text = entry + read_text(image.path / CHANGELOG)
        done = ImageUpdated(
            name=each, file=str(image.path / CHANGELOG), before=image.version, after=after
        )
        planned.append((image, done, text.encode()))
    if not dry_run:
        for image, _, data in planned:
            write_file(image.path / CHANGELOG, data)
    return tuple(done for _, done, _ in planned)


def _entry(image: SourceImage, version: str, reason: str, change: Change, distribution: str) -> str:
    """A changelog entry, as deb-changelog(5) has it."""
    lines = [line for line in reason.splitlines() if line.strip()] or ["Update"]
    body = "\n".join(f"  {'*' if at == 0 else ' '} {line.strip()}" for at, line in enumerate(lines))
    date = email.utils.format_datetime(change.now)
    return (
        f"{image.name} ({version}) {distribution}; urgency=high\n\n{body}\n\n"
        f" -- {change.author}  {date}\n\n"
    )


def find_author(configuration: Configuration, environment: Mapping[str, str], cwd: Path) -> str:
    """``DEBFULLNAME`` and ``DEBEMAIL``, else git's user, else the configuration's fallback."""
    name = environment.get("DEBFULLNAME") or _git("user.name", cwd)
    address = environment.get("DEBEMAIL") or _git("user.email", cwd)
    name = name or configuration.text("fallback_author")
    address = address or configuration.text("fallback_email")
    return f"{' '.join(name.split())} <{' '.join(address.split())}>"


def _git(key: str, cwd: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "config", "--get", key], cwd=cwd, check=False, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()
