"""What the packages of an image expect of an installed system, read from their own words.

An image has an installed system's layout and accounts when it holds a whole package with a
postinst: its author counted on them. An image of slices and files gets nothing of this.
Sources, in this order: ``sysusers.d`` and ``tmpfiles.d`` in the packages, ``knowledge``
about a package, and the scripts of every package that has neither a review nor knowledge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from homeport.assemble.packages_in_image import PackageInImage
from homeport.assemble.plan import BuildPlan
from homeport.assemble.system.accounts import SystemAccounts, settle_accounts
from homeport.assemble.system.base_accounts import GROUPS, USERS
from homeport.assemble.system.knowledge import Knowledge, load_knowledge
from homeport.assemble.system.paths import ImagePaths
from homeport.content.blob import Blob, verified
from homeport.content.reading import read_bounded
from homeport.debian.deb.maintainer_scripts import is_reviewed
from homeport.debian.scripts.declarations import read_service, read_sysusers, read_tmpfiles
from homeport.debian.scripts.effects import AddGroup, AddUser, Effect, NotUnderstood
from homeport.errors import UsageError
from homeport.tree.node import Node

_LARGEST = 1 << 20  # bytes of one declaration
_SYSUSERS = b"usr/lib/sysusers.d/"
_TMPFILES = b"usr/lib/tmpfiles.d/"
_SERVICES = b"usr/lib/systemd/system/"


class InstalledSystem(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made, and what was not understood."""

    accounts: SystemAccounts
    effects: tuple[Effect, ...]
    warnings: tuple[str, ...]


def expects_system(packages: Iterable[PackageInImage]) -> bool:
    return any(package.whole and "postinst" in package.contents.scripts for package in packages)


def read_system(
    plan: BuildPlan, nodes: Mapping[bytes, Node], packages: Sequence[PackageInImage]
) -> InstalledSystem:
    """Read the packages' declarations and scripts against the image in ``nodes``."""
    try:
        # 30 ms that a build of slices saves: a parser of shell.
        from homeport.debian.scripts.interpreter import World, read_script
    except ModuleNotFoundError as error:
        raise UsageError(
            f"packages with scripts require {error.name}, which is not installed",
            hint="pip install tree-sitter tree-sitter-bash, or choose slices of the packages",
        ) from error

    paths = ImagePaths(nodes)
    whole = [package for package in packages if package.whole]
    effects: list[Effect] = []
    for package in whole:
        effects += _declared(package)
    users = {name for name, *_ in USERS} | {user.name for user in plan.users}
    groups = set(GROUPS) | {group.name for group in plan.groups} | users

    def account(kind: str, name: str) -> bool:
        known = users if kind == "passwd" else groups
        made = AddUser if kind == "passwd" else (AddUser, AddGroup)
        return name in known or any(
            isinstance(each, made) and getattr(each, "name", "") == name for each in effects
        )

    world = World(architecture=plan.architecture, exists=paths.type_of, account=account)
    knowledge = load_knowledge()
    for package in whole:
        known = knowledge.get(package.name)
        if known is not None:
            effects += known.effects(package.name)
        if is_reviewed(package.name) or (known is not None and known.instead_of_scripts):
            continue
        for script in ("preinst", "postinst"):
            text = package.contents.scripts.get(script)
            if text is not None:
                effects += read_script(package.name, script, text, world)
    has_shell = next((s for s in ("/bin/bash", "/bin/sh") if paths.type_of(f"/usr{s}")), "")
    return InstalledSystem(
        accounts=settle_accounts(
            plan.users, plan.groups, effects, has_shell or "/usr/sbin/nologin"
        ),
        effects=tuple(effects),
        warnings=tuple(_warnings(effects, knowledge)),
    )


def _declared(package: PackageInImage) -> Iterator[Effect]:
    for path, blob in sorted(package.contents.blobs.items()):
        if path.startswith(_SERVICES) and path.endswith(b".service"):
            yield from read_service(package.name, _read(blob))
        if not path.endswith(b".conf"):
            continue
        if path.startswith(_SYSUSERS):
            yield from read_sysusers(package.name, _read(blob))
        elif path.startswith(_TMPFILES):
            yield from read_tmpfiles(package.name, _read(blob))


def _read(blob: Blob) -> str:
    with verified(blob, "a declaration") as stream:
        return read_bounded(stream, _LARGEST, "a declaration").decode("utf-8", "replace")


def _warnings(effects: Iterable[Effect], knowledge: Mapping[str, Knowledge]) -> Iterator[str]:
    """One line for each script with commands that were not understood."""
    found: dict[tuple[str, str], list[NotUnderstood]] = {}
    for effect in effects:
        if isinstance(effect, NotUnderstood):
            found.setdefault((effect.package, effect.script), []).append(effect)
    for (package, script), commands in found.items():
        first = commands[0]
        more = f" and {len(commands) - 1} more" if len(commands) > 1 else ""
        yield (
            f"{package}: {script} line {first.line} is not run: {first.text}{more}; "
            "if the image needs the result, add it to files, directories or links"
        )
