"""Manifests against ``kubectl``: the images that it reads, before and after our edits.

``kubectl annotate --local`` shows every object as it was parsed; ``kubectl set image
--local`` replaces what it knows to be images of containers. Neither asks a server.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.audit import TODAY, lay_out
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.applying import prepare, write
from homeport.audit.plan.deciding import home_of
from homeport.audit.scan.scanning import scan
from homeport.oci.reference import parse_reference

pytestmark = pytest.mark.peer("kubectl")

HOME = "registry.example/mirror"
DIGEST = "sha256:" + "a" * 64
SENTINEL = "registry.example/sentinel:1"
LISTS = ("initContainers", "containers", "ephemeralContainers")
Object = dict[str, Any]

POD = """apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
"""
WRITTEN = {
    "plain": POD + "  containers:\n  - name: c\n    image: busybox # the shell\n",
    "quoted": POD + "  containers: [{name: c, 'image': \"quay.io/a/b:1\"}]\n",
    "folded": POD + "  containers:\n  - name: c\n    image: >-\n      redis:7\n",
    "literal": POD + "  containers:\n  - name: c\n    image: |-\n      redis:7\n",
    "escaped": POD + '  containers:\n  - name: c\n    image: "redis\\x3a7"\n',
    "an anchor": POD + "  initContainers: [{name: i, image: &i redis:7}]\n"
    "  containers: [{name: c, image: *i}]\n",
    "a merge": "x: &c {name: c, image: redis:7}\n" + POD + "  containers: [{<<: *c, tty: true}]\n",
    "carriage returns": (POD + "  containers:\n  - name: c\n    image: redis:7\n").replace(
        "\n", "\r\n"
    ),
    "a byte order mark": "\ufeff" + POD + "  containers: [{name: c, image: redis:7}]\n",
    "no last newline": POD + "  containers:\n  - name: c\n    image: redis:7",
    "digest": POD + f"  containers: [{{name: c, image: 'redis:7@{DIGEST}'}}]\n",
    "tabs after it": POD + "  containers:\n  - name: c\n    image: redis:7\t \n",
    "documents": "---\n" + POD + "  containers: [{name: c, image: a:1}]\n--- # next\n"
    + POD + "  containers: [{name: d, image: b:2}]\n...\n---\n",
    "a list": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, "
    "metadata: {name: p}, spec: {containers: [{name: c, image: a:1}], "
    "ephemeralContainers: [{name: e, image: b:2}]}}\n",
    "a list of pods": "apiVersion: v1\nkind: PodList\nitems:\n- {apiVersion: v1, kind: Pod, "
    "metadata: {name: p}, spec: {containers: [{name: c, image: a:1}]}}\n",
    "words that are no image": POD + "  hostname: image\n  containers:\n  - name: image\n"
    "    image: a:1\n    command: ['image: b:2']\n    env: [{name: image, value: c:3}]\n",
}  # fmt: skip


def kubectl(command: list[str], file: Path) -> list[Object]:
    """The objects that kubectl prints, in order."""
    done = subprocess.run(
        ["kubectl", *command, "--local", "-f", str(file), "-o", "json"],
        capture_output=True, text=True, check=True, env={**os.environ, "KUBECONFIG": os.devnull},
    )  # fmt: skip
    decoder, at, found = json.JSONDecoder(), 0, []
    text = done.stdout.strip()
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        found.append(document)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found


def pods(node: Any) -> Iterator[Object]:
    """Everything in an object that has containers."""
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        for value in node.values():
            yield from pods(value)
    elif isinstance(node, list):
        for value in node:
            yield from pods(value)


def theirs(file: Path, lists: tuple[str, ...] = LISTS) -> list[str]:
    """Every image that kubectl reads, sorted."""
    every = kubectl(["annotate", "--overwrite", "read=yes"], file)
    return sorted(
        container["image"]
        for pod in pods(every)
        for name in lists
        for container in pod.get(name, ())
    )


def ours(file: Path) -> list[str]:
    """Every image that the audit is certain of; an alias is the same place once more."""
    uses = scan([file.name], root=file.parent).uses
    return sorted(use.value for use in uses if use.confidence == "high")


def bring_home(root: Path) -> None:
    request = AuditRequest(paths=["."], root=root, home=HOME, today=TODAY)
    write(prepare(plan(audit(request), request), root), root)


def at_home(image: str) -> str:
    return str(home_of(parse_reference(image), HOME))


@pytest.mark.parametrize("name", WRITTEN)
def test_however_it_is_written_kubectl_reads_what_we_read_and_then_what_we_wrote(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_bytes(WRITTEN[name].encode())
    before = theirs(file)
    assert before
    assert ours(file) == sorted(set(before))
    bring_home(tmp_path)
    after = theirs(file)
    if name in ("folded", "literal", "escaped"):  # no edit without knowing more: a setting
        assert after == before
    else:
        assert after == sorted(at_home(image) for image in before)


IMAGES = st.sampled_from(
    ["busybox", "debian:13-slim", "quay.io/a/b", "reg.example:5000/x:1", f"redis:7@{DIGEST}",
     f"registry.example/own@{DIGEST}", "ghcr.io/Org/x:1".lower(), "a/b/c:v1.2.3-x"]
)  # fmt: skip


@st.composite
def pod_specs(draw: st.DrawFn) -> Object:
    spec: Object = {"restartPolicy": draw(st.sampled_from(["Never", "Always"]))}
    for name in ("containers", *draw(st.sets(st.sampled_from(LISTS)))):
        images = draw(st.lists(IMAGES, min_size=1, max_size=3))
        spec[name] = [{"name": f"{name[:1]}{n}", "image": image} for n, image in enumerate(images)]
    return spec


@st.composite
def objects(draw: st.DrawFn) -> Object:
    kind, version = draw(
        st.sampled_from(
            [("Pod", "v1"), ("ReplicationController", "v1"), ("Deployment", "apps/v1"),
             ("StatefulSet", "apps/v1"), ("DaemonSet", "apps/v1"), ("ReplicaSet", "apps/v1"),
             ("Job", "batch/v1"), ("CronJob", "batch/v1")]
        )
    )  # fmt: skip
    spec = draw(pod_specs())
    if kind != "Pod":
        spec = {"template": {"spec": spec}}
    if kind == "CronJob":
        spec = {"schedule": "@daily", "jobTemplate": {"spec": spec}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, str]:
    """A file's name and text."""
    listed = draw(st.lists(objects(), min_size=1, max_size=3))
    as_list = {"apiVersion": "v1", "kind": "List", "items": listed}
    if draw(st.booleans()):
        return "m.json", json.dumps(as_list, indent=draw(st.sampled_from([None, 2])))
    style = draw(st.sampled_from([None, '"', "'"]))
    flow = draw(st.sampled_from([True, False, None]))
    parts = [as_list] if draw(st.booleans()) else listed
    # kubectl takes what begins with a brace for JSON, and wants a separator on its own line.
    text = "".join(
        "---\n" + yaml.safe_dump(part, default_style=style, default_flow_style=flow)
        for part in parts
    )
    return "m.yaml", text


@settings(max_examples=25, deadline=None)
@given(manifests())
def test_random_manifests_hold_the_same_images_before_and_after(
    tmp_path_factory: pytest.TempPathFactory, manifest: tuple[str, str]
) -> None:
    name, text = manifest
    root = tmp_path_factory.mktemp("manifest")
    lay_out({name: text}, root)
    before = theirs(root / name)
    assert ours(root / name) == before
    bring_home(root)
    assert theirs(root / name) == sorted(at_home(image) for image in before)


@settings(max_examples=10, deadline=None)
@given(manifests())
def test_what_kubectl_takes_for_an_image_is_what_we_take_for_one(
    tmp_path_factory: pytest.TempPathFactory, manifest: tuple[str, str]
) -> None:
    name, text = manifest
    root = tmp_path_factory.mktemp("manifest")
    lay_out({name: text}, root)
    # "set image" knows containers and init containers; the ephemeral ones keep their images.
    replaced = kubectl(["set", "image", f"*={SENTINEL}"], root / name)
    changed = json.dumps(replaced).count(SENTINEL)
    kept = [c["image"] for pod in pods(replaced) for c in pod.get("ephemeralContainers", ())]
    uses = [use for use in scan([name], root=root).uses if use.confidence == "high"]
    assert len(uses) == changed + len(kept)
    assert [use.value for use in uses if ".ephemeralContainers[" in use.key] == kept
