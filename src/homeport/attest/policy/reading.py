"""Reading policies, and making signers of their identities."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from importlib import resources
from pathlib import Path

import msgspec

from homeport.attest.errors import BadKey
from homeport.attest.keys.public_key import PublicKey, decode_public_key
from homeport.attest.keys.sources import load_public_key
from homeport.attest.policy.model import POLICY_SCHEMA, PolicyIdentity, PolicyRule, SignaturePolicy
from homeport.attest.policy.versions import version_of
from homeport.attest.sigstore.trusted_root import Period, public_root, read_trusted_root
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.content.files import read_input
from homeport.errors import UsageError
from homeport.yamlfile.parse import BadYaml
from homeport.yamlfile.typed import TypedFile, read_typed

_LIMIT = 1 << 20
_SHIPPED = "shipped.yaml"


class BadPolicyFile(BadYaml):
    """A policy that cannot be read; file, line and field are named."""

    id = "bad-policy"


class LoadedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and where it is from; ``folder`` is ``None`` for the one that ships."""

    policy: SignaturePolicy
    name: str
    folder: Path | None
    environment: Mapping[str, str]

    def signers(self, rule: PolicyRule) -> tuple[Signer, ...]:
        """The signers that a rule names. Raises ``BadKey``, ``BadTrustedRoot``."""
        return tuple(
            _signer(name, self.policy.identities[name], rule, self) for name in rule.identity
        )

    def bundlers(self) -> tuple[Signer, ...]:
        """Who may have signed a bundle. Raises ``BadKey``, ``BadTrustedRoot``."""
        plain = PolicyRule(match=())
        names = self.policy.bundles
        return tuple(_signer(name, self.policy.identities[name], plain, self) for name in names)

    def rebuilders(self, rule: PolicyRule) -> tuple[Signer, ...]:
        """Whose rebuilds count. Nothing that the rule requires of its publisher holds for them."""
        plain = PolicyRule(match=rule.match)
        return tuple(
            _signer(name, self.policy.identities[name], plain, self) for name in rule.rebuilders
        )


def shipped_policy(environment: Mapping[str, str]) -> LoadedPolicy:
    """The policy that ships with Homeport."""
    raw = resources.files(__package__).joinpath(_SHIPPED).read_bytes()
    return parse_policy(raw, "the policy that ships with homeport", environment)


def read_policy(path: Path, environment: Mapping[str, str]) -> LoadedPolicy:
    """A policy of the user's. Raises ``BadPolicyFile``, or ``Faults`` of several."""
    raw = read_input(path, _LIMIT)
    return parse_policy(raw, str(path), environment, path.parent)


def parse_policy(
    raw: bytes, name: str, environment: Mapping[str, str], folder: Path | None = None
) -> LoadedPolicy:
    """Read a policy and check what its shape cannot say."""
    read = read_typed(raw, name, SignaturePolicy, BadPolicyFile)
    if read.value.schema != POLICY_SCHEMA:
        read.fault(["schema"], f"unknown schema {read.value.schema!r}", f"write {POLICY_SCHEMA}")
    for identity, value in read.value.identities.items():
        _check_identity(read, identity, value)
    for number, rule in enumerate(read.value.images):
        _check_rule(read, number, rule)
    _check_names(read, ["bundles"], read.value.bundles)
    return LoadedPolicy(policy=read.check(), name=name, folder=folder, environment=environment)


def _check_identity(read: TypedFile[SignaturePolicy], name: str, identity: PolicyIdentity) -> None:
    place = ["identities", name]
    if bool(identity.keys) == bool(identity.san):
        read.fault(place, f"{name}: exactly one of keys and san is required")
    if bool(identity.san) != bool(identity.issuer):
        read.fault(place, f"{name}: san and issuer are required together")
    for field in ("since", "until"):
        text: str = getattr(identity, field)
        if text and _date(text) is None:
            shown = "from" if field == "since" else field
            read.fault([*place, shown], f"invalid date {text!r}", "write it like 2026-12-31")


def _check_rule(read: TypedFile[SignaturePolicy], number: int, rule: PolicyRule) -> None:
    place: list[str | int] = ["images", number]
    for at, pattern in enumerate(rule.match):
        if "*" in pattern[:-1] or not pattern:
            read.fault([*place, "match", at], f"invalid pattern {pattern!r}",
                       "a * may only be at the end")  # fmt: skip
    if rule.unsigned == bool(rule.identity):
        read.fault(place, "exactly one of identity and unsigned is required")
    _check_names(read, [*place, "identity"], rule.identity)
    _check_names(read, [*place, "rebuilders"], rule.rebuilders)
    if not 0 <= rule.min_rebuilders <= len(rule.rebuilders) + 1:
        read.fault([*place, "min_rebuilders"], f"the publisher and {len(rule.rebuilders)}"
                   f" rebuilders cannot be {rule.min_rebuilders}")  # fmt: skip
    if rule.since and version_of(rule.since) is None:
        read.fault([*place, "since"], f"invalid version {rule.since!r}", "write it like 1.21")
    if not 1 <= rule.threshold <= max(1, len(rule.identity)):
        read.fault([*place, "threshold"], f"{len(rule.identity)} identities cannot be"
                   f" {rule.threshold} signers")  # fmt: skip


def _check_names(
    read: TypedFile[SignaturePolicy], place: Sequence[str | int], names: Sequence[str]
) -> None:
    for at, name in enumerate(names):
        if name not in read.value.identities:
            known = ", ".join(read.value.identities) or "none"
            read.fault([*place, at], f"unknown identity {name!r}", f"known: {known}")


def _signer(name: str, identity: PolicyIdentity, rule: PolicyRule, loaded: LoadedPolicy) -> Signer:
    root = public_root
    if identity.trusted_root:
        path = _beside(identity.trusted_root, loaded.folder)
        root = lambda: read_trusted_root(path)  # noqa: E731
    if identity.keys:
        return KeySigner(
            name=name, keys=tuple(_key(one, name, loaded) for one in identity.keys),
            period=Period(_moment(identity.since), _moment(identity.until, end=True)),
            root=root() if identity.log == "required" else None,
        )  # fmt: skip
    claims = {
        "build-signer-uri": identity.build_signer,
        "source-repository": rule.repository or identity.source_repository,
        "source-ref": identity.source_ref,
        "runner": identity.runner,
    }
    return IdentitySigner(
        name=name, names=identity.san, issuer=identity.issuer, root=root(),
        claims={claim: (pattern,) for claim, pattern in claims.items() if pattern},
    )  # fmt: skip


def _key(text: str, name: str, loaded: LoadedPolicy) -> PublicKey:
    """A key: base64 of its DER form, a variable, or a file beside the policy."""
    try:
        return decode_public_key(base64.b64decode(text, validate=True), f"the key of {name}")
    except (binascii.Error, ValueError, BadKey):
        place = text if "://" in text else str(_beside(text, loaded.folder))
        return load_public_key(place, loaded.environment)


def _beside(text: str, folder: Path | None) -> Path:
    if folder is None:
        raise UsageError(f"the policy that ships with homeport names a file, {text}")
    return folder / text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str, *, end: bool = False) -> datetime | None:
    """The first moment of a date, or its last."""
    found = _date(text) if text else None
    if found is None:
        return None
    return datetime.combine(found, time.max if end else time.min, UTC)
