"""What kind of tree a file is part of: tests, examples, documentation, vendored code.

Images there matter less than those that are built and run: they are listed apart and weigh less.
The names are those that such folders have in public repositories.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Literal, get_args

Tree = Literal["", "tests", "examples", "docs", "vendored"]

#: The trees that ``--include`` names.
TREES: tuple[Tree, ...] = tuple(tree for tree in get_args(Tree) if tree)

_FOLDERS: dict[str, Tree] = {
    **dict.fromkeys(
        ("test", "tests", "testing", "testdata", "test-data", "test_data", "__tests__", "e2e",
         "integration-tests", "integration_tests", "integrationtest", "acceptance-tests",
         "fixtures", "__fixtures__", "molecule", "spec", "specs"), "tests",
    ),
    **dict.fromkeys(
        ("example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials",
         "quickstart", "quickstarts", "playground", "cookbook"), "examples",
    ),
    **dict.fromkeys(("doc", "docs", "documentation"), "docs"),
    **dict.fromkeys(
        ("vendor", "vendored", "third_party", "third-party", "thirdparty", "_vendor"), "vendored"
    ),
}  # fmt: skip


def tree_of(path: str, named: Iterable[str] = ()) -> Tree:
    """The kind of the outermost such folder above ``path``.

    named: paths that the user asked for; what is above them says nothing
    """
    rest = path
    for start in named:
        if start == path:
            return ""
        if start != "." and path.startswith(f"{start}/"):
            rest = path[len(start) + 1 :]
    for folder in posixpath.dirname(rest).split("/"):
        if found := _FOLDERS.get(folder.lower()):
            return found
    return ""
