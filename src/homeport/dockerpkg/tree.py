"""The images of a tree: directories with a changelog and a Dockerfile template or a recipe.

    Dockerfile.template  Jinja2 template of a Dockerfile (``templates``)
    homeport.yaml        instead of it: a recipe, built from signed packages without an engine
    changelog            Debian changelog; its newest entry gives name and version
    control              optional; Build-Depends and Depends name other images, Platforms limits

Nothing is rendered or connected. Not for the order of images (``dependencies``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.budget import Budget
from homeport.content.files import read_input
from homeport.debian.deb822 import Malformed, parse_paragraphs
from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.names import Naming
from homeport.errors import Faults, HomeportError, UsageError
from homeport.oci.platform import Platform, parse_platforms

TEMPLATE, RECIPE, CHANGELOG, CONTROL, TEST = (
    "Dockerfile.template", "homeport.yaml", "changelog", "control", "test.sh",
)  # fmt: skip
#: Where built images stay between runs, below the tree; never part of it.
WORK_FOLDER = ".homeport"
_PASSED_OVER = frozenset((WORK_FOLDER, ".git"))
_LARGEST = 4 << 20
_HEADING = re.compile(r"([A-Za-z0-9_][A-Za-z0-9+._/-]*) \(([^\s()]+)\)(?:\s+[A-Za-z0-9+._-]+)+\s*;")
_DEPENDENCIES = ("build-depends", "depends")
_SEPARATOR = re.compile(r"\s*,\s*")


class BadImageDirectory(UsageError):
    """A changelog or control file of an image cannot be read; file and line are in ``where``."""

    id = "docker-pkg-image"


class SourceImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image directory.

    folder:    below the tree, ``/`` between parts
    reference: ``REGISTRY/NAMESPACE/NAME:TAG``
    depends:   as ``control`` names them, in its order; not all need to be images of the tree
    platforms: what ``control`` limits the image to; empty if it does not
    """

    name: str
    version: str
    reference: str
    path: Path
    folder: str
    is_recipe: bool = False
    depends: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """All images by name, in the order of their names.

    warnings: directories that were passed over, and why
    """

    root: Path
    configuration: Configuration
    naming: Naming
    images: dict[str, SourceImage]
    warnings: tuple[str, ...] = ()


def read_tree(root: Path, configuration: Configuration, suffix: str = "") -> Tree:
    """Find the images. Raises ``Faults`` with every directory that cannot be read."""
    if not root.is_dir():
        raise UsageError(f"no such directory: {root}", where={"file": str(root)})
    naming = configuration.naming(suffix)
    images: dict[str, SourceImage] = {}
    faults: list[HomeportError] = []
    warnings: list[str] = []
    for path, names in _folders(root):
        missing = _missing(names)
        if missing:
            warnings.append(f"{path}: passed over, there is no {missing}")
            continue
        try:
            image = _read_image(root, path, RECIPE in names, TEMPLATE in names, naming)
        except HomeportError as error:
            faults.append(error)
            continue
        if (other := images.get(image.name)) is not None:
            text = f"the image {image.name!r} is also in {other.folder}"
            faults.append(BadImageDirectory(text, where={"file": str(path / CHANGELOG)}))
            continue
        images[image.name] = image
    if faults:
        raise Faults(faults, what=f"{root} cannot be read as a tree of docker-pkg")
    if not images:
        raise UsageError(
            f"no images in {root}", where={"file": str(root)},
            hint=f"an image is a directory with {TEMPLATE} (or {RECIPE}) and {CHANGELOG}",
        )  # fmt: skip
    ordered = {name: images[name] for name in sorted(images)}
    return Tree(
        root=root, configuration=configuration, naming=naming, images=ordered,
        warnings=tuple(warnings),
    )  # fmt: skip


def _folders(root: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """Directories that may be images, in a stable order; links are not followed."""
    budget = Budget(str(root))

    def failed(error: OSError) -> None:
        raise BadImageDirectory(
            f"cannot read the directory: {error.strerror}", where={"file": str(error.filename)}
        ) from error

    for at, folders, files in os.walk(root, onerror=failed):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        budget.entries(len(files) + len(folders), sum(map(len, (*files, *folders))))
        names = frozenset(files)
        if names & {TEMPLATE, RECIPE, CHANGELOG}:
            yield Path(at), names


def _missing(names: frozenset[str]) -> str:
    """The needed file that is not there. A recipe alone is none of this tree's images."""
    if CHANGELOG not in names:
        return CHANGELOG
    return "" if names & {TEMPLATE, RECIPE} else f"{TEMPLATE} or {RECIPE}"


def _read_image(
    root: Path, path: Path, has_recipe: bool, has_template: bool, naming: Naming
) -> SourceImage:
    if has_recipe and has_template:
        raise BadImageDirectory(
            f"both {TEMPLATE} and {RECIPE} are here", where={"file": str(path)},
            hint=f"remove the one that the image is no longer built from, usually {TEMPLATE}",
        )  # fmt: skip
    changelog = path / CHANGELOG
    name, version = _newest(changelog)
    depends, platforms = _read_control(path / CONTROL)
    try:
        reference = naming.full(name, version)
    except UsageError as error:
        raise BadImageDirectory(
            error.what, where={"file": str(changelog), "line": 1}, hint=error.hint
        ) from error
    return SourceImage(
        name=name, version=version, reference=reference, path=path,
        folder=path.relative_to(root).as_posix(),
        is_recipe=has_recipe, depends=depends, platforms=platforms,
    )  # fmt: skip


def read_text(path: Path) -> str:
    """A bounded text file of an image. Raises ``CannotRead``, ``BadImageDirectory``."""
    data = read_input(path, _LARGEST)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadImageDirectory(
            "the file is not UTF-8", where={"file": str(path), "line": line}
        ) from error


def _newest(path: Path) -> tuple[str, str]:
    """Name and version of a changelog's first entry (deb-changelog(5); names may have slashes)."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        found = _HEADING.match(line)
        if found is None:
            raise BadImageDirectory(
                "not the first line of a changelog entry",
                where={"file": str(path), "line": number},
                hint="write: NAME (VERSION) DISTRIBUTION; urgency=medium",
            )
        return found[1], found[2]
    raise BadImageDirectory("the changelog is empty", where={"file": str(path)})


def _read_control(path: Path) -> tuple[tuple[str, ...], tuple[Platform, ...]]:
    """Dependencies, Build-Depends before Depends in each paragraph, and platforms."""
    if not path.exists():
        return (), ()
    depends: dict[str, None] = {}
    platforms: list[Platform] = []
    try:
        for paragraph in parse_paragraphs(read_text(path).encode()):
            for field in _DEPENDENCIES:
                words = _SEPARATOR.split(paragraph.get(field).strip())
                depends |= dict.fromkeys(word for word in words if word)
            if "platforms" in paragraph:
                line = paragraph.line_of("platforms")
                platforms += _platforms(paragraph.get("platforms"), path, line)
    except Malformed as error:
        raise BadImageDirectory(error.what, where={"file": str(path), **error.where}) from error
    return tuple(depends), tuple(dict.fromkeys(platforms))


def _platforms(text: str, path: Path, line: int) -> list[Platform]:
    try:
        return parse_platforms(text.split()) or []
    except UsageError as error:
        raise BadImageDirectory(
            f"Platforms: {error.what}", where={"file": str(path), "line": line}, hint=error.hint
        ) from error
