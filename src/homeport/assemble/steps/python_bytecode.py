"""__pycache__: what py3compile makes in Debian's scripts, so that Python programs start faster.

Off unless the recipe asks for it: it takes a fifth more room than the sources (an image with
Django grows from 113 to 132 MB), and needs the image's version of Python on the machine that
builds. Compiled is what can be imported: the standard library, packages, and the recipe's own
Python files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.python_compiler import compiled, find_interpreter
from homeport.content.blob import BytesBlob, read_verified
from homeport.content.code_hash import code_hash
from homeport.tree.node import Node, Source

_PACKAGE = re.compile(r"(?:lib)?python(3\.\d+)-minimal")
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)(?:~?((?:a|b|rc)\d+))?(?=[-+]|$)")
_LARGEST = 4 << 20  # bytes of one source
_NAMESPACE = "bytecode"
_DECIDES = ("assemble/steps/python_bytecode.py", "assemble/system/python_compiler.py")
_ANSWERS = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


def run(view: View) -> Mapping[bytes, Node]:
    versions = dict(_versions(view))
    default = _default(view, versions)
    made: dict[bytes, Node] = {}
    for minor, version in sorted(versions.items()):
        sources = sorted(_sources(view, minor, is_default=minor == default))
        for path, data in _byte_code(view, version, sources):
            folder, _, name = path.encode("utf-8", "surrogateescape").strip(b"/").rpartition(b"/")
            module = name.removesuffix(b".py")
            tag = f"cpython-{minor.replace('.', '')}.pyc".encode()
            place = b"%b/__pycache__/%b.%b" % (folder, module, tag)
            if place not in view.nodes:
                made[place] = _file(view, data)
    return made


STEP = Step(
    name="python-bytecode",
    about="__pycache__ of the image's Python, if the recipe asks for it",
    reads=("/**/*.py",),
    writes=("/**/__pycache__/*.pyc",),
    run=run,
)


def _versions(view: View) -> Iterator[tuple[str, str]]:
    """3.13 → 3.13.5 of each Python in the image."""
    for package in view.packages:
        named = _PACKAGE.fullmatch(package.name)
        upstream = _UPSTREAM.match(package.contents.id.version) if named else None
        if named and upstream and upstream[1].startswith(f"{named[1]}."):
            yield named[1], upstream[1] + (upstream[2] or "")


def _default(view: View, versions: Mapping[str, str]) -> str:
    """The Python that /usr/bin/python3 is."""
    node = view.nodes.get(b"usr/bin/python3")
    name = node.target.rpartition(b"/")[2].decode("utf-8", "replace") if node else ""
    found = name.removeprefix("python")
    return found if found in versions else max(versions, default="", key=_number)


def _number(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))


def _sources(view: View, minor: str, *, is_default: bool) -> Iterator[tuple[bytes, Node]]:
    folders = [f"usr/lib/python{minor}/", f"usr/local/lib/python{minor}/"]
    folders += ["usr/lib/python3/dist-packages/"] if is_default else []
    roots = tuple(folder.encode() for folder in folders)
    for path, node in view.nodes.items():
        own = is_default and node.source.kind not in ("package", "step")
        if (path.startswith(roots) or own) and path.endswith(b".py") and node.type == "file":
            yield path, node


def _byte_code(
    view: View, version: str, sources: Iterable[tuple[bytes, Node]]
) -> Iterator[tuple[str, bytes]]:
    """Of each folder together, remembered in the store."""
    folders: dict[bytes, list[tuple[bytes, Node]]] = {}
    for path, node in sources:
        folders.setdefault(path.rpartition(b"/")[0], []).append((path, node))
    program = ""
    for files in folders.values():
        key = f"{code_hash(*_DECIDES)} {version} " + " ".join(
            f"{path!r}:{node.content.digest if node.content else ''}" for path, node in files
        )
        found = _recalled(view, key)
        if found is None:
            program = program or find_interpreter(version)
            found = list(compiled(program, [_read(path, node) for path, node in files]))
            if view.store:
                view.store.remember(_NAMESPACE, key, msgspec.msgpack.encode(found))
        yield from found


def _recalled(view: View, key: str) -> list[tuple[str, bytes]] | None:
    known = view.store.recall(_NAMESPACE, key) if view.store else None
    try:
        return None if known is None else _ANSWERS.decode(known)
    except msgspec.DecodeError:
        return None  # damaged: made again


def _read(path: bytes, node: Node) -> tuple[str, bytes]:
    name = "/" + path.decode("utf-8", "surrogateescape")
    if node.content is None:
        return name, b""
    return name, read_verified(node.content, _LARGEST, name)


def _file(view: View, data: bytes) -> Node:
    return Node(
        type="file", mode=0o644, mtime=view.plan.mtime, content=BytesBlob(data),
        source=Source(kind="step", name="python-bytecode"),
    )  # fmt: skip
