"""The accounts of an image of whole packages: Debian's, the recipe's, and the packages'.

A number that is not fixed is the one that the lockfile records. One that is not recorded yet
follows from the account's name, so that it is the same in every image, whatever else is
installed; only if two names of one image share a number does the second in the alphabet take
the next free one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from homeport.assemble.system.base_accounts import GROUPS, USERS
from homeport.debian.scripts.effects import AddGroup, AddMember, AddUser, Effect
from homeport.recipe.entries import Group, User
from homeport.recipe.lock.model import NO_NUMBERS, AccountNumbers

#: Numbers of system accounts that Debian leaves to the machine.
_FIRST, _LAST = 101, 999


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user: one line of /etc/passwd. ``package``: "" for Debian's and the recipe's own."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    comment: str
    package: str = ""


class SystemAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """All users, and all groups with number and members."""

    users: dict[str, Account]
    groups: dict[str, int]
    members: dict[str, tuple[str, ...]]

    def uid(self, text: str) -> int | None:
        if text.isdigit():
            return int(text)
        found = self.users.get(text)
        return found.uid if found else None

    def gid(self, text: str) -> int | None:
        return int(text) if text.isdigit() else self.groups.get(text)


def settle_accounts(
    users: tuple[User, ...],
    groups: tuple[Group, ...],
    effects: Iterable[Effect],
    root_shell: str,
    recorded: AccountNumbers = NO_NUMBERS,
) -> SystemAccounts:
    """Every account of the image; the recipe's accounts take precedence over the packages'.

    recorded: numbers that names keep, and that no other name is given
    """
    settling = _Settling(users, groups, root_shell, recorded)
    wanted = tuple(effects)
    added = [each for each in wanted if isinstance(each, AddUser)]
    # Fixed numbers first, so that no chosen one takes their place.
    settling.add_groups([each for each in wanted if isinstance(each, AddGroup)])
    settling.add_users(added)
    for each in wanted:
        if isinstance(each, AddMember):
            settling.add_member(each)
    return settling.result()


def chosen_numbers(
    accounts: SystemAccounts, users: Iterable[User], groups: Iterable[Group]
) -> AccountNumbers:
    """The numbers that neither Debian nor the recipe fixes. ``users``, ``groups``: the recipe's."""
    own = {user.name for user in users}
    own_groups = own | {group.name for group in groups}
    return AccountNumbers(
        users={
            name: user.uid
            for name, user in sorted(accounts.users.items())
            if user.package and name not in own
        },
        groups={
            name: gid
            for name, gid in sorted(accounts.groups.items())
            if name not in own_groups and GROUPS.get(name) != gid
        },
    )


class _Settling:
    def __init__(
        self,
        users: tuple[User, ...],
        groups: tuple[Group, ...],
        root_shell: str,
        recorded: AccountNumbers,
    ) -> None:
        self._recorded = recorded
        own_names = {user.name for user in users}
        own_numbers = {user.uid for user in users}
        own_groups = {group.name: group.gid for group in groups}
        taken = set(own_groups.values())
        self._groups = {n: g for n, g in GROUPS.items() if n not in own_groups and g not in taken}
        self._groups |= own_groups
        self._members = {group.name: list(group.members) for group in groups}
        self._users = {
            name: Account(
                name=name, uid=uid, gid=gid, comment=comment, home=home, shell=shell or root_shell
            )
            for name, uid, gid, comment, home, shell in USERS
            if name not in own_names and uid not in own_numbers
        }
        for user in users:
            self._users[user.name] = Account(
                name=user.name, uid=user.uid, gid=user.gid, home=user.home, shell=user.shell,
                comment=user.comment,
            )  # fmt: skip
            if user.gid not in self._groups.values() and user.name not in self._groups:
                self._groups[user.name] = user.gid

    def add_groups(self, groups: list[AddGroup]) -> None:
        for group in sorted(groups, key=lambda each: (each.gid is None, each.name)):
            if group.name not in self._groups:
                self._groups[group.name] = self._number(group.name, group.gid, uid=False)

    def add_users(self, users: list[AddUser]) -> None:
        for user in sorted(users, key=lambda each: (each.uid is None, each.name)):
            if user.name in self._users:
                continue
            own = user.group in ("", user.name)
            fixed = user.uid if user.uid is not None else self._groups.get(user.name)
            uid = self._number(
                user.name, fixed, uid=True, both=own and user.name not in self._groups
            )
            self._users[user.name] = Account(
                name=user.name, uid=uid, gid=self._group_of(user, uid), home=user.home,
                shell=user.shell, comment=user.comment, package=user.package,
            )  # fmt: skip

    def add_member(self, member: AddMember) -> None:
        if member.user not in self._users:
            return
        if member.group not in self._groups:
            if member.only_known:
                return
            self._groups[member.group] = self._number(member.group, None, uid=False)
        members = self._members.setdefault(member.group, [])
        if member.user not in members:
            members.append(member.user)

    def result(self) -> SystemAccounts:
        members = {name: tuple(users) for name, users in self._members.items()}
        return SystemAccounts(users=self._users, groups=self._groups, members=members)

    def _group_of(self, user: AddUser, uid: int) -> int:
        name = user.group or user.name
        if name.isdigit():
            return int(name)
        if name not in self._groups:
            self._groups[name] = self._number(name, uid, uid=False)
        return self._groups[name]

    def _number(self, name: str, wanted: int | None, *, uid: bool, both: bool = False) -> int:
        kept = self._recorded.users if uid else self._recorded.groups
        used = {each.uid for each in self._users.values()} if uid else set(self._groups.values())
        reserved = {number for other, number in kept.items() if other != name}
        for number in (kept.get(name), wanted):
            if number is not None and number not in used | reserved:
                return number
        taken = used | set(kept.values())
        if both:
            taken |= {*self._groups.values(), *self._recorded.groups.values()}
        size = _LAST - _FIRST + 1
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % size
        for step in range(size):
            number = _FIRST + (start + step) % size
            if number not in taken:
                return number
        return 60000 + start
