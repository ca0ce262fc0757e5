"""The inputs of a part: one digest of all that decides its result, and a list for the record.

The digest is recorded in the lockfile: when it differs, the part is built again. It holds the
commands, the packages of the build root, everything that the part takes, by content, and
the paths that the image takes from its result. Local files are read and hashed here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.assemble.local_files import local_nodes
from homeport.content.digest import Digest
from homeport.copying import ignore
from homeport.progress import CancelToken
from homeport.recipe.dockerfile_pinning import materials_of
from homeport.recipe.entries import LocalFiles
from homeport.recipe.lock.model import LockedSource, Lockfile
from homeport.recipe.model import Recipe, files_of_part
from homeport.recipe.parts import (
    DockerfilePart,
    EnginePart,
    GitInput,
    ImageInput,
    Input,
    SourceInput,
    UrlInput,
)
from homeport.recipe.text_files import BadRecipe, read_text_file
from homeport.tree.node import Node

PathNode = tuple[bytes, Node]


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a part.

    local:     of each local input, its files in the build root
    materials: for people and provenance, sorted; packages of the root are not among them
    """

    digest: Digest
    local: tuple[tuple[LocalFiles, tuple[PathNode, ...]], ...]
    materials: tuple[str, ...]


def read_inputs(
    recipe: Recipe,
    part: EnginePart,
    root: Lockfile | None,
    sources: Sequence[LockedSource],
    cancel: CancelToken,
) -> Inputs:
    """Read the inputs of a part. Raises ``Unpinned``, ``BadRecipe``, ``BadLocalFile``.

    root, sources: of a part that runs commands, as they are locked
    """
    paths = {
        str(platform): sorted({files.path for files in files_of_part(recipe, part, platform)})
        for platform in recipe.platforms
    }
    if isinstance(part, DockerfilePart):
        return _of_dockerfile(recipe, part, paths, cancel)
    assert root is not None
    local = tuple(
        (each, tuple(local_nodes(each, 0, cancel)))
        for each in part.inputs
        if isinstance(each, LocalFiles)
    )
    inputs = {
        "taken": paths,
        "run": part.script,
        "env": dict(part.env),
        "network": part.network,
        "root": _root(root),
        "inputs": [_identity(each, sources) for each in part.inputs],
        "local": [_nodes(nodes) for _, nodes in local],
    }
    materials = [*(_material(each, sources) for each in part.inputs)]
    materials += [_local_material(each.written, nodes) for each, nodes in local]
    return Inputs(
        digest=_digest(inputs),
        local=local,
        materials=tuple(sorted({material for material in materials if material})),
    )


def _of_dockerfile(
    recipe: Recipe, part: DockerfilePart, paths: dict[str, list[str]], cancel: CancelToken
) -> Inputs:
    nodes = tuple(local_nodes(context_of(part), 0, cancel))
    _check_lockfile(recipe, part, nodes)
    inputs = {
        "taken": paths,
        "dockerfile": str(Digest.of(read_text_file(part.file, part.boundary.read))),
        "target": part.target,
        "args": dict(part.args),
        "network": part.network,
        "context": _nodes(nodes),
    }
    materials = {*materials_of(part), _local_material(part.written, nodes)}
    return Inputs(digest=_digest(inputs), local=(), materials=tuple(sorted(materials)))


def _check_lockfile(recipe: Recipe, part: DockerfilePart, nodes: Iterable[PathNode]) -> None:
    """Raise ``BadRecipe`` for a context that holds what is written about its own digest."""
    place = recipe.path.parent.resolve() / recipe.lock_name
    context = part.context.resolve()
    if not place.is_relative_to(context):
        return
    name = str(place.relative_to(context))
    proof = f"{name}.proof"
    if any(path in (os.fsencode(name), os.fsencode(proof)) for path, _ in nodes):
        raise BadRecipe(
            f"the context {part.context_written} of the part {part.name} holds the lockfile {name},"
            " which changes with what is built from it",
            hint=f"add the line {name}* to {part.context / '.dockerignore'}, or give the part a"
            " context of its own",
        )


def context_of(part: DockerfilePart) -> LocalFiles:
    """The context of a Dockerfile, without what it ignores."""
    return LocalFiles(
        source=part.context, written=part.context_written, boundary=part.boundary, to="/",
        exclude=_ignored(part), place=part.place,
    )  # fmt: skip


def _ignored(part: DockerfilePart) -> tuple[str, ...]:
    """The patterns that the context excludes."""
    file = ignore_file(part)
    if file is None:
        return ()
    patterns = ignore.read(read_text_file(file, part.boundary.read), file.name)
    return tuple(pattern.decode("utf-8", "replace") for pattern in patterns)


def ignore_file(part: DockerfilePart) -> Path | None:
    """The list of ignored files; the Dockerfile's own has precedence."""
    files = (Path(f"{part.file}.dockerignore"), part.context / ".dockerignore")
    return next((file for file in files if file.is_file()), None)


def _root(root: Lockfile) -> dict[str, Any]:
    return {
        str(platform): [
            [package.name, str(package.file.sha256), package.slices] for package in packages
        ]
        for platform, packages in root.platforms.items()
    } | {"epoch": root.epoch}


def _identity(each: Input, sources: Sequence[LockedSource]) -> list[Any]:
    match each:
        case UrlInput():
            return ["url", str(each.sha256), each.to]
        case GitInput():
            return ["git", each.url, each.commit, each.to]
        case ImageInput():
            return ["image", str(each.digest), each.path, each.to]
        case SourceInput():
            files = source_of(each, sources).files
            return ["source", [str(file.sha256) for file in files], each.to]
        case LocalFiles():
            return ["local", each.to]


def _material(each: Input, sources: Sequence[LockedSource]) -> str:
    match each:
        case UrlInput():
            return f"{each.url}@{each.sha256}"
        case GitInput():
            return f"git+{each.url}@{each.commit}"
        case ImageInput():
            return each.image
        case SourceInput():
            source = source_of(each, sources)
            return f"pkg:deb/debian/{source.name}@{source.version}?arch=source"
        case LocalFiles():
            return ""


def source_of(each: SourceInput, sources: Sequence[LockedSource]) -> LockedSource:
    """The locked source package that an input names."""
    return next(source for source in sources if source.name == each.package)


def _local_material(written: str, nodes: Iterable[PathNode]) -> str:
    return f"{written}@{_digest(_nodes(nodes))}"


def _nodes(nodes: Iterable[PathNode]) -> list[Any]:
    return [
        [
            path.decode("utf-8", "surrogateescape"),
            node.type,
            node.mode,
            node.target.decode("utf-8", "surrogateescape"),
            str(node.content.digest) if node.content is not None else "",
        ]
        for path, node in nodes
    ]


def _digest(value: Any) -> Digest:
    return Digest.of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
