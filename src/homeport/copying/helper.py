"""The program ``copy`` of a helper image: ``copy [--unpack] [--chown=USER[:GROUP]] SRC... DEST``.

Called by BuildKit up to 0.10 and by Earthly, in ``/dest``, with sources below ``/src-N``.
Flags are read as Go's ``flag`` reads them. Any failure is one line on standard error and
exit code 2, as the Go tool's.
"""

import posix
import sys

from homeport.copying.engine import Copier, Options
from homeport.copying.errors import CopyError, os_error_text
from homeport.copying.resolve import clean
from homeport.copying.rooted import ENCODING, Rooted
from homeport.copying.rules import rule_set
from homeport.copying.sources import CopySource, copy_sources

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = """\
usage: copy [--unpack] [--chown=USER[:GROUP]] SRC... DEST
  --chown string     owner of all that is made: names as in /etc/passwd and /etc/group, or numbers
  --max-size bytes   stop when more would be written
  --rules name       old (as docker/dockerfile-copy, the default) or current (as BuildKit today)
  --unpack           unpack sources that are archives
"""
TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Interrupted(BaseException):
    """A signal asks the program to end."""


class Usage(Exception):
    """The arguments are wrong; the text says how."""


class Arguments:
    """The parsed command line."""

    __slots__ = ("chown", "help", "max_size", "paths", "rules", "unpack")

    def __init__(self) -> None:
        self.chown = ""
        self.help = False
        self.max_size: int | None = None
        self.rules = ""
        self.unpack = False
        self.paths: list[str] = []


def main(argv: "list[str]", rules: str = "old") -> int:
    """Run with these arguments; the exit code. ``rules`` where no ``--rules`` is given."""
    try:
        arguments = parse(argv)
        if arguments.help:
            return print_error(USAGE, 0)
        if len(arguments.paths) < 2:
            return print_error(f"copy: invalid args: {arguments.paths}\n{USAGE}")
        _catch_signals()
        run(arguments, rules)
    except Usage as error:
        return print_error(f"{error}\n{USAGE}")
    except CopyError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return print_error(f"copy: {error}{hint}\n")
    except OSError as error:
        return print_error(f"copy: {os_error_text(error)}\n")
    except (Interrupted, KeyboardInterrupt):
        return print_error("copy: interrupted\n")
    return 0


def print_error(text: str, code: int = 2) -> int:
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
    sys.stderr.flush()
    return code


def parse(argv: "list[str]") -> Arguments:
    """Flags up to the first argument that is not one, as Go's flag package reads them."""
    found = Arguments()
    at = 0
    while at < len(argv):
        word = argv[at]
        if len(word) < 2 or not word.startswith("-"):
            break
        at += 1
        if word == "--":
            break
        name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
        if not name or name.startswith("-"):
            raise Usage(f"bad flag syntax: {word}")
        if name in ("h", "help"):
            found.help = True
            return found
        if name == "unpack":
            if equals and value not in TRUE + FALSE:
                raise Usage(f"invalid boolean value {value!r} for -unpack")
            found.unpack = not equals or value in TRUE
            continue
        if name not in ("chown", "max-size", "rules"):
            raise Usage(f"flag provided but not defined: -{name}")
        if not equals:
            if at == len(argv):
                raise Usage(f"flag needs an argument: -{name}")
            value = argv[at]
            at += 1
        _set(found, name, value)
    found.paths = argv[at:]
    return found


def _set(found: Arguments, name: str, value: str) -> None:
    if name == "chown":
        found.chown = value
    elif name == "rules":
        found.rules = value
    elif value.isascii() and value.isdigit() and len(value) < 19:
        found.max_size = int(value)
    else:
        raise Usage(f"invalid value {value!r} for -{name}")


def run(arguments: Arguments, rules: str) -> None:
    options = Options(rule_set(arguments.rules or rules), max_size=arguments.max_size)
    if arguments.chown:
        from homeport.copying.accounts import owner

        options.owner = owner(encoded(arguments.chown), Rooted(b"/"), more_fields=True)
    if arguments.unpack:
        from homeport.copying.codecs import OPENERS
        from homeport.copying.unpack import Archives

        options.unpacker = Archives(OPENERS)
    target, destination = destination_root(encoded(arguments.paths[-1]))
    sources = [mounted_source(encoded(path)) for path in arguments.paths[:-1]]
    target.warn = _warn
    target.owners = target.owners or options.owner is not None  # asked for: else an error
    copy_sources(Copier(target, options), sources, destination)


def encoded(text: str) -> bytes:
    return text.encode(ENCODING, "surrogateescape")


def mounted_source(path: bytes) -> CopySource:
    """A source, kept within the first directory of its absolute path: its mount.

    A link in it that leads elsewhere would read from the helper's own files.
    """
    if not path.startswith(b"/"):
        path = posix.getcwdb() + b"/" + path
    names = clean(path)
    slash = b"/" if path.endswith(b"/") else b""
    if names:
        try:
            return CopySource(Rooted(b"/" + names[0]), b"/".join(names[1:]) + slash)
        except (NotADirectoryError, FileNotFoundError):
            pass
    return CopySource(Rooted(b"/"), b"/".join(names) + slash)


def destination_root(path: bytes) -> "tuple[Rooted, bytes]":
    """The root that a destination stays in: the working directory, or its own mount."""
    if not path.startswith(b"/"):
        return Rooted(b"."), path
    names = clean(path)
    if names:
        end = b"/" if path.endswith((b"/", b"/.")) else b""
        try:
            return Rooted(b"/" + names[0]), b"/".join(names[1:]) + (end if names[1:] else b"")
        except (NotADirectoryError, FileNotFoundError):
            pass
    return Rooted(b"/"), path


def _warn(text: str) -> None:
    print_error(f"copy: {text}\n")


def _stop(number: int, frame: object) -> "NoReturn":
    raise Interrupted


def _catch_signals() -> None:
    """So that a half-written file is removed before the program ends."""
    import _signal  # type: ignore[import-not-found]  # ``signal`` would load enum

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, _stop)
