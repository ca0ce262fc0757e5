"""What an ELF file asks of the system that starts it, read once per content.

The interpreter, the libraries it needs and where it looks for them. Answers are kept in
the store by content digest, so that a warm build reads no ELF file. Not for judging
whether the needs are met (``elf_check``).
"""

from __future__ import annotations

from typing import Any, BinaryIO

import msgspec

from homeport.content.blob import Blob, seekable
from homeport.content.code_hash import code_hash
from homeport.content.store import Store

_NAMESPACE = "elf"
_DECIDES = "assemble/elf_facts.py"
_MAGIC = b"\x7fELF"
_MAX_NEEDED = 1000


class ElfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The dynamic part of an ELF file.

    machine:  "EM_X86_64 64 little": files can work together only if it is equal
    interpreter: PT_INTERP, or ""
    needed:   DT_NEEDED, in order
    search:   DT_RUNPATH, else DT_RPATH, split at colons
    problem:  why the file could not be read, or ""
    """

    machine: str = ""
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    problem: str = ""


def looks_like_elf(start: bytes) -> bool:
    return start.startswith(_MAGIC)


def facts_of(blob: Blob, store: Store | None) -> ElfFacts:
    """The facts about ``blob``, which begins like an ELF file."""
    key = f"{code_hash(_DECIDES)} {blob.digest}"
    known = store.recall(_NAMESPACE, key) if store else None
    if known is not None:
        try:
            return msgspec.json.decode(known, type=ElfFacts)
        except msgspec.DecodeError:
            pass  # damaged: read again and replaced
    with seekable(blob) as stream:
        facts = _read(stream)
    if store:
        store.remember(_NAMESPACE, key, msgspec.json.encode(facts))
    return facts


def _read(stream: BinaryIO) -> ElfFacts:
    # 45 ms that a build without changes saves.
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(stream)
        return _facts(elf)
    except (ELFError, ConstructError, ValueError, KeyError, IndexError, OverflowError) as error:
        return ElfFacts(problem=str(error) or type(error).__name__)


def _facts(elf: Any) -> ElfFacts:
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.segments import InterpSegment

    interpreter = ""
    needed: list[str] = []
    runpath = rpath = ""
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        elif isinstance(segment, DynamicSegment):
            tag: Any
            for tag in segment.iter_tags():
                match tag.entry.d_tag:
                    case "DT_NEEDED" if len(needed) < _MAX_NEEDED:
                        needed.append(tag.needed)
                    case "DT_RUNPATH":
                        runpath = tag.runpath
                    case "DT_RPATH":
                        rpath = tag.rpath
    search = runpath or rpath
    return ElfFacts(
        machine=_machine(elf),
        interpreter=interpreter,
        needed=tuple(needed),
        search=tuple(search.split(":")) if search else (),
    )


def _machine(elf: Any) -> str:
    endian = "little" if elf.little_endian else "big"
    return f"{elf['e_machine']} {elf.elfclass} {endian}"
