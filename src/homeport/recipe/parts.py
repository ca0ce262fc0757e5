"""Parts of an image that must run somewhere: Dockerfiles, and commands in a build root.

They are built on a BuildKit engine (``homeport.parts``) before the image is, and their
results are pinned in the lockfile; a recipe without them never needs an engine. Here is
what the recipe says about them; files take from their results by ``model.PartFiles``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.oci.platform import Platform
from homeport.recipe.boundary import Boundary
from homeport.recipe.entries import LocalFiles, PackageChoice
from homeport.yamlfile.position import FilePosition


class UrlInput(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a web server, fetched by Homeport and checked against ``sha256``."""

    url: str
    sha256: Digest
    to: str
    place: FilePosition


class GitInput(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one commit, fetched by the engine.

    commit: 40 or 64 hex digits
    ref:    the branch or tag that it is of; it decides nothing of the image: only whether
            something newer is there is asked by it (``freshness.git_refs``)
    """

    url: str
    commit: str
    ref: str = ""
    to: str
    place: FilePosition


class SourceInput(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a Debian source package: the .dsc and what it lists, in directory ``to``.

    version: exactly this one; ``None``: the newest, which the lockfile then keeps
    """

    package: str
    version: str | None
    to: str
    place: FilePosition


class ImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """A path of an image named by digest, pulled by the engine."""

    image: str
    digest: Digest
    path: str
    to: str
    place: FilePosition


Input = LocalFiles | UrlInput | GitInput | SourceInput | ImageInput


class RunPart(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that run in a build root of Debian packages, once for each platform wanted.

    script:   for ``/bin/sh -eu``; what it leaves in ``/out`` is the result
    on:       platforms that the build root is locked for; the first that an engine runs is used
    packages: of the build root, whole or sliced, with what they depend on
    network:  whether commands may reach the network
    """

    name: str
    script: str
    on: tuple[Platform, ...]
    packages: tuple[PackageChoice, ...]
    inputs: tuple[Input, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    network: bool = False
    place: FilePosition


class DockerfilePart(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile; the filesystem of its target is the result.

    written: the Dockerfile as the recipe names it
    context_written: the context as the recipe names it, or the Dockerfile's own directory
    boundary: directories that ``file`` and ``context`` must lie in
    network: whether its RUN may reach the network
    """

    name: str
    file: Path
    written: str
    context: Path
    context_written: str
    boundary: Boundary
    target: str = ""
    args: Mapping[str, str] = msgspec.field(default_factory=dict)
    network: bool = False
    place: FilePosition


EnginePart = RunPart | DockerfilePart
