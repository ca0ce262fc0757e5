"""Directories, files and links that packages declare or make in their scripts, and owners.

Sources are ``tmpfiles.d``, scripts and knowledge (``assemble.system.installed``). New paths
are made only below /etc, /var, /run, /srv and /opt, and never over something that packages
or the recipe have. Owners and modes change where a package says so, of its own files too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.accounts import SystemAccounts
from homeport.assemble.system.paths import CHANGEABLE, ImagePaths
from homeport.content.blob import BytesBlob
from homeport.debian.scripts.effects import (
    AddUser,
    CopyTree,
    Effect,
    MakeDirectory,
    MakeFile,
    MakeLink,
    SetAttributes,
    SetCapabilities,
)
from homeport.debian.scripts.modes import changed_mode
from homeport.tree.node import Node, Source

_SOURCE = Source(kind="step", name="packaged-state")


def run(view: View) -> Mapping[bytes, Node]:
    """Nodes that are new, and nodes of packages with another owner or mode."""
    if view.system is None:
        return {}
    making = _Making(view, view.system.accounts)
    for effect in view.system.effects:
        making.do(effect)
    return making.made


STEP = Step(
    name="packaged-state",
    about="Directories, files, links and owners that packages declare or make in scripts",
    reads=(),
    writes=("/**",),
    run=run,
)


class _Making:
    def __init__(self, view: View, accounts: SystemAccounts) -> None:
        self._view = view
        self._accounts = accounts
        self._paths = ImagePaths(view.nodes)
        self._diverted = {each.path for each in view.diversions}
        self.made: dict[bytes, Node] = {}

    def do(self, effect: Effect) -> None:
        match effect:
            case MakeDirectory():
                self._directory(effect)
            case AddUser() if effect.make_home:
                self._home(effect)
            case MakeLink():
                node = Node(
                    type="symlink", mode=0o777, mtime=self._view.plan.mtime, source=_SOURCE,
                    target=effect.target.encode("utf-8", "surrogateescape"),
                )  # fmt: skip
                self._add(effect.path, node)
            case MakeFile():
                self._file(effect)
            case CopyTree():
                self._copy_tree(effect)
            case SetAttributes():
                self._attributes(effect)
            case SetCapabilities():
                self._capabilities(effect)

    def _add(self, path: str, node: Node) -> None:
        place = self._paths.place(path)
        free = self._at(place) is None and self._paths.type_of(path) is None
        # What a script puts in the place of a file that it diverts belongs there.
        if free and (place.startswith(CHANGEABLE) or path in self._diverted):
            self.made[place] = node

    def _at(self, place: bytes) -> Node | None:
        return self.made.get(place) or self._view.nodes.get(place)

    def _directory(self, effect: MakeDirectory) -> None:
        there = self.made.get(self._paths.place(effect.path))
        is_made = there is not None and there.type == "directory"
        if is_made or self._paths.type_of(effect.path) == "directory":
            given = effect.mode is not None or effect.user or effect.group
            if given:
                self._change(self._paths.place(effect.path), effect, "directory")
            return
        node = Node(
            type="directory",
            mode=0o755 if effect.mode is None else effect.mode,
            uid=self._accounts.uid(effect.user or "0") or 0,
            gid=self._accounts.gid(effect.group or "0") or 0,
            mtime=self._view.plan.mtime,
            source=_SOURCE,
        )
        self._add(effect.path, node)

    def _home(self, effect: AddUser) -> None:
        account = self._accounts.users.get(effect.name)
        if account is None or account.package != effect.package:
            return
        self._directory(
            MakeDirectory(
                package=effect.package, path=account.home, mode=None, user=str(account.uid),
                group=str(account.gid),
            )
        )  # fmt: skip

    def _file(self, effect: MakeFile) -> None:
        mode, content = effect.mode or 0o644, None
        if effect.source:
            node = self._at(self._paths.place(effect.source))
            if node is None or node.type != "file":
                return
            content, mode = node.content, effect.mode or node.mode
        elif effect.text:
            content = BytesBlob(effect.text.encode("utf-8", "surrogateescape"))
        self._add(
            effect.path,
            Node(
                type="file", mode=mode, mtime=self._view.plan.mtime, content=content, source=_SOURCE
            ),
        )

    def _copy_tree(self, effect: CopyTree) -> None:
        source = self._paths.place(effect.source + "/.")
        to = self._paths.place(effect.path)
        if to.startswith(CHANGEABLE) and self._at(to) is None:
            for path in [source, *self._below(source)]:
                node = self._at(path)
                if node is not None and node.type in ("file", "directory", "symlink"):
                    copied = msgspec.structs.replace(
                        node, uid=0, gid=0, mtime=self._view.plan.mtime, source=_SOURCE
                    )
                    self.made[to + path[len(source) :]] = copied

    def _attributes(self, effect: SetAttributes) -> None:
        # Like chown(1), which follows a link.
        place = self._paths.place(effect.path + "/.")
        for path in [place, *self._below(place)] if effect.recursive else [place]:
            self._change(path, effect, None)

    def _capabilities(self, effect: SetCapabilities) -> None:
        path = self._paths.place(effect.path + "/.")
        node = self._at(path)
        if node is not None and node.type == "file" and not _is_own(node):
            attributes = {b"security.capability": effect.attribute}
            self.made[path] = msgspec.structs.replace(node, xattrs=attributes)

    def _below(self, place: bytes) -> Iterator[bytes]:
        known = {*self._view.nodes, *self.made}
        return iter(sorted(path for path in known if path.startswith(place + b"/")))

    def _change(
        self, path: bytes, effect: SetAttributes | MakeDirectory, missing: str | None
    ) -> None:
        """Another mode or owner; the recipe's own paths stay as it says."""
        node = self._at(path)
        if node is None and missing:
            node = Node(type="directory", mode=0o755, mtime=self._view.plan.mtime, source=_SOURCE)
        if node is None or node.type not in ("file", "directory", "symlink") or _is_own(node):
            return
        uid = self._accounts.uid(effect.user) if effect.user else node.uid
        gid = self._accounts.gid(effect.group) if effect.group else node.gid
        if uid is None or gid is None:
            return
        if node.type == "symlink":  # below a folder: chown -R follows none
            mode = node.mode
        elif isinstance(effect, SetAttributes):
            directory = node.type == "directory"
            mode = changed_mode(node.mode, effect.mode, directory=directory)
        else:
            mode = node.mode if effect.mode is None else effect.mode
        if (mode, uid, gid) != (node.mode, node.uid, node.gid):
            self.made[path] = msgspec.structs.replace(node, mode=mode, uid=uid, gid=gid)


def _is_own(node: Node) -> bool:
    return node.source.kind not in ("package", "step")
