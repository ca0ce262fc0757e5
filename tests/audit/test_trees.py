"""Which folders hold tests, examples, documentation and vendored code."""

from __future__ import annotations

import pytest

from homeport.audit.trees import tree_of


@pytest.mark.parametrize(
    ("path", "tree"),
    [
        ("Dockerfile", ""),
        ("deploy/prod/compose.yaml", ""),
        ("tests/Dockerfile", "tests"),
        ("pkg/testdata/a.yaml", "tests"),
        ("E2E/kind.yaml", "tests"),
        ("examples/tests/a.yaml", "examples"),
        ("docs/Dockerfile", "docs"),
        ("go/vendor/x/Dockerfile", "vendored"),
        # A file of that name is no folder, and a word within a name says nothing.
        ("docs", ""),
        ("latest/Dockerfile", ""),
        ("contest/compose.yaml", ""),
    ],
)
def test_the_outermost_folder_decides(path: str, tree: str) -> None:
    assert tree_of(path) == tree


def test_what_the_user_names_is_not_apart() -> None:
    assert tree_of("tests/app/Dockerfile", ["tests/app"]) == ""
    assert tree_of("tests/app/examples/Dockerfile", ["tests"]) == "examples"
    assert tree_of("examples/Dockerfile", ["examples/Dockerfile"]) == ""
