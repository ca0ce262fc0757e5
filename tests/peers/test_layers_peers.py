"""Random layers unpacked by GNU tar, umoci and podman: they leave the files that we say.

HOMEPORT_SEED and HOMEPORT_CASES choose another run. Where a peer refuses a case, or differs
from the specification, its test says which and why. One case is a directory of its own, so
that many cases are one archive or one image.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builders.images import image
from builders.inspection import Member, history, layer, tar
from builders.random_layers import (
    Kinds,
    State,
    random_layer,
    random_layers,
    state,
    state_on_disk,
    told,
    whiteouts_first,
)  # fmt: skip
from homeport.budget import Budget
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.layers.history import History
from homeport.layers.listing import Hashed, list_archive
from homeport.layers.overlay import unpack
from homeport.layers.trees import read_layers, read_tree
from homeport.oci import media_types
from homeport.progress import CancelToken
from homeport.tree.node import Source
from peers.engines import Podman

pytestmark = pytest.mark.root
SEED = os.environ.get("HOMEPORT_SEED") or str(random.SystemRandom().randint(0, 10**6))
CASES = int(os.environ.get("HOMEPORT_CASES", "150"))
Layers = list[list[Member]]


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    print(f"HOMEPORT_SEED={SEED} HOMEPORT_CASES={CASES}")
    yield
    os.umask(before)


def cases(kinds: Kinds, count: int = CASES) -> Iterator[tuple[str, Layers]]:
    """Layers that no engine refuses, each below a directory with the name of the case."""
    choose = random.Random(f"{SEED} {kinds}")
    found = 0
    while found < count:
        name = f"c{found}"
        layers = random_layers(choose, name, kinds)
        stacked = history(*(layer(*members, codec="none") for members in layers))
        if not stacked.error and not (kinds.tidy and not fit_for_podman(layers, stacked)):
            found += 1
            yield name, layers


def fit_for_podman(layers: Layers, stacked: History) -> bool:
    """Whether nothing in the layers is known to be refused by podman, or understood otherwise.

    It sets the times of a layer's directories at its end, and fails if one is not there any
    more; it makes no directory for a symbolic link that leads nowhere; and it follows no link
    to what an opaque marker hides, unlike umoci and containerd.
    """
    infos = [info for members in layers for info, _ in members]
    links = tuple(f"{info.name}/" for info in infos if info.issym() or info.islnk())
    through = any(info.name.startswith(links) for info in infos) if links else False
    directories = [f"{info.name}/" for info in infos if info.isdir()]
    others = tuple(f"{info.name}/" for info in infos if not info.isdir())
    replaced = any(name.startswith(others) for name in directories) if others else False
    return not (stacked.problems or through or replaced)


def ours(layers: Layers, folder: Path, name: str) -> State:
    blobs = [BytesBlob(tar(*members)) for members in layers]
    return state(read_layers(blobs, Store(folder / "store"), CancelToken()), name)


def joined(several: Mapping[str, Layers]) -> Layers:
    """Many cases as one image."""
    return [
        [one for layers in several.values() for one in layers[number : number + 1] for one in one]
        for number in range(3)
    ]


def write_layout(folder: Path, layers: Layers) -> str:
    """An OCI layout with one image; its address."""
    made = image(layers=[layer(*members, codec="none") for members in layers])
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    for digest, blob in made.blobs.items():
        with blob.open() as stream:
            (blobs / digest.hex).write_bytes(stream.read())
    (blobs / made.digest.hex).write_bytes(made.document.raw)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifest = {
        "mediaType": media_types.OCI_MANIFEST, "digest": str(made.digest),
        "size": len(made.document.raw), "annotations": {"org.opencontainers.image.ref.name": "t"},
    }  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return f"{folder}:t"


def explained(layers: Layers, expected: State, found: State) -> str:
    """Both where they differ, and the layers."""
    rows = [
        f"  {path}: ours {expected.get(path)}, theirs {found.get(path)}"
        for path in sorted(expected.keys() | found.keys())
        if expected.get(path) != found.get(path)
    ]
    return "\n  --\n".join(told(members) for members in layers) + "\n" + "\n".join(rows)


#: GNU tar removes no directory that has something in it, and makes no directory for a symbolic
#: link that leads nowhere; what lies behind one of these fails too. Engines do both.
REFUSED_BY_TAR = re.compile(
    r"tar: (c\d+)/.*: Cannot .*: (?:File exists|Not a directory|No such file or directory"
    r"|Operation not permitted|Is a directory|Directory not empty)"
)


@pytest.mark.peer("tar")
def test_gnu_tar_leaves_the_files_of_one_archive(tmp_path: Path) -> None:
    """GNU tar sets modes of directories last: what it makes in them inherits no group."""
    choose = random.Random(SEED)
    several: dict[str, list[Member]] = {}
    while len(several) < 2 * CASES:
        name = f"c{len(several)}"
        members = random_layer(choose, name, Kinds(whiteouts=False, setgid=False))
        listed = list_archive(
            io.BytesIO(tar(*members)), Hashed(), CancelToken(), Budget("the archive")
        )
        if not unpack(listed.entries).error:
            several[name] = members
    archive = tar(*(one for members in several.values() for one in members))
    root = tmp_path / "root"
    root.mkdir()
    done = subprocess.run(
        ["tar", "-xPpf", "-", "--same-owner", "--numeric-owner", "-C", str(root)],
        input=archive, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    errors = done.stderr.decode().splitlines()
    refused = {match[1] for line in errors if (match := REFUSED_BY_TAR.fullmatch(line))}
    unknown = [line for line in errors if not REFUSED_BY_TAR.fullmatch(line)]
    assert not [line for line in unknown if "Exiting with failure status" not in line]
    assert len(refused) < len(several) / 3
    tree = read_tree(
        io.BytesIO(archive), Store(tmp_path / "store"), Source(kind="inline", name="x"),
        CancelToken(),
    )  # fmt: skip
    for name in several.keys() - refused:
        expected, found = state(tree, name), state_on_disk(root / name)
        assert expected == found, explained([several[name]], expected, found)


@pytest.mark.peer("umoci")
def test_umoci_leaves_the_files_of_stacked_layers(tmp_path: Path) -> None:
    """umoci takes plain whiteouts in their order; it gets them first, which means the same."""
    for name, layers in cases(Kinds()):
        expected = ours(layers, tmp_path / name, name)
        address = write_layout(tmp_path / name / "oci", whiteouts_first(layers))
        done = subprocess.run(
            ["umoci", "unpack", "--image", address, str(tmp_path / name / "bundle")],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode() + explained(layers, expected, expected)
        found = state_on_disk(tmp_path / name / "bundle/rootfs" / name)
        assert expected == found, explained(layers, expected, found)


@pytest.mark.peer("podman")
def test_podman_leaves_the_files_of_stacked_layers(tmp_path: Path, podman: Podman) -> None:
    """podman refuses two entries with one name, and gives a hard link's facts to its file.

    Its vfs storage copies every layer, and keeps only regular files with several names.
    """
    several = dict(cases(Kinds(tidy=True), CASES // 2))
    address = write_layout(tmp_path / "oci", whiteouts_first(joined(several)))
    pulled = podman.run("pull", "--quiet", f"oci:{address}").strip()
    root = Path(podman.run("image", "mount", pulled).strip())
    for name, layers in several.items():
        expected = _as_copied(ours(layers, tmp_path / name, name))
        found = _as_copied(state_on_disk(root / name))
        assert expected == found, explained(layers, expected, found)
    podman.run("image", "unmount", pulled)


def _as_copied(found: State) -> State:
    return {
        path: facts if facts[0] == "file" else (*facts[:-1], []) for path, facts in found.items()
    }
