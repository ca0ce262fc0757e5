"""The folders and links of an installed Debian system, which base-files makes in its postinst.

``/var/run`` and ``/var/lock`` are links into ``/run``: sockets and locks of one program
are found by another under both names. What packages or the recipe have there stays.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.installed import expects_system
from homeport.tree.node import Node, Source

_FOLDERS = {
    "dev": 0o755, "etc": 0o755, "home": 0o755, "media": 0o755, "mnt": 0o755, "opt": 0o755,
    "proc": 0o555, "root": 0o700, "run": 0o755, "run/lock": 0o1777, "srv": 0o755, "sys": 0o555,
    "usr/local": 0o755, "usr/local/bin": 0o755, "usr/local/etc": 0o755, "usr/local/lib": 0o755,
    "usr/local/sbin": 0o755, "usr/local/share": 0o755, "var": 0o755, "var/backups": 0o755,
    "var/cache": 0o755, "var/lib": 0o755, "var/log": 0o755, "var/mail": 0o2775, "var/opt": 0o755,
    "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
_GROUPS = {"var/mail": 8}  # mail
_LINKS = {"var/run": "/run", "var/lock": "/run/lock"}
#: What packages ship below a link is below its target.
MOVED = {path.encode(): target.strip("/").encode() for path, target in _LINKS.items()}


def run(view: View) -> Mapping[bytes, Node]:
    if not expects_system(view.packages):
        return {}
    source = Source(kind="step", name="layout")
    mtime = view.plan.mtime
    made: dict[bytes, Node] = {}
    for name, mode in _FOLDERS.items():
        path = name.encode()
        if path not in view.nodes:
            made[path] = Node(
                type="directory", mode=mode, gid=_GROUPS.get(name, 0), mtime=mtime, source=source
            )
    for name, target in _LINKS.items():
        path = name.encode()
        taken = path in view.nodes or any(each.startswith(path + b"/") for each in view.nodes)
        if not taken:
            made[path] = Node(
                type="symlink", mode=0o777, mtime=mtime, target=target.encode(), source=source
            )
    return made


STEP = Step(
    name="layout",
    about="Folders of an installed system, /var/run and /var/lock, if a whole package has scripts",
    reads=(),
    writes=tuple(f"/{name}" for name in (*_FOLDERS, *_LINKS)),
    run=run,
)
