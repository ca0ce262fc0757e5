"""Development containers: the image, the build, features (OCI artifacts), caches."""

from __future__ import annotations

import posixpath

from homeport.audit.formats import json
from homeport.audit.formats.yaml import entries, get, items, text_of, written
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
    features = get(root, "features")
    if features is not None and hasattr(features, "value"):
        for key, _ in features.value:
            value = written(source, key)
            if "/" in value.text and not value.text.startswith((".", "http")):
                found.image(
                    value, "features", confidence="medium", note="a feature, an OCI artifact"
                )
