"""``homeport mirror``: copy images between registries, with their referrers."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.copying_options import (
    foreign_layers,
    foreign_option,
    platform_option,
    read_platforms,
    registry_of,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.show import human_size, table, tell
from homeport.errors import HomeportError, Interrupted, UsageError

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.cli.registry_options import RegistryOptions
    from homeport.images.address import Address, RegistryAddress
    from homeport.images.image import Image, Index
    from homeport.oci.platform import Platform

_PLAN_LIMIT = 16 << 20


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One image to copy."""

    source: Address
    destination: RegistryAddress
    platforms: list[Platform] | None
    referrers: bool


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one pair."""

    pair: Pair
    row: dict[str, Any]
    error: HomeportError | None = None


@click.command(
    name="mirror",
    epilog="""\b
Examples:
  homeport mirror docker.io/library/debian:13-slim registry.example/debian:13-slim --referrers
  homeport mirror docker.io/library/debian registry.example/debian --tags '13*'
  homeport mirror --file home-plan.yaml --dry-run
""",
)
@click.argument("source", required=False)
@click.argument("destination", required=False)
@platform_option
@click.option("--all-tags", is_flag=True, help="Copy every tag of the source repository.")
@click.option(
    "--tags",
    "globs",
    multiple=True,
    metavar="GLOB",
    help="Copy every tag that matches. Repeatable.",
)
@click.option(
    "--referrers",
    is_flag=True,
    help="Include signatures, SBOMs and provenance (also cosign's tags).",
)
@click.option(
    "--file", "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PLAN", help="Copy the images that this plan lists (docs/formats/plan.md).",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be copied; copy nothing.")
@click.option(
    "--no-clobber", is_flag=True, help="Do not change a tag that already points to another image."
)
@foreign_option
@registry_options
@common
def command(session: Session, *, options: RegistryOptions, **given: Any) -> None:
    """Copy images to a registry, digests unchanged.

    SOURCE is any image address, DESTINATION a registry address. With --all-tags or --tags both
    are repositories without a tag. With --file, the plan names both; if one image fails, the
    others are still copied.
    """
    with session.app() as app:
        pairs = list(_pairs(app, options, **given))
        outcomes = [
            _run(
                app,
                options,
                pair,
                foreign_layers(app, take=given["take_foreign"]),
                dry_run=given["dry_run"],
                no_clobber=given["no_clobber"],
            )
            for pair in pairs
        ]
        _show(session, outcomes, dry_run=given["dry_run"])
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(failed) == 1 == len(outcomes) and failed[0].error is not None:
        raise failed[0].error
    if failed:
        raise HomeportError(f"{len(failed)} of {len(outcomes)} images were not copied")


def _pairs(
    app: App, options: RegistryOptions, *, source: str | None, destination: str | None,
    platforms: tuple[str, ...], all_tags: bool, globs: tuple[str, ...], referrers: bool,
    plan: Path | None, **_more: Any,
) -> Iterator[Pair]:  # fmt: skip
    if plan is not None:
        if source or destination or all_tags or globs:
            raise UsageError(
                "--file cannot be combined with SOURCE, DESTINATION, --all-tags or --tags"
            )
        yield from _planned(plan, read_platforms(platforms), referrers)
    elif source is None or destination is None:
        raise UsageError("mirror requires SOURCE and DESTINATION, or --file PLAN")
    elif all_tags or globs:
        for tag in _matching_tags(app, options, source, globs):
            yield _pair(
                f"{source}:{tag}", f"{destination}:{tag}", read_platforms(platforms), referrers
            )
    else:
        yield _pair(source, destination, read_platforms(platforms), referrers)


def _pair(source: str, destination: str, platforms: list[Platform] | None, referrers: bool) -> Pair:
    from homeport.images.address import RegistryAddress, parse_destination, parse_source

    target = parse_destination(destination)
    if not isinstance(target, RegistryAddress):
        raise UsageError(
            f"mirror writes to a registry only, not to {destination}",
            hint=f"homeport pull {source} {destination}",
        )
    return Pair(
        source=parse_source(source), destination=target, platforms=platforms, referrers=referrers
    )


def _planned(path: Path, platforms: list[Platform] | None, referrers: bool) -> Iterator[Pair]:
    from homeport.audit.plan.planfile import read_plan
    from homeport.content.files import explained

    with explained(path, "read"), path.open("rb") as stream:
        data = stream.read(_PLAN_LIMIT + 1)
    for number, entry in enumerate(read_plan(data, str(path)).mirror):
        asked = None if entry.platforms == "all" else read_platforms(entry.platforms)
        try:
            yield _pair(
                entry.source, entry.destination, platforms or asked, referrers or entry.referrers
            )
        except UsageError as error:
            raise error.at(file=str(path), field=f"mirror[{number}]")  # noqa: B904


def _matching_tags(
    app: App, options: RegistryOptions, source: str, globs: tuple[str, ...]
) -> list[str]:
    from homeport.images.mirror import is_digest_tag
    from homeport.oci.reference import parse_reference

    reference = parse_reference(source.removeprefix("docker://"), default_tag="")
    if reference.tag or reference.digest:
        raise UsageError(
            "SOURCE has a tag or digest, which --tags and --all-tags do not allow",
            hint=f"give the repository, {reference.name}",
        )
    registries = options.open(app, reference.registry)
    found = [tag for tag in registries.repository(reference).tags() if not is_digest_tag(tag)]
    chosen = [
        tag for tag in found if not globs or any(fnmatch.fnmatchcase(tag, glob) for glob in globs)
    ]
    if not chosen:
        raise UsageError(
            f"no tag of {reference.name} matches (of {len(found)})",
            hint=f"homeport tags {reference.name}",
        )
    return chosen


def _run(
    app: App, options: RegistryOptions, pair: Pair,
    prepare: Callable[[Image | Index], Image | Index], *, dry_run: bool, no_clobber: bool,
) -> Outcome:  # fmt: skip
    """Copy one pair, or only look; an error becomes part of the outcome."""
    from homeport.images.mirror import estimate, load_cargo, ship
    from homeport.images.transports.select import source_for

    about = registry_of(pair.destination, pair.source)
    row: dict[str, Any] = {"source": str(pair.source), "destination": str(pair.destination)}
    try:
        from homeport.images.platforms import select
        from homeport.images.transports.registry import open_manifests

        make = options.maker(app, about, no_clobber=no_clobber)
        source, destination = source_for(pair.source, make), make(pair.destination)
        with source.open(app.runtime) as value:
            chosen = select(value, pair.platforms)
            open_manifests(chosen, app.runtime.pools.network)
            chosen = prepare(chosen)
            cargo = load_cargo(
                chosen, source, destination, app.runtime, with_referrers=pair.referrers
            )
            if dry_run:
                found = estimate(cargo, destination, app.runtime)
                row |= {
                    "digest": str(found.digest), "images": found.images, "blobs": found.blobs,
                    "copied": found.missing, "copied_bytes": found.missing_bytes,
                    "requests": found.requests,
                }  # fmt: skip
            else:
                pushed = ship(cargo, destination, app.runtime)
                row |= {
                    "digest": str(pushed.digest), "copied": pushed.sent,
                    "copied_bytes": pushed.sent_bytes, "mounted": pushed.mounted,
                    "present": pushed.present, "manifests": pushed.manifests,
                }  # fmt: skip
    except Interrupted:
        raise
    except HomeportError as error:
        return Outcome(pair=pair, row={**row, "error": error.to_json()}, error=error)
    return Outcome(pair=pair, row=row)


def _show(session: Session, outcomes: list[Outcome], *, dry_run: bool) -> None:
    done = [outcome for outcome in outcomes if outcome.error is None]
    if len(outcomes) == 1 and not done:
        return  # the one error is printed as every command's
    for outcome in outcomes:
        if outcome.error is not None and session.format == "text":
            tell(f"error: {outcome.pair.destination}: {outcome.error.what}")
    document = {
        "schema": "homeport-mirror/v1",
        "dry_run": dry_run,
        "images": [outcome.row for outcome in outcomes],
    }
    session.output.write(document, _text(done, dry_run=dry_run))


def _text(done: list[Outcome], *, dry_run: bool) -> str:
    if not done:
        return "no image was copied"
    if dry_run:
        rows = [
            [
                str(outcome.pair.destination), str(outcome.row["images"]),
                str(outcome.row["copied"]), human_size(outcome.row["copied_bytes"]),
                str(outcome.row["requests"]),
            ]
            for outcome in done
        ]  # fmt: skip
        header = ["DESTINATION", "IMAGES", "BLOBS TO COPY", "BYTES", "PULLS"]
        return table(header, rows, right=(1, 2, 3, 4))
    rows = [
        [
            str(outcome.row["digest"]), str(outcome.pair.destination),
            f"{outcome.row['copied']} copied, {outcome.row['mounted']} mounted, "
            f"{outcome.row['present']} present",
        ]
        for outcome in done
    ]  # fmt: skip
    return table(["DIGEST", "DESTINATION", "BLOBS"], rows)
