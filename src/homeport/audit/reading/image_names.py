"""Names of variables that say that their value is an image, or several."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[A-Z]{1,40}(?![a-z])|[A-Z]?[a-z0-9]{1,40}|[A-Z]")
_IMAGE = frozenset(("image", "images", "img"))
#: Parts of a name that say that the value is about images, and is none itself.
_ABOUT = frozenset((
    "pull", "policy", "secret", "secrets", "tag", "version", "digest", "arch", "size", "path",
    "dir", "file", "format", "type", "cache", "url", "uri", "user", "password", "scan", "prefix",
    "suffix", "timeout", "registry", "registries", "repo", "repos", "repository", "namespace",
    "enabled", "enable", "host", "port", "labels", "platforms",
))  # fmt: skip


def names_image(name: str) -> bool:
    """Whether a variable of this name holds an image, or several."""
    parts = {part.lower() for part in _PARTS.findall(name[:200])}
    return bool(parts & _IMAGE) and not parts & _ABOUT
