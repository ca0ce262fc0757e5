"""What commands print with ``--format json`` is what docs/formats specifies, one schema each."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.audit import lay_out
from builders.deb import deb
from builders.documents import index, unspecified
from builders.inspection import file, layer, made, whiteout
from builders.locking import World
from builders.recipe import recipe_file
from builders.runtime import runtime
from builders.small_registry import small_registry
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.sources import image
from homeport.buildkit.protobuf import encode
from homeport.cli.main import run
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

SOURCES = Path(__file__).parents[2] / "src/homeport"
#: Files, no answers (docs/formats/README.md, "Files").
FILES = {
    "homeport-rebuild-kit/v1",
    "homeport-plan/v1",
    "homeport-policy/v1",
    "homeport-baseline/v1",
    "homeport-lock-proof/v1",
    "homeport-bundle-contents/v1",
    "homeport-bundle-sources/v1",
    "homeport-docker-pkg-lock/v1",
}
#: These need an engine: tests/peers/test_buildkit_solve.py, test_buildkit_helper.py.
#: And a docker daemon: tests/peers/test_docker_pkg.py. A user namespace: test_catalog_binfmt.py.
ENGINE = {
    "homeport-binfmt-install/v1",
    "homeport-solve/v1", "homeport-verify-helper/v1", "homeport-docker-pkg-build/v1",
    "homeport-docker-pkg-prune/v1",
}  # fmt: skip
BLUBBER = """\
# syntax=registry.example/blubber/buildkit:v0.20.0
version: v4
variants:
  build: {base: registry.example/debian, builder: {command: "date +%s"}}
  app: {includes: [build], copies: [build]}
"""
RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64]
packages: [app]
tests: [{{name: app is there, file: /usr/bin/app}}]
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Every document, by schema, that a long session of commands prints."""
    folder = tmp_path_factory.mktemp("documents")
    work = folder / "work"
    work.mkdir()
    with pytest.MonkeyPatch.context() as patch, small_registry() as registry:
        patch.chdir(work)
        patch.setenv("HOME", str(folder))
        patch.setenv("HOMEPORT_CACHE_DIR", str(folder / "cache"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("HOMEPORT_FORMAT", "json")
        patch.setenv("COSIGN_PASSWORD", "")
        for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
            patch.delenv(name, raising=False)
        prepare(work, folder)
        found: dict[str, list[dict[str, Any]]] = {}
        for arguments, code in session(f"{registry.host}/team/one"):
            document = ask(arguments, code)
            found.setdefault(document["schema"], []).append(document)
        yield found


def prepare(work: Path, folder: Path) -> None:
    """A recipe with its archive, an image in a layout, a tree to audit, an LLB file."""
    packages = [deb("app", files={"usr/bin/app": b"x"})]
    world = World(folder, packages, valid_for=None)
    (work / "key.asc").write_bytes(world.archive.certificate)
    recipe_file(work, RECIPE.format(url=world.archive.url))
    value = made(
        layer(file("a", b"1" * 100), file("b", b"hello\n")), layer(whiteout("a"), file("c", b"2"))
    )
    OciLayout(LayoutAddress(path=work / "one", tag="1")).write(value, runtime())
    lay_out({"tree/Dockerfile": "FROM debian:13\nFROM $X\n"}, work)
    lay_out(
        {"fresh-catalog/base/homeport.yaml": "homeport: 1\nname: base\nextends: static\n"}, work
    )
    (work / "blubber.yaml").write_text(BLUBBER)
    (work / ".travis.yml").write_text("services: docker\nscript: docker build -t r.example/x/y .\n")
    lay_out(
        {
            "pkg/config.yaml": "registry: registry.example\n",
            "pkg/images/hello/changelog": "hello (1.0) trixie; urgency=low\n",
            "pkg/images/hello/Dockerfile.template": "FROM debian:latest\nCOPY x /x\n",
        },
        work,
    )
    (work / "one.llb").write_bytes(encode(marshal(image("registry.example/debian:13"))))


def session(name: str) -> Iterator[tuple[list[str], int]]:
    """Commands in their order, each with the exit code that it ends with."""
    host = name.partition("/")[0]
    for line, code in (
        ("recipe check .", 0),
        ("recipe check ./none.yaml", 2),
        ("lock . --check", 4),
        ("search app", 0),
        ("binfmt status", 0),
        ("show app --files --recipe . --platform linux/amd64", 0),
        ("catalog slices libc6", 0),
        ("catalog push fresh-catalog oci:catalog", 0),
        ("slice propose app --platform linux/amd64 -o slices/app.yaml", 0),
        ("slice check slices --platform linux/amd64", 0),
        ("init app --in fresh --name fresh --no-check", 0),
        ("add app --recipe ./fresh --no-check", 0),
        ("lock .", 0),
        ("lock .", 0),
        ("recipe explain . --platform linux/amd64", 0),
        ("recipe show . --platform linux/amd64", 0),
        ("lock . --check", 0),
        ("lock . --verify", 0),
        ("outdated . --fail-on never --no-inputs --html outdated.html", 0),
        ("update . --dry-run", 0),
        ("graph .", 0),
        ("pipelines convert .travis.yml", 0),
        ("test .", 0),
        ("build . -o oci:built", 0),
        ("build . ./fresh -o oci:several:{name}", 1),
        ("build . -o oci:kit --attest sbom,provenance,kit", 0),
        ("verify oci:kit --rebuild --trust-kit", 0),
        ("catalog list", 0),
        ("catalog show dockerfile-copy", 0),
        ("copy tree /copied --dry-run", 0),
        ("copy tree /copied", 0),
        ("cache info", 0),
        ("doctor --offline", 0),
        ("docs", 0),
        ("docs guide", 0),
        ("docs --man manuals", 0),
        ("cache verify", 0),
        ("cache prune --all", 0),
        ("inspect oci:one:1", 0),
        ("inspect oci:built", 0),
        ("inspect oci:one:1 --files", 0),
        ("inspect oci:one:1 --layer 1", 0),
        ("inspect oci:one:1 --path /a", 0),
        ("inspect oci:one:1 --binaries", 0),
        ("inspect oci:one:1 --verify", 0),
        ("inspect oci:one:1 --waste", 0),
        ("inspect oci:one:1 --rule max-size=1MB", 0),
        ("inspect oci:one:1 --html page.html", 0),
        ("diff oci:one:1 oci:built --times", 0),
        ("extract oci:one:1 /b -o out", 0),
        ("audit tree --deny floating", 3),
        ("audit rules", 0),
        ("audit explain floating", 0),
        ("audit explain setup-qemu-binfmt", 0),
        ("home registry.example/m tree --dry-run --offline --plan home.yaml", 0),
        ("audit tree --home registry.example/m --plan plan.yaml", 0),
        ("audit --apply plan.yaml", 0),
        ("llb dump one.llb", 0),
        ("blubber check blubber.yaml", 0),
        ("docker-pkg list pkg/images -c pkg/config.yaml --no-pull", 0),
        ("docker-pkg graph pkg/images -c pkg/config.yaml", 0),
        ("docker-pkg check pkg/images -c pkg/config.yaml", 3),
        ("docker-pkg convert pkg/images hello -c pkg/config.yaml", 0),
        ("docker-pkg update hello pkg/images -c pkg/config.yaml --dry-run", 0),
        (f"push oci:one:1 {name}:1 --plain-http", 0),
        (f"pull {name}:1 oci:two --plain-http", 0),
        (f"bundle {name}:1 -o one.bundle --plain-http", 0),
        ("bundle list one.bundle", 0),
        (f"bundle load one.bundle {host}/inside --plain-http", 0),
        ("gc two", 0),
        (f"mirror {name}:1 {host}/team/two:1 --plain-http --dry-run", 0),
        (f"mirror {name}:1 {host}/team/two:1 --plain-http", 0),
        (f"import {name}:1 {host}/team/three:1 --plain-http", 0),
        (f"retag {name}:1 2 3 --plain-http", 0),
        ("key generate -o cosign", 0),
        (f"sign {name}:1 --key cosign.key -a build=7 --plain-http", 0),
        (f"verify {name}:1 --key cosign.pub --plain-http", 0),
        (f"verify {name}:1 --key cosign.pub --type vex --plain-http", 3),
        ("policy emit --target containers", 0),
        (f"tags {name} --plain-http", 0),
        (f"manifest {name}:1 --plain-http", 0),
        (f"manifest {name}:1 --plain-http --digest", 0),
        (f"digest {name}:1 --plain-http", 0),
        ("digest oci:one:1", 0),
        ("config oci:one:1", 0),
        (f"repos {host} --plain-http", 0),
        (f"validate {name}:1 --plain-http", 0),
        (f"delete {name}:3 --plain-http", 0),
        (f"publish . {host}/team/app --version 1.2 --plain-http", 0),
        (f"rollback {host}/team/app --to 1.2 --plain-http", 0),
        ("pipelines cron", 0),
        (f"prune-tags {host}/team/app --dry-run --plain-http", 0),
        ("delete oci:two:latest", 0),
        (f"ping {host} --plain-http", 0),
        (f"login {host}", 0),
        (f"logout {host}", 0),
    ):
        yield line.split(), code


def ask(arguments: list[str], code: int) -> dict[str, Any]:
    """The one document that a command prints on standard output."""
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        if arguments[0] == "login":
            patch.setenv("HOMEPORT_CREDS", "me:secret")
        errors = io.StringIO()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(errors):
            ended = run(arguments)
    text = stream.buffer.getvalue().decode()
    assert ended == code, f"{arguments}: {text} {errors.getvalue()}"
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_index_lists_the_schemas_of_the_code_and_each_is_written_there_once() -> None:
    written: dict[str, list[str]] = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if text.startswith("homeport-") and "/v" in text and " " not in text.strip("."):
                    written.setdefault(text, []).append(f"{path.name}:{node.lineno}")
    schemas = {text: places for text, places in written.items() if text.count("/v") == 1}
    assert set(schemas) - FILES == set(index())
    assert {text: places for text, places in schemas.items() if len(places) > 1} == {}


def test_the_session_prints_every_document_that_needs_no_engine(
    printed: dict[str, list[dict[str, Any]]],
) -> None:
    assert set(printed) == set(index()) - ENGINE


@pytest.mark.parametrize("schema", sorted(set(index()) - ENGINE))
def test_every_field_that_is_printed_is_specified(
    schema: str, printed: dict[str, list[dict[str, Any]]]
) -> None:
    for document in printed[schema]:
        assert unspecified(document) == []
