"""``homeport bundle``: images and all that belongs to them, as one file for an air gap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli import bundle_list, bundle_load
from homeport.cli.bundle_text import sources_text
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.screen import columns
from homeport.cli.signing_options import ask_password, sign_options
from homeport.cli.subcommand import CommandWithSubcommand
from homeport.printable import printable
from homeport.quantities import human_size

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess

_READ = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="bundle",
    cls=CommandWithSubcommand,
    subcommands=[bundle_list.command, bundle_load.command],
    epilog="""\b
Examples:
  homeport bundle registry.example/team/tool:1.0 -o tool.bundle
  homeport bundle registry.example/team/tool:1.0 -o tool.bundle --include cosign.pub \\
      --include policy.yaml --key bundles.key
  homeport build ./homeport.yaml --locked --offline --mirror bundle:tool.bundle
""",
)
@click.argument("images", nargs=-1, required=True)
@click.option(
    "-o", "--output", "file", required=True, metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path), help="Write to FILE, a tar archive.",
)  # fmt: skip
@click.option(
    "--include", "files", multiple=True, metavar="FILE", type=_READ,
    help="Take this file along: a key, a trusted root, a policy, data of Debian's security tracker,"
    " Homeport's wheels. Repeatable.",
)  # fmt: skip
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="[ARCHIVE=]URL",
    help="Fetch the packages from here. Repeatable.",
)  # fmt: skip
@click.option(
    "--trust-kit", is_flag=True, help="Use archives and keys that a rebuild kit brings itself."
)
@click.option(
    "--sources/--no-sources", "sources", default=None,
    help="Require the sources of all packages, or leave sources out.  [default: those that the"
    " archives have]",
)  # fmt: skip
@click.option(
    "--key", default="", metavar="KEY",
    help="Sign the list of all that is in the bundle with this private key: a file, or"
    " env://VARIABLE. Its password is COSIGN_PASSWORD or asked for.",
)  # fmt: skip
@registry_options
@common
def command(
    session: Session, *, images: tuple[str, ...], file: Path, files: tuple[Path, ...],
    mirrors: tuple[str, ...], trust_kit: bool, sources: bool | None, key: str,
    access: RegistryAccess,
) -> None:  # fmt: skip
    """Write images of registries to one file, with all that belongs to them.

    Signatures, attestations and rebuild kits come along, the packages from which the images can
    be built again, and the sources of these packages. The file is an OCI layout. 'homeport bundle
    load' verifies it offline and loads it into a registry.
    """
    with session.app() as app:
        result = app.bundle(
            images, file, files, mirrors=mirrors, trust_kit=trust_kit, sources=sources,
            access=access, sign=sign_options(key=key, dry_run=False) if key else None,
            ask_password=ask_password(),
        )  # fmt: skip
    rows = [(one.name, one.digest, str(one.attached), str(one.packages), sources_text(one.sources))
            for one in result.images]  # fmt: skip
    header = columns("image", "digest", "attached", "packages", "sources", right=(2, 3), least=19)
    lines = [
        session.screen.table(header, rows),
        *(f"included {name}" for name in result.files),
        f"wrote {result.file}, {human_size(result.size)}"
        + (f", contents signed by {printable(result.signer)}" if result.signer else ""),
    ]
    session.output.write(msgspec.to_builtins(result), "\n".join(lines), quiet_text=result.file)
