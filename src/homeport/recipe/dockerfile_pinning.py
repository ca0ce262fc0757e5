"""Whether every external input of a recipe's Dockerfile is pinned by its content.

An image by digest, a file of a web server with ``--checksum``, a repository by commit:
otherwise the same recipe could give another image tomorrow without a visible change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeport.dockerfile.lines import Dockerfile, parse_dockerfile
from homeport.dockerfile.stages import analyse
from homeport.errors import HomeportError
from homeport.recipe.boundary import OutsideRecipe
from homeport.recipe.parts import DockerfilePart
from homeport.recipe.text_files import BadRecipe

_LARGEST = 4 << 20
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")
_COMMIT = re.compile(r"#(?:[0-9a-f]{40}|[0-9a-f]{64})(?::|$)")
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@")


class Unpinned(BadRecipe):
    """A Dockerfile takes an input that is not pinned."""

    id = "unpinned-input"


def materials_of(part: DockerfilePart) -> tuple[str, ...]:
    """The external inputs of the Dockerfile, each with its digest or commit, sorted.

    Raises ``Unpinned`` for the first that has neither, ``BadRecipe`` for an unusable file.
    """
    found = []
    for name, error in _inputs(part):
        if error is not None:
            raise error
        found.append(name)
    return tuple(sorted(set(found)))


def images_of(part: DockerfilePart) -> tuple[str, ...]:
    """The images that the Dockerfile names, as far as they can be known without building it."""
    build = analyse(parse_dockerfile(_read(part)), part.args)
    return tuple(dict.fromkeys(use.value for use in build.images if use.value))


def unpinned(part: DockerfilePart) -> list[HomeportError]:
    """Every fault of the Dockerfile that can be seen without building it."""
    try:
        return [error for _, error in _inputs(part) if error is not None]
    except HomeportError as error:
        return [error]


def _inputs(part: DockerfilePart) -> Iterator[tuple[str, HomeportError | None]]:
    text = _read(part)
    dockerfile = parse_dockerfile(text)
    for fault in dockerfile.faults:
        if fault.weight == "error":
            yield "", BadRecipe(fault.what, where={"file": str(part.file), "line": fault.line})
    build = analyse(dockerfile, part.args)
    names = {stage.name for stage in build.stages if stage.name}
    if part.target and part.target.lower() not in names and not part.target.isdigit():
        hint = f"it has {', '.join(sorted(names))}" if names else "none of its stages has a name"
        what = f"{part.written} has no stage {part.target!r}"
        yield "", BadRecipe(what, where=part.place.where(), hint=hint)
    for use in build.images:
        name = use.value or use.expression
        if use.value is not None and _PINNED.search(use.value):
            yield name, None
        else:
            yield "", _error(part, use.line, f"the image {name} is not pinned by digest",
                             use.problem or f"write {name}@sha256:…")  # fmt: skip
    yield from _added(part, dockerfile)


def _added(
    part: DockerfilePart, dockerfile: Dockerfile
) -> Iterator[tuple[str, HomeportError | None]]:
    """What ADD fetches."""
    for instruction in dockerfile.instructions:
        inner = instruction.inner() or instruction
        if inner.keyword != "add":
            continue
        checksum = any(flag.text.startswith("--checksum=sha256:") for flag in inner.flags)
        for word in inner.words()[:-1]:
            name = word.text.strip("\"'[],")
            if not _REMOTE.match(name):
                continue
            if checksum or _COMMIT.search(name):
                digest = next(
                    (f.text[11:] for f in inner.flags if f.text.startswith("--checksum=")), ""
                )
                yield f"{name}@{digest}" if digest else name, None
            else:
                what = f"{name} is fetched without a checksum"
                yield "", _error(part, instruction.lines[0], what,
                                 "write ADD --checksum=sha256:… or #COMMIT")  # fmt: skip


def _error(part: DockerfilePart, line: int, what: str, hint: str) -> Unpinned:
    where: dict[str, str | int] = {"file": str(part.file), "line": line, "part": part.name}
    return Unpinned(what, where=where, hint=hint)


def _read(part: DockerfilePart) -> str:
    try:
        return part.boundary.read(part.file, _LARGEST).decode("utf-8", "replace")
    except OSError as error:
        what = f"cannot read the Dockerfile {part.file}: {error.strerror or error}"
        raise BadRecipe(what, where=part.place.where()) from error
    except OutsideRecipe as error:
        raise error.at(**part.place.where()) from None
