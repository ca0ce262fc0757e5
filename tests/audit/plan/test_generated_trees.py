"""Twenty repositories made by chance: planned, edited and audited again, nothing foreign is left.

Independent readings are the second opinion: PyYAML's of the documents, and the rules of Compose,
GitLab and Kustomize for what an image is, written down here in a few lines.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.audit import lay_out
from homeport.app import Settings, open_app
from homeport.audit.auditing import AuditRequest

HOME = "registry.example/mirror"
_HOSTS = ("", "docker.io/", "quay.io/", "ghcr.io/", "registry.k8s.io/", "localhost.example:5000/")
_NAMES = ("debian", "team/app", "a/b/c", "postgres", "prom/node-exporter", "library/redis")
_TAGS = (":1", ":13-slim", ":v1.2.3", "", f"@sha256:{'1' * 64}", f":2@sha256:{'2' * 64}")


def some(chance: random.Random) -> str:
    """An image as people write it."""
    host, name = chance.choice(_HOSTS), chance.choice(_NAMES)
    if host and "/" not in name and host != "docker.io/":
        name = f"x/{name}"
    return f"{host}{name}{chance.choice(_TAGS)}"


def quoted(chance: random.Random, text: str) -> str:
    return chance.choice(("{}", "'{}'", '"{}"')).format(text)


def dockerfile(chance: random.Random) -> str:
    lines = [chance.choice(("", f"# syntax=docker/dockerfile:{chance.randint(1, 9)}\n"))]
    if chance.random() < 0.5:
        lines.append(f"ARG BASE={some(chance)}\nFROM ${{BASE}} AS base\n")
    else:
        lines.append(f"FROM --platform=$BUILDPLATFORM {some(chance)} AS base\n")
    lines.append(f"FROM {some(chance)}\nCOPY --from=base /a /b\nCOPY --from={some(chance)} /c /d\n")
    lines.append(f"RUN --mount=type=bind,from={some(chance)},target=/x true\n")
    return chance.choice(("\n", "\r\n")).join("".join(lines).split("\n"))


def compose(chance: random.Random) -> str:
    services = "".join(
        f"  s{n}:\n    image: {quoted(chance, some(chance))}  # keep\n    ports: ['80:80']\n"
        for n in range(chance.randint(1, 5))
    )
    return f"services:\n{services}  built: {{build: ., image: mine/own:1}}\n"


def gitlab(chance: random.Random) -> str:
    text = f"image: {quoted(chance, some(chance))}\n"
    for number in range(chance.randint(1, 3)):
        text += f"job{number}:\n  script: [make]\n  services:\n"
        text += f"    - {quoted(chance, some(chance))}\n"
        text += f"    - name: {some(chance)}\n      alias: given\n"
    return text


def manifests(chance: random.Random) -> dict[str, str]:
    images = [some(chance) for _ in range(3)]
    containers = "".join(f"      - {{name: c{n}, image: '{i}'}}\n" for n, i in enumerate(images))
    pod = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n"
        f"    spec:\n      containers:\n{containers}"
    )
    return {"k8s/pod.yaml": pod, "k8s/kustomization.yaml": "resources: [pod.yaml]\n"}


def chart(chance: random.Random) -> dict[str, str]:
    registry = chance.choice(("quay.io", "ghcr.io"))
    repository = chance.choice(("team/tool", "team/sub/tool"))
    return {
        "chart/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 4.5.6\n",
        "chart/values.yaml": f"image:\n  registry: {registry}\n  repository: {repository}\n"
        f"  tag: {chance.choice(('1.0', 'v2', '3.1.4'))!r}\nsidecar: {some(chance)}\n",
        "chart/templates/pod.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"
        '    - image: "{{ .Values.image.registry }}/{{ .Values.image.repository }}:'
        '{{ .Values.image.tag }}"\n    - image: {{ .Values.sidecar }}\n',
    }


def workflow(chance: random.Random) -> str:
    return (
        f"on: push\njobs:\n  a:\n    runs-on: x\n    container: {quoted(chance, some(chance))}\n"
        f"    services: {{db: {{image: '{some(chance)}'}}}}\n"
        f"    steps:\n      - uses: docker://{some(chance)}\n      - run: make\n"
    )


def tree(seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    files = {
        "Dockerfile": dockerfile(chance), "compose.yaml": compose(chance),
        ".gitlab-ci.yml": gitlab(chance), ".github/workflows/a.yml": workflow(chance),
        **manifests(chance), **chart(chance),
    }  # fmt: skip
    return {name: files[name] for name in chance.sample(sorted(files), len(files))}


def everything(node: Any, path: str = "") -> dict[str, Any]:
    """Every scalar of a document by its path."""
    if isinstance(node, dict):
        return {k: v for n, x in node.items() for k, v in everything(x, f"{path}.{n}").items()}
    if isinstance(node, list):
        return {k: v for n, x in enumerate(node) for k, v in everything(x, f"{path}.{n}").items()}
    return {path: node}


def hosts_of(service: Any) -> set[str]:
    """The names by which a job reaches a service (gitlab-runner, SplitNameAndVersion)."""
    if isinstance(service, dict) and service.get("alias"):
        return {str(service["alias"])}
    name = service["name"] if isinstance(service, dict) else service
    match = re.fullmatch(r"([^:@/]+)(?::\d+(?=/))?((?:/[^:@/]+)*)(?::[^@]+)?(?:@.+)?", name)
    assert match is not None
    path = match[1] + match[2]
    return {path.replace("/", "__"), path.replace("/", "-")}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_foreign_is_left_and_nothing_else_changes(tmp_path: Path, seed: int) -> None:
    files = tree(seed)
    root = tmp_path / "tree"
    lay_out(files, root)
    request = AuditRequest(paths=["."], root=root, home=HOME)
    with open_app(Settings(cache_dir=tmp_path / "cache")) as app:
        plan = app.audit_plan(app.audit(request), request, tmp_path / "plan.yaml")
        settings = [p.setting for i in plan.images for p in i.places if p.setting]
        applied = app.audit_apply(tmp_path / "plan.yaml", root=root, make_edits=True)
        after = app.audit(request).report
    assert settings == []
    assert applied.edits >= 10
    # What a cluster pulls by itself no file of a tree can name.
    assert [image.name for image in after.foreign if image.explicit] == []
    for name, before in files.items():
        text = (root / name).read_bytes().decode()
        assert text.count("\n") - before.count("\n") == 0 or name == ".gitlab-ci.yml"
        if not name.endswith((".yaml", ".yml")) or "templates/" in name:
            continue
        old, new = yaml.safe_load(before), yaml.safe_load(text)
        if name == ".gitlab-ci.yml":
            for job in (key for key in old if key.startswith("job")):
                for was, now in zip(old[job]["services"], new[job]["services"], strict=True):
                    assert set(now["alias"].split(",")) == hosts_of(was)
            continue
        was, now = everything(old), everything(new)
        assert was.keys() == now.keys()
        changed = {path for path in was if was[path] != now[path]}
        assert all(HOME in str(now[p]) or "registry" in p or "repository" in p for p in changed)
        assert all(
            path.rpartition(".")[2] in ("image", "container", "uses", "sidecar", "registry",
                                        "repository", "tag")
            for path in changed
        )  # fmt: skip
