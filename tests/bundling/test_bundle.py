"""Bundles: out of one registry, verified, into another, and built again with nothing else."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.images import image
from builders.published import IMAGE, ask, run
from builders.runtime import runtime
from builders.small_registry import SmallRegistry
from homeport.bundling.model import FILE_LAYER, FILES, FILES_NAME, PACKAGES, TITLE
from homeport.content.blob import BytesBlob
from homeport.images.address import LayoutAddress
from homeport.images.image import Image
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, written


@pytest.fixture
def bundle(home: SmallRegistry) -> Path:
    written = ask(home, "bundle", IMAGE, "-o", "tool.bundle", "--include", "us.pub",
                  "--include", "policy.yaml", "--trust-kit")  # fmt: skip
    assert written["files"] == ["us.pub", "policy.yaml"]
    (image,) = written["images"]
    assert image["packages"] == 2
    assert image["attached"] >= 7  # two forms of three manifests, and the kit
    return Path("tool.bundle")


def test_a_bundle_is_verified_loaded_and_keeps_verifying_inside(
    home: SmallRegistry, inside: SmallRegistry, bundle: Path
) -> None:
    loaded = ask(home, "bundle", "load", str(bundle), f"{inside.host}/m", "--policy", "policy.yaml",
                 "--files", "carried")  # fmt: skip
    (image,) = loaded["images"]
    assert (image["name"], image["to"], image["decision"]) == (
        f"{home.host}/tool:1", f"{inside.host}/m/tool:1", "verified",
    )  # fmt: skip
    assert Path("carried/us.pub").read_bytes() == Path("us.pub").read_bytes()
    verified = ask(home, "verify", f"{inside.host}/m/tool:1", "--key", "carried/us.pub",
                   "--signed-as", "HOST/tool", "--every-platform")  # fmt: skip
    assert verified["verified"]
    assert {one["form"] for one in verified["subjects"][0]["signatures"]} == {"legacy", "bundle"}
    assert any(
        json.loads(one.raw).get("artifactType") == PACKAGES for one in inside.manifests.values()
    )


def test_the_image_is_built_again_inside_from_the_bundle_alone(
    home: SmallRegistry, inside: SmallRegistry, bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ask(home, "bundle", "load", str(bundle), inside.host, "--policy", "policy.yaml")
    shutil.rmtree(tmp_path / "mirror")
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "empty"))
    result = ask(home, "verify", f"{inside.host}/tool:1", "--rebuild", "--trust-kit",
                 "--mirror", f"bundle:{bundle}")  # fmt: skip
    assert (result["verdict"], result["packages_verified"]) == ("reproduced", True)


def test_a_locked_recipe_is_built_offline_from_a_bundle(
    home: SmallRegistry, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(home, "build", ".", "-o", "oci:one")
    shutil.rmtree(tmp_path / "mirror")
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "empty"))
    again = ask(home, "build", ".", "-o", "oci:two", "--locked", "--offline",
                "--mirror", f"bundle:{bundle}")  # fmt: skip
    assert again["digest"] == first["digest"]


def changed(bundle: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The bundle with other bytes in its members."""
    out = bundle.with_name("changed.bundle")
    with tarfile.open(bundle) as old, tarfile.open(out, "w") as new:
        for member in old:
            data = old.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
            data = change(member.name, data)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return out


def test_a_bundle_that_was_changed_or_is_not_signed_is_not_loaded(
    home: SmallRegistry, inside: SmallRegistry, bundle: Path
) -> None:
    def flip(_name: str, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if data.startswith(b"\x1f\x8b") else data

    result = run(home, "bundle", "load", str(changed(bundle, flip)), inside.host,
                 "--policy", "policy.yaml")  # fmt: skip
    assert "digest" in str(result.exception)
    text = Path("policy.yaml").read_text()
    Path("policy.yaml").write_text(text.replace("identity: [us]", "identity: [b]"))
    result = run(home, "bundle", "load", str(bundle), inside.host, "--policy", "policy.yaml")
    assert getattr(result.exception, "exit_code", None) == 3
    assert not inside.manifests


@pytest.mark.parametrize(
    "title", ["../evil", "/evil", "", "..", "a\n::error::b", "\x1b[2Jb", "\u202eb"]
)
def test_a_file_that_would_lie_elsewhere_is_refused(
    inside: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = BytesBlob(b"x")
    empty = BytesBlob(b"{}")
    layer = Descriptor(media_type=FILE_LAYER, digest=str(data.digest), size=1,
                       annotations={TITLE: title})  # fmt: skip
    manifest = Manifest(
        schema_version=2, media_type=media_types.OCI_MANIFEST, artifact_type=FILES,
        config=Descriptor(media_type=media_types.OCI_EMPTY, digest=str(empty.digest), size=2),
        layers=(layer,),
    )  # fmt: skip
    files = Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs={data.digest: data, empty.digest: empty},
    )
    for tag, value in (("reg.example/a:1", image()), (FILES_NAME, files)):
        OciLayout(LayoutAddress(path=tmp_path / "layout", tag=tag)).write(value, runtime())
    with tarfile.open("x.bundle", "w") as archive:
        archive.add("layout", ".", filter=lambda one: one if one.name != "./.lock" else None)
    result = run(inside, "bundle", "load", "x.bundle", inside.host, "--no-verify",
                 "--files", "below/carried")  # fmt: skip
    assert "a file has the name" in str(result.exception)
    assert not [*tmp_path.glob("**/evil"), *Path("/").glob("evil")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bundle", "oci:x", "-o", "y"), "images of registries by their tags"),
        (("bundle", "registry.invalid/x@sha256:" + "0" * 64, "-o", "y"), "by their tags"),
    ],
)
def test_what_cannot_be_bundled_is_named(
    inside: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert said in str(run(inside, *arguments).exception)
