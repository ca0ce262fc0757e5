"""``homeport inspect``: what is in an image, without running any of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.images.image import Image, Index
    from homeport.inspection.image.opened_image import OpenedImage
    from homeport.inspection.model import InspectReport
    from homeport.inspection.report.inspect_image import Referrers
    from homeport.inspection.report.policy import Rule
    from homeport.inspection.services import Services
    from homeport.oci.platform import Platform

one_platform_option = click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", envvar="HOMEPORT_PLATFORM",
    help="The platform to look at; this machine's by default, else the first.",
)  # fmt: skip


@click.command(
    name="inspect",
    epilog="""\b
Examples:
  homeport inspect docker://registry.example/team/app:1.2
  homeport inspect oci:./app --files --path '/usr/**/*.so*'
  homeport inspect docker-daemon:app:dev --layer 3
  homeport inspect docker://docker/dockerfile-copy --binary /copy
  homeport inspect docker-archive:app.tar --format json
""",
)
@click.argument("image")
@one_platform_option
@click.option("--files", "files", is_flag=True, help="List the files of the final tree.")
@click.option("--layer", type=int, metavar="N", help="List what layer N (from 0) did.")
@click.option("--path", "pattern", metavar="GLOB", help="Only these paths, and every layer's part.")
@click.option("--binary", metavar="PATH", help="Where this program or library came from.")
@click.option("--binaries", is_flag=True, help="Where every program and library came from.")
@click.option("--verify", is_flag=True, help="Compare files with their packages' checksums.")
@click.option("--waste", "waste", is_flag=True, help="List every byte shipped for nothing.")
@click.option("-i", "--interactive", is_flag=True, help="Look around in the terminal.")
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="IMAGE",
    help="An image that this may be built on, recognised by its layers; repeatable.",
)
@click.option(
    "--html",
    "html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as a page for browsers, files included.",
)
@click.option("--ci", "ci", is_flag=True, help="Check rules; exit 3 if one is broken.")
@click.option(
    "--ci-config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rules to check; .dive-ci is read by default, if it is there.",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME[=LIMIT]",
    help="A rule to check, such as max-size=50MB or no-setuid; repeatable.",
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
    """Look into IMAGE: base, layers, files, waste, packages, and what is odd.

    IMAGE may be in a registry, a layout, an archive, or a local docker or podman; nothing of
    it is run. The JSON form is specified in docs/formats/inspect.md.
    """
    listed = files or layer is not None or pattern is not None
    checked = bool(ci or ci_config or rules)
    _one_view(
        {
            "--files, --layer, --path": listed,
            "--binary, --binaries": binary is not None or binaries,
            "--verify": verify, "--waste": waste, "--interactive": interactive,
            "--html, --ci": html is not None or checked,
        }
    )  # fmt: skip
    checks = _read_rules(ci_config, rules) if checked else None
    with session.app() as app, app.open_image(image) as value:
        services, wanted = services_of(app), read_platform(platform)
        if interactive:
            _explore(open_one(value, wanted, services))
        elif listed:
            opened = open_one(value, wanted, services)
            _show_files(session, image, opened, layer, pattern, by_size=sort == "size", final=files)
        elif binary is not None or binaries:
            _show_binaries(session, image, open_one(value, wanted, services), binary)
        elif verify:
            _show_verification(session, image, open_one(value, wanted, services))
        elif waste:
            _show_waste(session, image, open_one(value, wanted, services))
        else:
            report = _report(app, image, value, wanted=wanted, bases=bases)
            if html is not None:
                page = (report, open_one(value, wanted, services), html)
                _write_page(session, *page, quiet=checks is not None)
            if html is None or checks is not None:
                _show_report(session, report, checks)


def _one_view(views: dict[str, bool]) -> None:
    """Each of ``views`` is an answer of its own: two at once would leave one unsaid."""
    from homeport.errors import UsageError

    wanted = [name for name, given in views.items() if given]
    if len(wanted) > 1:
        raise UsageError(
            f"these are answers of their own: {'; '.join(wanted)}", hint="ask for one at a time"
        )


def services_of(app: App) -> Services:
    """What inspection needs of the application."""
    from homeport.inspection.services import Services

    return Services(
        store=app.store, pool=app.pools.processor, cancel=app.cancel, progress=app.progress
    )


def read_platform(text: str | None) -> Platform | None:
    from homeport.oci.platform import native_platform, parse_platform

    if text is None:
        return None
    return native_platform() if text == "native" else parse_platform(text)


def open_one(value: Image | Index, wanted: Platform | None, services: Services) -> OpenedImage:
    from homeport.inspection.image.opened_image import open_layers
    from homeport.inspection.image.platform_choice import choose_image

    return open_layers(choose_image(value, wanted), services)


def _explore(opened: OpenedImage) -> None:
    """The explorer is on the same level as the commands, and its library is optional."""
    import importlib

    from homeport.errors import UsageError

    try:
        screen = importlib.import_module("homeport.explorer.screen")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the explorer needs {error.name}", hint="pip install 'homeport[explorer]'"
        ) from error
    screen.explore(opened)


def _report(
    app: App,
    address: str,
    value: Image | Index,
    *,
    wanted: Platform | None,
    bases: tuple[str, ...],
) -> InspectReport:
    from contextlib import ExitStack

    from homeport.inspection.report.inspect_image import inspect

    with ExitStack() as open_bases:
        known = {each: open_bases.enter_context(app.open_image(each)) for each in bases}
        return inspect(
            value, address, services_of(app), platform=wanted,
            referrers=_referrers(app, address), bases=known,
        )  # fmt: skip


def _show_report(session: Session, report: InspectReport, checks: list[Rule] | None) -> None:
    import msgspec

    from homeport.cli.inspect_text import report_text

    if checks is not None:
        _check(session, report, checks)
        return
    document = msgspec.to_builtins(report) if session.format == "json" else {}
    text = report_text(report, verbose=bool(session.verbose)) if not document else ""
    session.output.write(document, text, quiet_text=str(report.image.digest))


def _write_page(
    session: Session, report: InspectReport, opened: OpenedImage, path: Path, *, quiet: bool
) -> None:
    """The page; ``quiet`` where the verdict on rules is the answer."""
    from homeport.content.files import atomic_write
    from homeport.inspection.report.page import html_page

    page = html_page(report, opened).encode()
    with atomic_write(path) as stream:
        stream.write(page)
    if quiet:
        return
    document: dict[str, Any] = {
        "schema": "homeport-inspect-html/v1", "file": str(path), "size": len(page),
        "digest": report.image.digest,
    }  # fmt: skip
    session.output.write(document, f"{path}  {len(page)} bytes", quiet_text=str(path))


def _read_rules(config: Path | None, words: tuple[str, ...]) -> list[Rule]:
    """Rules of the file, then those of the command line, which win; dive's defaults for none."""
    from homeport.inspection.report.policy import DEFAULTS, parse_rule, read_rules

    there = config or (Path(".dive-ci") if Path(".dive-ci").is_file() else None)
    found = read_rules(there) if there is not None else []
    pairs = [(name, limit) for name, _, limit in (word.partition("=") for word in words)]
    if there is None and not pairs:
        pairs = list(DEFAULTS)
    found += [rule for name, limit in pairs if (rule := parse_rule(name, limit))]
    return found


def _check(session: Session, report: InspectReport, rules: list[Rule]) -> None:
    from datetime import UTC, datetime

    import msgspec

    from homeport.cli.inspect_text import rules_text
    from homeport.errors import AnswerNo
    from homeport.inspection.report.policy import SCHEMA, check_rules

    checked = check_rules(report.image, rules, datetime.now(UTC))
    broken = [one.rule for one in checked if not one.passed]
    document: dict[str, Any] = {
        "schema": SCHEMA, "address": report.address, "digest": report.image.digest,
        "passed": not broken, "rules": msgspec.to_builtins(checked),
    }  # fmt: skip
    session.output.write(document, rules_text(checked))
    if broken:
        raise AnswerNo(f"the image breaks {len(broken)} rules: {', '.join(broken)}")


def _show_files(
    session: Session,
    address: str,
    opened: OpenedImage,
    layer: int | None,
    pattern: str | None,
    *,
    by_size: bool,
    final: bool,
) -> None:
    import msgspec

    from homeport.cli.inspect_text import files_text
    from homeport.errors import UsageError
    from homeport.inspection.image import file_listing as files
    from homeport.inspection.image.path_search import not_found

    glob = pattern.encode("utf-8", "surrogateescape") if pattern is not None else None
    if layer is not None:
        rows = files.layer_rows(opened.history, layer, glob)
    elif glob is not None and not final:
        rows = files.path_rows(opened.history, glob)
    else:
        rows = files.final_rows(opened.history, glob)
    found = list(rows)
    if not found and glob is not None and layer is not None:
        raise UsageError(
            f"layer {layer} has nothing that {pattern} matches", hint="leave out --path or --layer"
        )
    if not found and glob is not None:
        raise not_found(opened.history, glob.strip(b"/"))
    if session.format == "json":
        document: dict[str, Any] = {
            "schema": files.SCHEMA, "address": address, "digest": str(opened.image.digest),
            "layer": layer, "files": msgspec.to_builtins(found),
        }  # fmt: skip
        session.output.write(document, "")
    else:
        for line in files_text(found, by_size=by_size):
            click.echo(line)


def _show_binaries(session: Session, address: str, opened: OpenedImage, path: str | None) -> None:
    import msgspec

    from homeport.cli.binary_text import binaries_text, binary_text
    from homeport.inspection.packages import provenance

    if path is not None:
        found = [provenance.inspect_binary(opened, path)]
    else:
        found = list(provenance.inspect_binaries(opened))
    document: dict[str, Any] = {
        "schema": provenance.SCHEMA, "address": address, "digest": str(opened.image.digest),
        "binaries": msgspec.to_builtins(found),
    }  # fmt: skip
    verbose = bool(session.verbose)
    text = binary_text(found[0], verbose=verbose) if path else binaries_text(found, verbose=verbose)
    session.output.write(document, text)


def _show_verification(session: Session, address: str, opened: OpenedImage) -> None:
    import msgspec

    from homeport.cli.binary_text import verification_text
    from homeport.inspection.packages.verification import SCHEMA, verify_files

    found = verify_files(opened)
    document: dict[str, Any] = {
        "schema": SCHEMA, "address": address, "digest": str(opened.image.digest),
        **msgspec.to_builtins(found),
    }  # fmt: skip
    session.output.write(document, verification_text(found, verbose=bool(session.verbose)))


def _show_waste(session: Session, address: str, opened: OpenedImage) -> None:
    import msgspec

    from homeport.cli.inspect_text import waste_text
    from homeport.inspection.report.waste import find_waste

    found = find_waste(opened.history)
    document: dict[str, Any] = {
        "schema": "homeport-inspect-waste/v1", "address": address,
        "digest": str(opened.image.digest), **msgspec.to_builtins(found),
    }  # fmt: skip
    session.output.write(document, waste_text(found, most=len(found.paths)))


def _referrers(app: App, address: str) -> Referrers | None:
    """A way to ask the registry what refers to a digest; ``None`` for other places."""
    from homeport.images.address import RegistryAddress, parse_source

    parsed = parse_source(address)
    if not isinstance(parsed, RegistryAddress):
        return None
    from homeport.content.digest import Digest
    from homeport.oci.documents import Descriptor
    from homeport.registry.referrers import referrers

    repository = app.registries().repository(parsed.reference)

    def ask(text: str) -> Iterator[Descriptor]:
        subject = Digest.parse(text)
        yield from referrers(repository, subject)
        # cosign keeps what it attaches under tags made of the digest.
        for suffix, type in (("sig", "cosign signature"), ("att", "cosign attestation"),
                             ("sbom", "cosign SBOM (cyclonedx or spdx)")):  # fmt: skip
            found = repository.manifest_digest(f"{subject.algorithm}-{subject.hex}.{suffix}")
            if found is not None:
                yield Descriptor(media_type="", digest=str(found), size=0, artifact_type=type)

    return ask
