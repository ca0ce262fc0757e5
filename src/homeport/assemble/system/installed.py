"""What the packages of an image expect of an installed system, read from their declarations.

An image has an installed system's layout and accounts when it holds a whole package with a
preinst or postinst, whose author relied on them. An image of slices and files gets none of
it. Sources, in this order: ``sysusers.d`` and ``tmpfiles.d`` in the packages, PAM's profiles
and the list of shells, ``knowledge`` about a package, and the scripts of every other package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from homeport.assemble.packages_in_image import PackageInImage
from homeport.assemble.plan import BuildPlan
from homeport.assemble.system.accounts import SystemAccounts, settle_accounts
from homeport.assemble.system.base_accounts import GROUPS, USERS
from homeport.assemble.system.knowledge import knowledge_of
from homeport.assemble.system.pam import pam_effects
from homeport.assemble.system.paths import ImagePaths
from homeport.assemble.system.shells import shells_effects
from homeport.assemble.system.suggestions import suggest
from homeport.content.blob import Blob, read_verified
from homeport.debian.script_reader import SCRIPTS, make_reader
from homeport.debian.scripts.declarations import read_service, read_sysusers, read_tmpfiles
from homeport.debian.scripts.effects import (
    AddGroup,
    AddUser,
    Effect,
    MakeDirectory,
    MakeFile,
    MakeLink,
    NotUnderstood,
    SetAttributes,
)
from homeport.debian.scripts.machine import Files
from homeport.tree.node import Node

_LARGEST = 1 << 20  # bytes of one declaration
_SYSUSERS = b"usr/lib/sysusers.d/"
_TMPFILES = b"usr/lib/tmpfiles.d/"
_SERVICES = b"usr/lib/systemd/system/"
_TYPES = {MakeDirectory: "directory", MakeFile: "file", MakeLink: "symlink"}


class InstalledSystem(msgspec.Struct, frozen=True, kw_only=True):
    """What to make, and the commands that were not understood."""

    accounts: SystemAccounts
    effects: tuple[Effect, ...]
    warnings: tuple[str, ...]


def expects_system(packages: Iterable[PackageInImage]) -> bool:
    return any(
        package.whole and any(name in package.contents.scripts for name in SCRIPTS)
        for package in packages
    )


def read_system(
    plan: BuildPlan, nodes: Mapping[bytes, Node], packages: Sequence[PackageInImage]
) -> InstalledSystem:
    """Read the packages' declarations and scripts against the image in ``nodes``."""
    paths = ImagePaths(nodes)
    whole = [package for package in packages if package.whole]
    effects: list[Effect] = []
    made: dict[str, str] = {}

    def add(found: Iterable[Effect]) -> None:
        for each in found:
            effects.append(each)
            if isinstance(each, MakeDirectory | MakeFile | MakeLink):
                made.setdefault(each.path, _TYPES[type(each)])

    declared = list(_declared(whole))
    # As systemd-tmpfiles at the end of a postinst, of what the scripts make too.
    add(each for each in declared if not isinstance(each, SetAttributes))
    add(pam_effects(paths))
    add(shells_effects(paths))
    users = {name for name, *_ in USERS} | {user.name for user in plan.users}
    groups = set(GROUPS) | {group.name for group in plan.groups} | users

    def account(kind: str, name: str) -> bool:
        known = users if kind == "passwd" else groups
        made = AddUser if kind == "passwd" else (AddUser, AddGroup)
        return name in known or any(
            isinstance(each, made) and getattr(each, "name", "") == name for each in effects
        )

    def type_of(path: str) -> str | None:
        """With what packages before have made."""
        return made.get(path) or paths.type_of(path)

    files = Files(
        type_of=type_of, target_of=paths.target_of, text_of=paths.text_of, names_in=paths.names_in
    )
    read = make_reader(plan.architecture, files, account)
    facts = {package.name: knowledge_of(package.name) for package in whole}
    for name, known in facts.items():
        add(known.effects(name) if known is not None else ())
    for package in whole:
        known = facts[package.name]
        if known is None or not known.replaces_scripts(package.contents.id.version):
            own = _own_accounts(package.name, declared) - users - groups
            prints = known.prints if known is not None else {}
            found = read(package.contents, prints=prints, declared=own)
            _forget_declared(package.name, found, effects)
            add(found)
    add(each for each in declared if isinstance(each, SetAttributes))
    has_shell = next((s for s in ("/bin/bash", "/bin/sh") if paths.type_of(f"/usr{s}")), "")
    return InstalledSystem(
        accounts=settle_accounts(
            plan.users, plan.groups, effects, has_shell or "/usr/sbin/nologin", plan.numbers
        ),
        effects=tuple(effects),
        warnings=tuple(_warnings(plan, effects)),
    )


def _own_accounts(package: str, declared: Iterable[Effect]) -> frozenset[str]:
    """Names that a package alone declares: they are there when its postinst says so."""
    by: dict[str, set[str]] = {}
    for each in declared:
        if isinstance(each, AddUser | AddGroup):
            by.setdefault(each.name, set()).add(each.package)
    return frozenset(name for name, packages in by.items() if packages == {package})


def _forget_declared(package: str, found: Iterable[Effect], effects: list[Effect]) -> None:
    """Take back the declaration of accounts that the package's script makes before it is read."""
    users = {each.name for each in found if isinstance(each, AddUser)}
    groups = users | {each.name for each in found if isinstance(each, AddGroup)}
    effects[:] = [
        each for each in effects
        if not (each.package == package and (
            (isinstance(each, AddUser) and each.name in users)
            or (isinstance(each, AddGroup) and each.name in groups)
        ))
    ]  # fmt: skip


def _declared(packages: Iterable[PackageInImage]) -> Iterator[Effect]:
    """Of ``tmpfiles.d`` in the order of names, from all packages together (tmpfiles.d(5))."""
    seen: set[str] = set()
    files = sorted(
        (
            (path.rpartition(b"/"), package.name, blob)
            for package in packages
            for path, blob in package.contents.blobs.items()
            if path.startswith((_SYSUSERS, _TMPFILES, _SERVICES))
        ),
        key=lambda each: each[:2],
    )
    for (folder, _, name), package, blob in files:
        if folder + b"/" == _SERVICES and name.endswith(b".service"):
            yield from read_service(package, _read(blob))
        elif folder + b"/" == _SYSUSERS and name.endswith(b".conf"):
            yield from read_sysusers(package, _read(blob))
        elif folder + b"/" == _TMPFILES and name.endswith(b".conf"):
            yield from read_tmpfiles(package, _read(blob), seen)


def _read(blob: Blob) -> str:
    return read_verified(blob, _LARGEST, "a declaration").decode("utf-8", "replace")


def _warnings(plan: BuildPlan, effects: Iterable[Effect]) -> Iterator[str]:
    """One line for each script with commands that were not understood, and what ends it."""
    own = {f"/{path.decode('utf-8', 'surrogateescape')}" for path, _ in plan.own}
    own |= {user.name for user in plan.users} | {group.name for group in plan.groups}
    found: dict[tuple[str, str], list[tuple[NotUnderstood, str]]] = {}
    for effect in effects:
        if isinstance(effect, NotUnderstood):
            suggestion = suggest(effect.text)
            if suggestion is None:
                found.setdefault((effect.package, effect.script), []).append((effect, ""))
            elif suggestion.subject not in own:
                line = suggestion.line
                found.setdefault((effect.package, effect.script), []).append((effect, line))
    for (package, script), commands in found.items():
        first, line = next((each for each in commands if each[1]), commands[0])
        more = f" and {len(commands) - 1} more" if len(commands) > 1 else ""
        advice = line or "files: [{to: PATH, from: FILE}] with its result"
        yield (
            f"{package}: {script} line {first.line} is not run: {first.text}{more}; "
            f"if the image needs the result, add to the recipe: {advice}"
        )
