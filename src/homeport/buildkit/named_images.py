"""The images that a build names: base images and ``--from`` of the Dockerfile, contexts, caches,
the frontend, sources of an LLB graph and of a policy.

An engine that builds for us may ask for a token of any repository of a registry that we are
logged in to; it gets those of these images alone. Not for fetching tokens
(``homeport.buildkit.session.registry_auth``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from homeport.buildkit.llb.dump import steps
from homeport.buildkit.protocol.control import CacheOptionsEntry
from homeport.buildkit.session.repositories import Repositories
from homeport.buildkit.solve import GATEWAY, Build
from homeport.dockerfile.lines import parse_dockerfile
from homeport.dockerfile.stages import PLATFORM_ARGS, analyse
from homeport.errors import UsageError
from homeport.oci.platform import parse_platforms
from homeport.oci.reference import parse_reference

_IMAGE = "docker-image://"
#: Attributes of frontends whose value is a reference, or one after ``generator=``.
_REFERENCES = ("source", "override-copy-image", "build-arg:BUILDKIT_SYNTAX")
_GENERATOR = re.compile(r"(?:^|,)generator=([^,]+)")
_WORD = re.compile(r"[^\s\"'`,;|(){}<>=]+")
#: Platforms of an engine that the build leaves to it.
_USUAL = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64")
_MOST_WORDS = 100_000
_DOCKERFILE_FRONTENDS = ("dockerfile", "dockerfile-upstream")


def repositories_of(
    build: Build, *, pushes: Iterable[str] = (), more: Iterable[str] = ()
) -> Repositories:
    """What ``build`` names, and what the user allows in addition.

    pushes: references of images that the engine shall push
    more:   names that ``allowed_name`` has checked
    """
    exports = [entry.attrs.get("ref", "") for entry in _in_registries(build.cache_exports)]
    pulled = _names([*_texts(build), *exports, *pushes])
    return Repositories(pulls=pulled | frozenset(more), pushes=_names([*exports, *pushes]))


def _names(texts: Iterable[str]) -> frozenset[str]:
    """Registry and repository of each text that is a reference."""
    found = set()
    for text in texts:
        try:
            found.add(parse_reference(text).name)
        except UsageError:
            continue
    return frozenset(found)


def _texts(build: Build) -> Iterator[str]:
    """Whatever may be the reference of an image that this build uses."""
    for key, value in build.attrs.items():
        if key in _REFERENCES:
            yield value
        if key == "cache-from":
            yield from value.split(",")
        if found := _GENERATOR.search(value):
            yield found[1]
        if value.startswith(_IMAGE):
            yield value.removeprefix(_IMAGE)
    for entry in _in_registries(build.cache_imports):
        yield entry.attrs.get("ref", "")
    for text in build.sources.texts.values():
        yield from _of_file(text, build)
    if build.definition is not None:
        for step in steps(build.definition):
            if step.op.source is not None and step.op.source.identifier.startswith(_IMAGE):
                yield step.op.source.identifier.removeprefix(_IMAGE)
    for rule in build.source_policy.rules if build.source_policy is not None else ():
        if rule.updates is not None:
            yield rule.updates.identifier.removeprefix(_IMAGE)


def _of_file(text: str, build: Build) -> Iterator[str]:
    """Images of a Dockerfile; of a file for another frontend, every word that could be one."""
    arguments = {
        key.partition(":")[2]: value
        for key, value in build.attrs.items()
        if key.startswith("build-arg:")
    }
    dockerfile = parse_dockerfile(text)
    for platform in _platforms(build):
        for image in analyse(dockerfile, arguments, platform).images:
            yield image.value or ""
    if build.frontend == GATEWAY and not _reads_dockerfiles(build.attrs.get("source", "")):
        for number, word in enumerate(_WORD.finditer(text)):
            if number < _MOST_WORDS:
                yield word[0]


def _reads_dockerfiles(frontend: str) -> bool:
    """Whether the image is the public Dockerfile frontend, or a copy of it."""
    try:
        return parse_reference(frontend).repository.rpartition("/")[2] in _DOCKERFILE_FRONTENDS
    except UsageError:
        return False


def _platforms(build: Build) -> Iterator[dict[str, str]]:
    """The values of TARGETARCH and so on for each platform."""
    text = build.attrs.get("platform", "")
    asked = parse_platforms((text,)) if text else None
    pairs = [(each.architecture, each.variant) for each in asked or ()]
    for architecture, variant in pairs or [(each, "") for each in _USUAL]:
        suffix = f"/{variant}" if variant else ""
        yield {
            f"{side}{name}": value
            for side in ("TARGET", "BUILD")
            for name, value in (
                ("PLATFORM", f"linux/{architecture}{suffix}"), ("OS", "linux"),
                ("ARCH", architecture), ("VARIANT", variant),
            )
        } | {"TARGETSTAGE": PLATFORM_ARGS["TARGETSTAGE"]}  # fmt: skip


def _in_registries(entries: Iterable[CacheOptionsEntry]) -> list[CacheOptionsEntry]:
    return [entry for entry in entries if entry.type == "registry"]
