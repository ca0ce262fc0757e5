"""Terraform and OpenTofu, Nomad and Packer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from homeport.audit.formats import hcl, json
from homeport.audit.formats.yaml import Node, entries, get, is_map, items, text_of, walk, written
from homeport.audit.model import Confidence, Feed
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import among, feed
from homeport.audit.source import Source

_IMAGE = re.compile(r"(?:^|\.)(?:image|image_uri|container_image|image_url)$")
_IN_TEXT = re.compile(r"[\"']?image[\"']?\s{0,99}+[:=]\s{0,99}+\"(?P<ref>[^\"\s]{1,400}+)\"")
_SURE = re.compile(
    r"^resource\.(?:docker_(?:container|service|image)|kubernetes_\w+|aws_ecs_\w+|nomad_job)\."
    r"|^job\.|^source\.docker\.|^builders"
)
#: Variables whose value is an image.
_VARIABLE = re.compile(r"(?i)image(?:_?(?:uri|ref|name))?$")

Values = dict[str, list[Feed]]


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a Terraform, Nomad or Packer file."""
    root = (json if source.name.endswith(".json") else hcl).document(source, found)
    if root is None:
        return
    tables = _variables(source, root)
    _defaults(source, found, root)
    for path, node, owner in walk(root):
        if _IMAGE.search(path) or _names_image(path):
            _image(source, found, path, node, tables)
        elif path.endswith((".name", ".value")) and "helm_release" in path:
            _helm_set(source, found, path, node, owner)
        elif getattr(node, "style", "") in ("expr", "|"):
            _text(source, found, path, node)


def _names_image(path: str) -> bool:
    return bool(re.match(r"(?:resource|data)\.docker_(?:image|registry_image)\.[^.]+\.name$", path))


def _variables(source: Source, root: Node) -> Values:
    found: Values = {}
    for key, node in entries(root):
        for name, block in entries(node) if key in ("variable", "locals") else ():
            value = get(block, "default") if is_map(block) else block
            if value is not None and text_of(value) and getattr(value, "style", "") != "expr":
                prefix = "var" if key == "variable" else "local"
                note = f"a variables file may set {name}" if key == "variable" else ""
                found[f"{prefix}.{name}"] = [
                    feed(name, written(source, value), shared=True, note=note)
                ]
    return found


def _image(
    source: Source,
    found: Collector,
    path: str,
    node: Node,
    tables: Mapping[str, Sequence[Feed]],
) -> None:
    text = text_of(node)
    if text is None:
        return
    driver_docker = _SURE.search(path)
    confidence: Confidence = "high" if driver_docker else "medium"
    value, outcomes = hcl.values(source, node, among(tables))
    for outcome in outcomes:
        if outcome.problem and confidence != "high":
            continue
        if re.search(r"(?:docker_image|docker_registry_image)\..*(?:image_id|latest|name)", text):
            return  # the resource named there is reported at its own place
        if confidence == "high" or "/" in outcome.value or ":" in outcome.value:
            found.image(value, path, confidence=confidence, outcome=outcome)


def _helm_set(source: Source, found: Collector, path: str, node: Node, owner: Node) -> None:
    """``set { name = "image.repository", value = … }``: only the value that is an image."""
    name = text_of(get(owner, "name")) or ""
    if path.endswith(".value") and re.search(r"(?i)image(?:\.repository)?$", name):
        value = written(source, node)
        if "/" in value.text or ":" in value.text:
            found.image(value, path, confidence="medium")


def _text(source: Source, found: Collector, path: str, node: Node) -> None:
    """JSON inside ``jsonencode`` or a here-document: container definitions."""
    if "container_definitions" not in path and "spec" not in path and "definition" not in path:
        return
    value = written(source, node)
    start = source.text.find(value.text, value.start)
    for match in _IN_TEXT.finditer(value.text):
        if start < 0:
            break
        reference = source.whole().part(start + match.start("ref"), start + match.end("ref"))
        found.image(reference, f"{path}: image", confidence="medium")


def read_tfvars(source: Source, found: Collector, context: Context) -> None:
    """Report the variables of a file of values that are images by their names."""
    root = hcl.document(source, found)
    for path, node, _ in walk(root) if root is not None else ():
        name = path.rpartition(".")[2]
        if getattr(node, "style", "") == '"' and _VARIABLE.search(name) and _is_image(node):
            found.image(written(source, node), path, confidence="medium")


def _defaults(source: Source, found: Collector, root: Node) -> None:
    """Defaults of variables that are images by their names."""
    blocks = [entries(node) for key, node in entries(root) if key == "variable"]
    for name, block in itertools.chain(*blocks):
        default = get(block, "default")
        if default is not None and _VARIABLE.search(name) and _is_image(default):
            found.image(written(source, default), f"variable.{name}.default", confidence="medium")


def _is_image(node: Node) -> bool:
    text = text_of(node) or ""
    return getattr(node, "style", "") != "expr" and (":" in text or "/" in text)


def read_packer_json(source: Source, found: Collector, context: Context) -> None:
    """Report the images of Packer's older JSON templates."""
    root = json.document(source, found)
    for number, builder in enumerate(items(get(root, "builders"))):
        node = get(builder, "image")
        if text_of(get(builder, "type")) == "docker" and node is not None and text_of(node):
            found.image(written(source, node), f"builders[{number}].image")
