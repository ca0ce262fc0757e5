"""Rust binaries: cargo-auditable's list of crates, else the crates named in strings."""

from __future__ import annotations

import re
import zlib

import msgspec

from homeport.elf import Elf

_MAX_AUDIT = 8 << 20
_MOST_CRATES = 5000
_RUSTC = re.compile(rb"/rustc/([0-9a-f]{40})/library/")
_CRATE = re.compile(
    rb"/registry(?:/src/[^/\0]{1,100})?/([A-Za-z0-9_-]{1,64})-"
    rb"(\d{1,6}\.\d{1,6}\.\d{1,6}(?:[-+][0-9A-Za-z.+-]{1,40})?)/"
)
_DISTRIBUTION = re.compile(rb"/usr/src/rustc-(\d+\.\d+\.\d+)")
_COMMENT = re.compile(rb"rustc version ([^\0]{1,80})")


class Crate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    name: str
    version: str
    source: str = ""
    root: bool = False


class RustFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """compiler: a version or a commit. crates_evidence: audit data (complete) or strings (some)."""

    compiler: str = ""
    crates: tuple[Crate, ...] = ()
    crates_evidence: str = ""
    root: str = ""
    version: str = ""


def read_rust(elf: Elf) -> RustFacts | None:
    """The facts of a Rust binary; ``None`` if it is none."""
    audit = _audit(elf)
    comment = _COMMENT.search(elf.section(".comment") or b"")
    commit = _RUSTC.search(elf.data)
    packaged = _DISTRIBUTION.search(elf.data)
    compiler = ""
    if comment:
        compiler = comment[1].decode("utf-8", "replace")
    elif packaged:
        compiler = packaged[1].decode() + " (built by a distribution)"
    elif commit:
        compiler = f"commit {commit[1].decode()}"
    if audit is None and not compiler:
        return None
    if audit is not None:
        root = next((crate for crate in audit if crate.root), None)
        return RustFacts(
            compiler=compiler, crates=audit, crates_evidence="audit data",
            root=root.name if root else "", version=root.version if root else "",
        )  # fmt: skip
    found = {(one[1].decode(), one[2].decode()) for one in _CRATE.finditer(elf.data)}
    crates = tuple(Crate(name=name, version=version) for name, version in sorted(found))
    return RustFacts(
        compiler=compiler, crates=crates[:_MOST_CRATES], crates_evidence="strings" if crates else ""
    )


class _Package(msgspec.Struct):
    name: str
    version: str
    source: str = ""
    root: bool = False


class _Audit(msgspec.Struct):
    packages: list[_Package]


_AUDIT_DECODER = msgspec.json.Decoder(_Audit)


def _audit(elf: Elf) -> tuple[Crate, ...] | None:
    raw = elf.section(".dep-v0")
    if not raw:
        return None
    try:
        decoder = zlib.decompressobj()
        text = decoder.decompress(raw, _MAX_AUDIT)
        document = _AUDIT_DECODER.decode(text)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tuple(
        Crate(name=one.name, version=one.version, source=one.source, root=one.root)
        for one in document.packages
    )
