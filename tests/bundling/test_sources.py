"""Source packages in bundles: exactly those of the image's packages, proven by signed indexes."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.archive import DATE
from builders.deb import deb
from builders.published import IMAGE, ask, members_of, published, published_world, run
from builders.small_registry import SmallRegistry
from homeport.bundling.model import CONTENTS_NAME, SOURCE_LAYER, SOURCES, SOURCES_LIST
from homeport.content.digest import Digest

LOAD = ("--policy", "policy.yaml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    with published(tmp_path, monkeypatch, sources=["0.9-1", "1.0-1"]) as registry:
        yield registry


def bundle(home: SmallRegistry, *more: str) -> Any:
    (image,) = ask(home, "bundle", IMAGE, "-o", "x.bundle", "--trust-kit", *more)["images"]
    return image["sources"]


def load(home: SmallRegistry, inside: SmallRegistry, file: str = "x.bundle") -> Any:
    (image,) = ask(home, "bundle", "load", file, inside.host, *LOAD)["images"]
    return image["sources"]


def layers_of(path: str, artifact_type: str) -> list[dict[str, Any]]:
    for data in members_of(path).values():
        if data.startswith(b"{") and json.loads(data).get("artifactType") == artifact_type:
            layers: list[dict[str, Any]] = json.loads(data)["layers"]
            return layers
    return []


def test_exactly_the_sources_of_the_packages_come_along_and_are_verified_when_loaded(
    home: SmallRegistry, inside: SmallRegistry
) -> None:
    written = bundle(home)
    assert (written["packages"], written["files"], written["missing"]) == (1, 3, [])
    layers = layers_of("x.bundle", SOURCES)
    names = {one["annotations"]["org.opencontainers.image.title"] for one in layers
             if one["mediaType"] == SOURCE_LAYER}  # fmt: skip
    assert names == {"app_1.0-1.dsc", "app_1.0-1.debian.tar.xz", "app_1.0.orig.tar.xz"}
    loaded = load(home, inside)
    assert (loaded["verdict"], loaded["packages"], loaded["size"]) == (
        "verified", 1, written["size"],
    )  # fmt: skip
    text = run(home, "bundle", "load", "x.bundle", inside.host, *LOAD).output
    assert f"1, {written['size']} B, verified" in text
    assert any(json.loads(one.raw).get("artifactType") == SOURCES
               for one in inside.manifests.values())  # fmt: skip


def test_the_choice_is_all_none_or_what_there_is(
    home: SmallRegistry, inside: SmallRegistry
) -> None:
    assert bundle(home, "--no-sources") is None
    assert load(home, inside) is None
    assert bundle(home, "--sources")["packages"] == 1
    note = run(home, "bundle", IMAGE, "-o", "x.bundle", "--trust-kit").output
    assert "1 source package, 3 files, " in note


def test_sources_that_no_archive_has_are_told_and_an_error_where_they_are_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with published(tmp_path, monkeypatch, sources=["0.9-1"]) as home:
        assert bundle(home)["missing"] == ["app 1.0-1"]
        result = run(home, "bundle", IMAGE, "-o", "y.bundle", "--trust-kit", "--sources")
        assert "no archive of its recipe has the source of app 1.0-1" in str(result.exception)
        assert not Path("y.bundle").exists()


def test_an_index_that_is_gone_is_replaced_by_todays_which_is_signed_too(
    inside: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror keeps former indexes for a while only; the source is in a later state, too."""
    with published_world(tmp_path, monkeypatch, sources=["1.0-1"]) as (home, world):
        monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "empty"))
        shutil.rmtree(tmp_path / "mirror/dists/trixie/main/source")
        assert bundle(home)["packages"] == 0
        world.publish([deb("app", "2.0-1")], date=DATE + timedelta(days=1), valid_for=None)
        world.archive.publish_sources("trixie", {"app": ["1.0-1", "2.0-1"]})
        assert bundle(home)["packages"] == 1
        assert load(home, inside)["verdict"] == "verified"


Blobs = dict[str, bytes]


def forge(change: Callable[[dict[str, Any], Blobs], None]) -> str:
    """A bundle with another list of sources and none of its contents; all digests are right."""
    files = members_of("x.bundle")
    index = json.loads(files["index.json"])
    named = "org.opencontainers.image.ref.name"
    index["manifests"] = [one for one in index["manifests"]
                          if one["annotations"].get(named) != CONTENTS_NAME]  # fmt: skip
    for entry in index["manifests"]:
        manifest = json.loads(files[f"blobs/sha256/{entry['digest'][7:]}"])
        if manifest.get("artifactType") != SOURCES:
            continue
        listed = json.loads(files[f"blobs/sha256/{manifest['layers'][0]['digest'][7:]}"])
        added: Blobs = {}
        change(listed, added)
        layers = [layer(SOURCES_LIST, json.dumps(listed).encode(), files), *manifest["layers"][1:]]
        manifest["layers"] = layers + [layer(name, data, files) for name, data in added.items()]
        data = json.dumps(manifest).encode()
        files[f"blobs/sha256/{digest(data)}"] = data
        entry |= {"digest": f"sha256:{digest(data)}", "size": len(data)}
    files["index.json"] = json.dumps(index).encode()
    with tarfile.open("forged.bundle", "w") as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return "forged.bundle"


def digest(data: bytes) -> str:
    return Digest.of(data).hex


def layer(media_type: str, data: bytes, files: dict[str, bytes]) -> dict[str, Any]:
    files[f"blobs/sha256/{digest(data)}"] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest(data)}", "size": len(data)}


def other_files(listed: dict[str, Any], added: Blobs) -> None:
    """A .dsc that lists a file with a back door, all of it consistent."""
    bad = b"back door"
    text = f"Source: app\nVersion: 1.0-1\nChecksums-Sha256:\n {digest(bad)} {len(bad)} app.tar.xz\n"
    dsc = text.encode()
    added |= {"dsc": dsc, "tar": bad}
    listed["sources"][0]["files"] = [
        {"path": "pool/app.dsc", "sha256": digest(dsc), "size": len(dsc)},
        {"path": "pool/app.tar.xz", "sha256": digest(bad), "size": len(bad)},
    ]


def own_index(listed: dict[str, Any], added: Blobs) -> None:
    other_files(listed, added)
    index = gzip.compress(b"Package: app\n")
    added["index"] = index
    listed["states"][0]["indexes"] = [
        {"path": "main/source/Sources.gz", "sha256": digest(index), "size": len(index)}
    ]


def no_file(listed: dict[str, Any], _added: Blobs) -> None:
    listed["sources"][0]["files"][1]["sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_files, "app 1.0-1 is not what the archive signed"),
        (own_index, "does not list main/source/Sources.gz"),
        (no_file, "is not there"),
        (lambda listed, _: listed.update(schema="x"), "unknown format 'x'"),
        (lambda listed, _: listed["sources"][0].update(files=[]), "has no files"),
        (lambda listed, _: listed["sources"][0].update(files="\u202e"), "not valid"),
    ],
)
def test_sources_that_are_not_the_archives_are_refused(
    home: SmallRegistry, inside: SmallRegistry,
    change: Callable[[dict[str, Any], Blobs], None], said: str,
) -> None:  # fmt: skip
    bundle(home)
    result = run(home, "bundle", "load", forge(change), inside.host, *LOAD)
    assert said in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 3
    assert not inside.manifests


def unsigned(listed: dict[str, Any], added: Blobs) -> None:
    """A release file of the attacker's, whose index lists what the attacker likes."""
    other_files(listed, added)
    added["release"] = b"Suite: trixie\n"
    listed["states"][0]["release"] = f"sha256:{digest(added['release'])}"


def fewer(listed: dict[str, Any], _added: Blobs) -> None:
    listed["sources"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [(unsigned, "not verified: test trixie: "), (fewer, "incomplete without app 1.0-1")],
)
def test_what_is_not_proven_is_never_called_verified(
    home: SmallRegistry, inside: SmallRegistry,
    change: Callable[[dict[str, Any], Blobs], None], said: str,
) -> None:  # fmt: skip
    bundle(home)
    assert said in load(home, inside, forge(change))["verdict"]
