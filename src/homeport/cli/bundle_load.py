"""``homeport bundle load``: a bundle, verified offline, into a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.bundle_text import contents_text, sources_text
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.screen import columns
from homeport.cli.verification_options import (
    bundle_key_option,
    source_verification,
    verification_options,
)

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="load",
    epilog="""\b
Examples:
  homeport bundle load tool.bundle inside.example
  homeport bundle load tool.bundle inside.example/mirror --policy policy.yaml
  homeport bundle load tool.bundle inside.example --key bundles.pub
  homeport bundle load tool.bundle inside.example --require-signature --files ./carried
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("registry")
@bundle_key_option
@verification_options
@click.option(
    "--files", "files_to", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Write keys, policies and other files of the bundle to DIR.",
)  # fmt: skip
@registry_options
@common
def command(
    session: Session, *, file: Path, registry: str, files_to: Path | None,
    keys: tuple[str, ...], access: RegistryAccess, **verification: Any,
) -> None:  # fmt: skip
    """Verify every image of a bundle, then load all of them into a registry.

    REGISTRY is a host, or a host and a path; the images keep their repositories below it, and
    their tags. Signatures are verified without the network, under the names that the images had,
    by the policy of this side of the gap. With --key, or a policy that names who signs bundles, the
    list of all that is in it must be signed. Nothing is written unless all images may be loaded.
    """
    with session.app() as app:
        result = app.load_bundle(
            file, registry, verification=source_verification(**verification),
            files_to=files_to, access=access, keys=keys,
        )  # fmt: skip
    rows = [(one.name, one.to, one.digest, one.decision or "not verified",
             sources_text(one.sources)) for one in result.images]  # fmt: skip
    header = columns("image", "to", "digest", "signature", "sources", least=19)
    lines = [
        session.screen.table(header, rows),
        *(f"wrote {name}" for name in result.files),
        f"{result.file}: {contents_text(result)}",
    ]
    session.output.write(
        msgspec.to_builtins(result), "\n".join(lines),
        quiet_text="\n".join(one.to for one in result.images),
    )  # fmt: skip
