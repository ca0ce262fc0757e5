"""What a command of a maintainer script prints, where that follows from what is known."""

from __future__ import annotations

import hashlib
import posixpath
import re

from homeport.debian.architecture import TRIPLET_OF
from homeport.debian.scripts.command_options import options_of
from homeport.debian.scripts.effects import AddAlternative
from homeport.debian.scripts.line_search import found_lines
from homeport.debian.scripts.machine import Machine
from homeport.debian.scripts.stream_editor import edited
from homeport.quantities import whole_number

#: Print nothing when they read nothing.
_FILTERS = ("awk", "grep", "tr", "sed", "head", "tail", "sort", "uniq")

#: A program of awk that prints a field of each line.
_AWK_FIELD = re.compile(r"\s*\{\s*print\s+\$([1-9]|0)\s*;?\s*\}\s*")

_LONGEST_SEQUENCE = 1_000  # numbers of ``seq``

#: How files of ``mktemp`` are called; none is made.
TEMPORARY = "/tmp/homeport-"  # noqa: S108


def output_of(words: list[str], text: str | None, machine: Machine) -> str | None:  # noqa: PLR0911, PLR0912  a row a command
    """What a command prints, if that follows from what is known."""
    match words:
        case ["cat"] | ["cat", "-"]:
            return text
        case ["cat", "/dev/null"]:
            return ""
        case ["cat", path]:
            return machine.text_of(path)
        case [":"] | ["true"]:
            return ""
        case ["wc", "-l"] if text is not None:
            return f"{text.count(chr(10))}\n"
        case ["md5sum", path] if (content := machine.text_of(path)) is not None:
            data = content.encode("utf-8", "surrogateescape")
            return f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {path}\n"
        case [("grep" | "egrep" | "fgrep") as name, *arguments] if text != "":
            return found_lines(name, arguments, text, machine)
        case ["sed", *arguments]:
            return edited(arguments, text, machine)
        case ["tr", "-d", letters] if text is not None and re.fullmatch(r"[\w:./ -]+", letters):
            return None if "-" in letters else text.translate(dict.fromkeys(map(ord, letters)))
        case ["cut", *arguments] if text is not None:
            return _cut(arguments, text)
        case ["awk", *options, program] if text and (found := _AWK_FIELD.fullmatch(program)):
            return _fields(options, int(found[1]), text)
        case [name, *arguments] if text == "" and name in _FILTERS:
            # awk's BEGIN and END print without a line too.
            return None if re.search("BEGIN|END", " ".join(arguments)) else ""
        case ["readlink", path]:
            return machine.target_of(path)
        case ["mktemp", *_]:
            machine.temporary += 1
            return f"{TEMPORARY}{machine.temporary}\n"
        case ["phpquery", "-M", "-v", version]:
            names = machine.names_in(f"/etc/php/{version}/mods-available")
            return "".join(f"{name.removesuffix('.ini')}\n" for name in names)
        case ["id", "-Gn", name]:
            return machine.groups_of(name)
        case ["update-alternatives", "--query" | "--list" | "--display", name]:
            offers = [
                e for e in machine.effects if isinstance(e, AddAlternative) and e.name == name
            ]
            best = max(offers, key=lambda each: each.priority, default=None)
            return f"Value: {best.path}\n" if best is not None else ""
        case ["getcap", _]:
            return ""
        case ["echo", "-n", *rest]:
            return " ".join(rest)
        case ["echo", *rest]:
            return " ".join(rest) + "\n"
        case ["printf", form] if "%" not in form:
            return form.replace("\\n", "\n").replace("\\t", "\t")
        case ["printf", "%s\n" | "%s\\n", one]:
            return one + "\n"
        case ["seq", *numbers] if 1 <= len(numbers) <= 3:
            return _sequence(numbers)
        case ["dpkg", "--print-architecture"]:
            return machine.architecture
        case ["dpkg-architecture", option] if option.endswith("DEB_HOST_MULTIARCH"):
            return TRIPLET_OF.get(machine.architecture)
        case ["basename", path]:
            return posixpath.basename(path.rstrip("/"))
        case ["basename", path, suffix]:
            return posixpath.basename(path.rstrip("/")).removesuffix(suffix)
        case ["dirname", path]:
            return posixpath.dirname(path)
        case ["uname"] | ["uname", "-s"]:
            return "Linux\n"
        case ["id", "-u"]:
            return "0"
        case ["command", "-v", name] | ["which", name]:
            return machine.program(name) or ""
        case ["dpkg-divert", "--truename", path]:
            diversion = machine.diversion(path)
            return path if diversion is None else diversion.to
        case ["dpkg-divert", "--listpackage", path]:
            diversion = machine.diversion(path)
            owner = "" if diversion is None else diversion.owner
            return "LOCAL" if owner == ":" else owner
        case ["dpkg-statoverride", "--list", _] | ["eval", "dpkg-statoverride", "--list", _]:
            return ""
        case ["getent", kind, name] if not machine.has_account(kind, name):
            return ""
        case ["id", *options, name] if all(each[:1] == "-" for each in options) and not (
            name.startswith("-") or machine.has_account("passwd", name)
        ):
            return ""
    return None


def _sequence(numbers: list[str]) -> str | None:
    """``seq LAST``, ``seq FIRST LAST`` or ``seq FIRST STEP LAST`` of whole numbers."""
    known = [whole_number(each.removeprefix("-")) for each in numbers]
    values = [
        -value if text[:1] == "-" else value
        for value, text in zip(known, numbers, strict=True)
        if value is not None
    ]
    if len(values) != len(numbers):
        return None
    first = values[0] if values[1:] else 1
    step = values[1] if values[2:] else 1
    last = values[-1]
    if not step or abs(last - first) // abs(step) > _LONGEST_SEQUENCE:
        return None
    return "".join(f"{each}\n" for each in range(first, last + (1 if step > 0 else -1), step))


def _fields(options: list[str], number: int, text: str) -> str | None:
    """A field of each line; ``-F`` with a plain character parts the fields."""
    mark = "".join(options).removeprefix("-F") if options else None
    if options and (options[0][:2] != "-F" or not re.fullmatch(r"[:,;=/@%]", mark or "")):
        return None
    lines = text.removesuffix("\n").split("\n")
    parts = ([line, *line.split(mark)] for line in lines)
    return "".join(f"{each[number] if number < len(each) else ''}\n" for each in parts)


def _cut(arguments: list[str], text: str) -> str | None:
    """``cut -d: -f2``, ``cut -b -7``: one field, or the first characters of each line."""
    apart = (re.fullmatch("(-[dfbc])(.+)", each, re.DOTALL) for each in arguments)
    words = [
        word
        for each, match in zip(arguments, apart, strict=True)
        for word in (match.groups() if match else (each,))
    ]
    options, files = options_of(words, "dfbc")
    field, first = options.get("f", ""), options.get("b") or options.get("c") or ""
    lines = text.split("\n")
    if files:
        return None
    if number := whole_number(field):
        mark = options.get("d", "\t")
        parts = [line.split(mark) if mark else [line] for line in lines]
        return "\n".join(
            part[0] if len(part) == 1 else "".join(part[number - 1 : number]) for part in parts
        )
    if first[:1] == "-" and (number := whole_number(first[1:])) is not None:
        return "\n".join(line[:number] for line in lines)
    return None
