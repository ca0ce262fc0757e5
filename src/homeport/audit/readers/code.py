"""Images named in build files of languages: Bazel, jib in Maven and Gradle, Nix."""

from __future__ import annotations

import re

from homeport.audit.readers import packages
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source

_PULL = re.compile(r"\b(?:oci[._]pull|container_pull|oci_pull)\s{0,99}\((?P<body>[^()]{0,4000}+)\)")
_FIELD = re.compile(
    r"\b(?P<name>image|registry|repository|tag|digest)\s{0,99}=\s{0,99}"
    r"\"(?P<value>[^\"]{0,400}+)\""
)
_NIX = re.compile(r"pullImage\s{0,99}\{(?P<body>[^{}]{0,4000}+)\}")
_NIX_FIELD = re.compile(
    r"\b(?P<name>imageName|finalImageTag|imageDigest)\s{0,99}=\s{0,99}"
    r"\"(?P<value>[^\"]{0,400}+)\""
)
_JIB_XML = re.compile(r"<from>\s{0,999}+<image>\s{0,99}+(?P<ref>[^<\s]{1,400}+)\s{0,99}+</image>")
_JIB_GRADLE = re.compile(
    r"\bfrom\s{0,99}+\{\s{0,999}+image\s{0,99}+=?\s{0,99}+[\"'](?P<ref>[^\"'\s]{1,400}+)[\"']"
)


def read_bazel(source: Source, found: Collector, context: Context) -> None:
    """Bazel: ``oci.pull`` and its older relatives."""
    whole = source.whole()
    for call in _PULL.finditer(source.text):
        base = call.start("body")
        parts = {m.group("name"): m for m in _FIELD.finditer(call.group("body"))}
        main = parts.get("image") or parts.get("repository")
        if main is None:
            continue
        text = main.group("value")
        if "registry" in parts and "image" not in parts:
            text = f"{parts['registry'].group('value')}/{text}"
        for name, mark in (("tag", ":"), ("digest", "@")):
            if name in parts:
                text += mark + parts[name].group("value")
        start, end = main.span("value")
        found.image(whole.part(base + start, base + end), "oci.pull", value=text)


def read_nix(source: Source, found: Collector, context: Context) -> None:
    """Nix: ``dockerTools.pullImage``."""
    whole = source.whole()
    for call in _NIX.finditer(source.text):
        base = call.start("body")
        parts = {m.group("name"): m for m in _NIX_FIELD.finditer(call.group("body"))}
        name = parts.get("imageName")
        if name is None:
            continue
        text = name.group("value")
        if "finalImageTag" in parts:
            text += f":{parts['finalImageTag'].group('value')}"
        if "imageDigest" in parts:
            text += f"@{parts['imageDigest'].group('value')}"
        start, end = name.span("value")
        found.image(whole.part(base + start, base + end), "pullImage", value=text)


def read_jvm(source: Source, found: Collector, context: Context) -> None:
    """Maven and Gradle: jib's base image, and packages that rules know."""
    whole = source.whole()
    for pattern in (_JIB_XML, _JIB_GRADLE):
        for match in pattern.finditer(source.text):
            found.image(whole.part(match.start("ref"), match.end("ref")), "jib from.image")
    packages.read(source, found, context)
