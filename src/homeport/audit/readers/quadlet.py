"""systemd quadlets of Podman: ``.container``, ``.image``, ``.volume``, ``.build``, ``.kube``."""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context, resolve
from homeport.audit.source import Source

_SECTION = re.compile(r"\s*\[([A-Za-z]+)\]\s*$")
_ENTRY = re.compile(r"\s*([A-Za-z]+)\s*=\s*")
_IMAGE_IN = {"Container": "container", "Image": "image", "Volume": "volume"}
_UNIT = re.compile(r"\.(?:image|build|container|volume)$")
_LOCAL = (
    "dir:",
    "oci:",
    "oci-archive:",
    "docker-archive:",
    "docker-daemon:",
    "containers-storage:",
)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a quadlet."""
    section = ""
    for line in source.whole().lines():
        if match := _SECTION.match(line.text):
            section = match.group(1)
            continue
        entry = _ENTRY.match(line.text)
        if entry is None or line.text.lstrip().startswith(("#", ";")):
            continue
        value = line.part(entry.end()).stripped()
        if entry.group(1) == "Image" and section in _IMAGE_IN:
            if _UNIT.search(value.text) or value.text.startswith(_LOCAL):
                continue
            if value.text.startswith("docker://"):
                value = value.after("docker://")
            problem = "systemd fills it in" if "%" in value.text else ""
            found.image(value, f"[{section}] Image", problem=problem)
        elif entry.group(1) == "ImageTag" and section == "Build":
            found.produces(value.text, f"{source.path}: [Build] ImageTag")
        elif entry.group(1) == "File" and section == "Build":
            named = None if "://" in value.text else resolve(source, value.text)
            if named:
                found.names_dockerfile(named)
