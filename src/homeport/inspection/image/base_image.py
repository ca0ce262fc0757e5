"""What an image was made from: its distribution, and the base image where it is recorded.

Every answer names its evidence: a label, an annotation, a line of history, os-release. Not a
guess from file names.
"""

from __future__ import annotations

import re
from itertools import pairwise

from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import Base
from homeport.printable import path_text
from homeport.quantities import counted

_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"
_OS_RELEASE = re.compile(r"([A-Z_][A-Z0-9_]*)=(.*)")
_HINTS = (
    (re.compile(r"ADD (?:file:\S+|alpine-minirootfs-(?P<version>[0-9.]+)\S*) in /"), "scratch"),
    (re.compile(r"debian\.sh --arch '?(?P<arch>\w+)'? .*?'(?P<version>[a-z]+)'"), "debian"),
    (re.compile(r"alpine-minirootfs-(?P<version>[0-9.]+[0-9])"), "alpine"),
)
_MUSL = re.compile(rb"(?:\A|\0)(\d+\.\d+\.\d+)\0")


def find_base(opened: OpenedImage) -> Base:
    """The distribution, C library and base image, with the evidence for each."""
    fields, evidence = _distribution(opened)
    libc, more = _libc(opened)
    image, digest, source = _image(opened)
    layers, why = _boundary(opened)
    return Base(
        distribution=fields.get("ID", ""),
        version=fields.get("VERSION_ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        pretty_name=fields.get("PRETTY_NAME", ""),
        libc=libc,
        image=image,
        image_digest=digest,
        layers=layers,
        evidence=(*evidence, *more, *source, *why),
    )


def _distribution(opened: OpenedImage) -> tuple[dict[str, str], list[str]]:
    for path in (b"etc/os-release", b"usr/lib/os-release"):
        text = opened.metadata(path)
        if text:
            fields = {}
            for line in text[: 1 << 16].decode("utf-8", "replace").splitlines():
                if found := _OS_RELEASE.fullmatch(line.strip()):
                    fields[found[1]] = found[2].strip("\"'")
            if (version := opened.metadata(b"etc/debian_version")) and fields.get("ID") == "debian":
                fields["VERSION_ID"] = version[:40].decode("utf-8", "replace").strip()
            return fields, [f"/{path.decode()}"]
    release = opened.metadata(b"etc/alpine-release")
    if release:
        number = release[:40].decode("utf-8", "replace").strip()
        return {"ID": "alpine", "VERSION_ID": number}, ["/etc/alpine-release"]
    return {}, []


def _libc(opened: OpenedImage) -> tuple[str, list[str]]:
    """musl by its loader, which holds its version; glibc by the loader's name."""
    for path in opened.metadata_paths:
        if b"/ld-musl-" in path:
            text = opened.metadata(path) or b""
            found = _MUSL.search(text) if b"musl libc" in text else None
            version = f" {found[1].decode()}" if found else ""
            return f"musl{version}", [path_text(path)]
    for path in opened.history.final:
        if path.endswith(b"/libc.so.6"):
            return "glibc", [path_text(path)]
    return "", []


def _image(opened: OpenedImage) -> tuple[str, str, list[str]]:
    annotations = opened.image.document.parsed.annotations
    labels = opened.config.config.labels
    for where, fields in (("annotation", annotations), ("label", labels)):
        if _BASE_NAME in fields or _BASE_DIGEST in fields:
            name = fields.get(_BASE_NAME, "")
            return name, fields.get(_BASE_DIGEST, ""), [f"{where} {_BASE_NAME}"]
    for step in opened.config.history[:4]:
        for pattern, name in _HINTS:
            found = pattern.search(step.created_by)
            if found and name != "scratch":
                return f"{name}:{found['version']}", "", [f"history: {step.created_by[:100]}"]
    return "", "", []


def _boundary(opened: OpenedImage) -> tuple[int | None, list[str]]:
    """The number of layers up to the base image's CMD, if later steps have another date."""
    layers = 0
    for step, following in pairwise(opened.config.history):
        layers += not step.empty_layer
        ends = step.empty_layer and re.search(r"\b(CMD|ENTRYPOINT)\b", step.created_by)
        if ends and following.created[:10] != step.created[:10]:
            return layers, [
                f"history: {counted(layers, 'layer')} until {step.created_by[:60]!r}, "
                f"then {following.created[:10]}"
            ]
    return None, []
