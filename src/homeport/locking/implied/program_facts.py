"""What one program starts, read from its file: an interpreter, a shell, other programs.

Of a script its first line and, in shell, the commands that it calls. Of an ELF file whether it
imports a function of libc that starts ``/bin/sh``, and paths of programs in its data. Answers
are kept in the store by the content's digest.
"""

from __future__ import annotations

import re

import msgspec

from homeport.content.blob import Blob
from homeport.content.code_hash import code_hash
from homeport.content.reading import read_bounded
from homeport.content.store import Store
from homeport.debian.scripts.called import called_programs
from homeport.elf import MAGIC, BadElf, read_elf

_NAMESPACE = "program-facts"
_DECIDES = (
    "locking/implied/program_facts.py", "debian/scripts/called.py",
    "debian/scripts/shell_nodes.py", "debian/scripts/shell_parser.py", "elf.py",
)  # fmt: skip
_LARGEST = 1 << 30  # bytes of a program
_MOST_NAMES = 200
#: Functions of libc that run ``/bin/sh -c`` (system(3), popen(3), wordexp(3)).
_START_SHELL = frozenset(("system", "popen", "wordexp"))
#: Asks for the encoding of the locale: a program that can work in UTF-8.
_ASKS_ENCODING = "nl_langinfo"
SHELL = re.compile(r"/(usr/)?bin/(ba|da)?sh")
_PATH = re.compile(rb"/(?:usr/)?s?bin/([\w.+\[-]{1,40})")
#: A whole string that can be the folder of a package's own helpers.
_FOLDER = re.compile(rb"(?<=\0)/usr/(?:lib|libexec|share)/[\w.+/-]{1,80}(?=\0)")
_EDGES = b"\0'\" \n\t"


class ProgramFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says.

    interpreter: of a script, with the command that ``env`` starts after it
    calls:    programs, by name or path
    sourced:  names of files that a shell script reads
    libraries: of an ELF file
    folders:  that an ELF file names, below ``/usr/lib``, ``libexec`` and ``share``
    loader:   of an ELF file that is a program
    encoding: whether it asks for the encoding of the locale
    """

    interpreter: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    sourced: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    loader: str = ""
    encoding: bool = False


_DECODER = msgspec.json.Decoder(ProgramFacts)
_NOTHING = ProgramFacts()


def facts_of(blob: Blob, store: Store, *, sourced: bool = False) -> ProgramFacts:
    """The facts about a file that may be a program or a library.

    sourced: a shell script reads it, so that it is shell without a first line that says so
    """
    with blob.open() as stream:
        start = stream.read(len(MAGIC))
    if start != MAGIC and not start.startswith(b"#!") and not sourced:
        return _NOTHING
    key = f"{code_hash(*_DECIDES)} {blob.digest}{' sourced' if sourced else ''}"
    known = store.recall(_NAMESPACE, key)
    if known is not None:
        try:
            return _DECODER.decode(known)
        except msgspec.DecodeError:
            pass  # damaged: read again and replaced
    if blob.size > _LARGEST:
        return _NOTHING
    with blob.open() as stream:
        data = read_bounded(stream, _LARGEST, "a program")
    facts = _of_elf(data) if start == MAGIC else _of_script(data, sourced=sourced)
    store.remember(_NAMESPACE, key, msgspec.json.encode(facts))
    return facts


def _of_script(data: bytes, *, sourced: bool) -> ProgramFacts:
    first = data[2:256].partition(b"\n")[0] if data.startswith(b"#!") else b""
    words = first.decode("utf-8", "replace").split()
    interpreter = words[:1]
    if interpreter and interpreter[0].endswith("/env"):
        named = (each for each in words[1:] if not each.startswith("-") and "=" not in each)
        interpreter += list(named)[:1]
    if not sourced and not (interpreter and SHELL.fullmatch(interpreter[0])):
        return ProgramFacts(interpreter=tuple(interpreter))
    called = called_programs(data)
    return ProgramFacts(
        interpreter=tuple(interpreter), calls=called.programs[:_MOST_NAMES], sourced=called.sourced
    )


def _of_elf(data: bytes) -> ProgramFacts:
    try:
        elf = read_elf(data)
        imports, dynamic, loader = elf.imports(), elf.dynamic(), elf.interpreter()
    except BadElf:
        return _NOTHING
    calls = dict.fromkeys(_paths(data))
    if not loader and not dynamic.needed:
        # A static program holds libc's own functions, and with them the path that those know.
        calls.pop("/bin/sh", None)
    if imports & _START_SHELL:
        calls["/bin/sh"] = None
    return ProgramFacts(
        calls=tuple(calls)[:_MOST_NAMES],
        libraries=dynamic.needed,
        folders=tuple(dict.fromkeys(each[0].decode() for each in _FOLDER.finditer(data)))[
            :_MOST_NAMES
        ],
        loader=loader,
        encoding=_ASKS_ENCODING in imports,
    )


def _folders(data: bytes) -> tuple[str, ...]:
    found = dict.fromkeys(each[0].decode() for each in _FOLDER.finditer(data))
    return tuple(found)[:_MOST_NAMES]


def _paths(data: bytes) -> list[str]:
    """Strings of the file that are the path of a program, and nothing else."""
    found = []
    at = data.find(b"bin/")
    while at >= 0:
        for start in (at - 5, at - 1, at - 6, at - 2):  # "/usr/bin/", "/bin/", and with "sbin"
            match = _PATH.match(data, start) if start > 0 else None
            if (
                match
                and data[start - 1] in _EDGES
                and data[match.end() : match.end() + 1] in _EDGES
            ):
                found.append(match[0].decode())
                break
        at = data.find(b"bin/", at + 4)
    return found
