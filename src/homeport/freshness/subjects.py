"""What ``outdated`` and ``update`` are asked about: recipes, lockfiles, trees of them, images."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from homeport.errors import HomeportError, UsageError
from homeport.locking.lock_paths import lock_paths
from homeport.printable import shell_path
from homeport.recipe.catalog import Catalog, current_catalog, is_recipe
from homeport.recipe.entries import Archive
from homeport.recipe.loading import find_and_load, load_recipe
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import StoredLock, read_stored_lock
from homeport.recipe.model import Recipe
from homeport.recipe.schema.defaults import FILE_NAME
from homeport.yamlfile.position import FilePosition

_MOST_RECIPES = 20_000
_DEBIAN_SUITES = ("debian", "debian-security")
T = TypeVar("T")


class LockedSubject(msgspec.Struct, frozen=True, kw_only=True):
    """A lockfile and the recipe that it is of.

    recipe: made from the lockfile alone if no recipe lies beside it (``own`` is false then)
    wanted: what the user typed, for commands that messages name
    """

    recipe: Recipe
    stored: StoredLock
    wanted: str
    own: bool = True

    @property
    def lockfile(self) -> Lockfile:
        return self.stored.lockfile


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was named, sorted out.

    failed: what could not be read, and why
    """

    locked: tuple[LockedSubject, ...]
    images: tuple[str, ...]
    failed: tuple[tuple[str, HomeportError], ...]


#: What could not be read, and why.
Unread = tuple[tuple[str, HomeportError], ...]


class RecipeFound(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe that was named or lies in a named folder, with its lockfile if it has one."""

    recipe: Recipe
    stored: StoredLock | None


def find_recipes(
    wanted: Sequence[str], directory: Path, allow_outside: Iterable[Path] = ()
) -> tuple[tuple[RecipeFound, ...], Unread]:
    """Recipes, locked or not, in the order of their paths; and what could not be read, with why."""
    catalog = current_catalog()

    def read(name: str, seen: bool) -> RecipeFound:
        recipe = find_and_load(name, allow_outside, catalog, seen=seen)
        return RecipeFound(recipe=recipe, stored=lock_paths(recipe, catalog, directory).find())

    found, failed = _read_each(wanted or (str(directory),), read)
    return _each_once(found, lambda each: each.recipe.path), failed


def load_recipes(
    wanted: Sequence[str], allow_outside: Iterable[Path] = ()
) -> tuple[tuple[Recipe, ...], Unread]:
    """As ``find_recipes``, without their lockfiles: what is to be built reads its own."""
    catalog = current_catalog()

    def read(name: str, seen: bool) -> Recipe:
        return find_and_load(name, allow_outside, catalog, seen=seen)

    found, failed = _read_each(wanted, read)
    return _each_once(found, lambda each: each.path), failed


def _each_once(found: Iterable[T], file: Callable[[T], Path]) -> tuple[T, ...]:
    first: dict[Path, T] = {}
    for each in found:
        first.setdefault(file(each).resolve(), each)
    return tuple(first.values())


def _read_each(wanted: Sequence[str], read: Callable[[str, bool], T]) -> tuple[list[T], Unread]:
    """Everything that is named or lies below a named folder; a faulty one that was named by
    itself is an error, one of a folder does not hide the others.

    read: is told the name, and whether it was found below a folder
    """
    found: list[T] = []
    failed: list[tuple[str, HomeportError]] = []
    for text in wanted:
        tree = not is_recipe(text) and _is_tree(Path(text))
        for name in map(str, recipe_files(Path(text))) if tree else [text]:
            try:
                found.append(read(name, tree))
            except HomeportError as error:
                if not tree:
                    raise
                failed.append((name, error))
    if not found and not failed:
        raise UsageError(
            f"no recipe lies below {wanted[0]}",
            hint="name recipes, or folders with recipes, such as images/; homeport init starts one",
        )
    return found, tuple(failed)


def find_subjects(
    wanted: Sequence[str], directory: Path, allow_outside: Iterable[Path] = ()
) -> Subjects:
    """Sort out what the user named; nothing: every recipe below the working directory.

    A directory without a recipe of its own stands for all recipes below it. One faulty recipe
    of a tree does not hide the others.
    """
    catalog = current_catalog()
    locked: dict[Path, LockedSubject] = {}
    images: list[str] = []
    failed: list[tuple[str, HomeportError]] = []
    for text in wanted or (str(directory),):
        path = Path(text)
        if text.endswith(".lock") and path.is_file():
            found = _of_lockfile(path, catalog)
            locked.setdefault(path.resolve(), found)
        elif is_recipe(text):
            one = _of_recipe(text, directory, catalog, allow_outside)
            locked.setdefault(one.stored.path.resolve(), one)
        elif _is_tree(path):
            for file in recipe_files(path):
                try:
                    one = _of_recipe(str(file), directory, catalog, allow_outside, seen=True)
                    locked.setdefault(one.stored.path.resolve(), one)
                except HomeportError as error:
                    failed.append((str(file), error))
        elif _is_written_as_path(text) and not path.exists():
            raise UsageError(f"{text}: no such file or directory")
        elif not set(text) & set(":/@") and not path.exists():
            raise _unknown(text, catalog)
        else:
            images.append(text)
    if not locked and not images and not failed:
        raise UsageError(
            f"no recipe lies below {', '.join(wanted) or directory}",
            hint="name a recipe or a folder of recipes, such as dockerfile-copy or images/;"
            " homeport init starts one",
        )
    return Subjects(locked=tuple(locked.values()), images=tuple(images), failed=tuple(failed))


def _unknown(text: str, catalog: Catalog) -> UsageError:
    """A bare name may be a misspelt recipe: no registry is asked for it."""
    near = difflib.get_close_matches(text, catalog.names(), n=1, cutoff=0.75)
    recipe = f"did you mean {near[0]}?" if near else "homeport catalog list has the recipes;"
    return UsageError(
        f"{text}: neither a recipe of the catalog, nor a file or folder here",
        hint=f"{recipe} an image is written REGISTRY/{text}, such as docker.io/library/{text}",
    )


def _of_recipe(
    text: str, directory: Path, catalog: Catalog, allow_outside: Iterable[Path],
    *, seen: bool = False,
) -> LockedSubject:  # fmt: skip
    recipe = find_and_load(text, allow_outside, catalog, seen=seen)
    stored = lock_paths(recipe, catalog, directory).find()
    if stored is None:
        raise UsageError(
            f"{recipe.name} has no lockfile yet",
            where={"file": str(recipe.path)},
            hint=f"run homeport lock {shell_path(text)}",
        )
    return LockedSubject(recipe=recipe, stored=stored, wanted=text)


def _of_lockfile(path: Path, catalog: Catalog) -> LockedSubject:
    stored = read_stored_lock(path)
    assert stored is not None
    for file in (path.parent / FILE_NAME, *sorted(path.parent.glob("*.y*ml"))):
        if not file.is_file():
            continue
        try:
            recipe = load_recipe(file, catalog)
        except HomeportError:
            continue  # another YAML file
        if recipe.lock_name == path.name:
            return LockedSubject(recipe=recipe, stored=stored, wanted=str(file))
    return LockedSubject(
        recipe=recipe_of_lockfile(stored), stored=stored, wanted=str(path), own=False
    )


def recipe_of_lockfile(stored: StoredLock) -> Recipe:
    """What a lockfile alone tells of its recipe: archives of Debian, and platforms."""
    archives: dict[str, list[str]] = {}
    place = FilePosition(file=str(stored.path), line=1)
    for suite in stored.lockfile.archives:
        archives.setdefault(suite.archive, []).append(suite.suite)
    foreign = sorted(archives.keys() - set(_DEBIAN_SUITES))
    if foreign:
        raise UsageError(
            f"the archive {foreign[0]} is described by a recipe only, and none lies beside it",
            where={"file": str(stored.path)},
            hint="name the recipe instead of its lockfile",
        )
    return Recipe(
        name=stored.lockfile.recipe,
        path=stored.path,
        platforms=tuple(stored.lockfile.platforms),
        archives=tuple(
            Archive(name=name, suites=tuple(suites), place=place)
            for name, suites in archives.items()
        ),
        place=place,
    )


def _is_tree(path: Path) -> bool:
    return path.is_dir() and not (path / "oci-layout").exists()


def recipe_files(root: Path) -> list[Path]:
    """Recipes in folders of their own, and ``NAME.yaml`` beside ``NAME.lock``."""
    found = {path for path in root.rglob(FILE_NAME) if not _is_hidden(path, root)}
    for lock in root.rglob("*.lock"):
        for suffix in (".yaml", ".yml"):
            recipe = lock.with_suffix(suffix)
            if recipe.is_file() and not _is_hidden(recipe, root):
                found.add(recipe)
    if len(found) > _MOST_RECIPES:
        raise UsageError(f"{root} has more than {_MOST_RECIPES} recipes")
    return sorted(found)


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_written_as_path(text: str) -> bool:
    """Whether a name can be that of no image."""
    return text.startswith(("/", "./", "../")) or text.endswith((".yaml", ".yml", ".lock"))
