"""Builds the images of a plan on engines, tests them, and publishes what passed.

Parents before children. An image that fails stops only those that need it: they are skipped
and name it. A built image stays below the tree until its next build, so that an interrupted run
goes on where it was. The tag is given before ``latest``, and both only to what passed its test.
Not for what is to be built (``planning``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from homeport.assemble.plan import BuildOptions
from homeport.building.request import BuildRequest, BuildResult
from homeport.buildkit.builds import SolveRequest
from homeport.buildkit.outputs import ImageOutput
from homeport.content.files import explained, write_file
from homeport.dockerpkg.inputs import INPUTS_LABEL
from homeport.dockerpkg.lockfile import LockedImage, read_lock, write_lock
from homeport.dockerpkg.names import reference_of
from homeport.dockerpkg.planning import PlannedImage, TreePlan
from homeport.dockerpkg.remote import describe
from homeport.dockerpkg.tree import WORK_FOLDER, Tree
from homeport.dockerpkg.verification import has_test, proxies, verify
from homeport.errors import HomeportError, Interrupted
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, Index
from homeport.images.transports.base import Written
from homeport.progress import Progress

Outcome = Literal["published", "built", "unchanged", "failed", "skipped", "not selected"]
_PLAIN = re.compile(r"[^A-Za-z0-9_.-]+")


class BuildOptionsOfTree(msgspec.Struct, frozen=True, kw_only=True):
    """How images are built.

    use_cache: of the engine; without it every step runs again
    publish:   push what passed its test
    no_clobber: build nothing if a tag leads to an image of other inputs
    attests:   what the engine attaches to each image, as ``solve --attest`` names it
    engines:   addresses; empty: what the environment names
    """

    use_cache: bool = False
    publish: bool = False
    no_clobber: bool = False
    attests: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()


class ImageBuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one image; ``why``: of a failure, or which image it needed."""

    name: str
    reference: str
    outcome: Outcome
    digest: str = ""
    platforms: tuple[str, ...] = ()
    why: str = ""
    tested: bool = False
    error: HomeportError | None = None


class TreeBuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the tree, in the order of building."""

    images: tuple[ImageBuilt, ...]

    @property
    def failed(self) -> tuple[ImageBuilt, ...]:
        """Images that could not be built, tested or published."""
        return tuple(each for each in self.images if each.outcome == "failed")


class Solve(Protocol):
    """Builds a Dockerfile on an engine, as ``App.solve`` does."""

    def __call__(self, request: SolveRequest, /) -> object: ...


class TreeAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What building reaches outside this package.

    load:    hand an image to a local docker or podman, for its test; whether that was possible
    retag:   add tags to an image of a registry
    prove:   sign and attest what was pushed, where the user asked for it
    """

    solve: Solve
    build_recipe: Callable[[BuildRequest], BuildResult]
    open_image: Callable[[str], AbstractContextManager[Image | Index]]
    push: Callable[[str, str], Written]
    retag: Callable[[str, tuple[str, ...]], object]
    load: Callable[[str, str], bool]
    prove: Callable[[str], None]
    environment: Mapping[str, str]
    progress: Progress


def build_tree(
    plan: TreePlan, options: BuildOptionsOfTree, lockfile: Path, access: TreeAccess
) -> TreeBuilt:  # fmt: skip
    """Build, test and publish what the plan says. Errors of images are part of the result."""
    builder = _Builder(plan, options, lockfile, access)
    _make_work_folder(plan.tree)
    for image in plan.images.values():
        builder.handle(image)
    return TreeBuilt(images=tuple(builder.done.values()))


def work_folder(tree: Tree) -> Path:
    """Where built images stay."""
    return tree.root / WORK_FOLDER / "docker-pkg"


def _make_work_folder(tree: Tree) -> None:
    folder = work_folder(tree)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder.parent / ".gitignore"
        if not ignore.exists():
            write_file(ignore, b"*\n")


class _Builder:
    def __init__(
        self, plan: TreePlan, options: BuildOptionsOfTree, lockfile: Path, access: TreeAccess
    ) -> None:  # fmt: skip
        lock = read_lock(lockfile)
        self._plan = plan
        self._configuration = plan.tree.configuration
        self._options = options
        self._lock = msgspec.structs.replace(lock, bases={**lock.bases, **plan.bases})
        self._lockfile = lockfile
        self._access = access
        self.done: dict[str, ImageBuilt] = {}
        if plan.bases and self._lock != lock:
            write_lock(lockfile, self._lock)

    def handle(self, image: PlannedImage) -> None:
        """Build one image, or say why not."""
        self._access.progress.begin(image.name, label=image.source.reference)
        try:
            self.done[image.name] = self._result(image)
        except Interrupted:
            raise
        except HomeportError as error:
            self.done[image.name] = self._told(image, "failed", why=error.what, error=error)
        failed = self.done[image.name].outcome in ("failed", "skipped")
        self._access.progress.end(image.name, "failed" if failed else "done")

    def _told(self, image: PlannedImage, outcome: Outcome, **more: object) -> ImageBuilt:
        return msgspec.structs.replace(
            ImageBuilt(
                name=image.name, reference=image.source.reference, outcome=outcome,
                platforms=tuple(str(each) for each in image.platforms),
            ),
            **more,
        )  # fmt: skip

    def _result(self, image: PlannedImage) -> ImageBuilt:
        if image.state == "published":
            return self._told(image, "unchanged", digest=image.digest, why=image.why)
        if not image.selected:
            return self._told(image, "not selected", digest=image.digest)
        bad = [each for each in image.parents if self._outcome(each) in ("failed", "skipped")]
        if bad:
            return self._told(image, "skipped", why=f"needs {', '.join(bad)}")
        address = self._layout(image)
        if not self._is_built(image, address):
            self._build(image, address)
        tested = has_test(image.source, self._configuration)
        if tested:
            if not self._access.load(str(address), image.source.reference):
                self._access.progress.note(
                    image.name,
                    "warning: no docker or podman here: its test runs without the image loaded",
                )
            verify(image.source, self._configuration, self._access.environment)
        with self._access.open_image(str(address)) as value:
            remote = describe(value)
        outcome: Outcome = "built"
        if self._options.publish:
            self._publish(image, address, remote.digest)
            outcome = "published"
        platforms = tuple(str(each) for each in remote.platforms)
        return self._told(image, outcome, digest=remote.digest, platforms=platforms, tested=tested)

    def _outcome(self, name: str) -> Outcome:
        return self.done[name].outcome

    def _layout(self, image: PlannedImage) -> LayoutAddress:
        folder = work_folder(self._plan.tree) / _PLAIN.sub("-", image.name)
        reference = reference_of(image.source.reference)
        assert reference is not None
        return LayoutAddress(path=folder, tag=reference.tag)

    def _is_built(self, image: PlannedImage, address: LayoutAddress) -> bool:
        """Whether an earlier run built it from the same inputs."""
        if image.source.is_recipe or not address.path.is_dir():
            return False
        try:
            with self._access.open_image(str(address)) as value:
                attested = isinstance(value, Index) and any(each.attests for each in value.children)
                return describe(value).inputs == image.inputs and (
                    attested or not self._options.attests
                )
        except HomeportError:
            return False

    def _build(self, image: PlannedImage, address: LayoutAddress) -> None:
        if image.source.is_recipe:
            self._access.build_recipe(
                BuildRequest(
                    recipe=str(image.source.path / "homeport.yaml"),
                    outputs=(address,),
                    platforms=tuple(str(each) for each in image.platforms),
                    options=BuildOptions(),
                    engines=self._options.engines,
                    command="homeport docker-pkg build",
                )
            )
            return
        file = work_folder(self._plan.tree) / f"{_PLAIN.sub('-', image.name)}.Dockerfile"
        write_file(file, image.dockerfile.encode())
        self._access.solve(
            SolveRequest(
                context=str(image.source.path),
                file=file,
                outputs=(ImageOutput(address),),
                labels={INPUTS_LABEL: image.inputs},
                build_args=proxies(self._configuration),
                build_contexts=self._contexts(image),
                platforms=image.platforms,
                no_cache=not self._options.use_cache,
                attests=self._options.attests,
                engines=self._options.engines,
            )
        )

    def _contexts(self, image: PlannedImage) -> dict[str, str]:
        """Which image each name of the Dockerfile stands for: exactly those of the plan."""
        found = {}
        for text, digest in image.bases.items():
            reference = reference_of(text)
            if digest and reference is not None and "@" not in text:
                pinned = f"{reference.name}@{digest}"
                found[context_name(text)] = f"docker-image://{pinned}"
        for parent in image.parents:
            source = self._plan.images[parent].source
            done = self.done[parent]
            if done.outcome in ("built", "published"):
                value = str(self._layout(self._plan.images[parent]))
            else:
                reference = reference_of(source.reference)
                assert reference is not None
                suffix = f"@{done.digest}" if done.digest else f":{reference.tag}"
                value = f"docker-image://{reference.name}{suffix}"
            name = context_name(source.reference)
            found[name] = value
            found[context_name(f"{name.rpartition(':')[0]}:latest")] = value
        return found

    def _publish(self, image: PlannedImage, address: LayoutAddress, digest: str) -> None:
        self._access.push(str(address), f"docker://{image.source.reference}")
        self._access.prove(image.source.reference)
        self._access.retag(image.source.reference, ("latest",))
        locked = LockedImage(
            reference=image.source.reference, digest=digest, inputs=image.inputs,
            platforms=tuple(str(each) for each in image.platforms),
        )  # fmt: skip
        self._lock = self._lock.with_image(image.name, locked)
        write_lock(self._lockfile, self._lock)


def context_name(reference: str) -> str:
    """The name by which BuildKit looks for a context that replaces an image (its ``dockerui``)."""
    found = reference_of(reference)
    return found.familiar.removesuffix(":latest") if found else reference
