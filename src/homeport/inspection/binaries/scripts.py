"""Files that an interpreter runs: scripts by their first line, zipapps, bundled runtimes."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from io import BytesIO

import msgspec

_SHEBANG = re.compile(rb"#![ \t]*(\S+)[ \t]*([^\r\n]*)")
_BUNDLES = (
    (b"MEI\x0c\x0b\x0a\x0b\x0e", "PyInstaller"),
    (b"NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1", "Node single executable"),
    (b"---- Bun! ----", "Bun"),
    (b"d3n0l4nd", "Deno"),
    (
        bytes.fromhex("8b1202b96a612038727b930214d7a032" "13f5b9e6efae3318ee3b2dce24b36aae"),
        ".NET bundle",
    ),
)  # fmt: skip
_LANGUAGES = {
    "sh": "shell", "bash": "shell", "dash": "shell", "ash": "shell", "zsh": "shell",
    "python": "Python", "pypy": "Python", "perl": "Perl", "ruby": "Ruby", "node": "Node",
    "nodejs": "Node", "php": "PHP", "lua": "Lua", "tclsh": "Tcl", "awk": "awk",
}  # fmt: skip
_JAVA = {45: 1, 52: 8, 55: 11, 61: 17, 65: 21}


class ScriptFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """kind: script, zipapp, jar, zip, class. modules: of a zipapp, its top-level names."""

    kind: str
    interpreter: str = ""
    arguments: str = ""
    language: str = ""
    main: str = ""
    modules: tuple[str, ...] = ()


#: What ``zipfile`` raises for archives that are damaged, encrypted or compressed in another way.
_BAD_ZIP = (
    zipfile.BadZipFile, ValueError, OSError, RuntimeError, EOFError, zlib.error, lzma.LZMAError,
    struct.error, LookupError, OverflowError,
)  # fmt: skip


def read_script(data: bytes) -> ScriptFacts | None:
    """The facts of a script, zipapp or archive of Java; ``None`` for other files."""
    shebang = _SHEBANG.match(data[:512])
    if data.startswith(b"\xca\xfe\xba\xbe") and len(data) > 8:
        major = int.from_bytes(data[6:8], "big")
        if 45 <= major < 100:  # fat Mach-O begins alike, with a count of architectures here
            return ScriptFacts(kind="class", language=f"Java {_JAVA.get(major, major - 44)}")
    zipped = _zip(data) if shebang or data.startswith(b"PK\x03\x04") else None
    if shebang is None:
        return zipped
    interpreter = shebang[1].decode("utf-8", "replace")
    arguments = shebang[2].decode("utf-8", "replace").strip()
    name = interpreter.rpartition("/")[2]
    if name == "env":
        words = [word for word in arguments.split() if not word.startswith("-") and "=" not in word]
        name = words[0].rpartition("/")[2] if words else "env"
    facts = ScriptFacts(
        kind="script", interpreter=interpreter, arguments=arguments, language=_language(name)
    )
    if zipped is not None:
        facts = msgspec.structs.replace(
            facts, kind=zipped.kind, main=zipped.main, modules=zipped.modules
        )
    return facts


def bundled(data: bytes) -> str:
    """The runtime that was bundled into an executable, by its marks; empty for none."""
    tail = data[-(1 << 16) :]
    for mark, name in _BUNDLES:
        where = tail if name == "PyInstaller" else data
        if mark in where and _really(data, mark, name):
            return name
    return ""


def _really(data: bytes, mark: bytes, name: str) -> bool:
    if name == ".NET bundle":  # before the mark: the offset of the bundle, 0 if none
        at = data.find(mark)
        return any(data[at - 8 : at])
    return name != "Deno" or data[-40:].startswith(mark) or mark in data[-64:]


def _language(name: str) -> str:
    plain = re.sub(r"[0-9.]+$", "", name)
    return _LANGUAGES.get(plain, name)


def _zip(data: bytes) -> ScriptFacts | None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()[:100_000]
            if "META-INF/MANIFEST.MF" in names:
                return ScriptFacts(kind="jar", language="Java", main=_main_class(archive))
            if "__main__.py" in names:
                tops = {name.partition("/")[0] for name in names}
                return ScriptFacts(
                    kind="zipapp", language="Python", main="__main__.py",
                    modules=tuple(sorted(tops))[:200],
                )  # fmt: skip
            return ScriptFacts(kind="zip")
    except _BAD_ZIP:
        return None


def _main_class(archive: zipfile.ZipFile) -> str:
    with archive.open("META-INF/MANIFEST.MF") as stream:
        text = stream.read(1 << 16).decode("utf-8", "replace")
    found = re.search(r"(?m)^Main-Class: *(\S+)", text)
    return found[1] if found else ""
