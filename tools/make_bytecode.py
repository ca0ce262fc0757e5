"""Compile the COPY engine for the Python that is inside the catalog's image.

    .venv/bin/python tools/make_bytecode.py [--check]

A helper runs once per COPY, and compiling its sources would take half of its time. So the image
gets bytecode beside the sources: "unchecked" files (PEP 552), which the interpreter believes
without looking at the source. They are the same bytes on every machine of one Python version, are
made by the very interpreter that the image holds, and are the only generated files in the
repository. ``--check`` makes them again and compares; a test does without an interpreter
(tests/copying/test_bytecode.py compares the hashes of sources that are inside).

Builds the native image into a temporary folder and starts its interpreter through its own loader:
no root, no container.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from homeport.app import Settings, open_app
from homeport.building.request import BuildRequest
from homeport.images.address import LayoutAddress

PACKAGE = Path(__file__).parents[1] / "src/homeport"
SOURCES = PACKAGE / "copying"
BYTECODE = PACKAGE / "catalog/dockerfile-copy/bytecode"
IN_IMAGE = "/usr/lib/python3.13/homeport/copying"

#: Runs inside the image's interpreter, which has next to no modules. PEP 552 has the header.
COMPILE = """
import _frozen_importlib_external as external, _imp, posix, sys
for source, name, target in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    with open(source, "rb") as stream:
        text = stream.read()
    code = compile(text, name, "exec", dont_inherit=True, optimize=0)
    digest = _imp.source_hash(external._RAW_MAGIC_NUMBER, text)
    with open(target, "wb") as stream:
        stream.write(external._code_to_hash_pyc(code, digest, False))
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        made = work / "bytecode"
        made.mkdir()
        compile_with(unpacked_image(work), work, made)
        if "--check" in sys.argv[1:]:
            return compare(made)
        BYTECODE.mkdir(exist_ok=True)
        for stale in BYTECODE.iterdir():
            stale.unlink()
        for file in made.iterdir():
            (BYTECODE / file.name).write_bytes(file.read_bytes())
    print(f"{len(list(BYTECODE.iterdir()))} files in {BYTECODE}")
    return 0


def unpacked_image(work: Path) -> Path:
    """The files of the native image."""
    output = LayoutAddress(path=work / "layout")
    with open_app(Settings.load()) as app:
        request = BuildRequest(
            recipe="dockerfile-copy", platforms=("native",), outputs=(output,), directory=work
        )
        layer = app.build(request).built.images[0].layers[0]
        root = work / "root"
        root.mkdir()
        subprocess.run(["tar", "-xzf", layer.blob.path, "-C", root], check=True)
    return root


def compile_with(root: Path, work: Path, target: Path) -> None:
    """Run ``COMPILE`` in the interpreter below ``root``."""
    script = work / "compile.py"
    script.write_text(COMPILE)
    (libraries,) = (path.parent for path in root.glob("usr/lib/*/libc.so.6"))
    (loader,) = (path for path in libraries.glob("ld*.so*") if not path.is_symlink())
    arguments: list[str] = []
    for source in sorted(SOURCES.glob("*.py")):
        compiled = target / f"{source.stem}.cpython-313.pyc"
        arguments += [str(source), f"{IN_IMAGE}/{source.name}", str(compiled)]
    python = root / "usr/bin/python3.13"
    subprocess.run(
        [loader, "--library-path", libraries, python, "-ISB", script, *arguments], check=True
    )


def compare(made: Path) -> int:
    """0 if the repository has these files and no others."""
    wanted = {file.name: file.read_bytes() for file in made.iterdir()}
    found = {file.name: file.read_bytes() for file in BYTECODE.iterdir()}
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    for name in different:
        print(f"{name} is not what {platform.machine()} makes of its source", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
