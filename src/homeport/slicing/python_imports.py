"""Which files the import statements of Python files lead to, inside a tree.

Statements alone count: what a program imports by a computed name is not seen. Those inside
functions count but in Python's own library, where they would lead to nearly all of it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator

from homeport.content.blob import Blob
from homeport.tree.node import Node, Tree

_LIBRARY = re.compile(rb"usr/lib/python3(?:\.\d+)?$")
_EXTENSION = re.compile(rb"\.(?:cpython-|abi3)?[^/]*\.so$|\.so$")
_PYTHON = re.compile(rb"^#!.*\bpython3?(?:\.\d+)?\b")
#: Longer files are data.
_LONGEST = 4 << 20


class PythonFiles:
    """The modules of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._modules: dict[str, list[bytes]] = {}
        self._roots = self._folders(tree)
        for path, node in tree.items():
            if node.type == "file" and (name := self._module(path)):
                self._modules.setdefault(name, []).append(path)

    @staticmethod
    def _folders(tree: Tree) -> tuple[bytes, ...]:
        """Where Debian's Python looks, innermost first."""
        bases = [
            path for path, node in tree.items() if node.type == "directory" and _LIBRARY.match(path)
        ]
        inner = [base + more for base in bases for more in (b"/dist-packages", b"/lib-dynload")]
        return (*inner, *bases)

    def _module(self, path: bytes) -> str:
        root = next((each for each in self._roots if path.startswith(each + b"/")), None)
        if root is None:
            return ""
        inside = path[len(root) + 1 :]
        stem = (
            inside.removesuffix(b".py") if inside.endswith(b".py") else _EXTENSION.sub(b"", inside)
        )
        if stem == inside:
            return ""
        return stem.decode("utf-8", "replace").replace("/", ".").removesuffix(".__init__")

    def is_python(self, path: bytes) -> bool:
        """Whether a file is Python source: by its name, or by its first line."""
        node = self._tree[path]
        if node.type != "file" or node.content is None or node.size > _LONGEST:
            return False
        return path.endswith(b".py") or bool(_PYTHON.match(_start(node.content)))

    def reached(self, roots: Iterable[bytes]) -> frozenset[bytes]:
        """The files that ``roots`` import, and what those import; ``roots`` too."""
        found: set[bytes] = set()
        todo = list(roots)
        while todo:
            path = todo.pop()
            if path in found:
                continue
            found.add(path)
            if path in self._tree and self.is_python(path):
                todo += self._imported(path, self._tree[path])
        return frozenset(found)

    def _imported(self, path: bytes, node: Node) -> Iterator[bytes]:
        assert node.content is not None
        with node.content.open() as stream:
            source = stream.read(_LONGEST)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parsed = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # a template, or of another version of the language
        package = self._module(path)
        if not path.endswith(b"/__init__.py"):
            package = package.rpartition(".")[0]
        beside = path.rpartition(b"/")[0]
        statements = ast.walk(parsed) if self._is_addition(path) else _at_start(parsed)
        for statement in statements:
            for name in _names(statement, package):
                yield from self._files(name, beside)

    def _is_addition(self, path: bytes) -> bool:
        """Whether a file is not of Python's own library, whose functions import all of it."""
        return b"/dist-packages/" in path or not path.startswith(self._roots)

    def _files(self, name: str, beside: bytes) -> Iterator[bytes]:
        """A module with the packages around it; a script also imports what lies beside it."""
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            yield from self._modules.get(".".join(parts[:count]), ())
        stem = beside + b"/" + name.replace(".", "/").encode("utf-8", "replace")
        yield from (each for each in (stem + b".py", stem + b"/__init__.py") if each in self._tree)


def _at_start(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: not those inside functions."""
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _at_start(child)


def _names(statement: ast.AST, package: str) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (each.name for each in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        base = statement.module or ""
        if statement.level:
            parts = package.split(".") if package else []
            parts = parts[: len(parts) - statement.level + 1]
            base = ".".join([*parts, *([base] if base else [])])
        if base:
            yield base
            yield from (f"{base}.{each.name}" for each in statement.names if each.name != "*")


def _start(content: Blob) -> bytes:
    with content.open() as stream:
        return stream.read(128)
