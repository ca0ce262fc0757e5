"""Rebuild kits: whoever has an image and its kit builds it again, and nothing else happens."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builders.archive import DATE, suite
from builders.building import BARE, BuildWorld
from builders.deb import deb
from builders.rebuilding import attach_kit, build_again, kit_contents, kit_layer, layout
from builders.runtime import runtime
from homeport.attest.attached.layout import LayoutAttached
from homeport.building.rebuild import NoRebuildKit, rebuild
from homeport.building.rebuild_kit import LAYER, PROOF_LAYER, kit_artifact
from homeport.building.request import KINDS, BuildResult, parse_kinds
from homeport.content.blob import BytesBlob, verified
from homeport.content.thread_pools import Pools
from homeport.errors import HomeportError, TooLarge, UsageError
from homeport.images.image import Image, digest_of
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.documents import Descriptor
from homeport.progress import CancelToken

RECIPE = BARE + (
    "packages: [hello]\n"
    "files:\n"
    "  - {from: own, to: /srv}\n"
    "  - {from: tool.sh, to: /usr/bin/tool}\n"
    "  - {text: inline, to: /etc/inline}\n"
)


@pytest.fixture
def world(tmp_path: Path) -> BuildWorld:
    here = BuildWorld(
        tmp_path, [deb("hello", depends="libx", files={"usr/bin/hello": b"hi"}),
                   deb("libx", files={"usr/lib/x": b"x"})]
    )  # fmt: skip
    path = here.write_recipe(RECIPE)
    (path.parent / "own" / "below").mkdir(parents=True)
    (path.parent / "own" / "below" / "a").write_text("A")
    (path.parent / "tool.sh").write_text("any program\n")
    (path.parent / "tool.sh").chmod(0o755)
    return here


def forged(result: BuildResult, files: dict[str, bytes], *more: tarfile.TarInfo) -> Image:
    """A kit that refers to the image and holds these files and members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return kit_artifact(BytesBlob(out.getvalue()), result.built.index)


def test_the_kit_holds_recipe_lockfile_and_local_files_and_nothing_of_this_machine(
    world: BuildWorld,
) -> None:
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    files = kit_contents(built.kit)
    assert sorted(files) == [
        "kit.json", "recipe/homeport.yaml", "recipe/key.asc", "recipe/own/below/a",
        "recipe/tool.sh", "test.lock",
    ]  # fmt: skip
    assert files["test.lock"] == built.locked.path.read_bytes()
    assert str(world.root).encode() not in b"".join(files.values()).replace(
        files["recipe/homeport.yaml"], b""
    ).replace(files["test.lock"], b"")
    assert json.loads(files["kit.json"])["recipe"] == "recipe/homeport.yaml"


def test_the_provenance_names_the_kit(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    (attestation,) = (child.open() for child in built.built.index.children if child.attests)
    assert isinstance(attestation, Image)
    layer = attestation.document.parsed.layers[1]
    with verified(attestation.blobs[digest_of(layer)]) as stream:
        statement = json.loads(stream.readall())
    named = statement["predicate"]["buildDefinition"]["resolvedDependencies"][-1]
    layer_digest = kit_layer(built.kit).digest
    assert named == {"name": "rebuild kit", "digest": {"sha256": layer_digest.hex}}


@pytest.mark.parametrize("more", [(), ("oci-artifact=false",)])
def test_an_image_is_built_again_from_its_kit_alone(
    world: BuildWorld, more: tuple[str, ...]
) -> None:
    built = world.build(world.home / "homeport.yaml", attest=parse_kinds([*KINDS, *more]))
    assert built.kit is not None
    attach_kit(built, built.kit)
    for path in (world.home / "homeport.yaml", world.home / "tool.sh", built.locked.path):
        path.unlink()
    result = build_again(world, built, trust_kit=True)
    assert (result.verdict, result.difference) == ("reproduced", "")
    assert result.built == result.expected == str(built.built.index.digest)
    assert [one.same for one in result.platforms] == [True]
    assert (result.packages_verified, result.packages) == (True, "verified")


def rebuilt(world: BuildWorld, path: Path) -> str:
    """Build, lose the recipe's folder, build again from the kit."""
    built = world.build(path)
    assert built.kit is not None, world.notes.lines
    attach_kit(built, built.kit)
    world.home.rename(world.root / "lost")
    result = build_again(world, built, trust_kit=True)
    return f"{result.verdict}: {result.difference}" if result.difference else result.verdict


def test_links_in_local_directories_come_along(world: BuildWorld) -> None:
    for name, target in {"inside": "a", "absent": "nowhere", "host": "/etc/hostname"}.items():
        (world.home / "own" / "below" / name).symlink_to(target)
    (world.home / "own" / "directory").symlink_to("below")
    assert rebuilt(world, world.home / "homeport.yaml") == "reproduced"


def test_a_link_and_what_it_leads_to_have_no_two_places_in_a_kit(world: BuildWorld) -> None:
    (world.home / "own" / "link").symlink_to("below/a")
    more = "  - {from: own/link, to: /srv/again}\n"
    built = world.build(world.write_recipe(RECIPE + more))
    assert built.kit is None
    assert world.notes.lines[-1].startswith("warning: no rebuild kit: the recipe takes /recipe/own")


def test_the_same_directory_taken_twice_brings_what_either_takes(world: BuildWorld) -> None:
    for name in ("one", "two", "secret"):
        (world.home / "own" / name).write_text(name)
    more = (
        "  - {from: own, to: /one, exclude: [two, secret]}\n"
        "  - {from: own, to: /two, exclude: [one, secret]}\n"
    )
    text = RECIPE.replace("  - {from: own, to: /srv}\n", more)
    built = world.build(world.write_recipe(text))
    assert built.kit is not None
    assert {name for name in kit_contents(built.kit) if "/own/" in name} == {
        "recipe/own/below/a", "recipe/own/one", "recipe/own/two"
    }  # fmt: skip


def test_files_of_a_recipe_that_is_extended_are_found_beside_it(world: BuildWorld) -> None:
    base = world.home / "base"
    (base / "own").mkdir(parents=True)
    (base / "own" / "b").write_text("of the base")
    text = (world.home / "homeport.yaml").read_text()
    lines = "homeport: 1\nname: base\npackages: [hello]\n"
    (base / "homeport.yaml").write_text(lines + "files: [{from: own, to: /base}]\n")
    (world.home / "homeport.yaml").write_text(f"extends: ./base/homeport.yaml\n{text}")
    assert rebuilt(world, world.home / "homeport.yaml") == "reproduced"


def test_the_whole_folder_of_a_recipe_is_taken_where_it_lies(world: BuildWorld) -> None:
    text = RECIPE.replace("{from: own, to: /srv}", "{from: ., to: /srv, exclude: ['*.lock*']}")
    assert rebuilt(world, world.write_recipe(text)) == "reproduced"


def test_without_a_proof_the_packages_count_as_not_verified(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    attach_kit(built, kit_artifact(kit_layer(built.kit), built.built.index))
    world.archive.publish(suite(packages=[deb("app", "2")], date=DATE + timedelta(days=1)))
    result = build_again(world, built, trust_kit=True)
    assert (result.verdict, result.packages_verified) == ("reproduced", False)
    assert result.packages.startswith("not verified: ")


def test_another_image_with_the_kit_differs_and_the_first_file_is_named(world: BuildWorld) -> None:
    first = world.build(world.home / "homeport.yaml")
    (world.home / "own" / "below" / "a").write_text("B")
    other = world.build(world.home / "homeport.yaml")
    assert first.kit is not None
    layer = first.kit.blobs[digest_of(first.kit.document.parsed.layers[0])]
    attach_kit(other, kit_artifact(layer, other.built.index))
    result = build_again(world, other, trust_kit=True)
    assert result.verdict == "differs"
    assert "linux/amd64: /srv/below/a: content" in result.difference


def test_without_a_kit_the_error_says_how_to_make_one(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    with pytest.raises(NoRebuildKit, match="has no rebuild kit"):
        build_again(world, built)


def test_a_kit_that_refers_to_another_image_does_not_count(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    manifest = built.kit.document.parsed
    assert manifest.subject is not None
    other = msgspec.structs.replace(manifest.subject, digest=f"sha256:{'0' * 64}")
    document = msgspec.structs.replace(manifest, subject=other)
    raw = msgspec.json.encode(document)
    attached = _Listing([(raw, str(built.built.index.digest))])
    with (
        Pools(CancelToken(), processor=2) as pools,
        OciLayout(layout(built)).open(runtime(world.store, pools=pools)) as value,
        world.connections(pools) as connections,
        pytest.raises(NoRebuildKit),
    ):
        rebuild(
            "oci:out",
            value,
            attached,
            runtime(world.store, pools=pools),
            connections,  # type: ignore[arg-type]
        )


class _Listing:
    """A list of referrers that lies about their subject."""

    repository = ""

    def __init__(self, manifests: list[tuple[bytes, str]]) -> None:
        self._manifests = manifests

    def referrers(self, subject: object) -> list[Any]:
        return [
            Descriptor(
                media_type="application/vnd.oci.image.manifest.v1+json",
                digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
                size=len(raw),
            )
            for raw, listed in self._manifests
            if listed == str(subject)
        ]

    def manifest(self, descriptor: Any) -> bytes:
        return self._manifests[0][0]

    def blob(self, descriptor: Any) -> BytesBlob:
        return BytesBlob(b"{}")


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def device(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "etc/passwd"
    return info


def with_line(line: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    name = "recipe/homeport.yaml"
    return lambda files: {**files, name: f"{line}\n".encode() + files[name]}


def described(old: str, new: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """With another line in ``kit.json``."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        data = files["kit.json"]
        assert old.encode() in data
        return {**files, "kit.json": data.replace(old.encode(), new.encode())}

    return change


def without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {path: data for path, data in files.items() if path != name}


def recipe_with(line: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        old = b"{from: own, to: /srv}"
        return {path: data.replace(old, line.encode()) for path, data in files.items()}

    return change


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (without("kit.json"), [], "cannot read its kit.json"),
        (without("test.lock"), [], "'test.lock' is missing"),
        (without("recipe/own/below/a"), [link("recipe/own/below", "/etc")], "differs"),
        (without("recipe/tool.sh"), [link("recipe/tool.sh", "/etc/hostname")], "tool.sh"),
        (
            without("recipe/homeport.yaml"),
            [link("recipe/homeport.yaml", "/etc/passwd")],
            "'recipe/homeport.yaml' is a link",
        ),
        (lambda files: files, [link("test.lock.proof", "/tmp/x")], "holds a symlink"),
        (lambda files: files, [link("catalog", "/etc")], "holds a symlink"),
        (lambda files: files, [link("recipe/slices", "/etc")], "differs"),
        (recipe_with("{from: /etc/hostname, to: /srv}"), [], "hostname"),
        (recipe_with("{from: at, to: /srv}"), [link("recipe/at", "/etc/hostname")], "'at'"),
        (recipe_with("{from: at/passwd, to: /srv}"), [link("recipe/at", "/etc")], "'passwd'"),
        (
            recipe_with("{from: at, to: /srv}"),
            [link("recipe/at", "on"), link("recipe/on", "/etc/hostname")],
            "'at' from outside",
        ),
        (
            recipe_with("{from: own/e, to: /srv}"),
            [link("recipe/own/e", "/proc/self/environ")],
            "'e'",
        ),
        (without("recipe/key.asc"), [link("recipe/key.asc", "/etc/passwd")], "'key.asc'"),
        (with_line("local_packages: at"), [link("recipe/at", "/etc")], "outside the recipe"),
        (with_line("extends: ./at.yaml"), [link("recipe/at.yaml", "/etc/passwd")], "outside"),
        (
            described('"recipe/homeport.yaml"', '"recipe/at/homeport.yaml"'),
            [link("recipe/at", "own")],
            "'recipe/at/homeport.yaml' is missing",
        ),
        (
            described('"moved": {}', '"moved": {"own": "recipe/at/x"}'),
            [link("recipe/at", "/etc")],
            "'recipe/at/x' is missing",
        ),
        (
            described('"moved": {}', '"moved": {"own": "recipe/../../../etc/hostname"}'),
            [],
            "is missing",
        ),
        (
            described('"source_date_epoch": null', '"source_date_epoch": -99999999999999'),
            [],
            "cannot read its kit.json",
        ),
        (
            described('"source_date_epoch": null', f'"source_date_epoch": {10**18}'),
            [],
            "cannot read its kit.json",
        ),
        (lambda files: files, [link("recipe/own/below/l", "")], "cannot write"),
        (lambda files: files, [link("recipe/" + "n" * 300, "x")], "File name too long"),
        (lambda files: files, [tarfile.TarInfo("recipe/" + "n" * 300)], "File name too long"),
        (lambda files: files, [tarfile.TarInfo("recipe/../../x")], "leaves the root"),
        (lambda files: files, [device("recipe/own/f", tarfile.FIFOTYPE)], "holds a fifo"),
        (lambda files: files, [device("recipe/own/f", tarfile.CHRTYPE)], "holds a char"),
        (lambda files: files, [device("recipe/own/f", tarfile.LNKTYPE)], "no target"),
        (recipe_with("{from: ../../../../../../etc/hostname, to: /srv}"), [], "hostname"),
    ],
)
def test_a_hostile_kit_is_refused(
    world: BuildWorld, change: Callable[[dict[str, bytes]], dict[str, bytes]],
    more: list[tarfile.TarInfo], said: str,
) -> None:  # fmt: skip
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    attach_kit(built, forged(built, change(kit_contents(built.kit)), *more))
    try:
        found = [build_again(world, built, trust_kit=True).verdict]
    except HomeportError as error:
        found = [str(fault) for fault in getattr(error, "faults", [error])]
    assert said in "\n".join(found)


def test_a_kit_that_unpacks_to_more_than_it_may_is_stopped(
    world: BuildWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.building.rebuild.KIT_LIMIT", 100_000)
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    files = kit_contents(built.kit)
    attach_kit(built, forged(built, {**files, "recipe/zeros": bytes(100_001)}))
    with pytest.raises(TooLarge, match=r"more than 100\.00 kB of content"):
        build_again(world, built, trust_kit=True)


def test_archives_and_steps_of_the_kit_need_consent(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    assert built.kit is not None
    attach_kit(built, built.kit)
    with pytest.raises(UsageError, match="brings its own archive") as caught:
        build_again(world, built)
    layer = kit_layer(built.kit).digest
    assert f"homeport blob oci:out@{layer} | tar -xzO" in str(caught.value.hint)


def test_an_image_of_one_platform_has_no_kit(world: BuildWorld) -> None:
    built = world.build(world.home / "homeport.yaml")
    with (
        Pools(CancelToken(), processor=2) as pools,
        world.connections(pools) as connections,
        pytest.raises(UsageError, match="a rebuild kit belongs to an index"),
    ):
        run = runtime(world.store, pools=pools)
        image = built.built.images[0].image
        rebuild("x", image, LayoutAttached(layout(built), run), run, connections)


def test_a_kit_is_the_same_wherever_it_is_made(world: BuildWorld, tmp_path: Path) -> None:
    first = world.build(world.home / "homeport.yaml")
    second = world.build(world.home / "homeport.yaml", fresh=True)
    assert first.kit is not None
    assert second.kit is not None
    assert first.kit.digest == second.kit.digest
    assert [one.media_type for one in first.kit.document.parsed.layers] == [LAYER, PROOF_LAYER]
