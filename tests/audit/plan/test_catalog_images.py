"""Which images of others the catalog has recipes for."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.applying import prepare, write
from homeport.audit.plan.catalog_images import recipe_for, recipes_by_image
from homeport.oci.reference import parse_reference
from homeport.recipe.catalog import shipped_catalog


@pytest.mark.parametrize(("listed", "recipe"), sorted(recipes_by_image(shipped_catalog()).items()))
def test_every_recipes_images_are_planned_as_builds(
    tmp_path: Path, listed: str, recipe: str
) -> None:
    assert recipe in shipped_catalog().names()
    name, _, pattern = listed.partition(":")
    assert parse_reference(name).name == name
    image = f"{name}:{pattern.replace('*', '1.0') or '1.0'}"
    lay_out({"compose.yaml": f"services: {{a: {{image: '{image}'}}}}\n"}, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="registry.example/m", today=TODAY)
    audited = audit(request)
    made = plan(audited, request)
    if audited.dead:  # nothing needs what a file names like this
        return
    assert [(i.action, i.recipe) for i in made.images if i.image == image] == ([("build", recipe)])


def test_copies_of_an_image_are_known_by_its_recipe() -> None:
    assert recipe_for(parse_reference("mirror.gcr.io/tonistiigi/binfmt")) == "binfmt"
    assert recipe_for(parse_reference("tonistiigi/binfmt@sha256:" + "0" * 64)) == "binfmt"
    assert recipe_for(parse_reference("quay.io/tonistiigi/binfmt")) == ""


@pytest.mark.parametrize(
    ("image", "recipe"),
    [
        ("docker:dind", "dind"),
        ("docker:28.5-dind", "dind"),
        ("mirror.gcr.io/library/docker:dind", "dind"),
        ("docker:cli", "docker-cli"),
        ("docker:28-cli", "docker-cli"),
        ("docker:28-dind-rootless", ""),
        ("docker:windowsservercore", ""),
        ("docker@sha256:" + "0" * 64, ""),
        ("gcr.io/distroless/static:debug-nonroot", "static-debug"),
        ("gcr.io/distroless/static:nonroot", "static"),
        ("gcr.io/distroless/nodejs20-debian12", "node"),
        ("busybox", "busybox"),
    ],
)
def test_a_recipe_may_stand_in_for_some_tags_alone(image: str, recipe: str) -> None:
    assert recipe_for(parse_reference(image)) == recipe


def test_every_recipe_but_those_of_our_own_images_stands_in_for_something() -> None:
    replaced = set(recipes_by_image(shipped_catalog()).values())
    others = {"homeport", "homeport-debug"}
    # A plan copies docker/dockerfile: to build it needs an engine, and Debian's version is older.
    others |= {"dockerfile", "dockerfile-1.7"}
    assert set(shipped_catalog().names()) - replaced == others


DEMO = {
    "Dockerfile": (
        "FROM alpine/git:2.49 AS source\nFROM gcr.io/distroless/static-debian13:nonroot\n"
        "COPY --from=curlimages/curl:8.15.0 /usr/bin/curl /usr/bin/curl\n"
    ),
    "compose.yaml": (
        "services:\n  store: {image: 'registry:2'}\n  proxy: {image: 'alpine/socat:1.8'}\n"
        "  api: {image: 'gcr.io/distroless/python3-debian13'}\n"
    ),
    "k8s/job.yaml": (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  template:\n    spec:\n"
        "      containers:\n      - {name: a, image: 'bitnami/kubectl:1.33'}\n"
        "      - {name: b, image: 'registry.k8s.io/pause:3.10'}\n"
    ),
    ".gitlab-ci.yml": (
        "copy:\n  image: quay.io/skopeo/stable:v1.20\n  script: [x]\n"
        "list:\n  image: gcr.io/go-containerregistry/crane:v0.20\n  script: [x]\n"
    ),
    ".github/workflows/ci.yml": (
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: docker/setup-qemu-action@v3\n"
        "      - uses: docker/build-push-action@v6\n        with:\n          sbom: true\n"
    ),
}


def test_a_demo_repository_is_built_from_the_catalog_and_ends_without_foreign_images(
    tmp_path: Path,
) -> None:
    lay_out(DEMO, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="registry.example/m", today=TODAY)
    made = plan(audit(request), request)
    built = {image.recipe for image in made.images if image.action == "build"}
    assert built == {
        "binfmt", "crane", "curl", "git", "kubectl", "pause", "python", "registry", "sbom-scanner",
        "skopeo", "socat", "static",
    }  # fmt: skip
    write(prepare(made, tmp_path), tmp_path)
    left = audit(request).report.foreign
    # The sandbox of pods is named by the node's runtime, not by a file: the plan says where.
    assert [image.name for image in left if image.confidence != "low"] == []
