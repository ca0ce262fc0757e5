"""``grep`` of maintainer scripts in a text that is known."""

from __future__ import annotations

import re

from homeport.debian.scripts.command_options import options_of
from homeport.debian.scripts.machine import Machine
from homeport.debian.scripts.posix_patterns import matching

_SILENT = {"q", "s", "quiet", "silent", "no-messages"}


def found_lines(name: str, words: list[str], text: str | None, machine: Machine) -> str | None:
    """The lines that a grep finds; ``None`` if its file, options or pattern are not known.

    words: without its name; text: of standard input, for a grep without a file
    """
    options, operands = options_of(words, "e")
    known = {"E", "F", "i", "v", "w", "e", "x"} | _SILENT
    if set(options) - known or (not operands and "e" not in options):
        return None
    pattern = options["e"] if "e" in options else operands.pop(0)
    if operands:
        (path, *more) = operands
        if more or path == "-":
            return None
        missing = machine.type_of(path) is None and not path.startswith("/proc/")
        text = "" if missing else machine.text_of(path)
    if text is None:
        return None
    if "F" in options or name == "fgrep":
        pattern = re.sub(r"([\\.*^$\[])", r"\\\1", pattern)
    extended = name == "egrep" or "E" in options
    if "w" in options or "x" in options:
        if not re.fullmatch(r"[\w:/ -]+", pattern):
            return None
        pattern = rf"^{pattern}$" if "x" in options else rf"\b{pattern}\b"
    lines = text.split("\n")
    lines = lines if lines[-1] else lines[:-1]
    found = matching(pattern, lines, machine, extended=extended, ignore="i" in options)
    if found is None:
        return None
    wanted = "v" not in options
    return "".join(f"{line}\n" for line, is_in in zip(lines, found, strict=True) if is_in == wanted)
