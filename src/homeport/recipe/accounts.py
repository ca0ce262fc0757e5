"""Users and groups of a recipe: their names to numbers, and faults among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from homeport.quantities import whole_number
from homeport.recipe.entries import Group, User
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.shapes import FieldValues

Fault = Callable[..., None]
_Account = TypeVar("_Account", User, Group)

#: Every image has these, unless the recipe describes them otherwise.
_NUMBERS = {"root": 0, "nobody": 65534}
_GROUPS = {"root": 0, "nogroup": 65534}


class Accounts:
    """The accounts of the image being described."""

    def __init__(
        self, users: Iterable[FieldValues], groups: Iterable[FieldValues], fault: Fault
    ) -> None:
        self._fault = fault
        self.users = self._distinct(
            [_user(entry) for entry in users], lambda user: user.uid, _NUMBERS
        )
        self.groups = self._distinct(
            [_group(entry) for entry in groups], lambda group: group.gid, _GROUPS
        )
        self._uids = _NUMBERS | {user.name: user.uid for user in self.users}
        self._primary = dict(_NUMBERS) | {user.name: user.gid for user in self.users}
        self._gids = _GROUPS | {group.name: group.gid for group in self.groups}
        for group in self.groups:
            for member in group.members:
                if member not in self._uids:
                    fault(
                        group.place,
                        f"the group {group.name} has the member {member}, "
                        "which is not a user of the recipe",
                        "add it to accounts.users",
                    )

    def owner(self, text: str, place: FilePosition) -> tuple[int, int]:
        """The numbers of ``USER[:GROUP]``. Without a group: the user's own, or the uid."""
        user, colon, group = text.partition(":")
        uid = self._number(user, self._uids, "user", place)
        if colon:
            return uid, self._number(group, self._gids, "group", place)
        return uid, self._primary.get(user, uid)

    def check_user(self, text: str, place: FilePosition, *, packages: bool) -> None:
        """Note a fault if ``config.user`` names an account that the image will not have.

        packages: there are whole packages, which may bring accounts; the build checks it then
        """
        if not packages:
            self.owner(text, place)

    def _number(self, text: str, known: dict[str, int], kind: str, place: FilePosition) -> int:
        if (number := whole_number(text)) is not None:
            return number
        if text not in known:
            self._fault(place, f"the recipe has no {kind} {text!r}", f"add it to accounts.{kind}s")
        return known.get(text, 0)

    def _distinct(
        self,
        accounts: list[_Account],
        number: Callable[[_Account], int],
        always: Mapping[str, int],
    ) -> tuple[_Account, ...]:
        names: dict[str, _Account] = {}
        numbers: dict[int, _Account] = {}
        for account in accounts:
            first = names.setdefault(account.name, account)
            if first is not account:
                self._fault(
                    account.place, f"duplicate account {account.name}, first at {first.place}"
                )
                continue
            taken = {value: name for name, value in always.items()}.get(number(account))
            if taken not in (None, account.name):
                what = f"the number {number(account)} of {account.name} belongs to {taken}"
                self._fault(account.place, what)
            first = numbers.setdefault(number(account), account)
            if first is not account:
                self._fault(
                    account.place,
                    f"the number {number(account)} of {account.name} belongs to {first.name}, "
                    f"at {first.place}",
                )
        return tuple(sorted(names.values(), key=number))


def _user(entry: FieldValues) -> User:
    more = {name: entry.get(name) for name in ("home", "shell", "comment") if entry.get(name)}
    uid = entry.get("uid")
    return User(
        name=entry.get("name"), uid=uid, gid=entry.get("gid", uid), place=entry.place, **more
    )


def _group(entry: FieldValues) -> Group:
    return Group(
        name=entry.get("name"),
        gid=entry.get("gid"),
        members=entry.get("members", ()),
        place=entry.place,
    )
