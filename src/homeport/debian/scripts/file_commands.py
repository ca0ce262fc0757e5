"""Commands of maintainer scripts that make, copy, move and change files."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable

import msgspec

from homeport.debian.scripts.command_options import options_of
from homeport.debian.scripts.effects import (
    CopyTree,
    MakeDirectory,
    MakeFile,
    MakeLink,
    SetAttributes,
)
from homeport.debian.scripts.machine import DONE, FOREIGN, Answer, Machine
from homeport.debian.scripts.modes import changed_mode, is_mode


def _mode(text: str | None) -> int | None:
    """The mode of something new."""
    return changed_mode(0, text, directory=False) if text and is_mode(text) else None


def _owner(text: str) -> tuple[str | None, str | None]:
    user, colon, group = text.partition(":") if ":" in text else text.partition(".")
    return user or None, (group or None) if colon else None


def _mkdir(words: list[str], machine: Machine) -> Answer:
    options, paths = options_of(words, "m")
    mode = options.get("m") or options.get("mode")
    for path in paths:
        if machine.type_of(path) is None:
            machine.effects.append(
                MakeDirectory(
                    package=machine.package, path=machine.path(path),
                    mode=_mode(mode) if mode else machine.new_mode(0o777),
                )
            )  # fmt: skip
    return DONE


def _install(words: list[str], machine: Machine) -> Answer:
    options, paths = options_of(words, "mogtS")
    user, group = options.get("o") or options.get("owner"), options.get("g") or options.get("group")
    mode = _mode(options.get("m") or options.get("mode"))
    if "d" in options or "directory" in options:
        for path in paths:
            machine.effects.append(
                MakeDirectory(
                    package=machine.package, path=machine.path(path), mode=mode or 0o755,
                    user=user, group=group,
                )
            )  # fmt: skip
        return DONE
    return _copy_to(paths, mode or 0o755, machine)


def _copy(words: list[str], machine: Machine) -> Answer:
    options, paths = options_of(words, "tS")
    if (
        {"r", "R", "a"} & set(options)
        and len(paths) == 2
        and (machine.type_of(paths[0]) == "directory")
    ):
        source, to = map(machine.path, paths)
        if machine.type_of(to) == "directory":
            to = posixpath.join(to, posixpath.basename(source))
        machine.effects.append(CopyTree(package=machine.package, path=to, source=source))
        return DONE
    return _copy_to(paths, None, machine)


def _copy_to(paths: list[str], mode: int | None, machine: Machine) -> Answer:
    if len(paths) != 2 or any(c in "".join(paths) for c in "*?["):
        return FOREIGN
    source, to = paths
    if source == "/dev/null":
        machine.effects.append(MakeFile(package=machine.package, path=machine.path(to), mode=mode))
        return DONE
    if machine.type_of(to) == "directory" or to.endswith("/"):
        to = posixpath.join(to, posixpath.basename(source))
    if machine.type_of(source) in (None, "directory"):
        return FOREIGN
    made, to, source = machine.made(source), machine.path(to), machine.path(source)
    effect = MakeFile(package=machine.package, path=to, source=source, mode=mode)
    if made is not None:
        effect = msgspec.structs.replace(made, path=to, mode=made.mode if mode is None else mode)
    machine.effects.append(effect)
    return DONE


def _ucf(words: list[str], machine: Machine) -> Answer:
    """Copies a shipped file to /etc, unless it is there."""
    _, paths = options_of(words, "")
    return _copy_to(paths[-2:], None, machine)


def _move(words: list[str], machine: Machine) -> Answer:
    """What the script has made itself, and what upgrades move, which is not there."""
    _, paths = options_of(words, "tS")
    if len(paths) == 2:
        source, to = map(machine.path, paths)
        moved = next(
            (each for each in machine.effects
             if isinstance(each, MakeFile | MakeLink) and each.path == source), None,
        )  # fmt: skip
        if moved is not None and source != to:
            machine.remove(to)
            at = machine.effects.index(moved)
            machine.effects[at] = msgspec.structs.replace(moved, path=to)
            return DONE
    return DONE if all(machine.type_of(path) is None for path in paths[:-1]) else FOREIGN


def _touch(words: list[str], machine: Machine) -> Answer:
    _, paths = options_of(words, "dtr")
    for path in paths:
        if machine.type_of(path) is None:
            machine.write(path, "")
    return DONE


def _link(words: list[str], machine: Machine) -> Answer:
    options, paths = options_of(words, "tS")
    if ("s" not in options and "symbolic" not in options) or len(paths) != 2:
        return FOREIGN
    target, path = paths
    if machine.type_of(path) == "directory" and "n" not in options and "T" not in options:
        path = posixpath.join(path, posixpath.basename(target))
    machine.effects.append(
        MakeLink(package=machine.package, path=machine.path(path), target=target)
    )
    return DONE


def _chmod(words: list[str], machine: Machine) -> Answer:
    recursive = "-R" in words
    operands = [word for word in words if not re.fullmatch(r"-[RcvfhH]+|--[a-z-]+", word)]
    if len(operands) < 2 or not is_mode(operands[0]):
        return FOREIGN
    return set_attributes(operands[1:], machine, mode=operands[0], recursive=recursive)


def _chown(words: list[str], machine: Machine) -> Answer:
    options, operands = options_of(words, "")
    if len(operands) < 2:
        return FOREIGN
    user, group = _owner(operands[0])
    return set_attributes(operands[1:], machine, user=user, group=group, recursive="R" in options)


def _chgrp(words: list[str], machine: Machine) -> Answer:
    options, operands = options_of(words, "")
    if len(operands) < 2:
        return FOREIGN
    return set_attributes(operands[1:], machine, group=operands[0], recursive="R" in options)


def _matching(pattern: str, machine: Machine) -> list[str]:
    """The files of the image that a path with wildcards in its last part names."""
    folder, _, last = pattern.rpartition("/")
    machine.budget.steps(len(machine.effects))
    made = (getattr(each, "path", "").rpartition("/") for each in machine.effects)
    names = [*machine.names_in(folder), *(name for at, _, name in made if at == folder)]
    return [f"{folder}/{name}" for name in dict.fromkeys(names) if fnmatch.fnmatchcase(name, last)]


def set_attributes(
    paths: list[str],
    machine: Machine,
    *,
    mode: str = "",
    user: str | None = None,
    group: str | None = None,
    recursive: bool = False,
    override: bool = False,
) -> Answer:
    wildcards = [path for path in paths if any(c in path for c in "*?[")]
    if any(c in path.rpartition("/")[0] for path in wildcards for c in "*?["):
        return FOREIGN
    for path in wildcards:
        at = paths.index(path)
        paths = [*paths[:at], *_matching(machine.path(path), machine), *paths[at + 1 :]]
    for path in paths:
        if machine.type_of(path) is not None:
            machine.effects.append(
                SetAttributes(
                    package=machine.package, path=machine.path(path), mode=mode, user=user,
                    group=group, recursive=recursive, override=override,
                )
            )  # fmt: skip
    return DONE


FILE_COMMANDS: dict[str, Callable[[list[str], Machine], Answer]] = {
    "mkdir": _mkdir,
    "install": _install,
    "cp": _copy,
    "ucf": _ucf,
    "mv": _move,
    "touch": _touch,
    "ln": _link,
    "chmod": _chmod,
    "chown": _chown,
    "chgrp": _chgrp,
}
