"""Checks slice files: each slice alone, with what it needs, on every platform.

Every path must match something, every need must be defined, and every program and library must
find what it loads. What is imported or opened by name at run time is not seen.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from homeport.errors import Faults, HomeportError, Interrupted, UsageError
from homeport.oci.platform import Platform
from homeport.progress import Progress
from homeport.recipe.boundary import Boundary
from homeport.recipe.model import Recipe
from homeport.recipe.slices.model import SliceName
from homeport.recipe.slices.reading import SliceFolders
from homeport.recipe.text_files import BadRecipe
from homeport.slicing.assembly import AssembledPackages
from homeport.slicing.model import SlicesChecked, SliceVerdict

#: Assembles slices of a package for the platforms of a recipe.
Assemble = Callable[[Recipe, str, Sequence[str]], Iterator[AssembledPackages]]


def slice_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The slice files among ``paths``, and in folders among them. Raises ``UsageError``."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = path / "slices" if (path / "slices").is_dir() else path
            files = sorted(inside.glob("*.yaml"))
        else:
            files = [path] if path.is_file() else []
        if not files:
            raise UsageError(
                f"{path}: no slice files",
                hint="give a file slices/PACKAGE.yaml, or a folder with such files",
            )
        found += files
    return tuple(dict.fromkeys(found))


def check_slices(
    files: Sequence[Path], base: Recipe, assemble: Assemble, progress: Progress
) -> SlicesChecked:
    """Raises ``Faults`` for files that are not slice files."""
    folders = tuple(dict.fromkeys(file.parent for file in files))
    boundary = Boundary((*base.boundary.roots, *(folder.resolve() for folder in folders)))
    recipe = msgspec.structs.replace(base, slices=(*folders, *base.slices), boundary=boundary)
    slices, faults = _defined(files, boundary)
    if faults:
        raise Faults(faults, what="faults in slice files")
    verdicts = [
        verdict for slice in slices for verdict in _verdicts(slice, recipe, assemble, progress)
    ]
    return SlicesChecked(files=tuple(map(str, files)), verdicts=tuple(verdicts))


def _defined(
    files: Sequence[Path], boundary: Boundary
) -> tuple[list[SliceName], list[HomeportError]]:
    """The slices of each file, and the faults of all."""
    slices: list[SliceName] = []
    faults: list[HomeportError] = []
    for file in files:
        folder = SliceFolders((file.parent,), boundary)
        names = folder.of_package(file.stem)
        slices += [SliceName(package=file.stem, slice=name) for name in names]
        faults += folder.faults
        if not names and not folder.faults:
            faults.append(
                BadRecipe(
                    f"{file} defines no slices", where={"file": str(file)},
                    hint=f"propose some: homeport slice propose {shlex.quote(file.stem)}",
                )
            )  # fmt: skip
    return slices, faults


def _verdicts(
    slice: SliceName, recipe: Recipe, assemble: Assemble, progress: Progress
) -> Iterable[SliceVerdict]:
    for platform in recipe.platforms:
        name = f"{slice} on {platform}"
        progress.begin(name, label=name)
        yield _verdict(slice, platform, recipe, assemble)
        progress.end(name)


def _verdict(
    slice: SliceName, platform: Platform, recipe: Recipe, assemble: Assemble
) -> SliceVerdict:
    about = msgspec.structs.replace(recipe, platforms=(platform,))
    try:
        (found,) = assemble(about, slice.package, [slice.slice])
    except Interrupted:
        raise
    except HomeportError as error:
        return SliceVerdict(
            slice=slice, platform=str(platform), fault=_reasons(error), hint=error.hint or ""
        )
    paths = found.of(slice.package)
    return SliceVerdict(
        slice=slice, platform=str(platform), files=len(paths), size=found.size(paths)
    )


def _reasons(error: HomeportError) -> str:
    faults = error.faults if isinstance(error, Faults) else [error]
    return "; ".join(each.what for each in faults)
