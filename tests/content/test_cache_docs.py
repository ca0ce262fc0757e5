"""docs/formats/cache.md lists every kind of answer that the cache holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def namespaces_of_code() -> set[str]:
    """What every call of a store's ``recall`` and ``remember`` names, and of those for blobs."""
    found = set()
    for path in (ROOT / "src/homeport").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in ("recall", "remember")
                and ast.unparse(call.func.value).endswith("store")
            ):
                first = call.args[0]
            elif (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and (call.func.id in ("recall_blob", "remember_blob"))
            ):
                first = call.args[1]
            else:
                continue
            if ast.unparse(first) != "namespace":  # in the functions for blobs themselves
                name = constants.get(first.id) if isinstance(first, ast.Name) else None
                found.add(name or ast.unparse(first))
    return found


def test_every_namespace_of_the_code_is_documented_and_no_other() -> None:
    page = (ROOT / "docs/formats/cache.md").read_text(encoding="utf-8")
    table = page.split("## Answers")[1]
    documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE))
    assert documented == namespaces_of_code()
    assert len(documented) >= 10
