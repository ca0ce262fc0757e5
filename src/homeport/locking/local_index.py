"""Local packages as an index, so that they are resolved like those of an archive."""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.content.blob import BytesBlob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.debian.archive.state import ArchiveState
from homeport.debian.deb.deb import DebReader
from homeport.debian.index.index import IndexPart, MergedIndex, pack_index
from homeport.debian.listed_file import ListedFile
from homeport.errors import HomeportError
from homeport.recipe.local_packages import LOCAL, LocalPackage, local_packages
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime


def with_local_packages(state: ArchiveState, recipe: Recipe, runtime: Runtime) -> ArchiveState:
    """``state`` with the recipe's own packages; the control file of each is read.

    Raises what reading the folder and its packages raises.
    """
    files = local_packages(recipe)
    if not files or recipe.local_packages is None:
        return state
    folder = recipe.boundary.real(recipe.local_packages)
    text = "\n".join(_stanza(folder, file) for file in files).encode("utf-8", "surrogateescape")
    listed = ListedFile(path="Packages", digest=Digest.of(text), size=len(text))
    packed = pack_index(BytesBlob(text), listed, listed, runtime.store, runtime.cancel)
    part = IndexPart(packed=packed, archive=LOCAL, suite=LOCAL)
    indexes = {
        architecture: MergedIndex(architecture, (part, *index.parts))
        for architecture, index in state.indexes.items()
    }
    return msgspec.structs.replace(state, indexes=indexes)


def _stanza(folder: Path, file: LocalPackage) -> str:
    """The control file and what an index adds to it."""
    blob = FileBlob(folder / file.name, file.digest, file.size)
    try:
        with verified(blob, file.name) as stream:
            control = DebReader(stream).control["control"]
    except HomeportError as error:
        raise error.at(package=file.name) from error.__cause__
    return (
        control.decode("utf-8", "surrogateescape").strip("\n")
        + f"\nFilename: {file.name}\nSize: {file.size}\nSHA256: {file.digest.hex}\n"
    )
