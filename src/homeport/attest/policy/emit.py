"""Policies in the forms of other tools, made from one file.

What a form cannot say is left out and named: a policy that says less than it seems to is worse
than none. Formats: containers-policy.json(5) and containers-registries.d(5); sigstore's
ClusterImagePolicy; Kyverno's ImageValidatingPolicy; Rego for buildx; BuildKit's source policy.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from homeport.attest.policy.buildx_form import rego
from homeport.attest.policy.emitted import (
    EmittedPolicy,
    Pin,
    SignedRule,
    as_yaml,
    narrower,
    unsaid,
)
from homeport.attest.policy.kubernetes_forms import cluster_image_policy, kyverno
from homeport.attest.policy.reading import LoadedPolicy
from homeport.attest.verification.signers import IdentitySigner, KeySigner
from homeport.errors import UsageError


def emit(target: str, loaded: LoadedPolicy, pins: Sequence[Pin] = ()) -> EmittedPolicy:
    """The policy in the form of ``target``. Raises ``UsageError`` for an unknown one."""
    if target not in TARGETS:
        raise UsageError(f"unknown form {target!r}", hint=f"use {', '.join(TARGETS)}")
    rules = [
        SignedRule(
            rule=rule, signers=loaded.signers(rule),
            on_attestations=any(
                loaded.policy.identities[name].signs == "attestation-manifest"
                for name in rule.identity
            ),
            exceptions=narrower(rule, loaded.policy.images),
        )
        for rule in loaded.policy.images
    ]  # fmt: skip
    left_out: list[str] = []
    if target in SIGNATURES:
        left_out += [text for one in rules for text in unsaid(one)]
    files = TARGETS[target](loaded, rules, list(pins), left_out)
    return EmittedPolicy(target=target, files=files, left_out=tuple(dict.fromkeys(left_out)))


def _containers(
    loaded: LoadedPolicy, rules: list[SignedRule], _pins: list[Pin], left_out: list[str]
) -> dict[str, str]:
    """policy.json for skopeo, podman, CRI-O; registries.d, without which they see no signature."""
    accept: list[dict[str, Any]] = [{"type": "insecureAcceptAnything"}]
    scopes: dict[str, list[dict[str, Any]]] = {}
    registries: dict[str, dict[str, bool]] = {}
    for one in rules:
        for pattern in one.rule.match:
            scope = pattern.removesuffix("/*")
            if "*" in scope:
                left_out.append(f"{pattern}: scopes end at a slash")
                continue
            if one.rule.unsigned or one.rule.enforce == "warn":
                scopes[scope] = accept
                continue
            wanted = _requirements(one, left_out)
            if wanted is not None:
                scopes[scope] = wanted
                registries[scope] = {"use-sigstore-attachments": True}
    default = accept if loaded.policy.default == "warn" else [{"type": "reject"}]
    policy = {"default": default, "transports": {"docker": scopes}}
    return {
        "policy.json": msgspec.json.format(msgspec.json.encode(policy), indent=2).decode() + "\n",
        "registries.d/homeport.yaml": as_yaml({"docker": registries}),
    }


def _requirements(one: SignedRule, left_out: list[str]) -> list[dict[str, Any]] | None:
    """A list of which all must hold; ``None`` if the format has no words for what is required."""
    if one.on_attestations:
        left_out.append(f"{one.name}: signed on attestation manifests, which are not looked at")
        return None
    identity: dict[str, Any] = {"type": "matchRepository"}
    if one.rule.signed_as:
        identity = {"type": "exactRepository", "dockerRepository": one.rule.signed_as[0]}
    base = {"type": "sigstoreSigned", "signedIdentity": identity}
    keys = [one for one in one.signers if isinstance(one, KeySigner)]
    if len(keys) == len(one.signers):
        groups = [keys] if one.threshold == 1 else [[each] for each in keys]
        if one.threshold not in (1, len(keys)):
            left_out.append(f"{one.name}: {one.threshold} of {len(keys)} signers")
            return None
        return [base | _key_data(group) for group in groups]
    (signer,) = one.signers if len(one.signers) == 1 else (None,)
    mail = isinstance(signer, IdentitySigner) and len(signer.names) == 1 and "://" not in (
        signer.names[0]
    )  # fmt: skip
    if not isinstance(signer, IdentitySigner) or not mail or signer.claims:
        left_out.append(f"{one.name}: the format has room for one identity only, an e-mail address")
        return None
    certificates = [pem for each in signer.root.authorities[-1:] for pem in _pems(each.chain)]
    return [
        base
        | {
            "fulcio": {
                "caData": _base64(b"".join(certificates)), "oidcIssuer": signer.issuer,
                "subjectEmail": signer.names[0],
            },
            "rekorPublicKeyData": _base64(signer.root.logs[0].key.pem),
        }
    ]  # fmt: skip


def _key_data(signers: Sequence[KeySigner]) -> dict[str, Any]:
    keys = [_base64(key.pem) for one in signers for key in one.keys]
    return {"keyData": keys[0]} if len(keys) == 1 else {"keyDatas": keys}


def _buildkit(
    loaded: LoadedPolicy, rules: list[SignedRule], pins: list[Pin], left_out: list[str]
) -> dict[str, str]:
    """Pins what was verified; where the default rejects, denies every other image."""
    found: list[dict[str, Any]] = []
    if loaded.policy.default == "reject":
        found.append(_source_rule("DENY", "docker-image://*", "WILDCARD"))
    for pin in pins:
        pinned = f"docker-image://{pin.reference.name}@{pin.digest}"
        if pin.reference.tag:
            rule = _source_rule(
                "CONVERT", f"docker-image://{pin.reference.with_tag(pin.reference.tag)}", "EXACT"
            )
            found.append(rule | {"updates": {"identifier": pinned}})
        found.append(_source_rule("ALLOW", pinned, "EXACT"))
    if not pins:
        left_out.append("no image was named, so that none is pinned")
    left_out += [f"{one.name}: signatures; BuildKit verifies none here" for one in rules
                 if not one.rule.unsigned]  # fmt: skip
    policy = {"version": 1, "rules": found}
    text = msgspec.json.format(msgspec.json.encode(policy), indent=2).decode()
    return {"source-policy.json": text + "\n"}


def _source_rule(action: str, identifier: str, match: str) -> dict[str, Any]:
    return {"action": action, "selector": {"identifier": identifier, "match_type": match}}


_Emitter = Callable[[LoadedPolicy, list[SignedRule], list[Pin], list[str]], dict[str, str]]
#: Those that verify signatures themselves, after Homeport.
SIGNATURES = ("containers", "clusterimagepolicy", "kyverno")
TARGETS: dict[str, _Emitter] = {
    "containers": _containers, "clusterimagepolicy": cluster_image_policy, "kyverno": kyverno,
    "rego": rego, "buildkit": _buildkit,
}  # fmt: skip


def _pems(chain: Sequence[Any]) -> list[bytes]:
    return [certificate.public_bytes(Encoding.PEM) for certificate in chain]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
