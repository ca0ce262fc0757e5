"""The option of commands that read one platform of an image."""

from __future__ import annotations

import click

from homeport.oci.platform import Platform, native_platform, parse_platform

one_platform_option = click.option(
    "--platform", metavar="OS/ARCH[/VARIANT][:VERSION]", envvar="HOMEPORT_PLATFORM",
    help="Platform to read.  [default: this machine's, else the first]",
)  # fmt: skip


part_platform_option = click.option(
    "--platform", metavar="OS/ARCH[/VARIANT][:VERSION]", envvar="HOMEPORT_PLATFORM",
    help="The image of this platform; 'native' is this machine's.  [default: what the address"
    " names, also an index]",
)  # fmt: skip


def read_platform(text: str | None) -> Platform | None:
    """The platform of ``--platform``; ``None`` if it is not given."""
    if text is None:
        return None
    return native_platform() if text == "native" else parse_platform(text)
