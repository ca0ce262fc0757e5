"""Development containers: the image, the build, features (OCI artifacts), caches."""

from __future__ import annotations

import posixpath

from homeport.audit.formats import json
from homeport.audit.formats.yaml import Node, entries, get, items, text_of, written
from homeport.audit.readers.buildkeys import read_cache
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import BuildCall, Context, resolve
from homeport.audit.source import Source


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a devcontainer.json."""
    root = json.document(source, found)
    image = get(root, "image")
    if image is not None and text_of(image):
        found.image(written(source, image), "image")
    build = get(root, "build")
    cache = get(build, "cacheFrom")
    for node in items(cache) or ([cache] if cache is not None else []):
        if text_of(node):
            read_cache(written(source, node), found, "build.cacheFrom")
    name = text_of(get(build, "dockerfile")) or text_of(get(root, "dockerFile"))
    named = resolve(source, posixpath.join(name)) if name else None
    if named is not None:
        found.names_dockerfile(named)
        args = {
            key: written(source, node) for key, node in entries(get(build, "args")) if text_of(node)
        }
        context.calls.append(
            BuildCall(dockerfile=named, args=args, contexts=(), kind="devcontainer", key="build")
        )
    _features(source, found, context, get(root, "features"))


def _features(source: Source, found: Collector, context: Context, features: Node | None) -> None:
    """OCI artifacts; a lock beside the file pins them."""
    if features is None or not hasattr(features, "value") or not features.value:
        return
    pinned = _locked(source, context)
    for key, _ in features.value:
        value = written(source, key)
        if "/" not in value.text or value.text.startswith((".", "http")):
            continue
        resolved = pinned.get(value.text, "")
        digest = resolved.partition("@")[2]
        note = "a feature, an OCI artifact" + ("; the lock pins it" if digest else "")
        found.image(
            value, "features", confidence="medium", note=note,
            value=f"{value.text}@{digest}" if digest else None,
        )  # fmt: skip
    first = written(source, features.value[0][0])
    found.cause("file", "devcontainer-features", first, key="features")


def _locked(source: Source, context: Context) -> dict[str, str]:
    """Feature → what ``devcontainer-lock.json`` resolved it to."""
    hidden = "." if source.name.startswith(".") else ""
    lock = context.neighbour(source, f"{hidden}devcontainer-lock.json")
    if lock is None:
        return {}
    root = json.document(lock, Collector(lock, "devcontainer"))
    return {
        name: text_of(get(node, "resolved")) or "" for name, node in entries(get(root, "features"))
    }
