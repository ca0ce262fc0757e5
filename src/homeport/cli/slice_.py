"""``homeport slice``: propose the slices of a package, and check slice files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.document_file import checked_place
from homeport.cli.options import Session, common
from homeport.cli.recipe_archives import recipe_option
from homeport.cli.recipe_options import catalog_option, mirrors_option
from homeport.cli.screen import Column, Screen
from homeport.cli.subcommand import CommandGroup
from homeport.errors import AnswerNo, UsageError
from homeport.oci.platform import Platform, parse_platform, parse_platforms
from homeport.printable import shell_path
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.slicing.model import SliceVerdict

_VERDICTS = (
    Column(name="slice", least=20),
    Column(name="platform"),
    Column(name="files", right=True),
    Column(name="size", right=True),
    Column(name="verdict", least=24),
)

_platforms = click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM[,…]",
    help="Look at the packages of these platforms; 'all' is the seven that Debian has hosts for."
    " Repeatable.  [default: this machine's]",
)  # fmt: skip


@click.group(cls=CommandGroup, name="slice")
def command() -> None:
    """Propose slices of packages, and check slice files."""


@command.command(
    name="propose",
    epilog="""\b
Examples:
  homeport slice propose jq
  homeport slice propose git --for git --platform all -o slices/git.yaml
  homeport slice propose python3-yaml
  strace -f -o trace -e trace=file curl -s https://example.org
  homeport slice propose curl --opened-by trace
""",
)
@click.argument("package")
@click.option(
    "--for", "program", metavar="COMMAND", default="",
    help="Take only what this program of the package needs.  [default: all of the package]",
)  # fmt: skip
@click.option(
    "--opened-by", "trace", type=click.Path(path_type=Path), metavar="TRACE",
    help="Take what was opened according to this log of strace or fatrace.  [default: none]",
)  # fmt: skip
@click.option(
    "--name", default="", metavar="SLICE",
    help="Name of the slice with --for and --opened-by.  [default: bins, or run]",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", callback=checked_place,
    help="Write the slice file here; it must not be there yet.  [default: standard output]",
)  # fmt: skip
@recipe_option
@_platforms
@mirrors_option
@catalog_option
@common
def propose(
    session: Session, *, package: str, program: str, trace: Path | None, name: str,
    output: Path | None, recipe: str, platforms: tuple[str, ...], mirrors: tuple[str, ...],
) -> None:  # fmt: skip
    """Propose slices of PACKAGE by what its programs load, run and import.

    Without --for and --opened-by all files of the package are sorted into slices, but for
    documentation. What is opened by name at run time shows only in a trace.
    """
    # 130 ms that other commands save
    from homeport.slicing.proposal import WhatIsNeeded
    from homeport.slicing.slice_file import write_slice_file
    from homeport.slicing.traces import read_trace

    if name and not (program or trace):
        raise UsageError(
            "--name is for --for and --opened-by: other slices have names of their own"
        )
    wanted = WhatIsNeeded(
        command=program, trace=read_trace(trace) if trace else frozenset(), name=name
    )
    with session.app() as app:
        found = app.propose_slices(
            package, wanted, recipe=recipe, platforms=_read(platforms), mirrors=mirrors
        )
    if output is not None:
        write_slice_file(output, found.text)
        lines = [f"{output}: {counted(len(found.slices), 'slice')} of {package} {found.version}"]
        lines += [
            f"  {each.name}: {counted(each.files, 'file')}, {human_size(each.size)}"
            for each in found.slices
        ]
        lines += [
            f"warning: no known slice of {each.package} takes {', '.join(each.paths)}"
            for each in found.unsliced
        ]
        text = "\n".join([*lines, f"next: homeport slice check {shell_path(str(output))}"])
    else:
        text = found.text.rstrip("\n")
    session.output.write(
        {"schema": "homeport-slice-proposal/v1", **msgspec.to_builtins(found)}, text
    )


@command.command(
    name="check",
    epilog="""\b
Examples:
  homeport slice check
  homeport slice check slices/git.yaml --platform all
  homeport slice check images/tools/slices --format json
""",
)
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...", type=click.Path(path_type=Path))
@recipe_option
@_platforms
@mirrors_option
@catalog_option
@common
def check(
    session: Session, *, paths: tuple[Path, ...], recipe: str, platforms: tuple[str, ...],
    mirrors: tuple[str, ...],
) -> None:  # fmt: skip
    """Check slice files: each slice alone, with what it needs.

    Every path must match a file of the package, every need must be defined, every program and
    library must find what it loads. FILE or DIR is ./slices by default. Exits with 3 if a
    slice has a fault.
    """
    with session.app() as app:
        found = app.check_slices(
            paths or (Path("slices"),), recipe=recipe, platforms=_read(platforms), mirrors=mirrors
        )
    session.output.write(
        {"schema": "homeport-slice-check/v1", **msgspec.to_builtins(found, str_keys=True)},
        _checked_text(found.verdicts, session.screen),
        quiet_text="\n".join(f"{each.slice} {each.platform}" for each in found.faulty),
    )
    if found.faulty:
        error = AnswerNo(f"{counted(len(found.faulty), 'fault')} in slices")
        error.after_result = True
        raise error


def _checked_text(found: tuple[SliceVerdict, ...], screen: Screen) -> str:
    rows = [
        (
            str(each.slice), each.platform,
            "" if each.fault else str(each.files), "" if each.fault else human_size(each.size),
            each.fault or "works alone",
        )
        for each in found
    ]  # fmt: skip
    lines = [screen.table(_VERDICTS, rows)] if rows else []
    for hint in dict.fromkeys(each.hint for each in found if each.hint):
        lines.append(f"hint: {hint}")
    names = {str(each.slice) for each in found}
    good = names - {str(each.slice) for each in found if each.fault}
    return "\n".join([*lines, "", f"{len(good)} of {counted(len(names), 'slice')} without faults"])


def _read(platforms: tuple[str, ...]) -> tuple[Platform, ...]:
    if not platforms:
        return ()
    # 90 ms that other commands save
    from homeport.authoring.platform_choices import ALL_PLATFORMS

    return tuple(parse_platforms(platforms) or map(parse_platform, ALL_PLATFORMS))
