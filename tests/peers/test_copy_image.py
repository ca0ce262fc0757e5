"""The program ``copy`` inside the image that is built from the catalog.

The table of cases is run in a chroot of the image: for this machine's platform, and for two
foreign ones with the interpreter started by qemu-user.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import copying as table

pytestmark = [pytest.mark.root, pytest.mark.network]

TABLE = Path(__file__).parent.parent / "data" / "copy-cases.txt"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
FOREIGN = {"arm64": "aarch64", "s390x": "s390x", "amd64": "x86_64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CASES = [
    case
    for case in table.cases(TABLE)
    if case.rules in ("old", "both") and table.helper_arguments(case) is not None
]
#: Emulation takes half a second each: every tenth, and every compression.
SOME = [c for number, c in enumerate(CASES) if number % 10 == 0 or c.title.startswith("105")]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The image's root for each architecture."""
    folder = tmp_path_factory.mktemp("image")
    architectures = dict.fromkeys([NATIVE, *FOREIGN])
    platforms = ",".join(f"linux/{name}" for name in architectures)
    layout = folder / "copy.oci"
    subprocess.run(
        [sys.executable, "-m", "homeport", "build", "dockerfile-copy", "--platform", platforms,
         "-o", f"oci:{layout}"], check=True, capture_output=True,
    )  # fmt: skip
    return {name: unpacked(layout, name, folder / name) for name in architectures}


def unpacked(layout: Path, architecture: str, root: Path) -> Path:
    root.mkdir()
    for layer in layers(layout, architecture):
        subprocess.run(["tar", "-xf", str(layer), "-C", str(root)], check=True)
    for name in ("src-0", "dest", "etc"):
        (root / name).mkdir(exist_ok=True)
    return root


def layers(layout: Path, architecture: str) -> Iterator[Path]:
    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    pending = json.loads((layout / "index.json").read_text())["manifests"]
    while pending:
        document = json.loads(blob(pending.pop()["digest"]).read_text())
        pending += document.get("manifests", [])
        if "layers" in document:
            config = json.loads(blob(document["config"]["digest"]).read_text())
            if config.get("architecture") == architecture:
                yield from (blob(layer["digest"]) for layer in document["layers"])


def run_case(root: Path, case: table.Case, before: tuple[str, ...] = ()) -> None:
    for name in ("src-0", "dest"):
        shutil.rmtree(root / name)
    table.make_directory(root / "src-0", case.source)
    table.make_directory(root / "dest", case.before or ())
    for name in ("passwd", "group"):  # which BuildKit mounts
        (root / "etc" / name).unlink(missing_ok=True)
        given = next((e for e in case.before or () if e.name.endswith(b"/" + name.encode())), None)
        if given is not None and given.kind == "file":
            (root / "etc" / name).write_bytes(given.content)
    arguments = table.helper_arguments(case)
    assert arguments is not None
    done = started(root, [*before, *arguments] if before else ["copy", *arguments], "/dest")
    if case.gives is None:
        assert done.returncode == 2, case.title
        assert done.stderr.startswith("copy: "), case.title
        assert done.stderr.count("\n") == 1, case.title
        return
    assert (done.returncode, done.stderr) == (0, ""), f"{case.title}: {done.stderr}"
    found = table.described(root / "dest")
    expected = table.wanted(case.gives, found)
    expected.update({n: t for n, t in found.items() if n.endswith(b".tar") and n in expected})
    assert found == expected, case.title


def started(root: Path, argv: list[str], cwd: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        preexec_fn=lambda: (os.chroot(root), os.chdir(cwd)),  # type: ignore[func-returns-value]
        env={"PATH": PATH, "HOME": "/"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def of_the_host(case: table.Case) -> bool:
    """Names behind links are of the target's own passwd, which only a mount can be."""
    linked = any(entry.kind == "symlink" for entry in case.before or ())
    return "passwd" in case.run or (linked and "--chown=" in case.run)


def test_the_table_holds_in_the_image_of_this_machine(images: dict[str, Path]) -> None:
    tried = [case for case in CASES if not of_the_host(case)]
    assert len(tried) >= 120
    for case in tried:
        run_case(images[NATIVE], case)


@pytest.mark.parametrize(
    ("arguments", "source", "destination", "gives"),
    [
        # A remote context that is an archive, and one of which a sub-directory is wanted.
        (["--unpack", "/src/context", "/out/"], "src", "out", "d/, d/a, d/b == d/a, l -> /d"),
        (["/src/SUB/./.", "/out/"], "src", "out", "a, d/, d/b"),
        (["/src/SUB/.", "/out/"], "src", "out", "a, d/, d/b"),
        # Earthly's CACHE --persist: the cache's mount to the same place of the target's root.
        (["/cache/c", "/dest//cache/c"], "cache", "dest", "cache/, cache/c/, cache/c/a 600 7:8"),
    ],
    ids=["context", "sub-directory as Go cleans it", "sub-directory", "Earthly"],
)
def test_contexts_and_caches_are_copied_as_buildkit_and_earthly_ask(
    images: dict[str, Path], arguments: list[str], source: str, destination: str, gives: str
) -> None:
    root = images[NATIVE]
    given = {
        "context": 'context = "", other',
        "SUB": "SUB/, SUB/a, SUB/d/, SUB/d/b, other",
        "c": "c/ 700 7:8, c/a 600 7:8",
    }["c" if source == "cache" else "SUB" if "SUB" in arguments[0] else "context"]
    for name in dict.fromkeys((source, destination)):
        shutil.rmtree(root / name, ignore_errors=True)
    table.make_directory(root / source, table.entries(given))
    if "context" in given:
        members = table.entries("d/, d/a, d/b == d/a, l -> /d")
        (root / source / "context").write_bytes(table.archive(b"context.tgz", members))
    (root / destination).mkdir(exist_ok=True)
    done = started(root, ["copy", *arguments], "/")
    assert (done.returncode, done.stderr) == (0, "")
    found = table.described(root / destination)
    assert found == table.wanted(table.entries(gives), found)


@pytest.mark.parametrize("architecture", [name for name in FOREIGN if name != NATIVE])
def test_the_table_holds_in_the_image_of_a_foreign_machine(
    images: dict[str, Path], architecture: str
) -> None:
    emulator = shutil.which(f"qemu-{FOREIGN[architecture]}-static")
    if emulator is None:
        if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail("qemu-user-static is not installed; .ci/run installs all peers")
        pytest.skip("qemu-user-static is not installed")
    root = images[architecture]
    shutil.copy(emulator, root / "qemu")
    before = ("/qemu", "/usr/bin/python3.13", "-ISB", "/usr/bin/copy")
    for case in SOME:
        if not of_the_host(case):
            run_case(root, case, before)
