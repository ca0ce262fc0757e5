"""A user namespace with a binfmt_misc of its own: registering there needs no root."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homeport.assemble.part_outputs import decode_tree
from homeport.content.store import Store
from homeport.oci.platform import Platform, native_platform
from homeport.parts.kept import kept_folder, restore_kept
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.lock.reading import read_lockfile
from homeport.tree.node import Source

MOUNT = "/proc/sys/fs/binfmt_misc"
_MOUNTED = f"mount -t binfmt_misc binfmt_misc {MOUNT}"
_FIRST_KERNEL = (6, 7)  # "binfmt_misc: enable sandboxed mounts"


@dataclass(frozen=True)
class Done:
    """What a call of the program printed and returned."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out.strip())


@functools.cache
def refusal() -> str:
    """Why this machine has no such namespace, or nothing."""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", _MOUNTED], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode else ""


def need_namespace() -> None:
    """Skip where the kernel has none; a kernel that has it and refuses must be said why."""
    if not refusal():
        return
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release < _FIRST_KERNEL:
        pytest.skip(f"binfmt_misc of user namespaces needs Linux 6.7, this is {os.uname().release}")
    if os.environ.get("HOMEPORT_PEERS"):
        pytest.fail(f"binfmt_misc cannot be mounted in a user namespace: {refusal()}")
    pytest.skip(f"binfmt_misc cannot be mounted in a user namespace: {refusal()}")


def run(script: str, variables: Mapping[str, str] | None = None, *, mounted: bool = True) -> Done:
    """Shell commands in a namespace of their own; binfmt_misc is mounted there first."""
    before = f"{_MOUNTED} && " if mounted else ""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", before + script],
        env={"PATH": os.environ["PATH"], **(variables or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def shipped_installer(folder: Path, platform: Platform | None = None) -> Path:
    """The program as the catalog ships it, for this machine."""
    path = shipped_catalog().directory / "binfmt" / "binfmt.lock"
    lockfile = read_lockfile(path)
    assert lockfile is not None
    output = lockfile.parts["installer"].outputs.get(platform or native_platform())
    if output is None:
        pytest.skip(f"there is no installer for {native_platform()}")
    store = Store(folder / "store")
    restore_kept(output, [kept_folder(path)], store)
    listed = store.get(output.digest)
    assert listed is not None, "the result is not beside the lockfile"
    with listed.open() as stream:
        tree = decode_tree(stream.read(), store, Source(kind="part", name="installer"))
    assert tree is not None
    (node,) = tree.values()
    content = node.content
    assert content is not None
    program = folder / "binfmt"
    with content.open() as stream:
        program.write_bytes(stream.read())
    program.chmod(0o755)
    return program
