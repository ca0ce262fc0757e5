"""``homeport verify``: whether an image is signed by whom it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.signing_options import ask_password, sign_options
from homeport.cli.verification_options import policy_option
from homeport.cli.verify_text import rebuild_text, verification_document, verification_text
from homeport.errors import AnswerNo, UsageError

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="verify",
    epilog="""\b
Examples:
  homeport verify registry.example/team/tool:1.0 --key cosign.pub
  homeport verify registry.example/team/tool:1.0 --issuer https://accounts.google.com \\
      --identity release@example.org
  homeport verify docker.io/docker/dockerfile:1
  homeport verify registry.example/team/tool:1.0 --rebuild --sign --sign-key cosign.key
  homeport verify registry.example/team/tool:1.0 --policy policy.yaml --min-rebuilders 2
""",
)
@click.argument("image")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY",
    help="Accept signatures of this public key: a file, or env://VARIABLE. Repeatable.",
)  # fmt: skip
@click.option(
    "--identity", "identities", multiple=True, metavar="NAME",
    help="Accept certificates of this e-mail address or URI; a final * makes a prefix."
    " Repeatable.",
)  # fmt: skip
@click.option("--issuer", default="", metavar="URL", help="Require this issuer of the identities.")
@click.option(
    "--trusted-root", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE", help="Trust these authorities and logs.  [default: those of sigstore.dev]",
)  # fmt: skip
@click.option(
    "--type", "types", multiple=True, metavar="TYPE",
    help="Require this attestation: spdx, cyclonedx, slsa, vex or a URI; 'signature' requires"
    " a signature too. Repeatable.  [default: a signature]",
)  # fmt: skip
@policy_option
@click.option(
    "--threshold", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Require this many different signers.",
)  # fmt: skip
@click.option(
    "--signed-as", multiple=True, metavar="REPOSITORY",
    help="Accept legacy signatures made for this repository, of which the image is a copy."
    " Repeatable.",
)  # fmt: skip
@click.option(
    "--every-platform", is_flag=True, help="Require signatures of every platform manifest too."
)
@click.option(
    "--rebuild", is_flag=True,
    help="Build the image again from its rebuild kit and compare the digests. Signatures are"
    " verified too if --key, --identity or --policy is given.",
)  # fmt: skip
@click.option(
    "--trust-kit",
    is_flag=True,
    help="Run the steps of the kit's recipe, and use archives and keys that it brings.",
)
@click.option(
    "--sign", is_flag=True,
    help="Sign that you built it with --rebuild: only if it is reproduced and its packages are"
    " verified.",
)  # fmt: skip
@click.option(
    "--sign-key", default="", metavar="KEY",
    help="Sign with this private key: a file, or env://VARIABLE.  [default: sign for the identity"
    " of a token, as homeport sign does]",
)  # fmt: skip
@click.option(
    "--min-rebuilders", type=click.IntRange(min=0), default=0, metavar="N",
    help="Require that this many have built the image: its publisher, and rebuilders that the"
    " policy names.",
)  # fmt: skip
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="[ARCHIVE=]URL",
    help="Fetch the packages of a rebuild from here. Repeatable.",
)  # fmt: skip
@registry_options
@common
def command(
    session: Session, *, image: str, access: RegistryAccess, rebuild: bool, trust_kit: bool,
    mirrors: tuple[str, ...], sign: bool, sign_key: str, **given: Any,
) -> None:  # fmt: skip
    """Verify who signed an image in a registry or an OCI layout.

    The digest that IMAGE leads to must be signed by one of the keys or identities, or, if none is
    given, as the policy says. Exits with 3 if it is not, with the reason for
    every signature that does not count.
    """
    if not rebuild and (trust_kit or mirrors or sign):
        raise UsageError("--trust-kit, --mirror and --sign require --rebuild")
    if sign_key and not sign:
        raise UsageError("--sign-key requires --sign")
    asked = ("keys", "identities", "policy", "min_rebuilders")
    if not rebuild or any(given[name] for name in asked):
        _verify(session, image, access, given)
    if rebuild:
        _rebuild(
            session, image, access, trust_kit=trust_kit, mirrors=mirrors,
            sign_key=sign_key if sign else None,
        )  # fmt: skip


def _verify(session: Session, image: str, access: RegistryAccess, given: dict[str, Any]) -> None:
    # 230 ms that --help saves
    from homeport.attest.operations.verifying import VerifyOptions, refuse_unverified

    with session.app() as app:
        result = app.verify(image, VerifyOptions(**given), access=access)
    session.output.write(
        verification_document(image, result), verification_text(image, result, session.screen),
        quiet_text=result.digest if result.verified else "",
    )  # fmt: skip
    refuse_unverified(image, result)


def _rebuild(
    session: Session, image: str, access: RegistryAccess, *, trust_kit: bool,
    mirrors: tuple[str, ...], sign_key: str | None,
) -> None:  # fmt: skip
    options = sign_options(key=sign_key, dry_run=False) if sign_key is not None else None
    with session.app() as app:
        result = app.rebuild(
            image, trust_kit=trust_kit, mirrors=mirrors, access=access, sign=options,
            ask_password=ask_password(),
        )  # fmt: skip
    session.output.write(
        msgspec.to_builtins(result), rebuild_text(result, session.screen),
        quiet_text=result.built if result.verdict == "reproduced" else "",
    )  # fmt: skip
    if result.verdict != "reproduced":
        raise AnswerNo(
            f"{image}: the rebuild differs: {result.difference}",
            where={"expected": result.expected, "built": result.built},
            hint=None if result.made_with == result.homeport
            else f"the image was made with Homeport {result.made_with}; this is {result.homeport}",
        )  # fmt: skip
    if options is not None and not result.signed:
        raise AnswerNo(
            f"{image} is reproduced, but not signed: its packages are {result.packages}",
            hint="build it with the lockfile's proof beside it (homeport lock)",
        )
