"""``sysusers.d``, ``tmpfiles.d`` and services: what packages declare as data.

Formats: sysusers.d(5), tmpfiles.d(5), and systemd.exec(5) for the directories of a service.
Only lines that make sense in an image are read: nothing that only holds while a machine boots
(``!``), and no clean-up ages.
"""

from __future__ import annotations

import re
import shlex

from homeport.debian.scripts.effects import (
    AddGroup,
    AddMember,
    AddUser,
    Effect,
    MakeDirectory,
    MakeFile,
    MakeLink,
    SetAttributes,
)
from homeport.quantities import whole_number

_MOST_LINES = 10_000


def read_sysusers(package: str, text: str) -> list[Effect]:
    found: list[Effect] = []
    for fields in _lines(text):
        kind, name, number, comment, home, shell = (fields + ["-"] * 6)[:6]
        if "%" in "".join(fields[:3]):
            continue
        if kind.rstrip("!") == "u":
            uid, _, group = number.partition(":")
            found.append(
                AddUser(
                    package=package, name=name, uid=whole_number(uid), group=group,
                    home=_given(home) or "/", shell=_given(shell) or "/usr/sbin/nologin",
                    comment=_given(comment),
                )
            )  # fmt: skip
        elif kind == "g":
            found.append(AddGroup(package=package, name=name, gid=whole_number(number)))
        elif kind == "m":
            found.append(AddMember(package=package, user=name, group=number))
    return found


def read_tmpfiles(package: str, text: str, seen: set[str] | None = None) -> list[Effect]:
    """``seen``: paths that earlier files have; of several lines for a path the first counts."""
    found: list[Effect] = []
    seen = set() if seen is None else seen
    for fields in _lines(text):
        kind, path, mode, user, group, _age, argument = (fields + ["-"] * 7)[:7]
        if set("!^") & set(kind) or "%" in path + argument or any(c in path for c in "*?["):
            continue  # only at boot, or from credentials of a machine
        number = _mode(mode)
        owner = (_given(user).lstrip(":") or None, _given(group).lstrip(":") or None)
        kind = kind.rstrip("+-=~^$")
        path = re.sub(r"/+", "/", path).rstrip("/") or "/"
        if kind not in ("z", "Z", "m"):  # which add to another line
            if path in seen:
                continue
            seen.add(path)
        if kind in ("d", "D", "v", "q", "Q"):
            found.append(
                MakeDirectory(package=package, path=path, mode=0o755 if number is None else number,
                              user=owner[0], group=owner[1])
            )  # fmt: skip
        elif kind == "L":
            target = _given(argument) or f"/usr/share/factory{path}"
            found.append(MakeLink(package=package, path=path, target=target))
        elif kind == "f":
            text_of = " ".join(fields[6:]) if len(fields) > 6 and fields[6] != "-" else ""
            found.append(MakeFile(package=package, path=path, text=text_of, mode=number))
            found.append(SetAttributes(package=package, path=path, user=owner[0], group=owner[1]))
        elif kind in ("z", "Z", "m", "e"):
            found.append(
                SetAttributes(
                    package=package,
                    path=path,
                    mode="" if number is None else f"{number:05o}",
                    recursive=kind == "Z",
                    user=owner[0],
                    group=owner[1],
                )
            )
    return found


#: Settings of a service that name directories, and what these lie below (systemd.exec(5)).
_SERVICE_FOLDERS = {
    "RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
}  # fmt: skip


def read_service(package: str, text: str) -> list[Effect]:
    """The directories that systemd makes when it starts a service: an image has no systemd."""
    settings: dict[str, str] = {}
    section = ""
    for line in text.splitlines()[:_MOST_LINES]:
        stripped = line.strip()
        section = stripped if stripped.startswith("[") else section
        key, equals, value = stripped.partition("=")
        if section == "[Service]" and equals and not key.startswith(("#", ";")):
            settings[key.strip()] = value.strip()
    if settings.get("DynamicUser", "") in ("yes", "true", "1", "on"):
        return []
    user = settings.get("User") or None
    found: list[Effect] = []
    for setting, folder in _SERVICE_FOLDERS.items():
        for name in settings.get(setting, "").split():
            path = name.partition(":")[0]
            if "%" in name or path.startswith("/") or ".." in path.split("/"):
                continue
            mode = _mode(settings.get(f"{setting}Mode", "755"))
            found.append(
                MakeDirectory(
                    package=package, path=f"{folder}/{path}", mode=mode, user=user,
                    group=settings.get("Group") or user,
                )
            )  # fmt: skip
    return found


def _lines(text: str) -> list[list[str]]:
    found = []
    for raw in text.splitlines()[:_MOST_LINES]:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            fields = shlex.split(line)
        except ValueError:
            continue
        if len(fields) > 1:
            found.append(fields)
    return found


def _given(text: str) -> str:
    return "" if text == "-" else text


def _mode(text: str) -> int | None:
    digits = text.lstrip("~:")
    return int(digits, 8) if re.fullmatch(r"[0-7]{3,5}", digits) else None
