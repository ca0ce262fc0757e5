"""``homeport publish``, ``rollback`` and ``prune-tags``.

An image is pushed by its digest, tested from the registry, and only then named: the dated tag,
which never moves, then the tags that move, ``latest`` last. Publishing the same again does nothing.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from homeport.building.request import BuildRequest, BuildResult
from homeport.content.digest import Digest
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.freshness.recipe_graph import in_order
from homeport.freshness.subjects import load_recipes
from homeport.images.address import LayoutAddress
from homeport.imagetests.results import CheckedImage
from homeport.imagetests.run import ImageTestRequest
from homeport.oci.reference import Reference, parse_reference
from homeport.publishing.consumers import Consumers, consumers_of
from homeport.publishing.several import check_names, each_in_turn
from homeport.publishing.tags import (
    Form,
    check_version,
    choose_tag,
    claim_tag,
    moving_tags,
    newest_first,
    tags_to_prune,
)
from homeport.quantities import counted
from homeport.recipe.catalog import is_recipe
from homeport.recipe.model import Recipe

_VERSION_LABEL = "org.opencontainers.image.version"
#: What is known if nobody was named.
NO_CONSUMERS = Consumers(tags={}, digests={}, unclear=())
_SHOWN = 3  # places that an error names
_ABSENT = ("not-found", "image-not-found")


class PublishRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish, and where.

    recipes:    one goes to ``repository`` itself; several, and those of a folder, each to
                ``repository/NAME``
    version:    one or two numbers; empty: the recipe's label org.opencontainers.image.version
    test:       run the recipe's tests on what the registry gives back
    sign:       sign what was pushed, before it is named
    """

    recipes: tuple[str, ...]
    repository: str
    version: str = ""
    form: Form = "version"
    test: bool = True
    sign: bool = False
    locked: bool = True
    mirrors: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    allow_outside: tuple[Path, ...] = ()


class PublishAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing does with other parts; ``homeport.app`` makes it.

    claim: give a tag that leads to no other image; raises ``AnswerNo``
    parts: address of an index → the digests of what it lists
    check: may raise to stop early
    """

    build: Callable[[BuildRequest], BuildResult]
    push: Callable[[str, str], object]
    tags: Callable[[str], Sequence[str]]
    digest: Callable[[str], Digest]
    retag: Callable[[str, Sequence[str]], object]
    claim: Callable[[str, str], object]
    test: Callable[[ImageTestRequest], CheckedImage]
    sign: Callable[[str], object]
    delete: Callable[[str], object]
    parts: Callable[[str], Sequence[Digest]]
    check: Callable[[], None] = lambda: None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One image. moved: tags that lead to it now and did not before.

    outcome: ``failed`` among several recipes: the others went on; no tag led to it before its
             tests passed
    error:   of a failed one, as ``--format json`` prints errors
    """

    recipe: str
    repository: str
    digest: str
    tag: str
    outcome: Literal["published", "unchanged", "failed"]
    moved: tuple[str, ...] = ()
    tests: int = 0
    not_run: int = 0
    error: Mapping[str, Any] | None = None


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """Where the moving tags were and are."""

    repository: str
    tag: str
    old: str
    new: str
    moved: tuple[str, ...]


class PrunedTags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags that were removed, or would be; and how many dated ones are left.

    used: old tags that stay because a consumer names them or their image → the place
    """

    repository: str
    removed: tuple[str, ...]
    kept: int
    dry_run: bool
    used: dict[str, str] = {}


def run_publish(request: PublishRequest, access: PublishAccess) -> tuple[Published, ...]:
    """Publish each recipe; of several, one that fails does not keep the others from it.

    Of a single one the error is raised, such as ``AnswerNo`` if a test fails. No tag of a failed
    one has moved, unless the registry failed while they were moving: the next run goes on there.
    """
    if not request.recipes:
        raise UsageError("no recipe to publish", hint="homeport publish RECIPE REPOSITORY")
    found, unread = load_recipes(request.recipes, request.allow_outside)
    if unread and not found:
        raise unread[0][1]
    recipes = [found[at] for at in in_order(found, request.repository)]
    alone = len(recipes) == 1 and is_recipe(request.recipes[0])
    check_names(recipes, "published to one repository")
    versions = {each.path: _version(each, request) for each in recipes}  # before anything is pushed
    homes = {
        each.path: _repository(_place_of(each, request, alone=alone)) for each in recipes
    }  # fmt: skip
    done = each_in_turn(
        recipes,
        lambda each: _publish(each, versions[each.path], homes[each.path], request, access),
        lambda each, error: _failed(each.name, homes[each.path].name, error),
        registries=lambda each: [homes[each.path].registry],
        check=access.check,
        alone=len(recipes) == 1 and not unread,
    )
    return (*done, *(_failed(name, "", error) for name, error in unread))


def _failed(name: str, repository: str, error: HomeportError) -> Published:
    return Published(
        recipe=name, repository=repository, digest="", tag="", outcome="failed",
        error=error.to_json(),
    )  # fmt: skip


def _place_of(recipe: Recipe, request: PublishRequest, *, alone: bool) -> str:
    return request.repository if alone else f"{request.repository}/{recipe.name}"


def _publish(
    recipe: Recipe, version: str, home: Reference, request: PublishRequest, access: PublishAccess
) -> Published:
    name = str(recipe.path)
    with tempfile.TemporaryDirectory(prefix="homeport-publish-") as folder:
        layout = LayoutAddress(path=Path(folder) / "image", tag="latest")
        built = access.build(
            BuildRequest(
                recipe=name, outputs=(layout,), platforms=("all",), locked=request.locked,
                mirrors=request.mirrors, engines=request.engines, command="homeport publish",
                allow_outside=request.allow_outside, kit_in_layouts=True,
            )
        )  # fmt: skip
        digest = built.written[0].digest
        epoch = built.locked.lockfile.epoch

        def digest_of(tag: str) -> Digest | None:
            return _digest(str(home.with_tag(tag)), access)

        choose = partial(choose_tag, version, epoch, request.form, digest, digest_of)
        tag, there = choose()
        moving = [each for each in moving_tags(version) if digest_of(each) != digest]
        pinned = str(home.at_digest(digest))
        done = Published(
            recipe=recipe.name, repository=str(home.name), digest=str(digest), tag=tag,
            outcome="unchanged",
        )  # fmt: skip
        if there and not moving:
            return done
        access.push(str(layout), pinned)
    tested = _test(name, recipe, pinned, request, access)
    if request.sign:
        access.sign(pinned)
    tag = claim_tag(choose, lambda free: access.claim(pinned, free))
    for each in moving:
        access.retag(pinned, [each])
    return msgspec.structs.replace(
        done, outcome="published", tag=tag, moved=tuple(moving),
        tests=len(tested.results) if tested else 0, not_run=len(tested.not_run) if tested else 0,
    )  # fmt: skip


def _test(
    name: str, recipe: Recipe, pinned: str, request: PublishRequest, access: PublishAccess
) -> CheckedImage | None:
    if not recipe.tests or not request.test:
        return None
    tested = access.test(
        ImageTestRequest(subject=pinned, tests=(name,), allow_outside=request.allow_outside)
    )
    if tested.failed:
        first = tested.failed[0]
        raise AnswerNo(
            f"{counted(len(tested.failed), 'test')} of {recipe.name} failed, and no tag was moved: "
            f"{first.name} ({first.platform}): {first.why}",
            where={"image": pinned},
        )
    return tested


def run_rollback(repository: str, to: str, access: PublishAccess) -> RolledBack:
    """Let the moving tags lead to an earlier dated tag. Raises ``HomeportError`` without one.

    to: a tag; empty: the newest dated tag before the one that ``latest`` leads to
    """
    home = _repository(repository)
    tags = list(access.tags(home.name))
    current = _digest(str(home.with_tag("latest")), access)
    if current is None:
        raise HomeportError(
            f"{home.name} has no tag latest to roll back",
            where={"repository": home.name},
            hint=f"list its tags: homeport tags {shlex.quote(home.name)}",
        )
    if not to:
        to = _before(home, tags, current, access)
    wanted = access.digest(str(home.with_tag(to)))
    dated = {each.tag for each in newest_first(tags)}
    moving = [
        tag
        for tag in sorted(set(tags) - dated - {"latest"})
        if tag in moving_tags(_version_of(to)) and access.digest(str(home.with_tag(tag))) == current
    ]
    moved = [*moving, "latest"] if wanted != current else []
    if moved:
        for tag in moved:
            access.retag(str(home.at_digest(wanted)), [tag])
    return RolledBack(
        repository=home.name, tag=to, old=str(current), new=str(wanted), moved=tuple(moved)
    )


def _before(home: Reference, tags: Sequence[str], current: Digest, access: PublishAccess) -> str:
    seen = False
    for dated in newest_first(tags):
        digest = access.digest(str(home.with_tag(dated.tag)))
        if digest == current:
            seen = True
        elif seen:
            return dated.tag
    raise HomeportError(
        f"{home.name} has no dated tag older than the image of latest",
        where={"repository": home.name},
        hint="choose a tag: --to TAG",
    )


def run_prune_tags(
    repository: str,
    access: PublishAccess,
    *,
    keep: int,
    days: int,
    dry_run: bool,
    consumers: Sequence[Path] = (),
    now: datetime | None = None,
) -> PrunedTags:
    """Remove old dated tags. One that a moving tag leads to stays, whatever its age, and one that
    files of ``consumers`` name, by tag or by digest. Raises ``AnswerNo`` if it is not clear which
    they name.
    """
    home = _repository(repository)
    named = consumers_of(home.name, consumers, access.check) if consumers else NO_CONSUMERS
    if named.unclear:
        raise AnswerNo(
            f"no tag was removed: cannot tell which images of {home.name} are used in "
            f"{counted(len(named.unclear), 'place')}: {'; '.join(named.unclear[:_SHOWN])}",
            where={"repository": home.name},
            hint="give the variable a default, or write the tag there",
        )
    tags = list(access.tags(home.name))
    old = tags_to_prune(tags, keep=keep, days=days, now=now or datetime.now(UTC))
    dated = {each.tag for each in newest_first(tags)}
    moving = [tag for tag in tags if tag not in dated] if old else []
    used = {access.digest(str(home.with_tag(tag))) for tag in moving}
    removed: list[str] = []
    in_use: dict[str, str] = {}
    for each in old:
        digest = access.digest(str(home.with_tag(each.tag)))
        if digest in used:
            continue
        if (place := _place(home, each.tag, digest, named, access)) is not None:
            in_use[each.tag] = place
        else:
            removed.append(each.tag)
    if not dry_run:
        for tag in removed:
            access.delete(str(home.with_tag(tag)))
    return PrunedTags(
        repository=home.name,
        removed=tuple(removed),
        kept=len(dated) - len(removed),
        dry_run=dry_run,
        used=in_use,
    )


def _place(
    home: Reference, tag: str, digest: Digest, named: Consumers, access: PublishAccess
) -> str | None:
    """Where a consumer names this image: by its tag, its digest, or that of one platform."""
    if tag in named.tags:
        return named.tags[tag]
    if not named.digests:
        return None
    all_of_it = (digest, *access.parts(str(home.at_digest(digest))))
    return next((named.digests[part] for part in all_of_it if part in named.digests), None)


def _version(recipe: Recipe, request: PublishRequest) -> str:
    found = request.version or recipe.config.labels.get(_VERSION_LABEL, "")
    if not found:
        raise UsageError(
            f"{recipe.name} has no version",
            hint=f"add --version 1.2, or the label {_VERSION_LABEL} to the recipe",
        )
    return check_version(found)


def _version_of(tag: str) -> str:
    dated = newest_first([tag])
    return dated[0].version if dated else tag


def _repository(text: str) -> Reference:
    """Raises ``UsageError`` for a tag or a digest."""
    reference = parse_reference(text.removeprefix("docker://"), default_tag="")
    if reference.tag or reference.digest:
        raise UsageError(
            f"expected a repository, found a tag or a digest: {text}",
            hint=f"write {reference.name}",
        )
    return reference


def _digest(reference: str, access: PublishAccess) -> Digest | None:
    try:
        return access.digest(reference)
    except HomeportError as error:
        if error.id in _ABSENT:
            return None
        raise
