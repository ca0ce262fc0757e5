"""Check that the packages of Homeport read as a table of contents.

    python tools/check_structure.py [--outline] [PACKAGE] [TESTS]

Prints each fault and their number; with --outline first every package and module with the
first sentence of its docstring:

cycle     modules that import each other, also inside functions and under TYPE_CHECKING
siblings  modules or packages of one folder that depend on each other in a circle
docstring a module without one (a package's ``__init__`` may be empty)
import    an import inside a function whose comment gives no gain in milliseconds
decoder   a typed decode without a decoder that the module made when it was loaded
          (docs/decisions/decoders.md)
tests     a folder of tests that mirrors no package; exit code 1 for any fault
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

#: Packages whose start is their product: they import inside functions by design.
LAZY = ("copying",)
#: Folders of tests that stand for no package.
OTHER_TESTS = frozenset({"builders", "data", "peers", "security"})
#: Types about which msgspec keeps no information.
_PLAIN_TYPES = frozenset({"Any", "bool", "bytes", "dict", "float", "int", "list", "str", "tuple"})
_GAIN = re.compile(r"#.*\b[0-9.]+ ms\b")


def cycles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of names that reach each other (strongly connected components of two or more)."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            new = edges.get(todo.pop(), set()) - found
            found |= new
            todo.extend(new)
        return found

    below = {name: reached(name) for name in edges}
    groups = {frozenset(one for one in below[name] if name in below.get(one, ())) for name in edges}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def import_faults(package: str) -> Iterator[str]:
    """Cycles between modules, then between the members of each folder."""
    graph = grimp.build_graph(package, cache_dir=None)
    modules = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    for group in cycles(modules):
        yield f"cycle: {' '.join(group)}"
    for folder in sorted(graph.modules):
        children = graph.find_children(folder)
        members = {name: one for one in children for name in (one, *graph.find_descendants(one))}
        edges: dict[str, set[str]] = {child: set() for child in members.values()}
        for name, child in members.items():
            edges[child] |= {members[one] for one in modules[name] & members.keys()} - {child}
        for group in cycles(edges):
            yield f"siblings in {folder}: {' '.join(one.rpartition('.')[2] for one in group)}"


def source_faults(root: Path) -> Iterator[str]:
    """Modules without a docstring, late imports without a measured gain, late decoders."""
    for path in sorted(root.rglob("*.py")):
        text = path.read_text("utf-8")
        tree, name = ast.parse(text), path.relative_to(root)
        if ast.get_docstring(tree) is None and path.name != "__init__.py":
            yield f"docstring: {name} has none"
        if name.parts[0] not in LAZY:
            yield from (f"import: {name}:{line}" for line in _late_imports(tree, text.split("\n")))
            yield from (f"decoder: {name}:{line}" for line in _late_decoders(tree))


def _late_imports(tree: ast.Module, lines: list[str]) -> Iterator[int]:
    """Lines of imports inside functions; a comment above also covers imports that follow."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    # What a constructor makes is as old as the object, and readers are objects of modules.
    late = (x for x in ast.walk(tree) if isinstance(x, functions) and x.name != "__init__")
    inside = (x for each in late for x in ast.walk(each))
    imports = {one.lineno: one for one in inside if isinstance(one, (ast.Import, ast.ImportFrom))}
    explained: set[int] = set()  # the last lines of explained imports
    for line, node in sorted(imports.items()):
        end = node.end_lineno or line
        above = lines[line - 2].strip()
        text = "\n".join([above if above.startswith("#") else "", *lines[line - 1 : end]])
        if _GAIN.search(text) or line - 1 in explained:
            explained.add(end)
        else:
            yield line


def _late_decoders(tree: ast.Module) -> Iterator[int]:
    """Lines of functions that make msgspec build the information about a type."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    # What a constructor makes is as old as the object, and readers are objects of modules.
    late = (x for x in ast.walk(tree) if isinstance(x, functions) and x.name != "__init__")
    inside = (x for each in late for x in ast.walk(each))
    calls = {one.lineno: one for one in inside if isinstance(one, ast.Call)}
    for line, call in sorted(calls.items()):
        name = ast.unparse(call.func)
        if not name.startswith("msgspec."):
            continue
        typed = [word.value for word in call.keywords if word.arg == "type"]
        names = {one.id for value in typed for one in ast.walk(value) if isinstance(one, ast.Name)}
        if name.endswith(".Decoder") or (name.endswith(".decode") and names - _PLAIN_TYPES):
            yield line


def test_faults(root: Path, tests: Path) -> Iterator[str]:
    """Folders with tests whose path is no package's."""
    for folder in sorted({path.parent for path in tests.rglob("test_*.py")}):
        name = folder.relative_to(tests)
        if name.parts and name.parts[0] not in OTHER_TESTS and not (root / name).is_dir():
            yield f"tests: {name} mirrors no package"


def outline(root: Path, depth: int = 0) -> Iterator[str]:
    """Every package and module with the first sentence of its docstring."""
    for path in sorted(root.iterdir()):
        init = path / "__init__.py"
        if (path.suffix == ".py" and path.name != "__init__.py") or init.is_file():
            text = (init if path.is_dir() else path).read_text("utf-8")
            first = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
            first = re.split(r"(?<=[.?!])\s", " ".join(first.split()))[0]
            yield f"{'  ' * depth}{path.stem + ('/' if path.is_dir() else ''):<24} {first}".rstrip()
            if path.is_dir():
                yield from outline(path, depth + 1)


def main(package: str = "homeport", tests: str = "tests") -> int:
    root = Path(__import__(package).__path__[0])
    faults = [*import_faults(package), *source_faults(root), *test_faults(root, Path(tests))]
    print("\n".join([*faults, f"{len(faults)} faults in the structure of {package}"]))
    return 1 if faults else 0


if __name__ == "__main__":
    words = sys.argv[1:]
    if "--outline" in words:
        words.remove("--outline")
        print(*outline(Path(__import__((*words, "homeport")[0]).__path__[0])), "", sep="\n")
    sys.exit(main(*words))
