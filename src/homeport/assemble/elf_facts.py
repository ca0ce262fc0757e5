"""What an ELF file needs to be started, read once per content.

The interpreter, the libraries it needs and where it looks for them. Answers are kept in
the store by content digest, so that a warm build reads no ELF file. Not for judging
whether the needs are met (``elf_check``).
"""

from __future__ import annotations

import msgspec

from homeport.content.blob import Blob
from homeport.content.code_hash import code_hash
from homeport.content.reading import read_bounded
from homeport.content.store import Store
from homeport.elf import BadElf, read_elf

_NAMESPACE = "elf"
_DECIDES = ("assemble/elf_facts.py", "elf.py")
_MAGIC = b"\x7fELF"
_MAX_NEEDED = 1000
_MAX_SIZE = 2 << 30  # bytes


class ElfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The dynamic part of an ELF file.

    machine:  "amd64 64 little": files can work together only if it is equal
    interpreter: PT_INTERP, or ""
    soname:   DT_SONAME, or ""
    needed:   DT_NEEDED, in order
    search:   DT_RUNPATH, else DT_RPATH, split at colons
    problem:  why the file could not be read, or ""
    """

    machine: str = ""
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    problem: str = ""


_ELF_FACTS_DECODER = msgspec.json.Decoder(ElfFacts)


def looks_like_elf(start: bytes) -> bool:
    return start.startswith(_MAGIC)


def facts_of(blob: Blob, store: Store | None) -> ElfFacts:
    """The facts about ``blob``, which begins like an ELF file."""
    key = f"{code_hash(*_DECIDES)} {blob.digest}"
    known = store.recall(_NAMESPACE, key) if store else None
    if known is not None:
        try:
            return _ELF_FACTS_DECODER.decode(known)
        except msgspec.DecodeError:
            pass  # damaged: read again and replaced
    with blob.open() as stream:
        facts = _read(read_bounded(stream, _MAX_SIZE, "an ELF file"))
    if store:
        store.remember(_NAMESPACE, key, msgspec.json.encode(facts))
    return facts


def _read(data: bytes) -> ElfFacts:
    try:
        elf = read_elf(data)
    except BadElf as error:
        return ElfFacts(problem=str(error))
    if elf.type in ("executable", "shared") and not elf.segments:
        return ElfFacts(problem="its program headers lie outside the file")
    dynamic = elf.dynamic()
    return ElfFacts(
        machine=f"{elf.architecture} {8 * elf.pointer} {'little' if elf.little else 'big'}",
        interpreter=elf.interpreter(),
        soname=dynamic.soname,
        needed=dynamic.needed[:_MAX_NEEDED],
        search=dynamic.runpath,
    )
