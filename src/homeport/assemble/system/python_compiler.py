"""Byte code of an image's Python, made by an interpreter of the same version on this machine.

Only the very version will do: 3.13.0 and 3.13.5 compile 3 of 10 modules of the standard library
to other bytes. Nothing of the image runs, and no module is imported: the interpreter starts
isolated and without ``site``, reads sources from its standard input and compiles them.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from shutil import which

from homeport.errors import HomeportError, UsageError

#: PEP 552: "unchecked" files, which the interpreter believes without looking at the source.
_COMPILE = """
import sys, _imp, _frozen_importlib_external as external
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
while size := read(4):
    name = read(int.from_bytes(size, "big")).decode("utf-8", "surrogateescape")
    source = read(int.from_bytes(read(4), "big"))
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
        digest = _imp.source_hash(external._RAW_MAGIC_NUMBER, source)
        data = external._code_to_hash_pyc(code, digest, False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        data = b""
    write(len(data).to_bytes(4, "big") + data)
"""
_VERSION = "import sys; print(sys.implementation.name, sys.version.split()[0])"
_SECONDS = 600


class CannotCompile(HomeportError):
    """The interpreter ended before all sources were compiled."""

    id = "cannot-compile"


def find_interpreter(version: str) -> str:
    """The program that is Python ``version``, such as 3.13.5. Raises ``UsageError``."""
    minor = version[: version.rindex(".")]
    found: dict[str, str] = {}
    for name in (sys.executable, f"python{minor}", "python3"):
        program = which(name) if name else None
        if program is not None and program not in found:
            found[program] = _version_of(program)
            if found[program] == f"cpython {version}":
                return program
    known = ", ".join(f"{said.partition(' ')[2]} ({name})" for name, said in found.items() if said)
    raise UsageError(
        f"steps: python_bytecode requires Python {version}, the version in the image;"
        f" found {known or 'none'}",
        hint=f"add python{minor} of version {version} to PATH, build on a Debian with the same"
        " packages, or compile in a part: homeport docs recipe",
    )


def compiled(program: str, sources: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Byte code of each source by its path in the image; none of what does not compile."""
    asked = b"".join(_asked(path, source) for path, source in sources)
    answer = _run(program, _COMPILE, asked)
    at = 0
    for path, _ in sources:
        size = int.from_bytes(answer[at : at + 4], "big")
        at += 4 + size
        if at > len(answer):
            raise CannotCompile(f"{program} exited while compiling {path}")
        if size:
            yield path, answer[at - size : at]


def _asked(path: str, source: bytes) -> bytes:
    name = path.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(name)) + name + struct.pack(">I", len(source)) + source


def _version_of(program: str) -> str:
    try:
        return _run(program, _VERSION, b"").decode("utf-8", "replace").strip()
    except CannotCompile:
        return ""


def _run(program: str, script: str, data: bytes) -> bytes:
    command = _isolated(program, script)
    try:
        # Hash seeds and variables of the user must not count: -I.
        done = subprocess.run(
            command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompile(f"{program} could not compile Python: {error}") from error
    return done.stdout


def _isolated(program: str, script: str) -> list[str]:
    return [program, "-I", "-S", "-B", "-X", "utf8", "-W", "ignore", "-c", script]
