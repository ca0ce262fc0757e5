"""The facts of one binary, from its bytes only: format, linking, compiler, language, origin.

``examine`` dispatches by the first bytes. Nothing is run; packed files are unpacked in
memory and the unpacked one is described. Not for the package that owns the file, nor for
missing libraries (``provenance``).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable

import msgspec

from homeport import elf as elves
from homeport.elf import BadElf, Elf, read_elf
from homeport.errors import TooLarge
from homeport.inspection.binaries import upx
from homeport.inspection.binaries.golang import GoFacts, read_go
from homeport.inspection.binaries.rust import RustFacts, read_rust
from homeport.inspection.binaries.scripts import ScriptFacts, bundled, read_script

MAX_FILE = 512 << 20
_MAX_STRINGS = 20
_HOSTS = (b"github.com", b"gitlab.com", b"codeberg.org", b"bitbucket.org", b"salsa.debian.org")
_REPOSITORY = re.compile(rb"[/:][A-Za-z0-9_.-]{1,64}/[A-Za-z0-9_.-]{1,64}")
_MAX_HITS = 10_000
_OTHERS = {
    b"MZ": "PE",
    b"\0asm": "wasm",
    b"!<arch>\n": "archive",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O",
    b"BC\xc0\xde": "LLVM",
}
_LOOKS_PACKED = 7.5  # bits of entropy for each byte


class Packer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a binary was packed with. ``problem``: why it could not be unpacked."""

    name: str
    version: str = ""
    method: str = ""
    size: int = 0
    unpacked_size: int = 0
    problem: str = ""


class BinaryFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts recorded in a file.

    format:  ELF, PE, Mach-O, wasm, script, zipapp, jar, zip, class, archive or data
    linking: static, static-pie, dynamic, library, object; empty for other formats than ELF
    libc:    glibc or musl, if known
    distribution: of the compiler or the package note
    repositories: source repositories named in strings, the most frequent first
    """

    format: str
    architecture: str = ""
    linking: str = ""
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    soname: str = ""
    runpath: tuple[str, ...] = ()
    libc: str = ""
    build_id: str = ""
    stripped: bool = False
    packer: Packer | None = None
    compiler: str = ""
    language: str = ""
    distribution: str = ""
    package_note: dict[str, str] = {}
    go: GoFacts | None = None
    rust: RustFacts | None = None
    script: ScriptFacts | None = None
    bundle: str = ""
    repositories: tuple[str, ...] = ()
    problem: str = ""


def examine(data: bytes, check: Callable[[], None] = lambda: None) -> BinaryFacts:
    """The facts of one file. Never raises for bad bytes.

    check: called regularly while a packed file is unpacked; may raise to stop it
    """
    if data.startswith(elves.MAGIC):
        return _examine_elf(data, check)
    script = read_script(data)
    if script is not None:
        return BinaryFacts(format=script.kind, language=script.language, script=script)
    for magic, format in _OTHERS.items():
        if data.startswith(magic):
            return BinaryFacts(format=format, repositories=_repositories(data))
    return BinaryFacts(format="data")


def _examine_elf(data: bytes, check: Callable[[], None]) -> BinaryFacts:
    try:
        elf = read_elf(data)
    except BadElf as error:
        return BinaryFacts(format="ELF", problem=str(error))
    packer = _packer(elf, data)
    if packer is not None and packer.name == "UPX":
        try:
            data = upx.unpack(data, check)
            elf = read_elf(data)
            packer = msgspec.structs.replace(packer, unpacked_size=len(data))
        except (upx.CannotUnpack, TooLarge, BadElf) as error:
            packer = msgspec.structs.replace(packer, problem=str(error))
    return _describe(elf, packer)


def _packer(elf: Elf, data: bytes) -> Packer | None:
    header = upx.find_header(data)
    if header is not None and not elf.sections:
        method = upx.METHODS.get(header.method, f"method {header.method}")
        return Packer(name="UPX", version=header.version, method=method, size=len(data))
    loads = [one for one in elf.segments if one.type == elves.LOAD]
    if (
        not elf.sections
        and 0 < len(loads) <= 2
        and len(data) > 4096
        and _entropy(data) > _LOOKS_PACKED
    ):
        return Packer(name="unknown", size=len(data), problem="looks packed by an unknown packer")
    return None


def _entropy(data: bytes) -> float:
    """Bits in each byte, of a sample from the middle."""
    middle = len(data) // 2
    sample = data[max(0, middle - (1 << 15)) : middle + (1 << 15)]
    return -sum(n / len(sample) * math.log2(n / len(sample)) for n in Counter(sample).values())


def _describe(elf: Elf, packer: Packer | None) -> BinaryFacts:
    dynamic = elf.dynamic()
    interpreter = elf.interpreter()
    go, rust = read_go(elf), None
    if go is None:
        rust = read_rust(elf)
    comment = elf.section(".comment") or b""
    compiler, distribution = _compiler(comment, go, rust)
    note = _package_note(elf)
    bundle = bundled(elf.data)
    return BinaryFacts(
        format="ELF",
        architecture=elf.architecture,
        linking=_linking(elf, interpreter, dynamic),
        interpreter=interpreter,
        needed=dynamic.needed,
        soname=dynamic.soname,
        runpath=dynamic.runpath,
        libc=_libc(elf, interpreter, dynamic),
        build_id=_build_id(elf),
        stripped=elf.find_section(".symtab") is None,
        packer=packer,
        compiler=compiler,
        language="Go" if go else "Rust" if rust else bundle or ("C or C++" if comment else ""),
        distribution=note.get("os", "") or distribution,
        package_note=note,
        go=go,
        rust=rust,
        bundle=bundle,
        repositories=() if go and go.main else _repositories(elf.data),
    )


def _linking(elf: Elf, interpreter: str, dynamic: elves.Dynamic) -> str:
    if elf.type in ("object", "core"):
        return elf.type
    if interpreter and not (dynamic.soname and not dynamic.pie and elf.type == "shared"):
        return "dynamic"
    if elf.type == "executable":
        return "static"
    if dynamic.pie and not dynamic.needed:
        return "static-pie"
    return "library" if elf.has_dynamic() else "static"


def _libc(elf: Elf, interpreter: str, dynamic: elves.Dynamic) -> str:
    names = (interpreter.rpartition("/")[2], *dynamic.needed)
    if any(name.startswith(("ld-musl-", "libc.musl-")) for name in names):
        return "musl"
    if any(name.startswith(("ld-linux", "ld64.so", "ld.so", "libc.so.6")) for name in names):
        return "glibc"
    if elf.find_section("__libc_IO_vtables") or elf.find_section("__libc_freeres_fn"):
        return "glibc"
    return "glibc" if b"glibc.malloc." in elf.data or b"glibc.cpu." in elf.data else ""


def _build_id(elf: Elf) -> str:
    for owner, type, text in elf.notes():
        if owner == b"GNU" and type == 3:
            return text.hex()
    return ""


def _compiler(comment: bytes, go: GoFacts | None, rust: RustFacts | None) -> tuple[str, str]:
    """The compiler, and the distribution in its name."""
    if go is not None:
        return go.version, ""
    lines = [
        line.decode("utf-8", "replace") for line in dict.fromkeys(comment.split(b"\0")) if line
    ]
    lines = [line for line in lines if not line.startswith("Linker")] or lines
    if rust is not None and rust.compiler:
        return f"rustc {rust.compiler}", ""
    text = lines[0] if lines else ""
    found = re.search(r"\((Debian|Ubuntu|Alpine|Red Hat|SUSE|Buildroot|crosstool-NG)[^)]*\)", text)
    return text[:200], found[0].strip("()") if found else ""


def _package_note(elf: Elf) -> dict[str, str]:
    """The package note of distributions (owner FDO)."""
    for owner, type, text in elf.notes():
        if owner == b"FDO" and type == 0xCAFE1A7E:
            try:
                document = json.loads(text.rstrip(b"\0"))
            except (ValueError, RecursionError):
                return {}
            if isinstance(document, dict):
                return {str(key): str(value) for key, value in document.items()}
    return {}


def _repositories(data: bytes) -> tuple[str, ...]:
    """Source repositories named in strings; searched by host, which is fast."""
    counts: Counter[str] = Counter()
    for host in _HOSTS:
        at = data.find(host)
        for _ in range(_MAX_HITS):
            if at < 0:
                break
            if found := _REPOSITORY.match(data, at + len(host)):
                text = (host + found[0]).decode("ascii").rstrip(".")
                counts[text.replace(":", "/").removesuffix(".git")] += 1
            at = data.find(host, at + 1)
    return tuple(name for name, _ in counts.most_common(_MAX_STRINGS))
