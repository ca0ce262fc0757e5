"""``adduser``, ``useradd`` and their siblings: from arguments to accounts.

Defaults are those of Debian's adduser(8) for system accounts and of useradd(8).
"""

from __future__ import annotations

from collections.abc import Callable

from homeport.debian.scripts.effects import AddGroup, AddMember, AddUser, Effect
from homeport.quantities import whole_number

_WITH_VALUE_TEXT = """
    --home --shell --uid --gid --ingroup --gecos --comment --group-id --firstuid --lastuid
    --base-dir --home-dir --password --groups --skel --key --conf --firstgid --lastgid -d -s
    -u -g -c -G -k -K -b -p -e -f
"""
_WITH_VALUE = frozenset(_WITH_VALUE_TEXT.split())


def _parsed(words: list[str], flags: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    operands: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            operands.append(word)
        elif equals:
            options[name] = value
        elif word in _WITH_VALUE and word not in flags and todo:
            options[word] = todo.pop(0)
        else:
            options[word] = ""
    return options, operands


def _number(text: str | None) -> int | None:
    return whole_number(text) if text else None


def _first(options: dict[str, str], *names: str) -> str:
    return next((options[name] for name in names if options.get(name)), "")


def _adduser(package: str, words: list[str]) -> list[Effect] | None:
    if "--group" in words and "--system" not in words:
        return _addgroup(package, [word for word in words if word != "--group"])
    options, names = _parsed(words, frozenset())
    if len(names) == 2:
        return [AddMember(package=package, user=names[0], group=names[1])]
    if len(names) != 1:
        return None
    return [
        AddUser(
            package=package,
            name=names[0],
            uid=_number(options.get("--uid")),
            group=_first(options, "--ingroup", "--gid")
            or ("" if "--group" in options or "--system" not in options else "nogroup"),
            home=_first(options, "--home") or "/nonexistent",
            shell=_first(options, "--shell") or "/usr/sbin/nologin",
            comment=_first(options, "--gecos", "--comment").strip(","),
            make_home="--home" in options and "--no-create-home" not in options,
        )
    ]


def _useradd(package: str, words: list[str]) -> list[Effect] | None:
    options, names = _parsed(words, frozenset())
    if len(names) != 1:
        return None
    name = names[0]
    found: list[Effect] = [
        AddUser(
            package=package,
            name=name,
            uid=_number(_first(options, "-u", "--uid")),
            group=_first(options, "-g", "--gid"),
            home=_first(options, "-d", "--home", "--home-dir") or f"/home/{name}",
            shell=_first(options, "-s", "--shell") or "/usr/sbin/nologin",
            comment=_first(options, "-c", "--comment"),
            make_home="-m" in options or "--create-home" in options,
        )
    ]
    groups = _first(options, "-G", "--groups")
    return found + [
        AddMember(package=package, user=name, group=each) for each in groups.split(",") if each
    ]


def _addgroup(package: str, words: list[str]) -> list[Effect] | None:
    options, names = _parsed(words, frozenset())
    if len(names) == 2:
        return [AddMember(package=package, user=names[0], group=names[1])]
    if len(names) != 1:
        return None
    return [AddGroup(package=package, name=names[0], gid=_number(options.get("--gid")))]


def _groupadd(package: str, words: list[str]) -> list[Effect] | None:
    options, names = _parsed(words, frozenset())
    number = _number(_first(options, "-g", "--gid"))
    return [AddGroup(package=package, name=names[0], gid=number)] if len(names) == 1 else None


def _usermod(package: str, words: list[str]) -> list[Effect] | None:
    """Only memberships; what else it changes, upgrades need."""
    options, names = _parsed(words, frozenset())
    groups = next((options[name] for name in ("-aG", "-G", "--groups") if name in options), "")
    if "-aG" in options and not groups and len(names) == 2:
        groups, names = names[0], names[1:]
    if len(names) != 1:
        return None
    return [AddMember(package=package, user=names[0], group=each)
            for each in groups.split(",") if each]  # fmt: skip


def _nothing(package: str, words: list[str]) -> list[Effect] | None:
    return []


ACCOUNT_COMMANDS: dict[str, Callable[[str, list[str]], list[Effect] | None]] = {
    "adduser": _adduser,
    "useradd": _useradd,
    "addgroup": _addgroup,
    "groupadd": _groupadd,
    "usermod": _usermod,
    "deluser": _nothing,
    "delgroup": _nothing,
    "userdel": _nothing,
    "groupdel": _nothing,
    "groupmod": _nothing,
    "chage": _nothing,
    "chfn": _nothing,
    "passwd": _nothing,
}
