"""Policies in the forms of other tools, made from one file.

What a form cannot say is left out and named: a policy that says less than it seems to is worse
than none. Formats: containers-policy.json(5) and containers-registries.d(5); sigstore's
ClusterImagePolicy; Kyverno's ImageValidatingPolicy; Rego for buildx; BuildKit's source policy.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from homeport.attest.policy.model import PolicyRule
from homeport.attest.policy.reading import LoadedPolicy
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.oci.reference import Reference


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was verified, and its digest."""

    reference: Reference
    digest: Digest


class EmittedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Files by name, and what the form cannot say."""

    target: str
    files: dict[str, str]
    left_out: tuple[str, ...] = ()


class _Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with the signers that it names."""

    rule: PolicyRule
    signers: tuple[Signer, ...]
    on_attestations: bool

    @property
    def name(self) -> str:
        return ", ".join(self.rule.match)

    @property
    def threshold(self) -> int:
        return self.rule.threshold


def emit(target: str, loaded: LoadedPolicy, pins: Sequence[Pin] = ()) -> EmittedPolicy:
    """The policy in the form of ``target``. Raises ``UsageError`` for an unknown one."""
    if target not in TARGETS:
        raise UsageError(f"unknown form {target!r}", hint=f"use {', '.join(TARGETS)}")
    rules = [
        _Rule(
            rule=rule, signers=loaded.signers(rule),
            on_attestations=any(
                loaded.policy.identities[name].signs == "attestation-manifest"
                for name in rule.identity
            ),
        )
        for rule in loaded.policy.images
    ]  # fmt: skip
    left_out: list[str] = []
    files = TARGETS[target](loaded, rules, list(pins), left_out)
    return EmittedPolicy(target=target, files=files, left_out=tuple(dict.fromkeys(left_out)))


def _containers(
    loaded: LoadedPolicy, rules: list[_Rule], _pins: list[Pin], left_out: list[str]
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
        "registries.d/homeport.yaml": _yaml({"docker": registries}),
    }


def _requirements(one: _Rule, left_out: list[str]) -> list[dict[str, Any]] | None:
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


def _cluster_image_policy(
    _loaded: LoadedPolicy, rules: list[_Rule], _pins: list[Pin], left_out: list[str]
) -> dict[str, str]:
    documents = []
    for one in _sayable(rules, left_out):
        document = {
            "apiVersion": "policy.sigstore.dev/v1alpha1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": _resource_name(one)},
            "spec": {
                "images": [{"glob": glob} for glob in _globs(one, "**")],
                "mode": "warn" if one.rule.enforce == "warn" else "enforce",
                "authorities": [_authority(signer) for signer in one.signers],
            },
        }
        documents.append(document)
        if one.threshold != 1:
            left_out.append(f"{one.name}: a threshold of {one.threshold}; any signer is accepted")
    return {"cluster-image-policies.yaml": _yaml(*documents)}


def _authority(signer: Signer) -> dict[str, Any]:
    name = re.sub(r"[^a-z0-9-]+", "-", signer.name.lower()).strip("-")
    if isinstance(signer, KeySigner):
        return {
            "name": name,
            "key": {"data": signer.keys[0].pem.decode(), "hashAlgorithm": "sha256"},
        }
    return {
        "name": name,
        "keyless": {"identities": list(_identities(signer))},
        "ctlog": {"url": "https://rekor.sigstore.dev"},
    }


def _identities(signer: IdentitySigner) -> Iterator[dict[str, str]]:
    for name in signer.names:
        if name.endswith("*"):
            yield {"issuer": signer.issuer, "subjectRegExp": f"^{re.escape(name[:-1])}.*$"}
        else:
            yield {"issuer": signer.issuer, "subject": name}


def _kyverno(
    _loaded: LoadedPolicy, rules: list[_Rule], _pins: list[Pin], left_out: list[str]
) -> dict[str, str]:
    documents = []
    for one in _sayable(rules, left_out):
        names = [f"signer{number}" for number, _ in enumerate(one.signers)]
        calls = [
            f"images.containers.map(image, verifyImageSignatures(image, [attestors.{name}]))"
            ".all(count, count > 0)"
            for name in names
        ]
        if one.threshold not in (1, len(calls)):
            left_out.append(f"{one.name}: {one.threshold} of {len(calls)} signers")
            continue
        join = " || " if one.threshold == 1 else " && "
        attestors = [
            {"name": name, "cosign": _attestor(signer)}
            for name, signer in zip(names, one.signers, strict=True)
        ]
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["pods"]}  # fmt: skip
        documents.append(
            {
                "apiVersion": "policies.kyverno.io/v1",
                "kind": "ImageValidatingPolicy",
                "metadata": {"name": _resource_name(one)},
                "spec": {
                    "validationActions": ["Audit" if one.rule.enforce == "warn" else "Deny"],
                    "matchConstraints": {"resourceRules": [pods]},
                    "matchImageReferences": [{"glob": glob} for glob in _globs(one, "*")],
                    "attestors": attestors,
                    "validations": [
                        {"expression": join.join(calls), "message": f"not signed: {one.name}"}
                    ],
                },
            }
        )
    return {"image-validating-policies.yaml": _yaml(*documents)}


def _attestor(signer: Signer) -> dict[str, Any]:
    if isinstance(signer, KeySigner):
        return {
            "key": {"data": signer.keys[0].pem.decode()},
            "ctlog": {"insecureIgnoreTlog": signer.root is None},
        }
    return {"keyless": {"identities": list(_identities(signer))}}


def _rego(
    loaded: LoadedPolicy, rules: list[_Rule], pins: list[Pin], left_out: list[str]
) -> dict[str, str]:
    """buildx verifies Docker's own chain itself; signatures with keys it never sees."""
    lines = [
        "# Images by digest, as homeport verified them; local files and others as below.",
        "package docker", "", "default allow := false", "", "allow if not input.image",
    ]  # fmt: skip
    for pin in pins:
        name = pin.reference.name.removeprefix("docker.io/library/").removeprefix("docker.io/")
        lines += ["", "allow if {", f'\tinput.image.fullRepo == "{pin.reference.name}"',
                  f'\tinput.image.checksum == "{pin.digest}"', f"}}  # {name}"]  # fmt: skip
    if loaded.policy.default == "warn":
        lines += ["", "allow if not governed", ""]
        for one in rules:
            for pattern in one.rule.match if _rejects(one.rule) else ():
                test = (
                    f'startswith(input.image.fullRepo, "{pattern[:-1]}")'
                    if pattern.endswith("*")
                    else f'input.image.fullRepo == "{pattern}"'
                )
                lines.append(f"governed if {test}")
    lines += ["", 'decision := {"allow": allow, "deny_msg": ["not an image that was verified"]}']
    if not pins:
        left_out.append("no image was named, so that the governed ones are all refused")
    return {"policy.rego": "\n".join(lines) + "\n"}


def _buildkit(
    loaded: LoadedPolicy, rules: list[_Rule], pins: list[Pin], left_out: list[str]
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


_Emitter = Callable[[LoadedPolicy, list[_Rule], list[Pin], list[str]], dict[str, str]]
TARGETS: dict[str, _Emitter] = {
    "containers": _containers, "clusterimagepolicy": _cluster_image_policy, "kyverno": _kyverno,
    "rego": _rego, "buildkit": _buildkit,
}  # fmt: skip


def _rejects(rule: PolicyRule) -> bool:
    return not rule.unsigned and rule.enforce == "reject"


def _sayable(rules: Sequence[_Rule], left_out: list[str]) -> Iterator[_Rule]:
    """Rules that admission controllers can check: signatures of the image itself."""
    for one in rules:
        claims = [s for s in one.signers if isinstance(s, IdentitySigner) and s.claims]
        if one.rule.unsigned:
            continue
        if one.on_attestations:
            left_out.append(f"{one.name}: signed on attestation manifests, which are not looked at")
        elif claims:
            left_out.append(f"{one.name}: what certificates say besides the name")
        else:
            yield one


def _globs(one: _Rule, rest: str) -> list[str]:
    """Patterns of references: every tag and digest of a repository, or all below a prefix."""
    found: list[str] = []
    for pattern in one.rule.match:
        found += (
            [pattern[:-1] + rest] if pattern.endswith("*") else [f"{pattern}:*", f"{pattern}@*"]
        )
    return found


def _resource_name(one: _Rule) -> str:
    text = re.sub(r"[^a-z0-9]+", "-", one.rule.match[0].lower()).strip("-")
    return f"homeport-{text}"[:63].rstrip("-")


def _pems(chain: Sequence[Any]) -> list[bytes]:
    return [certificate.public_bytes(Encoding.PEM) for certificate in chain]


def _yaml(*documents: Any) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=len(documents) > 1)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
