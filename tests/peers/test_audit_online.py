"""Against real registries on loopback: ``--online``, and the whole way home.

Plan, then ``homeport mirror --file``, then apply, then an audit that finds nothing foreign.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from builders.registry import descriptor, docker_registry, index, statement
from homeport.app import App, Settings, open_app
from homeport.audit.assessment import Image
from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.plan.planfile import read_plan
from homeport.audit.registry_lookup import lookup_function, to_look_up, with_answers
from homeport.cli.main import run
from homeport.content.blob import BytesBlob
from homeport.oci import media_types
from homeport.oci.reference import parse_reference
from homeport.registry.push import PushManifest, PushRequest, push

pytestmark = pytest.mark.peer("docker-registry")


def put(app: App, name: str, created: str, *, platforms: tuple[str, ...] = ()) -> str:
    """Push an image that says when it was built; its digest."""
    layer = BytesBlob(created.encode() or b"x")
    statements: list[PushManifest] = []
    blobs = {layer.digest: layer}
    for architecture in platforms or ("amd64",):
        config = BytesBlob(
            json.dumps({
                "architecture": architecture, "os": "linux", "created": created, "config": {},
                "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]},
            }).encode()
        )  # fmt: skip
        blobs[config.digest] = config
        document = {
            "schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST,
            "config": descriptor(config, media_types.OCI_CONFIG),
            "layers": [descriptor(layer, media_types.OCI_LAYER)],
        }  # fmt: skip
        statements.append(statement(document))
    if platforms:
        statements.append(index(*statements, architectures=platforms))
    reference = parse_reference(name)
    push_request = PushRequest(blobs=blobs, manifests=statements, tags=[reference.tag])
    repository = app.registries().repository(reference)
    return str(push(repository, push_request, app.runtime.pools.network).digest)


def named(monkeypatch: pytest.MonkeyPatch, folder: Path, **registries: str) -> None:
    """Registries on loopback under names: files that name loopback name no foreign image."""
    monkeypatch.setenv("HOME", str(folder))
    for name, host in registries.items():
        place = folder / f".docker/certs.d/{name}.example"
        place.mkdir(parents=True)
        (place / "hosts.toml").write_text(f'server = "http://{host}"\n')


def asked(app: App, root: Path, files: dict[str, str]) -> dict[str, Image]:
    lay_out(files, root)
    report = audit(AuditRequest(paths=["."], root=root, today=TODAY)).report
    look_up = lookup_function(app.registries(), app.runtime.store)
    answers = {str(one): look_up(one) for one in to_look_up(report)}
    return {i.name: i for i in with_answers(report, answers, TODAY).images}


def test_registries_tell_digest_age_platforms_and_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        docker_registry(tmp_path / "registry") as there,
        open_app(Settings(cache_dir=tmp_path / "cache")) as app,
    ):
        new = put(
            app, f"{there.host}/a/new:1", "2026-10-01T00:00:00Z", platforms=("amd64", "arm64")
        )
        put(app, f"{there.host}/a/old:1", "2020-01-01T00:00:00Z")
        put(app, f"{there.host}/a/zero:1", "1970-01-01T00:00:00Z")
        before = put(app, f"{there.host}/a/moved:1", "2026-09-01T00:00:00Z")
        put(app, f"{there.host}/a/moved:1", "2026-10-02T00:00:00Z")
        named(monkeypatch, tmp_path, there=there.host, closed="127.0.0.1:1")
        lines = [f"FROM there.example/a/{name}:1" for name in ("new", "old", "zero", "gone")]
        lines += [f"FROM there.example/a/moved:1@{before}", "FROM closed.example/a/b:1"]
        found = asked(app, tmp_path / "tree", {"Dockerfile": "\n".join(lines) + "\n"})

    def of(name: str) -> Image:
        return next(image for key, image in found.items() if f"/a/{name}" in key)

    assert of("new").lookup is not None
    assert (of("new").lookup.digest, of("new").lookup.platforms) == (  # type: ignore[union-attr]
        new, ("linux/amd64", "linux/arm64"),
    )  # fmt: skip
    assert of("new").lookup.created == "2026-10-01T00:00:00Z"  # type: ignore[union-attr]
    assert "old" in [risk.id for risk in of("old").risks]
    assert of("zero").lookup.created == ""  # type: ignore[union-attr]
    assert of("gone").level == "high"
    assert "moved-tag" in [risk.id for risk in of("moved").risks]
    assert "lookup failed" in of("b").lookup.problem  # type: ignore[union-attr]


def test_a_digest_of_one_platform_is_told_from_that_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        docker_registry(tmp_path / "registry") as there,
        open_app(Settings(cache_dir=tmp_path / "cache")) as app,
    ):
        whole = put(
            app, f"{there.host}/a/b:1", "2026-10-01T00:00:00Z", platforms=("amd64", "arm64")
        )
        repository = app.registries().repository(parse_reference(f"{there.host}/a/b:1"))
        parts = json.loads(repository.manifest("1").raw)["manifests"]
        (arm,) = [m["digest"] for m in parts if m["platform"]["architecture"] == "arm64"]
        alone = put(app, f"{there.host}/a/alone:1", "2026-10-02T00:00:00Z")
        names = [f"b:1@{whole}", f"b:1@{arm}", f"b@{arm}", f"alone:1@{alone}"]
        named(monkeypatch, tmp_path, there=there.host)
        lines = [f"FROM there.example/a/{name}" for name in names]
        found = asked(app, tmp_path / "tree", {"Dockerfile": "\n".join(lines) + "\n"})

    def of(name: str) -> tuple[tuple[str, ...], str, list[str]]:
        image = next(image for key, image in found.items() if key.endswith(f"/a/{name}"))
        assert image.lookup is not None
        ids = [risk.id for risk in image.risks if risk.id in ("one-platform", "moved-tag")]
        return image.lookup.platforms, image.lookup.note, ids

    assert of(names[0]) == (("linux/amd64", "linux/arm64"), "", [])
    assert of(names[1]) == (
        ("linux/arm64",), "the part for linux/arm64 of the tag's index", ["one-platform"]
    )  # fmt: skip
    # Without a tag nothing tells whether there is more; the builder's config says amd64.
    assert of(names[2])[1:] == (f"one platform's manifest, {of(names[2])[0][0]}", [])
    assert of(names[3]) == (("linux/amd64",), "one platform's manifest, linux/amd64", [])


def test_an_image_that_is_gone_is_not_planned_to_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with docker_registry(tmp_path / "there") as there:
        named(monkeypatch, tmp_path, there=there.host)
        lay_out({"Dockerfile": "FROM there.example/a/gone:1\n"}, tmp_path)
        assert run(["audit", "--online", "--home", "r.example/m", "--plan", "p.yaml",
                    "Dockerfile"]) == 0  # fmt: skip
    assert "Plan p.yaml: leave 1; 0 edits in 0 files" in capsys.readouterr().out
    (image,) = read_plan((tmp_path / "p.yaml").read_bytes(), "p.yaml").images
    assert "has no such image" in image.why
    assert "use another image" in image.why


def test_plan_mirror_apply_audit_ends_with_nothing_foreign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with (
        docker_registry(tmp_path / "there") as there,
        docker_registry(tmp_path / "home") as at_home,
        open_app(Settings(cache_dir=tmp_path / "cache")) as app,
    ):
        put(app, f"{there.host}/team/base:1", "2026-10-01T00:00:00Z", platforms=("amd64", "arm64"))
        digest = put(app, f"{there.host}/team/tool:2", "2026-10-01T00:00:00Z")
        root = tmp_path / "tree"
        lay_out(
            {
                "Dockerfile": "ARG T=1\nFROM there.example/team/base:${T}\n"
                f"COPY --from=there.example/team/tool:2@{digest} /a /b\n",
                "compose.yaml": "services:\n  a: {image: 'there.example/team/base:1'}\n",
            },
            root,
        )
        named(monkeypatch, tmp_path, there=there.host, home=at_home.host)
        monkeypatch.chdir(root)
        home = "home.example/mirror"
        plan = tmp_path / "plan.yaml"
        assert run(["audit", "--home", home, "--exit-code", "."]) == 3
        assert run(["audit", "--home", home, "--online", "--plan", str(plan), "."]) == 0
        assert run(["mirror", "--file", str(plan)]) == 0
        assert run(["audit", "--apply", str(plan), "--yes"]) == 0
        capsys.readouterr()
        assert run(["audit", "--home", home, "--exit-code", "--online", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["foreign"] == 0
    assert len(document["images"]) == 2
    assert all(image["lookup"]["digest"] for image in document["images"])
