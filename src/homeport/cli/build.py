"""``homeport build``: an image for every platform, from a recipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.assemble.plan import BuildOptions
from homeport.building.request import KINDS, NAME, BuildRequest, BuildResult, Kind, parse_kinds
from homeport.cli.build_text import (
    builds_document,
    builds_quiet,
    builds_text,
    builds_warnings,
    result_document,
    result_text,
    result_warnings,
)
from homeport.cli.engine_options import engine_option, showing_logs
from homeport.cli.key_values import key_values
from homeport.cli.locking_options import locking_options, parse_updates
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option
from homeport.cli.show import warn
from homeport.cli.signing_options import ask_password, sign_options
from homeport.cli.typed import typed_without
from homeport.errors import AnswerNo, HomeportError, OutOfDate, UsageError
from homeport.images.address import (
    Address,
    ArchiveAddress,
    LayoutAddress,
    RegistryAddress,
    StreamAddress,
    parse_destination,
)
from homeport.recipe.catalog import is_recipe

if TYPE_CHECKING:
    from homeport.attest.operations.signing import SignOptions
    from homeport.publishing.builds import RecipeBuilt


@click.command(
    name="build",
    epilog="""\b
Examples:
  homeport build dockerfile-copy
  homeport build dockerfile-copy --platform native -o docker-archive:copy.tar
  homeport build ./my/homeport.yaml -o oci:out:1.0 -o oci-archive:out.tar
  homeport build dockerfile-copy --locked --check
  homeport build curl git --push registry.example/team/{name}:1   # team/curl and team/git
  homeport build images/ --locked                                 # every recipe below images/
  homeport build dockerfile-copy --push registry.example/team/copy:1 --sign --sign-key cosign.key
""",
)
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="ADDRESS",
    help="Destination: oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://REF."
    " {name} stands for the recipe's name. Repeatable.  [default: oci:NAME.oci]",
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="PLATFORM[,…]",
    help="Platforms to build, such as linux/arm64,linux/amd64, all, or native. Repeatable."
    "  [default: all of the recipe; native for docker-archive]",
)
@click.option(
    "-t",
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Tag of outputs that name none. Repeatable.  [default: latest]",
)
@click.option(
    "--label", "labels", multiple=True, metavar="KEY=VALUE",
    help="Add this label to every image. Repeatable.",
)  # fmt: skip
@click.option(
    "--annotation", "annotations", multiple=True, metavar="KEY=VALUE",
    help="Add this annotation to every manifest and the index. Repeatable.",
)  # fmt: skip
@click.option("--load", is_flag=True, help="Load the native image into a running docker or podman.")
@click.option(
    "--push", "pushes", multiple=True, metavar="REF",
    help="Push to REF, in which {name} stands for the recipe's name; the same as -o docker://REF."
    " Repeatable.",
)  # fmt: skip
@click.option(
    "--locked", is_flag=True, help="Use the lockfile unchanged; exit with 4 if it is out of date."
)
@locking_options
@allow_outside_option
@engine_option
@click.option(
    "--attest", "attest", multiple=True, metavar="KIND[,…]",
    help="What to attest: sbom and provenance in the index, and the rebuild kit in registries; kit"
    " also writes it to OCI layouts; oci-artifact=false: attestations in BuildKit's older form."
    " Repeatable.  [default: sbom,provenance,kit]",
)  # fmt: skip
@click.option("--no-attest", is_flag=True, help="Write no attestations and no rebuild kit.")
@click.option(
    "--sign", is_flag=True,
    help="Sign the image where it is pushed to, and in OCI layouts, as homeport sign does.",
)  # fmt: skip
@click.option(
    "--sign-key", default="", metavar="KEY",
    help="Sign with this private key: a file, or env://VARIABLE.  [default: sign for the identity"
    " of a token]",
)  # fmt: skip
@click.option(
    "--check", is_flag=True, help="Build twice and compare; exit with 3 if the results differ."
)
@click.option("--no-cache", is_flag=True, help="Use cached downloads, but no cached build results.")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd", "estargz", "none"]),
    default="gzip",
    show_default=True,
    help="Compression of layers. estargz is gzip that lazy pullers can read file by file; "
    "zstd is not byte-stable between machines.",
)
@click.option(
    "--compression-level", type=int, metavar="N", help="Level of gzip: 6, 7, 9 or 12.  [default: 7]"
)
@catalog_option
@common
def command(session: Session, **options: Any) -> None:
    """Build the image of each RECIPE for every platform.

    RECIPE is a name of the catalog, a recipe file, its directory, or a directory with recipes below
    it [default: .]. Packages come from the lockfile. If recipe and lockfile disagree, or no mirror
    has a package any more, Homeport locks the recipe again and writes the new lockfile. Of several
    recipes one that fails does not stop the others; the exit code is 1 then, 3 if an answer was no,
    or 4 if a lockfile was out of date.
    """
    recipes = options["recipes"] or (".",)
    texts = (*options["outputs"], *(f"docker://{_bare(ref)}" for ref in options["pushes"]))
    one = len(recipes) == 1 and (not options["recipes"] or not _is_folder_of_recipes(recipes[0]))
    if one and not any(NAME in text for text in texts):
        request = _request(options, recipes[0], tuple(map(parse_destination, texts)))
        sign = _sign(request.outputs, options)
        with session.app() as app, showing_logs(session):
            _show(session, app.build(request, sign=sign, ask_password=ask_password()))
        return
    # 90 ms that the build of one recipe saves
    from homeport.publishing.builds import BuildsRequest, with_name

    sign = _sign([with_name(text, "name") for text in texts], options)
    builds = BuildsRequest(recipes=recipes, outputs=texts, each=_request(options, "", ()))
    with session.app() as app, showing_logs(session):
        built = app.build_all(builds, sign=sign, ask_password=ask_password())
        if one and built[0].result is not None:
            _show(session, built[0].result)
        else:
            _show_all(session, built)


def _is_folder_of_recipes(recipe: str) -> bool:
    return Path(recipe).is_dir() and not is_recipe(recipe)


def _show(session: Session, result: BuildResult) -> None:
    if not session.quiet and session.format == "text":  # in JSON they are part of it
        for line in result_warnings(result):
            warn(line)
    if not any(_is_standard_output(written.address) for written in result.written):
        session.output.write(
            result_document(result),
            result_text(result, session.screen),
            quiet_text=str(result.built.index.digest),
        )


def _show_all(session: Session, built: Sequence[RecipeBuilt]) -> None:
    """Raises ``HomeportError`` if a recipe failed, with the exit code of the weightiest failure."""
    if not session.quiet and session.format == "text":
        for line in builds_warnings(built):
            warn(line)
    session.output.write(
        builds_document(built), builds_text(built, session.screen), quiet_text=builds_quiet(built)
    )
    failed = [each for each in built if each.error is not None]
    if failed:
        codes = {each.error.exit_code for each in failed if each.error is not None}
        kinds = (AnswerNo, OutOfDate, HomeportError)
        kind = next((kind for kind in kinds if kind.exit_code in codes), HomeportError)
        raise kind(f"could not build {', '.join(each.recipe for each in failed)}")


def _request(options: dict[str, Any], recipe: str, outputs: tuple[Address, ...]) -> BuildRequest:
    as_of = options["as_of"]
    if as_of:
        # 12 ms that a build of today's packages saves
        from homeport.debian.archive.state import parse_as_of

        as_of = parse_as_of(as_of)
    return BuildRequest(
        recipe=recipe,
        outputs=outputs,
        platforms=_platforms(options["platforms"]),
        tags=options["tags"],
        options=BuildOptions(
            labels=key_values(options["labels"], "--label"),
            annotations=key_values(options["annotations"], "--annotation"),
            source_date_epoch=_source_date_epoch(),
            compression=options["compression"],
            level=options["compression_level"],
        ),
        mirrors=options["mirrors"],
        allow_outside=options["allow_outside"],
        lockfile=options["lockfile"],
        locked=options["locked"],
        update=parse_updates(options["updates"]),
        as_of=as_of,
        fresh=options["no_cache"],
        attest=_attest(options["attest"], options["no_attest"]),
        kit_in_layouts="kit" in _attest(options["attest"], options["no_attest"])
        and bool(options["attest"]),
        check=options["check"],
        load=options["load"],
        engines=options["engines"],
        command=typed_without("--as-of"),
    )


def _sign(outputs: Sequence[Address], options: dict[str, Any]) -> SignOptions | None:
    """How to sign what is built; checked before anything is built."""
    if not options["sign"]:
        if options["sign_key"]:
            raise UsageError("--sign-key requires --sign")
        return None
    kept = [each for each in outputs if isinstance(each, LayoutAddress | RegistryAddress)]
    if outputs and not kept:
        raise UsageError(
            "--sign: none of the outputs can keep a signature",
            hint="add --push REF, or -o oci:DIR",
        )
    return sign_options(key=options["sign_key"], dry_run=False)


def _attest(values: tuple[str, ...], none: bool) -> tuple[Kind, ...]:
    if values and none:
        raise UsageError("options cannot be combined: --attest, --no-attest")
    if none:
        return ()
    return parse_kinds(values) if values else KINDS


def _platforms(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The platforms of ``A,B``; an empty list is a mistake, for example of a script."""
    found = [part.strip() for text in texts for part in text.split(",")]
    if "" in found:
        raise UsageError(
            f"empty platform in {','.join(texts)!r}",
            hint="write --platform linux/arm64,linux/amd64, all or native",
        )
    return tuple(found)


def _is_standard_output(output: Address) -> bool:
    """Whether the image itself goes to standard output, so that nothing else may."""
    return isinstance(output, StreamAddress) or (
        isinstance(output, ArchiveAddress) and output.path is None
    )


def _bare(reference: str) -> str:
    return reference.removeprefix("docker://")


def _source_date_epoch() -> int | None:
    """Seconds, from the variable that reproducible-builds.org specifies."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise UsageError(f"invalid SOURCE_DATE_EPOCH {text!r}: a number of seconds is expected")
    return int(text)
