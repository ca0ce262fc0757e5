"""Which recipe needs which: by ``extends``, and by images whose files it takes.

An image belongs to a recipe of the tree if its repository ends in the recipe's name: ``homeport
publish`` puts them at ``REPOSITORY/NAME``. Updates and publishing go in this order, so that what
others use comes first. Also what recipes share: packages, and layers of published images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec

from homeport.content.digest import Digest
from homeport.errors import Faults, HomeportError
from homeport.freshness.subjects import RecipeFound
from homeport.images.address import RegistryAddress, parse_source
from homeport.images.image import Image, Index, walk
from homeport.oci.reference import parse_reference
from homeport.recipe.dockerfile_pinning import images_of
from homeport.recipe.entries import ImageFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart, ImageInput, RunPart

#: recipe   of the tree
#: base     a recipe outside it, such as one of the catalog
#: image    somebody's image
NodeKind = Literal["recipe", "base", "image"]
#: extends  the recipe builds on the other one's file
#: files    it takes files of the other one's image
#: part     a part of it is built from the other one's image
EdgeKind = Literal["extends", "files", "part"]
#: Official images of Docker Hub have the names that many recipes have.
_OFFICIAL = "docker.io/library/"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe or an image. id: unique in the graph; file: of a recipe; locked: it has a lockfile

    order: its place in an update, from 0; 1 and more wait for others
    """

    id: str
    kind: NodeKind
    name: str
    file: str = ""
    locked: bool = False
    packages: int = 0
    order: int = 0


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """``user`` needs ``used``. reference: the image as the recipe names it"""

    user: str
    used: str
    kind: EdgeKind
    reference: str = ""


class SharedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package in one version that several recipes have on some platform.

    size: bytes of its files, of each platform once
    """

    name: str
    version: str
    size: int
    recipes: tuple[str, ...]


class SharedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that several published images have, on all platforms together."""

    digest: str
    size: int
    recipes: tuple[str, ...]


class RecipeGraph(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer.

    circles: recipes that need each other in a circle; their order is that of their names
    layers_read: images of which the layers are known; 0 without ``repository``
    total_size, own_size: bytes of all packages, with and without repetitions between recipes
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    packages: tuple[SharedPackage, ...] = ()
    layers: tuple[SharedLayer, ...] = ()
    layers_read: int = 0
    circles: tuple[tuple[str, ...], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    total_size: int = 0
    own_size: int = 0


class LayersAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where published images are: ``REPOSITORY/NAME``."""

    repository: str
    open_image: Callable[[str], AbstractContextManager[Image | Index]]


def recipe_graph(
    found: Sequence[RecipeFound],
    failed: Sequence[tuple[str, HomeportError]] = (),
    layers: LayersAccess | None = None,
) -> RecipeGraph:
    """The graph of these recipes, and what they share."""
    repository = layers.repository if layers else ""
    ids = recipe_ids([each.recipe for each in found])
    edges, outside = _edges(found, ids, repository)
    order, circles = order_of(ids.values(), edges)
    nodes = [
        Node(
            id=ids[_key(each.recipe)], kind="recipe", name=each.recipe.name,
            file=str(each.recipe.path), locked=each.stored is not None,
            packages=len(_files(each)), order=order[ids[_key(each.recipe)]],
        )
        for each in found
    ]  # fmt: skip
    nodes.sort(key=lambda node: (node.order, node.id))
    problems = [(name, _why(error)) for name, error in failed]
    shared, layers_read = _layers(nodes, layers, problems) if layers else ((), 0)
    packages, total, own = _packages(found, ids)
    return RecipeGraph(
        nodes=(*nodes, *outside),
        edges=tuple(edges),
        packages=packages,
        layers=shared,
        layers_read=layers_read,
        circles=circles,
        failed=tuple(problems),
        total_size=total,
        own_size=own,
    )


def recipe_ids(recipes: Sequence[Recipe]) -> dict[Path, str]:
    """File → the recipe's name; with its file, where several have one name."""
    names = [recipe.name for recipe in recipes]
    return {
        _key(recipe): recipe.name
        if names.count(recipe.name) == 1
        else f"{recipe.name} ({recipe.path})"
        for recipe in recipes
    }


def in_order(recipes: Sequence[Recipe], repository: str = "") -> list[int]:
    """Positions in ``recipes``: what others need comes first, else the order stays as it is."""
    found = [RecipeFound(recipe=recipe, stored=None) for recipe in recipes]
    ids = recipe_ids(recipes)
    edges, _ = _edges(found, ids, repository)
    order, _ = order_of(ids.values(), edges)
    return sorted(range(len(recipes)), key=lambda at: order[ids[_key(recipes[at])]])


def order_of(
    names: Iterable[str], edges: Iterable[Edge]
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...]]:
    """Recipe → its step, 0 for those that need no other; and circles, each taken as one step."""
    waits: dict[str, set[str]] = {name: set() for name in names}
    for edge in edges:
        if edge.used in waits and edge.used != edge.user:
            waits[edge.user].add(edge.used)
    order: dict[str, int] = {}
    circles: list[tuple[str, ...]] = []
    while len(order) < len(waits):
        ready = [n for n in waits if n not in order and waits[n] <= order.keys()]
        if not ready:
            circle = _circle(waits, order)
            circles.append(circle)
            ready = list(circle)
        order |= {
            name: max((order[other] for other in waits[name] if other in order), default=-1) + 1
            for name in ready
        }
    return order, tuple(circles)


def _circle(waits: Mapping[str, set[str]], done: Mapping[str, int]) -> tuple[str, ...]:
    """One circle among those that are left: follow what each waits for until one repeats."""
    path: list[str] = [min(name for name in waits if name not in done)]
    while True:
        follow = min(other for other in waits[path[-1]] if other not in done)
        if follow in path:
            return tuple(sorted(path[path.index(follow) :]))
        path.append(follow)


def _why(error: HomeportError) -> str:
    return "; ".join(map(str, error.faults[:3])) if isinstance(error, Faults) else error.what


def _key(recipe: Recipe) -> Path:
    return recipe.path.resolve()


def _edges(
    found: Sequence[RecipeFound], ids: Mapping[Path, str], repository: str
) -> tuple[list[Edge], list[Node]]:
    edges: dict[Edge, None] = {}
    outside: dict[str, Node] = {}
    by_name = {each.recipe.name: ids[_key(each.recipe)] for each in found}
    for each in found:
        recipe = each.recipe
        user = ids[_key(recipe)]
        if recipe.extends:
            base = recipe.extends[0]
            used = ids.get(base.resolve())
            if used is None:
                used = f"recipe {base.parent.name if base.stem == 'homeport' else base.stem}"
                outside[used] = Node(id=used, kind="base", name=used[7:], file=str(base))
            edges[Edge(user=user, used=used, kind="extends")] = None
        for kind, image in named_images(recipe):
            used = by_name.get(_recipe_of(image, repository), "")
            if not used or used == user:
                used = image.partition("@")[0]
                outside[used] = Node(id=used, kind="image", name=used)
            edges[Edge(user=user, used=used, kind=kind, reference=image)] = None
    return list(edges), [outside[name] for name in sorted(outside)]


def named_images(recipe: Recipe) -> list[tuple[EdgeKind, str]]:
    """Every image that a recipe takes files of or builds parts from, each once."""
    found: dict[tuple[EdgeKind, str], None] = {}
    for files in recipe.files:
        if isinstance(files, ImageFiles):
            found["files", files.image] = None
    for part in recipe.parts:
        if isinstance(part, RunPart):
            for one in part.inputs:
                if isinstance(one, ImageInput):
                    found["part", one.image] = None
        elif isinstance(part, DockerfilePart):
            try:
                found |= {("part", image): None for image in images_of(part)}
            except HomeportError:
                continue  # `homeport recipe check` says what is wrong with the Dockerfile
    return list(found)


def _recipe_of(image: str, repository: str) -> str:
    """The name of the recipe that an image would be of, or ""."""
    try:
        address = parse_source(image)
    except HomeportError:
        return ""
    if not isinstance(address, RegistryAddress):
        return ""
    name = address.reference.name
    if repository:
        home = parse_reference(repository.removeprefix("docker://"), default_tag="").name
        rest = name.removeprefix(f"{home}/")
        return rest if rest != name and "/" not in rest else ""
    return "" if name.startswith(_OFFICIAL) else name.rpartition("/")[2]


def _files(each: RecipeFound) -> set[tuple[str, str, Digest, int]]:
    if each.stored is None:
        return set()
    return {
        (p.name, p.version, p.file.sha256, p.file.size)
        for packages in each.stored.lockfile.platforms.values()
        for p in packages
    }


def _packages(
    found: Sequence[RecipeFound], ids: Mapping[Path, str]
) -> tuple[tuple[SharedPackage, ...], int, int]:
    users: dict[tuple[str, str, Digest, int], list[str]] = {}
    for each in found:
        own_id = ids[_key(each.recipe)]  # resolves a path: once a recipe, not once a package
        for file in _files(each):
            users.setdefault(file, []).append(own_id)
    total = sum(size * len(names) for (*_, size), names in users.items())
    own = sum(size for *_, size in users)
    grouped: dict[tuple[str, str], tuple[int, set[str]]] = {}
    for (name, version, _, size), names in users.items():
        if len(names) > 1:
            before, others = grouped.get((name, version), (0, set()))
            others.update(names)
            grouped[name, version] = (before + size, others)
    shared = [
        SharedPackage(name=name, version=version, size=size, recipes=tuple(sorted(names)))
        for (name, version), (size, names) in grouped.items()
    ]
    shared.sort(key=lambda each: (-len(each.recipes), -each.size, each.name, each.version))
    return tuple(shared), total, own


def _layers(
    nodes: Sequence[Node], access: LayersAccess, problems: list[tuple[str, str]]
) -> tuple[tuple[SharedLayer, ...], int]:
    users: dict[tuple[str, int], set[str]] = {}
    read = 0
    for node in nodes:
        address = f"{access.repository}/{node.name}"
        try:
            with access.open_image(address) as value:
                for image in walk(value):
                    if isinstance(image, Index) or image.is_artifact:
                        continue
                    for layer in image.document.parsed.layers:
                        users.setdefault((str(layer.digest), layer.size), set()).add(node.id)
        except HomeportError as error:
            problems.append((address, error.what))
            continue
        read += 1
    shared = [
        SharedLayer(digest=digest, size=size, recipes=tuple(sorted(names)))
        for (digest, size), names in users.items()
        if len(names) > 1
    ]
    shared.sort(key=lambda each: (-len(each.recipes), -each.size, each.digest))
    return tuple(shared), read
