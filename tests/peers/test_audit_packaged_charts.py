"""Charts that people install, from Go's module proxy: helm beside the audit, and the way home.

What ``helm template`` renders from the values as they ship must be found, and after ``--apply``
it renders references at home, or the plan names the place that has no value to change. CI takes
two of the charts, ``--full`` all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.audit import TODAY
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.applying import prepare, write
from homeport.audit.scan.scanning import scan
from homeport.oci.reference import parse_reference

pytestmark = pytest.mark.skipif(
    shutil.which("helm") is None or shutil.which("go") is None, reason="no helm or go on the PATH"
)

HOME = "registry.example:5000/mirror"

#: Module, version, folder of the chart.
CHARTS = {
    "traefik": ("github.com/traefik/traefik-helm-chart", "v41.6.0+incompatible", "traefik"),
    "argo-cd": (
        "github.com/argoproj/argo-helm", "v0.0.0-20260904222229-3bbb4305eea9", "charts/argo-cd",
    ),
    "argo-workflows": (
        "github.com/argoproj/argo-helm", "v0.0.0-20260904222229-3bbb4305eea9",
        "charts/argo-workflows",
    ),
    "keda": (
        "github.com/kedacore/charts", "v2.20.3-0.20260903105638-fe065f4d8938+incompatible", "keda",
    ),
    "kyverno": ("github.com/kyverno/kyverno", "v1.19.1", "charts/kyverno"),
    "cert-manager": ("github.com/cert-manager/cert-manager", "v1.21.2",
                     "deploy/charts/cert-manager"),
    "metrics-server": ("sigs.k8s.io/metrics-server", "v0.9.0", "charts/metrics-server"),
    "ingress-nginx": ("k8s.io/ingress-nginx", "v0.0.0-20240708192948-52c50467d67d",
                      "charts/ingress-nginx"),
}  # fmt: skip
IN_CI = ("traefik", "argo-workflows")


@pytest.fixture
def chart(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    module, version, folder = CHARTS[request.param]
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{version}"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    root = tmp_path / "tree"
    shutil.copytree(Path(json.loads(done.stdout)["Dir"]) / folder, root / "chart")
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    metadata = root / "chart" / "Chart.yaml"
    # Other charts that it depends on are not in the module.
    metadata.write_text(
        re.sub(r"(?m)^dependencies:\n(?:[ -].*\n|\s*\n)*", "", metadata.read_text())
    )
    return root


def images(document: Any) -> Iterator[str]:
    """Every ``image`` of an object."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "image" and isinstance(value, str):
                yield str(parse_reference(value))
            yield from images(value)
    elif isinstance(document, list):
        for value in document:
            yield from images(value)


def rendered(root: Path, *more: str) -> set[str]:
    done = subprocess.run(
        ["helm", "template", "x", str(root / "chart"), "--kube-version", "1.36.0",
         "--api-versions", "monitoring.coreos.com/v1", *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(images(list(yaml.safe_load_all(done.stdout))))


def names() -> tuple[str, ...]:
    return tuple(CHARTS) if os.environ.get("HOMEPORT_FULL") else IN_CI


@pytest.mark.parametrize("chart", names(), indirect=True)
def test_what_helm_renders_is_found_and_then_comes_from_home(chart: Path, tmp_path: Path) -> None:
    wanted = rendered(chart)
    found = {str(use.image) for use in scan(["."], root=chart).uses}
    assert wanted - found == set()
    request = AuditRequest(paths=["."], root=chart, home=HOME, today=TODAY)
    made = plan(audit(request), request)
    write(prepare(made, chart), chart)
    files = []
    for number, way in enumerate(
        way for image in made.images for way in image.config_files if way.engine == "helm"
    ):
        (tmp_path / f"{number}.yaml").write_text(way.text)
        files += ["-f", str(tmp_path / f"{number}.yaml")]
    without_a_value = {
        image.image for image in made.images
        if any(place.setting and "/templates/" in place.file for place in image.places)
    }  # fmt: skip
    foreign = {image for image in rendered(chart, *files) if not image.startswith(f"{HOME}/")}
    assert foreign <= without_a_value
