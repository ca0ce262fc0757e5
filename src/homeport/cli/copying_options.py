"""What push, pull, mirror and import have in common: platforms, and one copy with its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.show import Output, tell
from homeport.images.address import parse_source, pinned
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.images.transports.base import Written

platform_option = click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH[/VARIANT][:VERSION]",
    envvar="HOMEPORT_PLATFORM",
    help="Only this platform, or several separated by commas; 'native' is this machine's."
    " Repeatable.  [default: all, byte for byte]",
)


nondistributable_option = click.option(
    "--allow-nondistributable-artifacts",
    "nondistributable",
    is_flag=True,
    help="Include non-distributable layers (check that your licence permits it).",
)


referrers_option = click.option(
    "--referrers",
    is_flag=True,
    help="Include signatures, SBOMs and provenance of an image in a registry; from layouts and OCI"
    " archives they always come along.",
)


no_clobber_option = click.option(
    "--no-clobber", is_flag=True, help="Exit with 3 if the tag already points to another image."
)


def write_report(output: Output, source: str, written: Written, *, beside: bool = False) -> None:
    """Print the result of a copy: what to paste on standard output, what was done beside it.

    beside: standard output is taken by the image itself
    """
    document = {
        "schema": "homeport-transfer/v1",
        "source": str(parse_source(source)),
        "destination": str(written.address),
        "digest": str(written.digest),
        "copied": written.copied,
        "copied_bytes": written.copied_bytes,
        "present": written.present,
    }
    if not output.quiet and output.format == "text":
        tell(f"{written.address}: {_amount(written)}")
    output.write(
        document, pinned(written.address, written.digest), quiet_text=str(written.digest),
        beside=beside,
    )  # fmt: skip


def _amount(written: Written) -> str:
    if not written.copied:
        return "nothing to copy: all blobs are present"
    return (
        f"{counted(written.copied, 'blob')} copied ({human_size(written.copied_bytes)}), "
        f"{written.present} already present"
    )
