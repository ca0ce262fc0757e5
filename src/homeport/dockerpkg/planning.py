"""What is to be built, in which order and why: the state of each image against its registry.

Nothing is built or written. An image is published if the tag in the registry has the label with
the digest of its inputs; one that docker-pkg published has no such label and counts by its tag.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from homeport.dockerfile.lines import BadDockerfile, parse_dockerfile
from homeport.dockerfile.stages import analyse
from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.dependencies import Graph, make_graph
from homeport.dockerpkg.inputs import inputs_digest
from homeport.dockerpkg.lockfile import TreeLock
from homeport.dockerpkg.names import reference_of, selects
from homeport.dockerpkg.rendering import render_images
from homeport.dockerpkg.templates import Rendered, names_image
from homeport.dockerpkg.tree import TEMPLATE, SourceImage, Tree
from homeport.errors import Faults, HomeportError, UsageError
from homeport.net.errors import NetError
from homeport.oci.platform import Platform
from homeport.progress import CancelToken
from homeport.quantities import counted

State = Literal["to_build", "published", "changed", "unknown"]


class LacksPlatform(UsageError):
    """A parent or base has no image for a platform that a child is built for."""

    id = "docker-pkg-platform"


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a registry.

    inputs:    the label of its inputs; empty if it has none
    platforms: of an index, else that of the image
    """

    digest: str
    inputs: str
    platforms: tuple[Platform, ...]


#: Gives what a reference leads to, ``None`` if the registry has no such image.
Lookup = Callable[[str], Remote | None]


class PlannedImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image: what it is made of and what the registry has.

    parents:  images of the tree that it needs
    bases:    other images that its Dockerfile names → their digests, empty where not known
    state:    ``unknown`` where no registry was asked
    why:      of ``state``
    digest:   of the published image, empty if it is not
    selected: whether it is built if it has to be
    """

    source: SourceImage
    dockerfile: str
    parents: tuple[str, ...]
    bases: Mapping[str, str]
    platforms: tuple[Platform, ...]
    inputs: str
    state: State
    why: str
    digest: str = ""
    selected: bool = True

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def builds(self) -> bool:
        """Whether a build would build it."""
        return self.selected and self.state != "published"


class TreePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All images in the order of building; ``bases``: digests of other images."""

    tree: Tree
    graph: Graph
    images: dict[str, PlannedImage]
    bases: Mapping[str, str]
    warnings: tuple[str, ...]


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks of a plan.

    select:    a glob over ``registry/name:tag``; empty for all
    platforms: for the whole tree; empty: as the tree says
    pull:      ask registries which images are published, and for digests of bases
    """

    select: str = ""
    platforms: tuple[Platform, ...] = ()
    pull: bool = True


def make_plan(
    tree: Tree, lock: TreeLock, options: PlanOptions, lookup: Lookup, cancel: CancelToken
) -> TreePlan:  # fmt: skip
    """Raises ``Faults`` with every template that cannot be rendered, ``DependencyLoop``,
    ``LacksPlatform``."""
    rendered = render_all(tree)
    used = {name: images_of(each) for name, each in rendered.items()}
    graph = make_graph(tree, named_images(tree, rendered, used))
    warnings = [*tree.warnings, *_warnings(tree, graph, rendered)]
    asked = _Registry(lookup, lock, pull=options.pull)
    planned: dict[str, PlannedImage] = {}
    chosen = [
        name for name, image in tree.images.items()
        if not options.select or selects(options.select, image.reference)
    ]  # fmt: skip
    if not chosen:
        example = next(iter(tree.images.values())).reference
        raise UsageError(
            f"--select {options.select!r} matches no image",
            hint=f"it is a glob over whole names, such as {example}",
        )
    selected = set(graph.order(chosen))
    for name in graph.order(tree.images):
        image = tree.images[name]
        platforms = platforms_of(image, tree.configuration, options.platforms)
        bases = {
            text: asked.base(text, image, platforms if every else ())
            for text, every in used.get(name, {}).items()
            if names_image(text, tree) is None
        }
        _require_parents(image, platforms, [planned[each] for each in graph.parents[name]])
        inputs = inputs_digest(
            image, rendered[name].text if name in rendered else "",
            platforms=platforms, bases=bases,
            parents={each: planned[each].inputs for each in graph.parents[name]},
            cancel=cancel,
        )  # fmt: skip
        state, why, digest = asked.state(image, inputs)
        planned[name] = PlannedImage(
            source=image, dockerfile=rendered[name].text if name in rendered else "",
            parents=graph.parents[name], bases=bases, platforms=platforms, inputs=inputs,
            state=state, why=why, digest=digest, selected=name in selected,
        )  # fmt: skip
    return TreePlan(
        tree=tree, graph=graph, images=planned, bases=asked.bases, warnings=tuple(warnings)
    )


def render_all(tree: Tree) -> dict[str, Rendered]:
    """Every Dockerfile of the tree. Raises ``Faults`` with all templates that cannot be used."""
    rendered: dict[str, Rendered] = {}
    faults: list[HomeportError] = []
    images = [image for image in tree.images.values() if not image.is_recipe]
    for image, found in zip(images, render_images(tree, images), strict=False):
        if isinstance(found, HomeportError):
            faults.append(found)
            continue
        rendered[image.name] = found
        try:
            parse_dockerfile(found.text).check()
        except BadDockerfile as error:
            faults.append(_in_template(error, image))
        except Faults as error:
            faults.append(error)
    if faults:
        raise Faults(
            faults, what=f"{counted(len(faults), 'template')} of {tree.root} cannot be used"
        )
    return rendered


def platforms_of(
    image: SourceImage, configuration: Configuration, asked: Sequence[Platform]
) -> tuple[Platform, ...]:
    """What an image is built for: ``asked`` or the tree's, as far as its control file allows."""
    wanted = tuple(asked or configuration.platforms)
    if not image.platforms or not wanted:
        return image.platforms or wanted
    found = tuple(each for each in wanted if each in image.platforms)
    if not found:
        raise LacksPlatform(
            f"{image.name} is built for {_listed(image.platforms)}, not for {_listed(wanted)}",
            where={"file": str(image.path / "control")},
        )
    return found


class _Registry:
    """Answers of registries, each asked for once, and what the lock says instead."""

    def __init__(self, lookup: Lookup, lock: TreeLock, *, pull: bool) -> None:
        self._lookup = lookup
        self._lock = lock
        self._pull = pull
        self._found: dict[str, Remote | None] = {}
        self.bases: dict[str, str] = {}

    def _remote(self, reference: str) -> Remote | None:
        if reference not in self._found:
            try:
                self._found[reference] = self._lookup(reference)
            except NetError as error:
                listed = "--no-pull plans without asking registries"
                error.hint = f"{error.hint}; {listed}" if error.hint else listed
                raise error.at(reference=reference)  # noqa: B904  the same error, with its place
        return self._found[reference]

    def base(self, text: str, image: SourceImage, platforms: Sequence[Platform]) -> str:
        """The digest of an image that is not of the tree. Raises ``LacksPlatform``."""
        if not self._pull:
            return self._lock.bases.get(text, "")
        remote = self._remote(text)
        if remote is None:
            raise UsageError(
                f"{image.name} is built on {text}, which its registry does not have",
                where={"file": str(image.path / TEMPLATE)},
            )
        lacking = [p for p in platforms if not any(has.satisfies(p) for has in remote.platforms)]
        if lacking:
            raise LacksPlatform(
                f"{image.name} is built for {_listed(lacking)}, which its base {text} lacks",
                where={"file": str(image.path / TEMPLATE)},
                hint="limit the image: write Platforms: in its control file",
            )
        self.bases[text] = remote.digest
        return remote.digest

    def state(self, image: SourceImage, inputs: str) -> tuple[State, str, str]:
        """State, reason and digest of the published image."""
        reference = reference_of(image.reference)
        assert reference is not None
        if not self._pull:
            return "unknown", "no registry was asked", ""
        remote = self._remote(image.reference)
        if remote is None:
            return "to_build", "not in the registry", ""
        locked = self._lock.images.get(image.name)
        if locked and locked.reference == image.reference and locked.digest == remote.digest:
            same = locked.inputs == inputs
        elif remote.inputs:
            same = remote.inputs == inputs
        else:
            return "published", "the tag is there, without a label of its inputs", remote.digest
        if same:
            return "published", "the tag is there with these inputs", remote.digest
        return "changed", "the tag is there, made from other inputs", remote.digest


def images_of(rendered: Rendered) -> dict[str, bool]:
    """Images that a Dockerfile names, as it writes them, stages left out.

    The value: whether it is needed for each platform, not for that of ``FROM --platform`` alone.
    An image whose name differs from platform to platform is left to the engine.
    """
    found: dict[str, bool] = {}
    build = analyse(parse_dockerfile(rendered.text))
    for use in build.images:
        if use.how == "syntax" or use.onbuild or use.platform_args:
            continue
        if use.value is None:
            raise UsageError(
                f"cannot tell which image {use.expression!r} is: {use.problem}",
                where={"file": str(rendered.image.path / TEMPLATE)},
            )
        if use.value.lower() != "scratch":
            every = use.how == "from" and not build.stages[use.stage].platform
            found[use.value] = found.get(use.value, False) or every
    return found


def named_images(
    tree: Tree, rendered: Mapping[str, Rendered], used: Mapping[str, Mapping[str, bool]]
) -> dict[str, tuple[str, ...]]:
    """Images of the tree that each template names, by ``image_tag`` or written out."""
    found = {}
    for name, each in rendered.items():
        written = [image.name for text in used[name] if (image := names_image(text, tree))]
        found[name] = tuple(dict.fromkeys((*each.named, *written)))
    return found


def _warnings(tree: Tree, graph: Graph, rendered: Mapping[str, Rendered]) -> list[str]:
    lines = []
    for name, image in tree.images.items():
        if graph.undeclared[name]:
            names = ", ".join(graph.undeclared[name])
            lines.append(f"{image.path / TEMPLATE}: names {names}, which control does not")
        if name in rendered:
            lines += [f"{image.path / TEMPLATE}: {text}" for text in rendered[name].warnings]
    return lines


def _require_parents(
    image: SourceImage, platforms: Sequence[Platform], parents: Sequence[PlannedImage]
) -> None:
    for parent in parents:
        lacking = [each for each in platforms if each not in parent.platforms]
        if lacking and parent.platforms:
            raise LacksPlatform(
                f"{image.name} is built for {_listed(lacking)}, its parent {parent.name} is not",
                where={"file": str(image.path / "control")},
                hint="limit the image, or give its parent the platform: Platforms: in control",
            )


def _in_template(error: BadDockerfile, image: SourceImage) -> HomeportError:
    """A fault of the rendered text; its line there is no line of the template."""
    line = error.where.pop("line", None)
    place = f"line {line} of the rendered Dockerfile: " if line else ""
    return BadDockerfile(
        place + error.what, where={"file": str(image.path / TEMPLATE)},
        hint=f"print it with: homeport docker-pkg list --dockerfile {shlex.quote(image.name)}",
    )  # fmt: skip


def _listed(platforms: Sequence[Platform]) -> str:
    return ", ".join(str(each) for each in platforms)
