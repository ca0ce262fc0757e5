"""``homeport mirror``: copy images between registries, with their referrers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.copying_options import (
    nondistributable_option,
    platform_option,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.screen import Column, Screen
from homeport.cli.show import tell
from homeport.cli.verification_options import source_verification, verification_options
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.images.address import pinned
from homeport.oci.platform import parse_platforms
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.images.mirror import MirrorOutcome, MirrorPair
    from homeport.registry.access import RegistryAccess
    from homeport.registry.push import Pushed

_COLUMNS = (
    Column(name="destination", least=24),
    Column(name="images", right=True, drop=2),
    Column(name="blobs to copy", right=True),
    Column(name="size", right=True),
    Column(name="pulls", right=True, drop=1),
)


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
    metavar="PLAN", help="Copy the images that this plan lists.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be copied; copy nothing.")
@click.option(
    "--no-clobber", is_flag=True, help="Do not change a tag that already points to another image."
)
@nondistributable_option
@verification_options
@registry_options
@common
def command(session: Session, *, access: RegistryAccess, **given: Any) -> None:
    """Copy images to a registry, digests unchanged.

    SOURCE is any image address, DESTINATION a registry address. With --all-tags or --tags both
    are repositories without a tag. With --file, the plan names both; if one image fails, the
    others are still copied. Signatures are verified before anything is written: an image that a
    rule of the policy matches and that is not signed so is refused (exit code 3).
    """
    verification = source_verification(
        policy=given["policy"], require_signature=given["require_signature"],
        no_verify=given["no_verify"],
    )  # fmt: skip
    with session.app() as app:
        pairs = _pairs(app, access, **given)
        outcomes = [
            app.mirror(
                pair, access=access, no_clobber=given["no_clobber"],
                nondistributable=given["nondistributable"], dry_run=given["dry_run"],
                verification=verification,
            )
            for pair in pairs
        ]  # fmt: skip
        _show(session, outcomes, dry_run=given["dry_run"])
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(failed) == 1 == len(outcomes):
        raise failed[0]
    if any(isinstance(error, AnswerNo) for error in failed):
        raise AnswerNo(f"{len(failed)} of {len(outcomes)} images were not copied")
    if failed:
        raise HomeportError(f"{len(failed)} of {len(outcomes)} images were not copied")


def _pairs(
    app: App, access: RegistryAccess, *, source: str | None, destination: str | None,
    platforms: tuple[str, ...], all_tags: bool, globs: tuple[str, ...], referrers: bool,
    plan: Path | None, **_more: Any,
) -> list[MirrorPair]:  # fmt: skip
    wanted = parse_platforms(platforms)
    if plan is not None:
        if source or destination or all_tags or globs:
            raise UsageError(
                "--file cannot be combined with SOURCE, DESTINATION, --all-tags or --tags"
            )
        return app.mirror_plan(plan, platforms=wanted, referrers=referrers)
    if source is None or destination is None:
        raise UsageError(
            "mirror requires SOURCE and DESTINATION, or --file PLAN", hint="homeport mirror --help"
        )
    tags = globs if all_tags or globs else None
    return app.mirror_pairs(
        source, destination, tags=tags, platforms=wanted, referrers=referrers, access=access
    )


def _row(outcome: MirrorOutcome) -> dict[str, Any]:
    """docs/formats: one image of the document."""
    row: dict[str, Any] = {
        "source": str(outcome.pair.source), "destination": str(outcome.pair.destination)
    }  # fmt: skip
    if outcome.error is not None:
        row["error"] = outcome.error.to_json()
    if (found := outcome.estimate) is not None:
        row |= {
            "digest": str(found.digest), "images": found.images, "blobs": found.blobs,
            "copied": found.missing, "copied_bytes": found.missing_bytes,
            "requests": found.requests,
        }  # fmt: skip
    if (pushed := outcome.pushed) is not None:
        row |= {
            "digest": str(pushed.digest), "copied": pushed.sent,
            "copied_bytes": pushed.sent_bytes, "mounted": pushed.mounted,
            "present": pushed.present, "manifests": pushed.manifests,
        }  # fmt: skip
    return row


def _show(session: Session, outcomes: list[MirrorOutcome], *, dry_run: bool) -> None:
    done = [outcome for outcome in outcomes if outcome.error is None]
    if len(outcomes) == 1 and not done:
        return  # the one error is printed as every command's
    for outcome in outcomes:
        if outcome.error is not None and session.format == "text":
            tell(f"error: {outcome.pair.destination}: {outcome.error.what}")
    document = {
        "schema": "homeport-mirror/v1",
        "dry_run": dry_run,
        "images": [_row(outcome) for outcome in outcomes],
    }
    for outcome in done:
        pushed = outcome.pushed
        if pushed is not None and session.format == "text" and not session.quiet:
            tell(f"{outcome.pair.destination}: {_amount(pushed)}")
    session.output.write(document, _text(session.screen, done))


def _text(screen: Screen, done: list[MirrorOutcome]) -> str:
    """What would be copied as a table; of what was copied the references to paste."""
    planned = [
        (
            str(outcome.pair.destination), str(found.images), str(found.missing),
            human_size(found.missing_bytes), str(found.requests),
        )
        for outcome in done
        if (found := outcome.estimate) is not None
    ]  # fmt: skip
    if planned:
        pulls = sum(outcome.estimate.requests for outcome in done if outcome.estimate)
        blobs = sum(outcome.estimate.missing for outcome in done if outcome.estimate)
        size = sum(outcome.estimate.missing_bytes for outcome in done if outcome.estimate)
        summary = (
            f"{counted(len(planned), 'image')}: {counted(blobs, 'blob')} to copy "
            f"({human_size(size)}), {counted(pulls, 'pull')} at the source; without --dry-run they "
            "are copied"
        )
        return f"{screen.table(_COLUMNS, planned)}\n\n{summary}"
    lines = [
        pinned(outcome.pair.destination, pushed.digest)
        for outcome in done
        if (pushed := outcome.pushed) is not None
    ]
    return "\n".join(lines) or "no image was copied"


def _amount(pushed: Pushed) -> str:
    return (
        f"{counted(pushed.sent, 'blob')} copied ({human_size(pushed.sent_bytes)}), "
        f"{pushed.mounted} mounted, {pushed.present} already present"
    )
