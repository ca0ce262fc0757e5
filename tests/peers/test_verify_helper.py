"""``homeport verify-helper`` for binfmt, scanners and frontends, on dockerd 28.5 of sid.

Each kind passes with the image that the catalog gives, and fails with images that are broken.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.documents import unspecified
from homeport.binfmt.machine_programs import machine
from homeport.buildkit.helper.kinds import KINDS
from homeport.buildkit.helper.recipe_proof import CASES
from homeport.oci.platform import native_platform
from peers.buildkit_engines import RunningEngine, running_in_chroot

pytestmark = [
    pytest.mark.peer("nsenter", "ip"),
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.skipif(
        str(native_platform()) != "linux/amd64", reason="names the emulators of an x86-64 machine"
    ),
]
#: A frontend that hands everything on to the one inside the engine.
FORWARD = """\
import os
from homeport.buildkit.protocol.gateway import BRIDGE, BridgeSolveRequest, BridgeSolveResponse
from homeport.buildkit.protocol.gateway import ReturnRequest, RpcStatus
from homeport.buildkit.protobuf import decode, encode
from homeport.frontend.pipe_calls import CallRefused, PipeCalls

pairs = [v for k, v in os.environ.items() if k.startswith("BUILDKIT_FRONTEND_OPT_")]
options = dict(pair.partition("=")[::2] for pair in pairs)
for name in ("source", "cmdline", *LEFT_OUT):
    options.pop(name, "")
calls = PipeCalls(BRIDGE)
ask = BridgeSolveRequest(
    frontend="dockerfile.v0", frontend_opt=options, allow_result=True, allow_array=True
)
try:
    answer = ReturnRequest(result=decode(BridgeSolveResponse, calls.call("Solve", ask)).result)
except CallRefused as error:
    answer = ReturnRequest(error=encode(RpcStatus(code=2, message=error.what)))
calls.call("Return", answer)
"""


def homeport(*arguments: str, code: int = 0, inside: RunningEngine | None = None) -> str:
    command = [sys.executable, "-m", "homeport", *arguments]
    if inside is not None and inside.process is not None:
        # Where the engine has a network of its own, it must be the one on whose 127.0.0.1 we serve.
        command = ["nsenter", "--target", str(inside.process.pid), "--net", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def verify(engine: RunningEngine, image: Path, *options: str, code: int = 0) -> dict[str, Any]:
    text = homeport(
        "verify-helper", f"oci:{image}", "--engine", engine.address, "--format", "json", *options,
        code=code, inside=engine,
    )  # fmt: skip
    document: dict[str, Any] = json.loads(text)
    assert unspecified(document) == []
    return document


def ended(document: dict[str, Any], state: str) -> dict[str, str]:
    """Names of the cases that ended so, with the reasons."""
    return {case["name"]: case["why"] for case in document["cases"] if case["state"] == state}


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True, bridge=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layouts of the catalog's recipes, by their names."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("binfmt", "sbom-scanner", "homeport"):
        homeport("build", name, "--locked", "--no-attest", "--platform", "native",
                 "-o", f"oci:{folder / name}")  # fmt: skip
    return folder


def changed(engine: RunningEngine, base: Path, folder: Path, dockerfile: str) -> Path:
    """Another image, made of one and of the files in a folder."""
    (folder / "Dockerfile").write_text("FROM base\n" + dockerfile)
    (folder / "nothing").write_bytes(_nothing())
    (folder / "nothing").chmod(0o755)
    homeport("solve", str(folder), "--build-context", f"base=oci:{base}", "--engine",
             engine.address, "-o", f"oci:{folder / 'image'}")  # fmt: skip
    return folder / "image"


def _nothing() -> bytes:
    """A program that only ends, with 0."""
    found = machine("amd64")
    assert found is not None
    return found.program


def test_the_catalogs_binfmt_serves_without_privileges(engine: RunningEngine, images: Path) -> None:
    document = verify(engine, images / "binfmt")
    assert (document["kind"], document["failed"]) == ("binfmt", 0)
    passed = ended(document, "passed")
    for architecture in ("arm64", "arm", "riscv64", "ppc64le", "s390x", "mips64", "loong64"):
        assert f"its emulator runs a program of linux/{architecture}" in passed
    reasons = set(ended(document, "not tried").values())
    assert reasons == {
        "the engine's machine (amd64) runs these programs itself",
        "registers emulators on the engine's machine for a moment: add --register",
    }


def test_an_engine_that_gives_no_privileges_cannot_register(
    engine: RunningEngine, images: Path
) -> None:
    document = verify(engine, images / "binfmt", "--register", "--case", "--install")
    assert document["failed"] == document["passed"] == 0
    assert all("allow security.insecure" in why for why in ended(document, "not tried").values())


@pytest.mark.parametrize("there", ["mounted", "not mounted"])
def test_whether_entries_outlive_the_container_depends_on_the_machine(
    images: Path, there: Any
) -> None:
    """The kernel drops them with the last mount of binfmt_misc (tonistiigi/binfmt#360)."""
    serves = there == "mounted"
    with running_in_chroot("sid", containerd_store=True, binfmt=there) as engine:
        document = verify(
            engine, images / "binfmt", "--register", "--case", "install", "--case", "JSON document",
            code=0 if serves else 3,
        )  # fmt: skip
    failed = ended(document, "failed")
    if serves:
        assert (failed, document["not_tried"]) == ({}, 0)
        lives = "what --install all registers outlives the container and runs programs"
        assert ended(document, "passed")[lives] == "8 architectures run"
    else:
        assert len(failed) == 3
        assert all("dropped the entries with the last mount" in why for why in failed.values())


def test_a_broken_binfmt_fails(engine: RunningEngine, images: Path, tmp_path: Path) -> None:
    image = changed(
        engine, images / "binfmt", tmp_path,
        "COPY nothing /usr/bin/binfmt\nCOPY nothing /usr/bin/qemu-aarch64\n"
        "COPY Dockerfile /usr/bin/qemu-s390x\n",
    )  # fmt: skip
    failed = ended(verify(engine, image, code=3), "failed")
    assert set(failed) == {
        "--version is printed on standard error",
        "without privileges it fails and prints nothing on standard output",
        "its emulator runs a program of linux/s390x",
        "an emulator refuses a program of another machine",
    }


def test_the_catalogs_scanner_serves(engine: RunningEngine, images: Path) -> None:
    document = verify(engine, images / "sbom-scanner")
    assert (document["kind"], ended(document, "failed")) == ("sbom-scanner", {})
    assert document["passed"] == len(KINDS["sbom-scanner"].cases)


def test_a_scanner_that_writes_nothing_fails(
    engine: RunningEngine, images: Path, tmp_path: Path
) -> None:
    image = changed(
        engine, images / "sbom-scanner", tmp_path, 'COPY nothing /n\nENTRYPOINT ["/n"]\n'
    )
    failed = ended(verify(engine, image, "--kind", "sbom-scanner", code=3), "failed")
    assert len(failed) == len(KINDS["sbom-scanner"].cases)
    assert set(failed.values()) == {"the image has no SBOM"}


def test_a_scanner_that_does_not_start_fails_with_the_engines_reason(
    engine: RunningEngine, images: Path, tmp_path: Path
) -> None:
    image = changed(engine, images / "sbom-scanner", tmp_path, 'ENTRYPOINT ["/no-scanner"]\n')
    failed = ended(verify(engine, image, "--case", "alpine", code=3), "failed")
    assert "/no-scanner" in failed["packages of Alpine"]


def frontend(engine: RunningEngine, images: Path, folder: Path, *left_out: str) -> Path:
    (folder / "forward.py").write_text(FORWARD.replace("*LEFT_OUT", repr(left_out)[1:-1]))
    return changed(
        engine, images / "homeport", folder,
        'COPY forward.py /\nENTRYPOINT ["/usr/bin/python3.14", "-I", "/forward.py"]\n',
    )  # fmt: skip


def test_a_frontend_that_builds_what_the_engines_own_builds_serves(
    engine: RunningEngine, images: Path, tmp_path: Path
) -> None:
    document = verify(engine, frontend(engine, images, tmp_path))
    assert (document["kind"], ended(document, "failed")) == ("dockerfile", {})
    assert document["passed"] == len(KINDS["dockerfile"].cases)


def test_a_frontend_that_ignores_options_fails_where_they_matter(
    engine: RunningEngine, images: Path, tmp_path: Path
) -> None:
    image = frontend(engine, images, tmp_path, "build-arg:from", "target", "label:x")
    failed = ended(verify(engine, image, code=3), "failed")
    assert set(failed) == {"arguments", "a target", "the configuration"}, failed
    assert "one has content" in failed["arguments"]


def test_the_image_homeport_serves_as_the_frontend_of_recipes(
    engine: RunningEngine, images: Path
) -> None:
    document = verify(engine, images / "homeport")
    assert (document["kind"], ended(document, "failed")) == ("recipe-frontend", {})
    # This engine is in a network of its own, without Debian's archive.
    fetching = {case.name for case in CASES if case.fetches}
    assert set(ended(document, "not tried")) == fetching
    assert document["passed"] == len(CASES) - len(fetching)


def test_a_frontend_that_ignores_the_platform_fails(
    engine: RunningEngine, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "careless.py").write_text(
        "import os\n"
        "for name, value in list(os.environ.items()):\n"
        "    if value.startswith('platform='): del os.environ[name]\n"
        "from homeport.frontend.start import main\n"
        "main([])\n"
    )
    image = changed(
        engine, images / "homeport", tmp_path,
        'COPY careless.py /\nENTRYPOINT ["/usr/bin/python3.14", "-I", "/careless.py"]\n',
    )  # fmt: skip
    options = ("--kind", "recipe-frontend", "--case", "platform", "--case", "directories")
    failed = ended(verify(engine, image, *options, code=3), "failed")
    assert set(failed) == {
        "another platform, without an emulator",
        "a platform that the recipe has not is refused",
    }


def test_an_image_that_is_no_frontend_fails(engine: RunningEngine, images: Path) -> None:
    document = verify(
        engine, images / "binfmt", "--kind", "dockerfile", "--case", "COPY and ADD", code=3
    )
    assert document["failed"] == 1
