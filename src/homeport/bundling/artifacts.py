"""Layers of the artifacts in a bundle, each with the name of its file."""

from __future__ import annotations

from homeport.bundling.model import TITLE
from homeport.content.blob import Blob
from homeport.images.artifact import Layer, artifact_layer


def named_layer(blob: Blob, media_type: str, title: str) -> Layer:
    """A layer with the name of its file."""
    return artifact_layer(blob, media_type, {TITLE: title})
