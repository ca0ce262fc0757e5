"""``homeport bundle list``: what is in a bundle."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from homeport.cli.bundle_text import contents_text, sources_text
from homeport.cli.options import Session, common
from homeport.cli.screen import columns
from homeport.cli.verification_options import (
    bundle_key_option,
    policy_option,
    source_verification,
)
from homeport.quantities import human_size


@click.command(
    name="list",
    epilog="""\b
Examples:
  homeport bundle list tool.bundle
  homeport bundle list tool.bundle --key bundles.pub
  homeport bundle list tool.bundle --policy policy.yaml --format json
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@bundle_key_option
@policy_option
@common
def command(session: Session, *, file: Path, keys: tuple[str, ...], policy: Path | None) -> None:
    """List and verify what is in a bundle, offline.

    Every byte is compared with its digest, the bundle with its list of contents, and source
    packages with what archives signed. With --key, or a policy that names who signs bundles, the
    list must be signed. The images' own signatures are verified by 'homeport bundle load'.
    """
    with session.app() as app:
        verification = source_verification(policy=policy, require_signature=False, no_verify=False)
        result = app.list_bundle(file, verification=verification, keys=keys)
    rows = [(one.name, one.digest, str(one.attached), str(one.packages), sources_text(one.sources))
            for one in result.images]  # fmt: skip
    header = columns("image", "digest", "attached", "packages", "sources", right=(2, 3), least=19)
    lines = [
        session.screen.table(header, rows),
        *(f"included {name}" for name in result.files),
        f"{result.file}, {human_size(result.size)}: {contents_text(result)}",
    ]
    session.output.write(
        msgspec.to_builtins(result), "\n".join(lines),
        quiet_text="\n".join(one.name for one in result.images),
    )  # fmt: skip
