"""Byte code is made by the very version of Python that the image has, or not at all."""

from __future__ import annotations

import importlib.util
import marshal
import platform
import sys
from pathlib import Path
from types import CodeType

import pytest

from builders.building import BARE, BuildWorld, tree_of
from builders.deb import deb, link
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.errors import UsageError
from homeport.tree.node import Tree

_MINOR = "{}.{}".format(*sys.version_info)
_TAG = f"cpython-{_MINOR.replace('.', '')}.pyc"
_RECIPE = (
    BARE.replace("tmp: false", "tmp: false, python_bytecode: true")
    + "packages: [python3, mod]\nfiles: [{text: \"x = 'own'\\n\", to: /app/own.py}]\n"
)


def _world(folder: Path, version: str) -> BuildWorld:
    minor = ".".join(version.split(".")[:2])
    return BuildWorld(folder, [
        deb(f"python{minor}-minimal", version=f"{version}-2+deb13u1",
            files={f"usr/lib/python{minor}/lib.py": "y = 1\n"}),
        deb("python3", depends=f"python{minor}-minimal",
            files={"usr/bin/python3": link(f"python{minor}")}),
        deb("mod", files={
            "usr/lib/python3/dist-packages/mod/__init__.py": "",
            "usr/lib/python3/dist-packages/mod/a.py": "def f():\n    return 'a'\n",
            "usr/lib/python3/dist-packages/mod/bad.py": "print 1\n",
            "usr/share/doc/mod/example.py": "z = 1\n",
            "usr/lib/python3.99/no.py": "z = 1\n",
        }),
    ])  # fmt: skip


def _content(tree: Tree, path: str) -> bytes:
    node = tree[path.encode()]
    assert node.content is not None
    with verified(node.content, path) as stream:
        return stream.read()


def test_modules_are_compiled_for_the_images_python(tmp_path: Path) -> None:
    world = _world(tmp_path, platform.python_version())
    tree = tree_of(world.build(_RECIPE))
    made = sorted(path.decode() for path in tree if path.endswith(b".pyc"))
    assert made == [
        f"app/__pycache__/own.{_TAG}",
        f"usr/lib/python{_MINOR}/__pycache__/lib.{_TAG}",
        f"usr/lib/python3/dist-packages/mod/__pycache__/__init__.{_TAG}",
        f"usr/lib/python3/dist-packages/mod/__pycache__/a.{_TAG}",
    ]
    data = _content(tree, made[3])
    source = _content(tree, "usr/lib/python3/dist-packages/mod/a.py")
    # PEP 552: the source's hash is there, and the interpreter does not look at it.
    assert data[:8] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0"
    assert data[8:16] == importlib.util.source_hash(source)
    code = marshal.loads(data[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/usr/lib/python3/dist-packages/mod/a.py"


def test_byte_code_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = _world(tmp_path, platform.python_version())
    first = tree_of(world.build(_RECIPE))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nonexistent")
        patched.setenv("PATH", "")
        again = tree_of(world.build(_RECIPE + "summary: other\n"))
        assert {path for path in again if path.endswith(b".pyc")} == {
            path for path in first if path.endswith(b".pyc")
        }
        with pytest.raises(UsageError, match="found none"):
            world.build(_RECIPE, store=Store(tmp_path / "empty"))


def test_another_version_is_an_error_and_not_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"requires Python 3\.99\.7, the version in the image"
    ) as e:
        _world(tmp_path, "3.99.7").build(_RECIPE)
    assert platform.python_version() in str(e.value)
    assert "python3.99 of version 3.99.7" in str(e.value.hint)


def test_an_image_without_python_has_none(tmp_path: Path) -> None:
    recipe = _RECIPE.replace("[python3, mod]", "[mod]")
    tree = tree_of(_world(tmp_path, "3.99.7").build(recipe))
    assert not [path for path in tree if path.endswith(b".pyc")]
