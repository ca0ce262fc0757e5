"""Options of commands that verify an image before they copy it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.attest.operations.policies import SourceVerification

policy_option = click.option(
    "--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Use this signature policy.  [default: the one that ships]",
)  # fmt: skip

bundle_key_option = click.option(
    "--key", "keys", multiple=True, metavar="KEY",
    help="Require that this public key, a file or env://VARIABLE, or one of several signed the"
    " bundle's list of contents. Repeatable.",
)  # fmt: skip

_OPTIONS = (
    policy_option,
    click.option(
        "--require-signature", is_flag=True,
        help="Exit with 3 also for images that the policy requires no signature of.",
    ),
    click.option("--no-verify", is_flag=True, help="Do not verify signatures."),
)  # fmt: skip


def verification_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; ``source_verification`` reads them."""
    return functools.reduce(lambda decorated, option: option(decorated), _OPTIONS[::-1], function)


def source_verification(
    *, policy: Path | None, require_signature: bool, no_verify: bool
) -> SourceVerification:
    """What the options say."""
    # 230 ms that --help saves
    from homeport.attest.operations.policies import SourceVerification

    if no_verify and (require_signature or policy is not None):
        raise UsageError("--no-verify cannot be combined with --policy or --require-signature")
    return SourceVerification(policy=policy, require=require_signature, skip=no_verify)
