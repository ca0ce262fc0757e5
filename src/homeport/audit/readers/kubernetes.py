"""Kubernetes objects, the common custom ones included, and Kustomize."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.audit.formats import json
from homeport.audit.formats.yaml import (
    Node,
    column_of,
    compose,
    documents,
    entries,
    get,
    is_map,
    items,
    text_of,
    walk,
    whole_scalar,
    written,
)
from homeport.audit.model import Confidence, Rewrite
from homeport.audit.readers import helm, operators
from homeport.audit.reading.collector import Collector, field
from homeport.audit.reading.context import Context
from homeport.audit.reading.embedded import read_embedded
from homeport.audit.reading.image_names import names_image
from homeport.audit.source import Source

_TEMPLATED = ("spec", "template", "spec")
#: Where the pod specification of a kind is.
_PODS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATED),
    **dict.fromkeys(
        ("Deployment", "DeploymentConfig", "StatefulSet", "DaemonSet", "ReplicaSet",
         "ReplicationController", "Job", "Rollout", "Service", "Configuration"), _TEMPLATED),
}  # fmt: skip
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
#: Groups of custom resources whose ``image`` keys are images of containers.
_SURE_GROUPS = re.compile(
    r"tekton\.dev/|argoproj\.io/|serving\.knative\.dev/|kubevirt\.io/|kind\.x-k8s\.io/|k3d\.io/"
    r"|operators\.coreos\.com/|batch\.volcano\.sh/|kubeflow\.org/"
)
_IMAGE_KEY = re.compile(r"(?:^|\.)(?:image|[a-zA-Z]*Image|imageName)$")
#: Environment variables and parameters whose value is an image.
_NAMES_IMAGE = re.compile(r"bundle$")
#: What a string must hold to be worth reading as a document.
_DOCUMENT = re.compile(r"(?:^|[\s{,\"'])(?:[\w-]*[iI]mage|repository)[\"']?[ \t]*:")
_ARGUMENT = re.compile(r"--?[a-z0-9-]*image=(\S+)$")
#: At the start of a line, what marks a definition of custom resources.
_DEFINITION = "kind: CustomResourceDefinition"
_PARAMETER = re.compile(r"\$\((?:inputs\.)?(?:params\.)?")


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of the objects in a file."""
    if source.name.endswith(".json"):
        node = json.document(source, found)
        if node is not None:
            read_object(source, found, context, node)
        return
    for document in _documents(source, found):
        read_object(source, found, context, document)


def _documents(source: Source, found: Collector) -> Iterator[Node]:
    """Every document, definitions of custom resources left out.

    Those are the largest YAML files there are, and name no image: they would cost seconds.
    """
    text = source.text
    if _DEFINITION not in text:
        yield from documents(source, found)
        return
    pieces, at, rest = [], 0, False
    while at < len(text):
        end = text.find("\n---", at + 1)
        end = len(text) if end < 0 else end
        piece = text[at:end]
        if f"\n{piece}".find(f"\n{_DEFINITION}") >= 0:
            # As long as before, so that places and lines stay.
            start = piece[: 4 if piece.startswith("\n---") else 0]
            lines = piece.count("\n", len(start))
            piece = start + " " * (len(piece) - len(start) - lines) + "\n" * lines
        else:
            rest = True
        pieces.append(piece)
        at = end
    if rest:
        yield from documents(source, found, "".join(pieces))


class _Object(msgspec.Struct, frozen=True):
    source: Source
    found: Collector
    node: Node
    kind: str
    group: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}" if self.name else self.kind


def read_object(source: Source, found: Collector, context: Context, node: Node) -> None:
    """Report one object; lists are read item by item."""
    kind = text_of(get(node, "kind")) or ""
    group = text_of(get(node, "apiVersion")) or ""
    if kind == "Kustomization" or source.name.lower().startswith("kustomization."):
        _kustomize(source, found, node)
        return
    if not kind or not group:
        return
    below = get(node, "items") if kind.endswith("List") else None
    if kind == "Template":
        below = get(node, "objects")
    if below is not None:
        for item in items(below):
            read_object(source, found, context, item)
        return
    name = text_of(get(node, "metadata", "name")) or ""
    thing = _Object(source, found, node, kind, group, name)
    if kind in _PODS and "crossplane" not in group:
        _pod(thing, _PODS[kind])
    _special(thing, context)
    _anywhere(thing, context)
    _causes(thing)


def _pod(thing: _Object, path: tuple[str, ...]) -> None:
    spec = get(thing.node, *path)
    key = f"{thing.key}: {'.'.join(path)}"
    for what in _CONTAINERS:
        for number, container in enumerate(items(get(spec, what))):
            _image(thing, f"{key}.{what}[{number}].image", get(container, "image"), "high")
    for number, volume in enumerate(items(get(spec, "volumes"))):
        node = get(volume, "image", "reference")
        _image(thing, f"{key}.volumes[{number}].image.reference", node, "high")


def _image(thing: _Object, key: str, node: Node | None, confidence: Confidence) -> None:
    if node is not None and text_of(node):
        value = written(thing.source, node)
        parameter = _PARAMETER.search(value.text)
        problem = "a parameter fills it in" if parameter else ""
        thing.found.image(value, key, confidence=confidence, problem=problem)


def _special(thing: _Object, context: Context) -> None:
    source, found, node = thing.source, thing.found, thing.node
    match thing.kind:
        case "Cluster" if thing.group.startswith("kind.x-k8s.io"):
            roles = [get(item, "role") for item in items(get(node, "nodes"))]
            nodes = items(get(node, "nodes"))
            if nodes and all(text_of(get(item, "image")) for item in nodes):
                place = written(source, get(nodes[0], "image") or node)
                found.cause("kind-config", "names-nodes", place, key="nodes")
            planes = [role for role in roles if role and text_of(role) == "control-plane"]
            if len(planes) > 1:
                place = written(source, planes[1])
                found.cause("kind-config", "several-control-planes", place, key="nodes")
        case "Application" | "ApplicationSet" if thing.group.startswith("argoproj.io"):
            _argocd(thing)
        case "HelmRelease":
            helm.read_values(
                source,
                found,
                get(node, "spec", "values"),
                f"{thing.key}: spec.values",
                elsewhere=True,
            )
        case "HelmChart" | "HelmChartConfig":
            _text_values(thing, get(node, "spec", "valuesContent"), "spec.valuesContent")
        case "ImageStream" | "BuildConfig" | "DeploymentConfig":
            _openshift(thing)
        case "OCIRepository" | "HelmRepository":
            _oci_url(thing, get(node, "spec", "url"))
        case "Provider" | "Configuration" | "Function" if "pkg.crossplane.io" in thing.group:
            _image(thing, f"{thing.key}: spec.package", get(node, "spec", "package"), "high")
        case "Cluster" if thing.group.startswith("postgresql.cnpg.io"):
            _image(thing, f"{thing.key}: spec.imageName", get(node, "spec", "imageName"), "high")
    del context


def _openshift(thing: _Object) -> None:
    """``from: {kind: DockerImage, name: IMAGE}``."""
    for path, node, owner in walk(get(thing.node, "spec") or thing.node):
        if path.endswith("from.name") and text_of(get(owner, "kind")) == "DockerImage":
            _image(thing, f"{thing.key}: spec.{path}", node, "high")


def _oci_url(thing: _Object, node: Node | None) -> None:
    """An artifact. Of ``ref``, Flux takes the digest, else the range, else the tag."""
    if node is None or not (text_of(node) or "").startswith("oci://"):
        return
    value = written(thing.source, node).after("oci://")
    fields = {}
    expression = value.text
    for name, mark in (("tag", ":"), ("digest", "@")):
        part = get(thing.node, "spec", "ref", name)
        if part is not None and text_of(part):
            fields[name] = field(written(thing.source, part))
            expression += f"{mark}{fields[name].value}"
    if fields:
        fields["repository"] = field(value)
    versions = text_of(get(thing.node, "spec", "ref", "semver"))
    problem = (
        f"Flux chooses the tag by semver {versions}" if versions and "digest" not in fields else ""
    )
    thing.found.image(value, f"{thing.key}: spec.url", confidence="medium", value=expression,
                      fields=fields, note="an OCI artifact", problem=problem)  # fmt: skip


def _argocd(thing: _Object) -> None:
    spec = get(thing.node, "spec", "template", "spec") or get(thing.node, "spec")
    sources = [("source", get(spec, "source"))]
    sources += [(f"sources[{n}]", node) for n, node in enumerate(items(get(spec, "sources")))]
    for name, node in sources:
        key = f"{thing.key}: {name}"
        _text_values(thing, get(node, "helm", "values"), f"{name}.helm.values")
        helm.read_values(
            thing.source,
            thing.found,
            get(node, "helm", "valuesObject"),
            f"{key}.helm.valuesObject",
            elsewhere=True,
        )
        parameters = get(node, "helm", "parameters")
        helm.read_parameters(thing.source, thing.found, parameters, f"{key}.helm.parameters")
        for number, image in enumerate(items(get(node, "kustomize", "images"))):
            value = written(thing.source, image)
            new = value.part(value.text.find("=") + 1)
            thing.found.image(new, f"{key}.kustomize.images[{number}]")


def _text_values(thing: _Object, node: Node | None, name: str) -> None:
    """Values that are a string of YAML."""
    if node is None or not text_of(node):
        return
    text = written(thing.source, node)
    scratch = thing.source.inner(text.text)
    inner = Collector(scratch, thing.found.kind, thing.found.programs)
    for document in compose(scratch.whole(), inner):
        helm.read_values(
            scratch, thing.found, document, f"{thing.key}: {name}", inside=text, elsewhere=True
        )


def _kustomize(source: Source, found: Collector, node: Node) -> None:
    for number, image in enumerate(items(get(node, "images"))):
        parts = {
            name: part
            for name in ("name", "newName", "newTag", "digest")
            if (part := get(image, name)) is not None and text_of(part)
        }
        if not (parts.keys() - {"name"}):
            continue
        base = parts.get("newName") or parts.get("name")
        if base is None:
            continue
        value = written(source, base)
        expression = value.text
        fields = {"repository": field(value)}
        if "newTag" in parts:
            fields["tag"] = field(written(source, parts["newTag"]))
            expression += f":{fields['tag'].value}"
        if "digest" in parts:
            fields["digest"] = field(written(source, parts["digest"]))
            expression += f"@{fields['digest'].value}"
        rewrite = None
        if "newName" in parts and "name" in parts:
            fields["match"] = field(written(source, parts["name"]))
        elif "name" in parts:
            rewrite = _new_name(source, image, parts["name"])
        found.image(
            value, f"images[{number}]", value=expression, fields=fields, rewrite=rewrite,
            confidence="medium" if "newTag" not in parts and "digest" not in parts else "high",
        )  # fmt: skip
    for number, chart in enumerate(items(get(node, "helmCharts"))):
        helm.read_values(
            source, found, get(chart, "valuesInline"), f"helmCharts[{number}].valuesInline",
            elsewhere=True,
        )  # fmt: skip


def _new_name(source: Source, image: Node, name: Node) -> Rewrite:
    """An entry that keeps the name that it looks for, and gets another one to put there."""
    start, end = whole_scalar(source, name)
    if getattr(image, "flow_style", False):
        text = "{scalar}, newName: {new}"
    else:
        key = next(k for k, v in image.value if v is name)
        newline = "\r\n" if "\r\n" in source.text else "\n"
        text = f"{{scalar}}{newline}{' ' * column_of(source, key)}newName: {{new}}"
    return Rewrite(place=source.place(start, end), old=source.text[start:end], text=text)


def _anywhere(thing: _Object, context: Context) -> None:
    """Images under keys that custom resources commonly use, arguments and environment."""
    group = thing.group + ("" if "/" in thing.group else "/")
    confidence: Confidence = "high" if _SURE_GROUPS.match(group) else "medium"
    for path, node, owner in walk(thing.node):
        key = f"{thing.key}: {path}"
        text = text_of(node)
        if text is None:
            if _IMAGE_KEY.search(path) and is_map(node):
                helm.read_map(thing.source, thing.found, node, key, elsewhere=True)
            for number, item in enumerate(items(node)):
                _argument(thing, f"{key}[{number}]", item)
            continue
        if "\n" in text and _DOCUMENT.search(text):
            _document(thing, context, key, node)
            continue
        known = confidence == "high" and path.endswith(".image")
        if _IMAGE_KEY.search(path) and ("/" in text or ":" in text or known):
            _image(thing, key, node, "high" if known else "medium")
        elif path.endswith(".bundle") or (
            path.endswith(".value") and _NAMES_IMAGE.match(text_of(get(owner, "name")) or "")
        ):
            _image(thing, key, node, "medium")
        elif path.endswith(".value") or path.startswith(("data.", "stringData.")):
            name = path.rpartition(".")[2]
            name = text_of(get(owner, "name")) or "" if name == "value" else name
            if names_image(name):
                operators.read_value(written(thing.source, node), thing.found, key)


def _document(thing: _Object, context: Context, key: str, node: Node) -> None:
    """A string that is a document itself: a manifest, values of a chart, settings."""
    if re.search(r"\.(?:values|valuesContent)$", key):
        return  # read as what the kind of object makes of it

    def inside(source: Source, found: Collector) -> None:
        for document in documents(source, found):
            if get(document, "apiVersion") is not None and get(document, "kind") is not None:
                read_object(source, found, context, document)
            else:
                helm.read_values(source, found, document, "")

    read_embedded(written(thing.source, node), thing.found, inside, key)


def _argument(thing: _Object, key: str, node: Node) -> None:
    text = text_of(node)
    if text and (match := _ARGUMENT.match(text)):
        value = written(thing.source, node).part(match.start(1), match.end(1))
        if ":" in value.text or "/" in value.text:
            thing.found.image(value, key, confidence="medium")


def _causes(thing: _Object) -> None:
    node = get(thing.node, "kind")
    assert node is not None
    labels = []
    for path in (("metadata",), ("spec", "template", "metadata")):
        for what in ("labels", "annotations"):
            for name, value in entries(get(thing.node, *path, what)):
                labels.append(f"{name}={text_of(value) or ''}")
    thing.found.cause(
        "object", thing.kind, written(thing.source, node), key=thing.key,
        attributes={"group": thing.group, "labels": "\n".join(labels),
                    "pods": "yes" if thing.kind in _PODS and "/" not in thing.name else ""},
    )  # fmt: skip
