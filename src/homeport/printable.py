"""Text from strangers in our output: it cannot steer a terminal, hide, reorder, or add a line.

Names in archives, responses of servers and output of programs may contain escape sequences,
direction marks, invisible characters, line breaks and bytes that are not UTF-8. All of them become
escapes here:

    printable(value)     each value that a message or table contains: one line
    output_text(text)    everything written to a terminal, once more, at the border (``cli``)
    json_text(text)      everything written as JSON
    shell_path(path)     a path in a command that we print
    yaml_word(text)      a path in a line for a recipe that we print

Line breaks come from our templates only, so a value cannot begin a line of its own.

``copying.errors.shown`` is the same for names of files inside the helper image, where nothing
of this package exists; a test compares the two.
"""

from __future__ import annotations

import re
import shlex

from homeport.known_secrets import LEAST, LEAST_IN_RESULTS, without_secrets

#: What CI systems take for a command, wherever our output is in their log: GitHub's ``::set-env``
#: at the beginning of a line and ``##[group]`` anywhere, ``##vso[`` of Azure.
_CI_COMMAND = re.compile(r"^[ \t]*:(?=:)|#(?=#\[|#vso\[)", re.MULTILINE | re.IGNORECASE)
_PLAIN_YAML = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+~@=-]*")
_UNUSUAL = re.compile(r"[^\n\x20-\x7e]+")


def printable(text: str) -> str:
    """``text`` on one line, with an escape for each character that is not visible.

    Bytes that were not UTF-8 (as ``os.fsdecode`` marks them) become ``\\xNN``.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def output_text(text: str, *, result: bool = False) -> str:
    """A text of several lines as it is written to a terminal or a log.

    Keeps line breaks and tabs; a line that a CI system takes for a command gets an escape, and a
    secret of this process becomes ``<hidden>`` (``known_secrets``).

    result: what programs read, in which short words are not secrets
    """
    text = without_secrets(text, least=LEAST_IN_RESULTS if result else LEAST)
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() or char in "\n\t" else _escaped(char) for char in text
        )
    return _CI_COMMAND.sub(_without_command, text) if "::" in text or "##" in text else text


def json_text(text: str, encoding: str | None = None, *, result: bool = False) -> str:
    """JSON with an escape for each character that is not visible, which means the same.

    Secrets are hidden as in ``output_text``.

    encoding: of the output; beyond UTF-8 everything that is not ASCII is escaped
    """
    text = without_secrets(text, least=LEAST_IN_RESULTS if result else LEAST)
    if not (encoding or "utf-8").lower().startswith(("utf-", "utf8")):
        return _UNUSUAL.sub(lambda found: "".join(_json_escape(ord(c)) for c in found[0]), text)
    return _UNUSUAL.sub(_json_escapes, text)


def shell_path(path: str) -> str:
    """A path as a word of a command that the user can paste: never an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def yaml_word(text: str) -> str:
    """One value in a line of YAML that the user can paste, in quotes where it needs them."""
    if _PLAIN_YAML.fullmatch(text):
        return text
    return f'"{"".join(map(_in_yaml_quotes, text))}"'


def path_text(path: bytes) -> str:
    """A path in an image as documents have it: absolute, ``\\xNN`` for bytes that are not UTF-8.

    Control characters stay: ``printable`` is for those who show it.
    """
    return "/" + path.lstrip(b"/").decode("utf-8", "backslashreplace")


def _in_yaml_quotes(char: str) -> str:
    if char in ('"', "\\"):
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return repr(char)[1:-1]


def _without_command(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}"


def _json_escapes(found: re.Match[str]) -> str:
    if found[0].isprintable():
        return found[0]
    return "".join(char if char.isprintable() else _json_escape(ord(char)) for char in found[0])


def _json_escape(number: int) -> str:
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
