"""Kustomize files against ``kubectl kustomize``: the images that it puts into objects."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
import yaml

from builders.audit import lay_out
from homeport.app import Settings, open_app
from homeport.audit.auditing import AuditRequest
from homeport.audit.plan.deciding import home_of
from homeport.audit.scan.scanning import scan
from homeport.oci.reference import parse_reference

pytestmark = pytest.mark.peer("kubectl")

DIGEST = "sha256:" + "a" * 64
POD = """apiVersion: v1
kind: Pod
metadata: {{name: p{n}}}
spec: {{containers: [{{name: c, image: "{i}"}}]}}
"""
CASES = [
    ("nginx", {"newTag": "1.27"}),
    ("quay.io/a/b:1", {"newName": "registry.example/b"}),
    ("quay.io/a/b:1", {"newName": "registry.example/b", "newTag": "2"}),
    ("redis:7", {"digest": DIGEST}),
    ("redis:7", {"newName": "x/redis", "newTag": "8", "digest": DIGEST}),
]


@pytest.mark.parametrize(("image", "change"), CASES)
def test_the_effective_reference_is_kustomizes(
    image: str, change: dict[str, str], tmp_path: Path
) -> None:
    name = image.partition(":")[0]
    document = {"resources": ["pod.yaml"], "images": [{"name": name, **change}]}
    lay_out(
        {"kustomization.yaml": yaml.safe_dump(document), "pod.yaml": POD.format(n=0, i=image)},
        tmp_path,
    )
    done = subprocess.run(
        ["kubectl", "kustomize", tmp_path], capture_output=True, text=True, check=True
    )
    theirs = yaml.safe_load(done.stdout)["spec"]["containers"][0]["image"]
    (use,) = scan(["kustomization.yaml"], root=tmp_path).uses
    if "newTag" in change or "digest" in change:
        assert use.value == theirs
    else:  # the tag stays that of the object
        assert theirs.startswith(f"{use.value}:")


HOME = "registry.example/mirror"
NAMES = ("nginx", "team/app", "quay.io/a/b", "ghcr.io/x/y/z", "docker.io/library/redis")


def rendered(folder: Path) -> list[str]:
    """The images of every object, as kustomize makes them."""
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    )
    pods = sorted(yaml.safe_load_all(done.stdout), key=lambda pod: str(pod["metadata"]["name"]))
    return [pod["spec"]["containers"][0]["image"] for pod in pods]


@pytest.mark.parametrize("seed", range(15))
def test_after_the_edits_kustomize_renders_exactly_the_references_at_home(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = chance.sample(NAMES, 3)
    files = {
        f"pod{n}.yaml": POD.format(n=n, i=f"{name}:{chance.randint(1, 9)}")
        for n, name in enumerate(names)
    }
    changes = [
        {"name": name, **chance.choice(({"newTag": "5"}, {"digest": DIGEST},
                                        {"newName": "quay.io/other/name", "newTag": "6"}))}
        for name in chance.sample(names, chance.randint(0, 2))
    ]  # fmt: skip
    document = {"resources": sorted(files), "images": changes}
    files["kustomization.yaml"] = yaml.safe_dump(document)
    root = tmp_path / "tree"
    lay_out(files, root)
    before = rendered(root)
    request = AuditRequest(paths=["."], root=root, home=HOME)
    with open_app(Settings(cache_dir=tmp_path / "cache")) as app:
        app.audit_plan(app.audit(request), request, tmp_path / "plan.yaml")
        app.audit_apply(tmp_path / "plan.yaml", root=root, make_edits=True)
    wanted = [str(home_of(parse_reference(image), HOME)) for image in before]
    assert [str(parse_reference(image)) for image in rendered(root)] == wanted
