"""What ``homeport sign`` and ``attest`` do, with typed results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.select import open_attached
from homeport.attest.keyless import open_keyless
from homeport.attest.keys.private_key import AskPassword
from homeport.attest.keys.sources import load_private_key
from homeport.attest.operations.access import Access
from homeport.attest.predicates import check_predicate, predicate_uri
from homeport.attest.signing import (
    KeyMethod,
    SignedSubject,
    SigningMethod,
    SignRequest,
    bare_referrer,
    sign_image,
)
from homeport.attest.sigstore.signing_config import public_signing_config, read_signing_config
from homeport.attest.sigstore.trusted_root import find_trusted_root
from homeport.attest.statement import PREDICATE_TYPES
from homeport.content.files import read_input
from homeport.errors import UsageError
from homeport.images.address import parse_source
from homeport.images.image import Image, Index

#: Bytes of a predicate: as much as BuildKit takes for a statement.
PREDICATE_LIMIT = 40 << 20


#: Predicates that scanners also look for without a signature (trivy --sbom-sources oci).
_SBOMS = {
    PREDICATE_TYPES["spdx"]: "application/spdx+json",
    PREDICATE_TYPES["cyclonedx"]: "application/vnd.cyclonedx+json",
}


class SignOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to sign.

    key:         file or ``env://NAME``; empty: an identity token is used (``keyless``)
    identity_token: or ``env://NAME``; by default that of the CI system
    signing_config, trusted_root: of a Sigstore of one's own; by default the public-good instance
    reference:   the name in legacy signatures, instead of the repository
    annotations: further text that is signed
    dry_run:     find out what is missing, and write nothing
    """

    key: str = ""
    identity_token: str = ""
    signing_config: Path | None = None
    trusted_root: Path | None = None
    reference: str = ""
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    dry_run: bool = False


class SignResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed by whom; ``dry_run``: what would be."""

    image: str
    digest: str
    signer: str
    subjects: tuple[SignedSubject, ...]
    dry_run: bool = False


def sign(
    image: str, options: SignOptions, access: Access, ask_password: AskPassword | None
) -> SignResult:
    """Sign an image: index and platforms, in both forms."""
    request = SignRequest(reference=options.reference, annotations=options.annotations)
    return _sign(image, options, request, access, ask_password)


def attest(
    image: str, predicate_type: str, predicate: Path, options: SignOptions, *, access: Access,
    ask_password: AskPassword | None,
) -> SignResult:  # fmt: skip
    """Attest the predicate in a file about the digest that an address leads to."""
    uri, document = predicate_uri(predicate_type), read_predicate(predicate)
    check_predicate(predicate_type, document, str(predicate))
    request = SignRequest(predicate_type=uri, predicate=document, platforms=False)
    done = _sign(image, options, request, access, ask_password)
    media_type = _SBOMS.get(request.predicate_type)
    if media_type is not None and not options.dry_run:
        with open_attached(parse_source(image), access.registry, access.runtime) as (value, where):
            content = msgspec.json.encode(request.predicate)
            where.write_referrers([bare_referrer(value.document.descriptor(), content, media_type)])
    return done


def read_predicate(path: Path) -> Any:
    """A predicate: a JSON object. Raises ``UsageError``."""
    raw = read_input(path, PREDICATE_LIMIT)
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}", where={"file": str(path)}) from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is not a JSON object", where={"file": str(path)})
    return found


def open_signer(
    options: SignOptions, access: Access, ask_password: AskPassword | None
) -> SigningMethod:
    """The signer that ``options`` name: its key is read, its certificate issued."""
    if not options.key:
        config = (
            read_signing_config(options.signing_config)
            if options.signing_config is not None
            else public_signing_config()
        )
        return open_keyless(
            config, find_trusted_root(options.trusted_root), options.identity_token,
            access.environment, client=access.client, now=datetime.now(UTC),
        )  # fmt: skip
    if options.identity_token or options.signing_config or options.trusted_root:
        raise UsageError(
            "--key cannot be combined with --identity-token, --signing-config or --trusted-root"
        )
    key = load_private_key(options.key, access.environment, ask_password)
    return KeyMethod(key)


def sign_written(
    value: Image | Index, attached: Attached, method: SigningMethod, access: Access
) -> None:
    """Sign an image that was just written where ``attached`` is. Safe to run again."""
    sign_image(value, attached, method, SignRequest(), access.runtime.pools.network)


def sign_artifact(value: Image, attached: Attached, method: SigningMethod, access: Access) -> str:
    """Sign an artifact of a layout, whatever it may be called; the signer's name."""
    sign_written(value, attached, method, access)
    return method.name


def attest_built(
    image: Image, predicate: Any, attached: Attached, method: SigningMethod, access: Access
) -> None:
    """Attest SLSA provenance about one manifest. Safe to run again."""
    request = SignRequest(
        predicate_type=predicate_uri("slsa"), predicate=predicate, platforms=False
    )
    sign_image(image, attached, method, request, access.runtime.pools.network)


def _sign(
    image: str, options: SignOptions, request: SignRequest, access: Access,
    ask_password: AskPassword | None,
) -> SignResult:  # fmt: skip
    method = open_signer(options, access, ask_password)
    with open_attached(parse_source(image), access.registry, access.runtime) as (value, attached):
        subjects = sign_image(
            value, attached, method, request, access.runtime.pools.network,
            dry_run=options.dry_run,
        )  # fmt: skip
    return SignResult(
        image=image, digest=str(value.digest), signer=method.name, subjects=tuple(subjects),
        dry_run=options.dry_run,
    )  # fmt: skip
