"""``homeport docker-pkg``: trees of docker-pkg, built for several platforms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.engine_options import engine_option
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.screen import columns
from homeport.cli.show import tell, warn
from homeport.cli.subcommand import CommandGroup
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.oci.platform import Platform, parse_platforms
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.dockerpkg.building import ImageBuilt, TreeBuilt
    from homeport.dockerpkg.planning import PlannedImage, TreePlan
    from homeport.registry.access import RegistryAccess

_Decorator = Callable[..., Any]
_directory = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
_configfile = click.option(
    "-c", "--configfile", metavar="FILE", type=click.Path(path_type=Path),
    help="Configuration of the tree.  [default: config.yaml here, else in DIR or above it]",
)  # fmt: skip
_select = click.option(
    "--select", metavar="GLOB", default="",
    help="Include only images whose whole name matches, and what they need, as with '*python3*'.",
)  # fmt: skip
_platforms = click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM[,…]",
    help="Use these platforms. Repeatable.  [default: platforms of the configuration,"
    " else the engine's]",
)  # fmt: skip
_no_pull = click.option(
    "--no-pull", is_flag=True,
    help="Use the bases of the lockfile, and ask no registry what it has.",
)  # fmt: skip


@click.group(cls=CommandGroup, name="docker-pkg")
def command() -> None:
    """Build trees of docker-pkg for several platforms.

    A tree is a directory of image directories, each with Dockerfile.template (or homeport.yaml)
    and changelog. Configuration, templates and changelogs are read as docker-pkg reads them.
    """


def _nightly_options(function: _Decorator) -> _Decorator:
    for option in (
        click.option("--snapshot", is_flag=True, help="Append date and time to every tag."),
        click.option("--nightly", is_flag=True, help="Append today's date to every tag."),
    ):
        function = option(function)
    return function


@command.command(
    name="build",
    epilog="""\b
Examples:
  homeport docker-pkg build images
  homeport docker-pkg build images -c config.yaml --platform linux/amd64,linux/arm64
  homeport docker-pkg build images --select '*/python3*' --no-publish
  homeport docker-pkg build images --key cosign.key --attest provenance
  homeport docker-pkg build images --dry-run
""",
)
@_directory
@_configfile
@_select
@_platforms
@_nightly_options
@click.option("--use-cache", is_flag=True, help="Let the engine use its cache.")
@_no_pull
@click.option(
    "--publish/--no-publish", default=None,
    help="Push what was built.  [default: if the configuration has username and password]",
)  # fmt: skip
@click.option("--no-clobber", is_flag=True, help="Fail if a tag leads to an image of other inputs.")
@click.option("--key", metavar="KEY", default="", help="Sign what is pushed with this key.")
@click.option(
    "--attest", "attests", multiple=True, metavar="sbom|provenance[,K=V]",
    help="Let the engine attach an SBOM or provenance. Repeatable."
    "  [default: provenance with --key, else none]",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print what would be built and why.")
@engine_option
@registry_options
@common
def build(
    session: Session, directory: Path, configfile: Path | None, access: RegistryAccess,
    **asked: Any,
) -> None:  # fmt: skip
    """Build the images of DIR that their registry lacks, and publish them.

    An image is published if its tag in the registry was made from the same inputs: rendered
    Dockerfile, build context, base images, parents, platforms. Parents are built before
    children; an image that fails stops only those that need it. Each image's test.sh runs
    before anything of it is pushed.
    """
    # 120 ms that other commands save
    from homeport.dockerpkg.building import BuildOptionsOfTree

    with session.app() as app:
        project = app.docker_pkg(
            directory, _configuration(directory, configfile),
            suffix=_suffix(asked["nightly"], asked["snapshot"]), access=access, key=asked["key"],
        )  # fmt: skip
        options = _plan_options(asked)
        if asked["dry_run"]:
            _write_plan(session, project.plan(options))
            return
        publish = project.publishes if asked["publish"] is None else asked["publish"]
        built = project.build(
            options,
            BuildOptionsOfTree(
                use_cache=asked["use_cache"],
                publish=publish,
                no_clobber=asked["no_clobber"],
                attests=asked["attests"] or (("provenance",) if asked["key"] else ()),
                engines=asked["engines"],
            ),
        )
    session.output.write(_built_document(built), _built_text(built, publish))
    if built.failed:
        error = HomeportError(
            f"{counted(len(built.failed), 'image')} failed: "
            f"{', '.join(image.name for image in built.failed)}",
            hint="mend it and run the same command again: what was built is kept",
        )
        error.after_result = True
        raise error


@command.command(
    name="list",
    epilog="""\b
Examples:
  homeport docker-pkg list images
  homeport docker-pkg list images --select '*python3*' --format json
  homeport docker-pkg list images --dockerfile python3
""",
)
@_directory
@_configfile
@_select
@_platforms
@_nightly_options
@_no_pull
@click.option("--dockerfile", metavar="NAME", help="Print the rendered Dockerfile of this image.")
@registry_options
@common
def list_(
    session: Session, directory: Path, configfile: Path | None, access: RegistryAccess,
    dockerfile: str | None, **asked: Any,
) -> None:  # fmt: skip
    """List the images of DIR in the order of building, with their state."""
    with session.app() as app:
        project = app.docker_pkg(
            directory, _configuration(directory, configfile),
            suffix=_suffix(asked["nightly"], asked["snapshot"]), access=access,
        )  # fmt: skip
        if dockerfile is not None:
            session.output.write_text(project.dockerfile(dockerfile).rstrip("\n"))
            return
        asked["no_pull"] = asked["no_pull"] or session.settings.offline
        plan = project.plan(_plan_options(asked))
    _write_plan(session, plan)


@command.command(
    epilog="""\b
Examples:
  homeport docker-pkg graph images
  homeport docker-pkg graph images --as dot | dot -Tsvg > images.svg
"""
)
@_directory
@_configfile
@click.option(
    "--as", "form", type=click.Choice(["text", "dot", "mermaid"]), default="text",
    show_default=True, help="Form of the graph.",
)  # fmt: skip
@common
def graph(session: Session, directory: Path, configfile: Path | None, form: str) -> None:
    """Print which image of DIR needs which."""
    with session.app() as app:
        project = app.docker_pkg(directory, _configuration(directory, configfile))
        found = project.graph()
    order = found.order(found.parents)
    document = {
        "schema": "homeport-docker-pkg-graph/v1",
        "images": [{"name": name, "parents": list(found.parents[name])} for name in order],
    }
    edges = [(parent, name) for name in order for parent in found.parents[name]]
    if form == "dot":
        lines = [
            "digraph images {",
            *(f'  "{name}";' for name in order),
            *(f'  "{parent}" -> "{name}";' for parent, name in edges),
            "}",
        ]
    elif form == "mermaid":
        number = {name: f"i{at}" for at, name in enumerate(order)}
        lines = ["graph LR", *(f'  {number[name]}["{name}"]' for name in order)]
        lines += [f"  {number[parent]} --> {number[name]}" for parent, name in edges]
    else:
        lines = [f"{name}  {' '.join(found.parents[name])}".rstrip() for name in order]
    session.output.write(document, "\n".join(lines))


@command.command(
    epilog="""\b
Examples:
  homeport docker-pkg update python3-dev images --reason 'New pip'
  homeport docker-pkg update python3-dev images --version 3.13.5-2 --dry-run
"""
)
@click.argument("name", metavar="NAME")
@_directory
@_configfile
@click.option(
    "--reason",
    metavar="TEXT…",
    default="Security update",
    show_default=True,
    help="Text of the entry.",
)
@click.option(
    "--version",
    metavar="VERSION",
    default="",
    help="Set the version of NAME.  [default: the next one]",
)
@click.option("--dry-run", is_flag=True, help="Print the new versions, and write nothing.")
@common
def update(
    session: Session, name: str, directory: Path, configfile: Path | None, **asked: Any
) -> None:  # fmt: skip
    """Add a changelog entry to NAME and to every image that needs it.

    Others than NAME get the next version: 1.2 is followed by 1.2-s1 and 1.2-s2.
    """
    with session.app() as app:
        project = app.docker_pkg(directory, _configuration(directory, configfile))
        done = project.update(
            name,
            asked["reason"],
            datetime.now().astimezone(),
            version=asked["version"],
            dry_run=asked["dry_run"],
        )
    document = {
        "schema": "homeport-docker-pkg-update/v1",
        "dry_run": asked["dry_run"],
        "images": [msgspec.to_builtins(each) for each in done],
    }
    rows = [(each.name, each.before, each.after) for each in done]
    session.output.write(document, session.screen.table(columns("image", "before", "after"), rows))


@command.command(
    epilog="""\b
Examples:
  homeport docker-pkg prune images
  homeport docker-pkg prune images --select '*nodejs*' --dry-run
"""
)
@_directory
@_configfile
@_select
@click.option(
    "--nightly", "nightly_id", metavar="DATE", default="", help="Keep this nightly build."
)
@click.option("--dry-run", is_flag=True, help="Print what would be removed.")
@common
def prune(
    session: Session, directory: Path, configfile: Path | None, *, select: str, nightly_id: str,
    dry_run: bool,
) -> None:  # fmt: skip
    """Remove old tags of the images of DIR from the docker daemon.

    Of each image all tags but the current one and latest go from the daemon of this machine.
    """
    with session.app() as app:
        project = app.docker_pkg(
            directory, _configuration(directory, configfile),
            suffix=f"-{nightly_id}" if nightly_id else "",
        )  # fmt: skip
        done = project.prune(select, dry_run=dry_run)
    document = {"schema": "homeport-docker-pkg-prune/v1", "dry_run": dry_run}
    document |= msgspec.to_builtins(done)
    lines = [f"{'would remove' if dry_run else 'removed'} {tag}" for tag in done.removed]
    lines += [f"kept {tag}: {why}" for tag, why in done.kept.items()]
    session.output.write(document, "\n".join(lines) or "nothing to remove")


@command.command(
    epilog="""\b
Examples:
  homeport docker-pkg check images
  homeport docker-pkg check images --format json
"""
)
@_directory
@_configfile
@common
def check(session: Session, directory: Path, configfile: Path | None) -> None:
    """Find what stands in the way of building DIR for several platforms.

    Lines that name one architecture, downloads, images that templates name and control does
    not, names of other trees, bases that move. Exit code 3 if anything is found.
    """
    with session.app() as app:
        project = app.docker_pkg(directory, _configuration(directory, configfile))
        found = project.check()
    document = {
        "schema": "homeport-docker-pkg-check/v1",
        "images": len(project.tree.images),
        "findings": [msgspec.to_builtins(each) for each in found],
        "warnings": list(project.tree.warnings),
    }
    lines = []
    for each in found:
        place = f"{each.file}:{each.line}" if each.line else each.file
        lines += [f"{place}: {each.rule}: {each.what}", f"    {each.fix}"]
    images = counted(len(project.tree.images), "image")
    lines.append(f"{images}, {counted(len(found), 'finding')}")
    session.output.write(document, "\n".join(lines))
    if found:
        error = AnswerNo(f"{counted(len(found), 'finding')} in {directory}")
        error.after_result = True
        raise error


@command.command(
    epilog="""\b
Examples:
  homeport docker-pkg convert images dockerfile-copy
  homeport docker-pkg convert images dockerfile-copy > homeport.yaml
"""
)
@_directory
@click.argument("name", metavar="IMAGE")
@_configfile
@_platforms
@common
def convert(
    session: Session, directory: Path, name: str, configfile: Path | None,
    platforms: tuple[str, ...],
) -> None:  # fmt: skip
    """Print a recipe for an image that installs packages and copies files.

    The recipe goes to standard output, what it could not carry over to standard error.
    """
    with session.app() as app:
        project = app.docker_pkg(directory, _configuration(directory, configfile))
        found = project.convert(name, _parsed(platforms))
    document = {"schema": "homeport-docker-pkg-convert/v1", **msgspec.to_builtins(found)}
    session.output.write(document, found.recipe.rstrip("\n"))
    if session.format != "json" and not session.quiet:
        for each in found.not_carried:
            tell(f"not carried, line {each.line}: {each.text}: {each.why}")


def _configuration(directory: Path, given: Path | None) -> Path:
    """``config.yaml`` where docker-pkg looks for it, else beside the tree."""
    if not directory.is_dir():
        raise UsageError(f"no such directory: {directory}", where={"file": str(directory)})
    if given is not None:
        return given
    for folder in (Path(), directory, directory.absolute().parent):
        if (folder / "config.yaml").is_file():
            return folder / "config.yaml"
    raise UsageError(
        f"{directory}: no config.yaml here, in it or above it", where={"file": str(directory)},
        hint="name the tree's configuration with --configfile",
    )  # fmt: skip


def _suffix(nightly: bool, snapshot: bool) -> str:
    if nightly and snapshot:
        raise UsageError("--nightly cannot be combined with --snapshot")
    now = datetime.now().astimezone()
    if snapshot:
        return f"-{now:%Y%m%d-%H%M%S}"
    return f"-{now:%Y%m%d}" if nightly else ""


def _parsed(platforms: tuple[str, ...]) -> tuple[Platform, ...]:
    return tuple(parse_platforms(platforms) or ())


def _plan_options(asked: Any) -> Any:
    # 40 ms that other commands save
    from homeport.dockerpkg.planning import PlanOptions

    return PlanOptions(
        select=asked["select"], platforms=_parsed(asked["platforms"]), pull=not asked["no_pull"]
    )


def _write_plan(session: Session, plan: TreePlan) -> None:
    """docs/formats/docker-pkg.md."""
    images = [image for image in plan.images.values() if image.selected]
    document = {
        "schema": "homeport-docker-pkg-list/v1",
        "images": [_planned(image) for image in images],
        "warnings": list(plan.warnings),
    }
    rows = [(image.source.reference, image.state.replace("_", " "), image.why) for image in images]
    builds = counted(sum(image.builds for image in images), "image")
    text = session.screen.table(columns("image", "state", "why"), rows) + f"\n{builds} to build"
    session.output.write(document, text)
    if session.format != "json":
        for line in plan.warnings:
            warn(line)


def _planned(image: PlannedImage) -> dict[str, Any]:
    return {
        "name": image.name,
        "reference": image.source.reference,
        "folder": image.source.folder,
        "kind": "recipe" if image.source.is_recipe else "dockerfile",
        "parents": list(image.parents),
        "bases": dict(image.bases),
        "platforms": [str(each) for each in image.platforms],
        "state": image.state,
        "why": image.why,
        "inputs": image.inputs,
        "digest": image.digest,
    }


def _built_document(built: TreeBuilt) -> dict[str, Any]:
    """docs/formats/docker-pkg.md."""
    return {
        "schema": "homeport-docker-pkg-build/v1",
        "images": [
            {
                "name": image.name,
                "reference": image.reference,
                "outcome": image.outcome,
                "digest": image.digest,
                "platforms": list(image.platforms),
                "why": image.why,
                "tested": image.tested,
                **({"error": image.error.to_json()} if image.error else {}),
            }
            for image in built.images
        ],
    }


def _built_text(built: TreeBuilt, publish: bool) -> str:
    lines = [_line(image) for image in built.images if image.outcome != "not selected"]
    done = sum(image.outcome in ("published", "built") for image in built.images)
    lines.append(f"{counted(done, 'image')} {'published' if publish else 'built, none published'}")
    return "\n".join(lines)


def _line(image: ImageBuilt) -> str:
    reference = image.reference + (f"@{image.digest}" if image.digest else "")
    lines = [f"{image.outcome:<10} {reference}  {image.why}".rstrip()]
    if image.error is not None:
        place = image.error.where.get("file")
        lines += [f"{'':<10} {text}" for text in (place, image.error.hint) if text]
    return "\n".join(lines)
