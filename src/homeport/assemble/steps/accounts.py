"""/etc/passwd and /etc/group: Debian's accounts and the recipe's; no passwords.

Debian makes these files in a maintainer script of base-passwd, out of two files that it
ships: an image with these has all of Debian's static accounts, another one root and nobody.
Programs look up names there, and engines the user that a container starts as.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from homeport.assemble.plan import BuildPlan
from homeport.assemble.steps.step import Step, View, text_file
from homeport.assemble.system.accounts import SystemAccounts
from homeport.content.blob import verified
from homeport.recipe.entries import Group, User
from homeport.tree.node import Node

_USERS = b"usr/share/base-passwd/passwd.master"
_GROUPS = b"usr/share/base-passwd/group.master"
_LONGEST = 1 << 16  # bytes of one of them; Debian's have 2,000


class _Line(msgspec.Struct, frozen=True):
    number: int
    text: str


def run(view: View) -> Mapping[bytes, Node]:
    plan = view.plan
    if view.system is not None:
        return _of_system(plan, view.system.accounts)
    users, groups = _users(plan, _master(view, _USERS)), _groups(plan, _master(view, _GROUPS))
    return {
        b"etc/passwd": text_file("accounts", _joined(users), plan.mtime),
        b"etc/group": text_file("accounts", _joined(groups), plan.mtime),
    }


STEP = Step(
    name="accounts",
    about="/etc/passwd and /etc/group",
    reads=(f"/{_USERS.decode()}", f"/{_GROUPS.decode()}"),
    writes=("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"),
    run=run,
)

_SHADOW_GROUP = 42
_DAY = 86_400


def _of_system(plan: BuildPlan, accounts: SystemAccounts) -> Mapping[bytes, Node]:
    """Debian's accounts and the packages' too, and the files of passwords, which hold none."""
    users = sorted(accounts.users.values(), key=lambda user: (user.uid, user.name))
    groups = sorted(accounts.groups.items(), key=lambda group: (group[1], group[0]))
    day = plan.epoch // _DAY
    passwd = [f"{u.name}:x:{u.uid}:{u.gid}:{u.comment}:{u.home}:{u.shell}" for u in users]
    shadow = [f"{u.name}:{'!' if u.package else '*'}:{day}:0:99999:7:::" for u in users]
    members = {name: ",".join(accounts.members.get(name, ())) for name, _ in groups}
    group = [f"{name}:x:{gid}:{members[name]}" for name, gid in groups]
    gshadow = [f"{name}:{'*' if gid < 100 else '!'}::{members[name]}" for name, gid in groups]
    files = {
        b"etc/passwd": (passwd, 0o644),
        b"etc/group": (group, 0o644),
        b"etc/shadow": (shadow, 0o640),
        b"etc/gshadow": (gshadow, 0o640),
    }
    made: dict[bytes, Node] = {}
    for path, (lines, mode) in files.items():
        data = "".join(f"{line}\n" for line in lines).encode("utf-8")
        node = text_file("accounts", data, plan.mtime, mode)
        secret = mode == 0o640
        made[path] = msgspec.structs.replace(node, gid=_SHADOW_GROUP) if secret else node
    return made


def _master(view: View, path: bytes) -> dict[str, _Line]:
    """The lines of one of base-passwd's files; without it, none."""
    node = view.nodes.get(path)
    if node is None or node.content is None:
        return {}
    with verified(node.content, f"/{path.decode()}") as stream:
        text = stream.read(_LONGEST).decode("utf-8", "replace")
    found: dict[str, _Line] = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdecimal():
            found[fields[0]] = _Line(int(fields[2]), line)
    return found


def _users(plan: BuildPlan, master: dict[str, _Line]) -> dict[str, _Line]:
    lines = master or {
        "root": _Line(0, "root:x:0:0:root:/root:/usr/sbin/nologin"),
        "nobody": _Line(65534, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"),
    }
    return _replaced(
        lines, [_Account(user.name, user.uid, _user_text(user)) for user in plan.users]
    )


def _groups(plan: BuildPlan, master: dict[str, _Line]) -> dict[str, _Line]:
    lines = master or {"root": _Line(0, "root:x:0:"), "nogroup": _Line(65534, "nogroup:x:65534:")}
    groups = [_Account(group.name, group.gid, _group_text(group)) for group in plan.groups]
    found = _replaced(lines, groups)
    numbers = {line.number for line in found.values()}
    for user in plan.users:  # as Debian does: a group of its own for every user
        if user.gid not in numbers and user.name not in found:
            found[user.name] = _Line(user.gid, f"{user.name}:x:{user.gid}:")
            numbers.add(user.gid)
    return found


class _Account(msgspec.Struct, frozen=True):
    name: str
    number: int
    text: str


def _replaced(lines: dict[str, _Line], accounts: list[_Account]) -> dict[str, _Line]:
    """The usual accounts, but for those whose name or number the recipe uses."""
    names = {account.name for account in accounts}
    numbers = {account.number for account in accounts}
    kept = {
        name: line
        for name, line in lines.items()
        if name not in names and line.number not in numbers
    }
    return kept | {account.name: _Line(account.number, account.text) for account in accounts}


def _user_text(user: User) -> str:
    return f"{user.name}:x:{user.uid}:{user.gid}:{user.comment}:{user.home}:{user.shell}"


def _group_text(group: Group) -> str:
    return f"{group.name}:x:{group.gid}:{','.join(group.members)}"


def _joined(lines: dict[str, _Line]) -> bytes:
    ordered = sorted(lines.values(), key=lambda line: (line.number, line.text))
    return "".join(f"{line.text}\n" for line in ordered).encode("utf-8")
