"""``homeport build``: an image for every platform, from a recipe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from homeport.assemble.plan import BuildOptions
from homeport.building.request import KINDS, BuildRequest, BuildResult, Kind, parse_kinds
from homeport.cli.engine_options import engine_option, showing_logs
from homeport.cli.key_values import key_values
from homeport.cli.locking_options import locking_options, parse_updates
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option
from homeport.cli.screen import Column, Screen
from homeport.cli.show import warn
from homeport.cli.signing_options import ask_password, sign_options
from homeport.cli.typed import typed_without
from homeport.errors import UsageError
from homeport.images.address import (
    Address,
    ArchiveAddress,
    LayoutAddress,
    RegistryAddress,
    StreamAddress,
    parse_destination,
)
from homeport.quantities import human_size

if TYPE_CHECKING:
    from homeport.attest.operations.signing import SignOptions

_COLUMNS = (
    Column(name="platform"),
    Column(name="digest"),
    Column(name="layers", right=True, drop=4),
    Column(name="compressed", right=True),
    Column(name="raw", right=True, drop=2),
    Column(name="packages", right=True, drop=3),
    Column(name="time", right=True, drop=1),
)


@click.command(
    name="build",
    epilog="""\b
Examples:
  homeport build dockerfile-copy
  homeport build dockerfile-copy --platform native -o docker-archive:copy.tar
  homeport build ./my/homeport.yaml -o oci:out:1.0 -o oci-archive:out.tar
  homeport build dockerfile-copy --locked --check
  homeport build dockerfile-copy --push registry.example/team/copy:1 --sign --sign-key cosign.key
""",
)
@click.argument("recipe", default=".")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="ADDRESS",
    help="Destination: oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://REF."
    " Repeatable."
    "  [default: oci:NAME.oci]",
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
    help="Push to REF; the same as -o docker://REF. Repeatable.",
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
    """Build the image of RECIPE for every platform.

    RECIPE is a name of the catalog, a recipe file or its directory [default: .]. Packages come
    from the lockfile. If recipe and lockfile disagree, or no mirror has a package any more,
    Homeport locks the recipe again and writes the new lockfile.
    """
    request = _request(options)
    sign = _sign(request, options)
    with session.app() as app, showing_logs(session):
        result = app.build(request, sign=sign, ask_password=ask_password())
        if not session.quiet and session.format == "text":  # in JSON they are part of it
            for line in _warnings(result):
                warn(line)
        if not any(map(_is_standard_output, request.outputs)):
            session.output.write(
                _document(result),
                _text(result, session.screen),
                quiet_text=str(result.built.index.digest),
            )  # fmt: skip


def _request(options: dict[str, Any]) -> BuildRequest:
    outputs = [*options["outputs"], *(f"docker://{_bare(ref)}" for ref in options["pushes"])]
    as_of = options["as_of"]
    if as_of:
        # 12 ms that a build of today's packages saves
        from homeport.debian.archive.state import parse_as_of

        as_of = parse_as_of(as_of)
    return BuildRequest(
        recipe=options["recipe"],
        outputs=tuple(map(parse_destination, outputs)),
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


def _sign(request: BuildRequest, options: dict[str, Any]) -> SignOptions | None:
    """How to sign what is built; checked before anything is built."""
    if not options["sign"]:
        if options["sign_key"]:
            raise UsageError("--sign-key requires --sign")
        return None
    kept = [each for each in request.outputs if isinstance(each, LayoutAddress | RegistryAddress)]
    if request.outputs and not kept:
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


def _warnings(result: BuildResult) -> list[str]:
    """Every warning once, with the platforms that it is about unless that is all."""
    about: dict[str, list[str]] = {}
    for each in result.built.images:
        for line in each.warnings:
            about.setdefault(line, []).append(str(each.platform))
    count = len(result.built.images)
    return [
        line if len(platforms) == count else f"{line} ({', '.join(platforms)})"
        for line, platforms in about.items()
    ]


def _document(result: BuildResult) -> dict[str, Any]:
    """docs/formats/build.md."""
    return {
        "schema": "homeport-build/v1",
        "recipe": result.recipe.name,
        "digest": str(result.built.index.digest),
        "lockfile": str(result.locked.path),
        "relocked": result.locked.reason,
        "outputs": [
            {
                "address": str(written.address),
                "digest": str(written.digest),
                "copied": written.copied,
                "copied_bytes": written.copied_bytes,
            }
            for written in result.written
        ],
        "signer": result.signer or None,
        "compared": result.compared,
        "fresh": result.fresh,
        "loaded": result.loaded and {"engine": result.loaded.engine, "name": result.loaded.name},
        "platforms": [
            {
                "platform": str(each.platform),
                "digest": str(each.image.digest),
                "layers": [
                    {
                        "digest": str(layer.digest),
                        "diff_id": str(layer.diff_id),
                        "size": layer.size,
                        "raw_size": layer.raw_size,
                    }
                    for layer in each.layers
                ],
                "packages": [file.id.name for file in each.packages],
                "versions": {file.id.name: file.id.version for file in each.packages},
                "accounts": {"users": each.accounts.users, "groups": each.accounts.groups},
                "seconds": round(each.seconds, 3),
                "cached": each.cached,
                "warnings": list(each.warnings),
                "omitted_depends": list(each.declared),
            }
            for each in result.built.images
        ],
    }


def _text(result: BuildResult, screen: Screen) -> str:
    rows = [
        (
            str(each.platform),
            str(each.image.digest),
            str(len(each.layers)),
            human_size(sum(layer.size for layer in each.layers)),
            human_size(sum(layer.raw_size for layer in each.layers)),
            str(len(each.packages)),
            "cached" if each.cached else f"{each.seconds:.2f} s",
        )
        for each in result.built.images
    ]
    lines = [screen.table(_COLUMNS, rows), ""]
    lines += _accounts(result)
    lines += [f"{written.address}  {written.digest}" for written in result.written]
    if result.compared:
        lines.append("built twice, the second time from downloads alone: all digests agree")
    elif result.fresh:
        lines.append("built without cached results; --check compares with a second build")
    if result.signer:
        lines.append(f"signed by {result.signer}")
    if result.loaded:
        lines.append(f"loaded into {result.loaded.engine} as {result.loaded.name}")
    return "\n".join(lines)


def _accounts(result: BuildResult) -> list[str]:
    """Users that packages make, then groups that are not theirs; the same on all platforms."""
    users: dict[str, int] = {}
    groups: dict[str, int] = {}
    for each in result.built.images:
        users |= each.accounts.users
        groups |= {
            name: gid for name, gid in each.accounts.groups.items()
            if each.accounts.users.get(name) != gid
        }  # fmt: skip
    return [
        f"{kind}: {', '.join(f'{name} {number}' for name, number in sorted(found.items()))}"
        for kind, found in (("users", users), ("groups", groups)) if found
    ]  # fmt: skip
