"""The option of commands that read one platform of an image."""

from __future__ import annotations

import click

from homeport.errors import UsageError
from homeport.oci.platform import Platform, parse_platforms

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
    """The platform of ``--platform``; ``None`` if it is not given.

    The syntax is that of options that take several; more than one is an error here.
    """
    if text is None:
        return None
    found = parse_platforms([text])
    if found is None or len(found) != 1:
        raise UsageError(
            f"--platform {text} names several platforms; this command reads one",
            hint="name one, such as --platform linux/arm64",
        )
    return found[0]
