"""``homeport inspect``: what is in an image, without running any of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.explorer import explore_one
from homeport.cli.inspect_text import files_text, report_text, rules_text, waste_text
from homeport.cli.options import Session, common
from homeport.cli.platform_options import one_platform_option, read_platform
from homeport.errors import AnswerNo, UsageError
from homeport.inspection.model import InspectReport
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.inspection.image.opened_image import OpenedImage
    from homeport.inspection.report.policy import Rule


@click.command(
    name="inspect",
    epilog="""\b
Examples:
  homeport inspect docker://registry.example/team/app:1.2
  homeport inspect oci:./app --files --path '/usr/**/*.so*'
  homeport inspect docker-daemon:app:dev --layer 3
  homeport inspect docker://docker/dockerfile-copy --binary /copy
  homeport inspect docker-archive:app.tar --format json
  homeport inspect oci:./app --html app.html
""",
)
@click.argument("image")
@one_platform_option
@click.option("--files", "files", is_flag=True, help="List the files of the final filesystem.")
@click.option("--layer", type=int, metavar="N", help="List what layer N (from 0) changed.")
@click.option(
    "--path",
    "pattern",
    metavar="GLOB",
    help="Show matching paths only, and what each layer did to them.",
)
@click.option("--binary", metavar="PATH", help="Show the origin of this program or library.")
@click.option("--binaries", is_flag=True, help="Show the origin of every program and library.")
@click.option("--verify", is_flag=True, help="Compare files with their packages' checksums.")
@click.option(
    "--waste",
    "waste",
    is_flag=True,
    help="List wasted bytes: files shipped, then removed or replaced.",
)
@click.option("-i", "--interactive", is_flag=True, help="Open the interactive explorer.")
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="IMAGE",
    help="Recognise this image as the base, by its layers. Repeatable.",
)
@click.option(
    "--html",
    "html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as an HTML page, files included.",
)
@click.option("--ci", "ci", is_flag=True, help="Check rules; exit with 3 if one is broken.")
@click.option(
    "--ci-config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rules to check.  [default: .dive-ci, if it exists]",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME[=LIMIT]",
    help="Check this rule, such as max-size=50MB or no-setuid. Repeatable.",
)
@click.option("--sort", type=click.Choice(["name", "size"]), default="name", show_default=True,
              help="Order of files.")  # fmt: skip
@common
def command(
    session: Session,
    *,
    image: str,
    platform: str | None,
    files: bool,
    layer: int | None,
    pattern: str | None,
    binary: str | None,
    binaries: bool,
    verify: bool,
    waste: bool,
    interactive: bool,
    bases: tuple[str, ...],
    html: Path | None,
    ci: bool,
    ci_config: Path | None,
    rules: tuple[str, ...],
    sort: str,
) -> None:
    """Show base, layers, files, waste, packages and anomalies of an image.

    IMAGE may be in a registry, a layout, an archive, or a local docker or podman. Nothing in
    it is run.
    """
    listed = files or layer is not None or pattern is not None
    checked = bool(ci or ci_config or rules)
    _require_one_view(
        {
            "--files, --layer, --path": listed,
            "--binary, --binaries": binary is not None or binaries,
            "--verify": verify, "--waste": waste, "--interactive": interactive,
            "--html, --ci": html is not None or checked,
        }
    )  # fmt: skip
    chosen_rules = _choose_rules(ci_config, rules) if checked else None
    wanted = read_platform(platform)
    if interactive:
        explore_one(session, image, wanted)
        return
    with session.app() as app:
        if listed or binary is not None or binaries or verify or waste:
            with app.open_layers(image, platform=wanted) as opened:
                if listed:
                    _show_files(
                        session, opened, layer, pattern, by_size=sort == "size", final=files
                    )
                elif verify:
                    _show_verification(session, opened)
                elif waste:
                    _show_waste(session, opened)
                else:
                    _show_binaries(session, opened, binary)
            return
        page = None
        if html is not None:
            report, page = app.inspect_to_html(image, html, platform=wanted, bases=bases)
        else:
            report = app.inspect(image, platform=wanted, bases=bases)
    if chosen_rules is not None:
        _show_rules(session, report, chosen_rules)
    elif page is not None:
        text = f"{page.file}  {human_size(page.size)}"
        session.output.write(msgspec.to_builtins(page), text, quiet_text=page.file)
    else:
        _show_report(session, report)


def _require_one_view(views: dict[str, bool]) -> None:
    """Raise ``UsageError`` if more than one of ``views`` is requested: one would be ignored."""
    wanted = [name for name, given in views.items() if given]
    if len(wanted) > 1:
        raise UsageError(
            f"options cannot be combined: {'; '.join(wanted)}", hint="run one command for each"
        )


def _choose_rules(config: Path | None, assignments: tuple[str, ...]) -> list[Rule]:
    from homeport.inspection.report.policy import choose_rules  # 8 ms of yaml that other views save

    return choose_rules(config, assignments)


def _show_report(session: Session, report: InspectReport) -> None:
    if session.format == "json":
        session.output.write(msgspec.to_builtins(report), "")
    else:
        text = report_text(report, session.screen, verbose=bool(session.verbose))
        session.output.write({}, text, quiet_text=report.image.digest)


def _show_rules(session: Session, report: InspectReport, rules: list[Rule]) -> None:
    from homeport.inspection.report.policy import check_report  # 8 ms of yaml that other views save

    found = check_report(report, rules, datetime.now(UTC))
    session.output.write(msgspec.to_builtins(found), rules_text(found.rules, session.screen))
    if not found.passed:
        broken = found.broken
        raise AnswerNo(f"the image breaks {counted(len(broken), 'rule')}: {', '.join(broken)}")


def _show_files(
    session: Session,
    opened: OpenedImage,
    layer: int | None,
    pattern: str | None,
    *,
    by_size: bool,
    final: bool,
) -> None:
    from homeport.inspection.image.file_listing import list_files  # 25 ms a cached report saves

    found = list_files(opened, layer=layer, pattern=pattern, events=not final)
    if session.format == "json":
        session.output.write(msgspec.to_builtins(found), "")
    else:
        session.output.lines(files_text(found.files, by_size=by_size))


def _show_binaries(session: Session, opened: OpenedImage, path: str | None) -> None:
    from homeport.cli.binary_text import binaries_text, binary_text  # 25 ms a cached report saves
    from homeport.inspection.packages.provenance import list_binaries  # 25 ms a cached report saves

    found = list_binaries(opened, path)
    verbose = bool(session.verbose)
    if path is not None:
        text = binary_text(found.binaries[0], verbose=verbose)
    else:
        text = binaries_text(found.binaries, verbose=verbose)
    session.output.write(msgspec.to_builtins(found), text)


def _show_verification(session: Session, opened: OpenedImage) -> None:
    from homeport.cli.binary_text import verification_text  # 25 ms a cached report saves
    from homeport.inspection.packages.verification import (
        verify_files,  # 25 ms a cached report saves
    )

    found = verify_files(opened)
    text = verification_text(found, verbose=bool(session.verbose))
    session.output.write(msgspec.to_builtins(found), text)


def _show_waste(session: Session, opened: OpenedImage) -> None:
    from homeport.inspection.report.waste import report_waste  # 25 ms a cached report saves

    found = report_waste(opened)
    session.output.write(
        msgspec.to_builtins(found), waste_text(found, session.screen, most=len(found.paths))
    )
