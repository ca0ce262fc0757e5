"""Kustomize files against ``kubectl kustomize``: the images that it puts into objects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from builders.audit import lay_out
from homeport.audit.scan.scanning import scan

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
