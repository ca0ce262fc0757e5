"""Policies for admission: sigstore's ClusterImagePolicy and Kyverno's ImageValidatingPolicy.

Both look at the names that pods write; a name without a tag, or a short one of Docker Hub, must not
slip through. Of several policies that match an image all must hold, so rules that are narrower
than another are excepted there, or told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from homeport.attest.policy.emitted import Pin, SignedRule, as_yaml, for_admission
from homeport.attest.policy.reading import LoadedPolicy
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer

_HUB = "docker.io/"
#: A first word that is no host: policies see the names of Docker Hub's images as pods have them.
_NO_HOST = "^([^/.:]+/.*|[^/]+)$"


def cluster_image_policy(
    _loaded: LoadedPolicy, rules: Sequence[SignedRule], _pins: Sequence[Pin], left_out: list[str]
) -> dict[str, str]:
    """One of the authorities of a policy must have signed; all of them: a policy for each."""
    documents = []
    for one in for_admission(rules, left_out):
        if one.threshold not in (1, len(one.signers)):
            left_out.append(f"{one.name}: {one.threshold} of {len(one.signers)} signers")
            continue
        if one.exceptions:
            left_out.append(
                f"{', '.join(one.exceptions)}: narrower than {one.name}, which must hold, too"
            )
        every = [one.signers] if one.threshold == 1 else [(signer,) for signer in one.signers]
        for number, signers in enumerate(every):
            name = resource_name(one, str(number + 1) if number else "")
            documents.append(_policy(one, name, signers))
    return {"cluster-image-policies.yaml": as_yaml(*documents)}


def _policy(one: SignedRule, name: str, signers: Sequence[Signer]) -> dict[str, Any]:
    return {
        "apiVersion": "policy.sigstore.dev/v1alpha1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {
            "images": [{"glob": glob} for glob in _globs(one)],
            "mode": "warn" if one.rule.enforce == "warn" else "enforce",
            "authorities": [each for signer in signers for each in _authorities(signer)],
        },
    }


def _globs(one: SignedRule) -> Iterator[str]:
    """By the full names that the controller makes: with a tag, Docker Hub as index.docker.io."""
    for pattern in one.rule.match:
        name = f"index.{pattern}" if pattern.startswith(_HUB) else pattern
        if name.endswith("*"):
            yield f"{name}*"
        else:
            yield from (f"{name}:*", f"{name}@*")


def _authorities(signer: Signer) -> Iterator[dict[str, Any]]:
    name = re.sub(r"[^a-z0-9-]+", "-", signer.name.lower()).strip("-")
    if isinstance(signer, KeySigner):
        for number, key in enumerate(signer.keys):
            yield {
                "name": f"{name}-{number + 1}" if number else name,
                "key": {"data": key.pem.decode(), "hashAlgorithm": "sha256"},
            }
        return
    yield {
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


def kyverno(
    _loaded: LoadedPolicy, rules: Sequence[SignedRule], _pins: Sequence[Pin], left_out: list[str]
) -> dict[str, str]:
    documents = [_kyverno_policy(one) for one in for_admission(rules, left_out)]
    return {"image-validating-policies.yaml": as_yaml(*documents)}


def _kyverno_policy(one: SignedRule) -> dict[str, Any]:
    names: list[list[str]] = []
    attestors: list[dict[str, Any]] = []
    for signer in one.signers:
        made = list(_attestors(signer, f"signer{len(names)}"))
        names.append([f"attestors.{each['name']}" for each in made])
        attestors += made
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["pods"]}  # fmt: skip
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": resource_name(one)},
        "spec": {
            "validationActions": ["Audit" if one.rule.enforce == "warn" else "Deny"],
            "matchConstraints": {"resourceRules": [pods]},
            "matchImageReferences": [{"expression": _matches(one)}],
            "attestors": attestors,
            "validations": [
                {"expression": _signed(names, one.threshold), "message": f"not signed: {one.name}"}
            ],
        },
    }


def _signed(names: Sequence[Sequence[str]], threshold: int) -> str:
    """Every image of the pod that matches; Kyverno counts the attestors that verified."""
    images = "images.containers + images.initContainers + images.ephemeralContainers"
    if threshold == 1:
        every = ", ".join(name for some in names for name in some)
        return f"({images}).all(image, verifyImageSignatures(image, [{every}]) > 0)"
    calls = ", ".join(f"verifyImageSignatures(image, [{', '.join(some)}]) > 0" for some in names)
    return f"({images}).all(image, [{calls}].filter(signed, signed).size() >= {threshold})"


def _matches(one: SignedRule) -> str:
    """By the names as pods have them, without those that a narrower rule is for."""
    found = " || ".join(_named(pattern) for pattern in one.rule.match)
    if not one.exceptions:
        return found
    but = " || ".join(_named(pattern) for pattern in one.exceptions)
    return f"({found}) && !({but})"


def _named(pattern: str) -> str:
    """Whether ``ref`` is one of these images, with its host or by a short name of Docker Hub."""
    names = [pattern]
    if pattern.startswith(_HUB):
        short = pattern.removeprefix(_HUB)
        names += [f"index.{pattern}", short]
        if short.startswith("library/"):
            names += [f"{host}{short.removeprefix('library/')}" for host in (_HUB, "")]
    tests = []
    for name in names:
        if not name.endswith("*"):
            tests += [f"ref == {_text(name)}", f"ref.startsWith({_text(name + ':')})",
                      f"ref.startsWith({_text(name + '@')})"]  # fmt: skip
        elif name == "*":  # short names: of the library alone, or of all of Docker Hub
            official = "library/*" in names
            tests.append("!ref.contains('/')" if official else f"ref.matches({_text(_NO_HOST)})")
        elif name != f"{_HUB}*" or "library/*" not in names:
            tests.append(f"ref.startsWith({_text(name[:-1])})")
        else:
            tests.append(f"ref.matches({_text('^docker[.]io/[^/]+$')})")
    return " || ".join(tests)


def _text(value: str) -> str:
    """A string of CEL, which has JSON's escapes."""
    return json.dumps(value)


def _attestors(signer: Signer, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(signer, KeySigner):
        for number, key in enumerate(signer.keys):
            cosign = {
                "key": {"data": key.pem.decode()},
                "ctlog": {"insecureIgnoreTlog": signer.root is None},
            }
            yield {"name": f"{name}key{number}" if number else name, "cosign": cosign}
        return
    yield {"name": name, "cosign": {"keyless": {"identities": list(_identities(signer))}}}


def resource_name(one: SignedRule, more: str = "") -> str:
    """A name that Kubernetes takes, from the rule's first pattern."""
    text = re.sub(r"[^a-z0-9]+", "-", one.rule.match[0].lower()).strip("-")
    name = f"homeport-{text}"[:60].rstrip("-")
    return f"{name}-{more}" if more else name
