"""A tree with its configuration, and what can be done with it: the commands' and library's entry.

project.plan()     which images there are, and what the registry has of them
project.build()    build, test, publish
project.check()    what stands in the way of several platforms
project.update()   changelog entries for an image and its descendants
project.convert()  a recipe instead of a template
project.prune()    remove old tags from the docker daemon
"""

from __future__ import annotations

import fcntl
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from homeport.content.files import explained
from homeport.dockerpkg.building import (
    BuildOptionsOfTree,
    TreeAccess,
    TreeBuilt,
    build_tree,
    work_folder,
)
from homeport.dockerpkg.checking import Finding, check_tree
from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.conversion import Proposal, propose
from homeport.dockerpkg.dependencies import Graph, make_graph
from homeport.dockerpkg.lockfile import lock_path, read_lock
from homeport.dockerpkg.planning import (
    Lookup,
    PlanOptions,
    Remote,
    TreePlan,
    images_of,
    make_plan,
    named_images,
    platforms_of,
    render_all,
)
from homeport.dockerpkg.pruning import Pruned, prune
from homeport.dockerpkg.rendering import render_images
from homeport.dockerpkg.tree import SourceImage, read_tree
from homeport.dockerpkg.updating import Change, ImageUpdated, find_author, update
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.oci.platform import Platform
from homeport.printable import shell_path
from homeport.progress import CancelToken

_POLL = 0.2  # seconds between tries for a tree that another run builds


class Project:
    """A tree of docker-pkg. Reads the tree at once; nothing is connected before it is asked."""

    def __init__(
        self, root: Path, configuration: Configuration, file: Path, *, lookup: Lookup,
        access: TreeAccess, cancel: CancelToken, suffix: str = "",
    ) -> None:  # fmt: skip
        self.tree = read_tree(root, configuration, suffix)
        self._lockfile = lock_path(file)
        self._lookup = lookup
        self._access = access
        self._cancel = cancel

    @property
    def publishes(self) -> bool:
        """Whether docker-pkg would publish: with a registry, a user name and a password."""
        return all(
            self.tree.configuration.text(key) for key in ("registry", "username", "password")
        )

    def plan(self, options: PlanOptions | None = None) -> TreePlan:
        """Raises ``Faults``, ``DependencyLoop``, ``LacksPlatform``, and errors of registries."""
        options = options or PlanOptions()
        return make_plan(
            self.tree, read_lock(self._lockfile), options,
            self._lookup if self.tree.naming.registry else self._bases_only, self._cancel,
        )  # fmt: skip

    def build(self, plan: PlanOptions, options: BuildOptionsOfTree) -> TreeBuilt:
        """Build what the registry lacks; a second run waits for the first, then finds it done."""
        if options.publish and not self.tree.naming.registry:
            raise UsageError(
                "there is no registry to publish to",
                hint="set registry in the configuration, or build with --no-publish",
            )
        with self._one_at_a_time():
            made = self.plan(plan)
            if options.no_clobber:
                self._require_unchanged(made)
            return build_tree(made, options, self._lockfile, self._access)

    def _require_unchanged(self, plan: TreePlan) -> None:
        """Raise ``AnswerNo`` if a tag of the registry leads to an image of other inputs."""
        changed = [image for image in plan.images.values() if image.state == "changed"]
        if changed:
            names = ", ".join(image.source.reference for image in changed)
            raise AnswerNo(
                f"made from other inputs before: {names}",
                hint="give it a new version: homeport docker-pkg update"
                f" {shlex.quote(changed[0].name)} {shell_path(str(self.tree.root))}",
            )

    def check(self) -> tuple[Finding, ...]:
        """Findings with file, line and what to do."""
        return check_tree(self.tree)

    def graph(self) -> Graph:
        """The dependencies of the tree."""
        rendered = render_all(self.tree)
        used = {name: images_of(each) for name, each in rendered.items()}
        return make_graph(self.tree, named_images(self.tree, rendered, used))

    def dockerfile(self, name: str) -> str:
        """The rendered Dockerfile of an image. Raises ``UsageError``, ``BadTemplate``."""
        (found,) = render_images(self.tree, [self._image(name)])
        if isinstance(found, HomeportError):
            raise found
        return found.text

    def update(
        self, name: str, reason: str, now: datetime, *, version: str = "", dry_run: bool = False
    ) -> tuple[ImageUpdated, ...]:
        """New changelog entries for an image and all that need it."""
        author = find_author(self.tree.configuration, self._access.environment, self.tree.root)
        change = Change(reason=reason, author=author, now=now, version=version)
        return update(self.tree, self.graph(), name, change, dry_run=dry_run)

    def convert(self, name: str, platforms: tuple[Platform, ...] = ()) -> Proposal:
        """A recipe for an image of the tree."""
        image = self._image(name)
        text = self.dockerfile(name)
        return propose(image, text, platforms_of(image, self.tree.configuration, platforms))

    def _image(self, name: str) -> SourceImage:
        """An image with a template."""
        image = self.tree.images.get(name)
        if image is None:
            raise UsageError(
                f"no image {name!r} in {self.tree.root}",
                hint=f"it has {', '.join(self.tree.images)}",
            )
        if image.is_recipe:
            raise UsageError(
                f"{name} is built from a recipe, not from a template",
                where={"file": str(image.path)},
            )
        return image

    def prune(self, select: str = "", *, dry_run: bool = False) -> Pruned:
        """Remove tags that are not the current ones from the docker daemon."""
        return prune(self.tree, self.graph(), select, self._access.environment, dry_run=dry_run)

    def _bases_only(self, reference: str) -> Remote | None:
        """Without a registry nothing is published."""
        if any(reference == image.reference for image in self.tree.images.values()):
            return None
        return self._lookup(reference)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """The tree's lock between runs on this machine."""
        folder = work_folder(self.tree)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle = (folder / "lock").open("w")
        with handle:
            told = False
            while not _locked(handle.fileno()):
                if not told:
                    self._access.progress.note("tree", "waiting for another run to end")
                    told = True
                self._cancel.wait(_POLL)
                self._cancel.check()
            yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
