"""A signature policy for the copies at home, in the form of skopeo, podman and CRI-O.

Signatures travel with the copies, and name the repository that was signed: each copy has to be
signed for the repository that it came from (containers-policy.json(5), ``exactRepository``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from homeport.audit.plan.planfile import ConfigFile, PlanImage
from homeport.oci.reference import parse_reference

_FOLDER = "/etc/containers"


def signature_configs(images: Iterable[PlanImage], policy: str) -> tuple[ConfigFile, ...]:
    """What ``policy``, a policy.json, requires of images, for their copies at home."""
    scopes: dict[str, Any] = msgspec.json.decode(policy)["transports"]["docker"]
    found: dict[str, Any] = {}
    for image in images:
        if image.action != "import" or not image.home:
            continue
        name = parse_reference(image.image).name
        wanted = [
            {**one, "signedIdentity": {"type": "exactRepository", "dockerRepository": name}}
            for one in _covering(scopes, name) if one["type"] == "sigstoreSigned"
        ]  # fmt: skip
        if wanted:
            found[parse_reference(image.home).name] = wanted
    if not found:
        return ()
    document = {
        "default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": found}
    }  # fmt: skip
    registries = {"docker": {name: {"use-sigstore-attachments": True} for name in found}}
    return (
        ConfigFile(
            engine="signatures", file=f"{_FOLDER}/policy.json",
            text=msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n",
        ),
        ConfigFile(
            engine="signatures", file=f"{_FOLDER}/registries.d/homeport.yaml",
            text=yaml.safe_dump(registries, sort_keys=True, width=1 << 30),
        ),
    )  # fmt: skip


def _covering(scopes: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What the longest scope above a repository requires."""
    above = [scope for scope in scopes if name == scope or name.startswith(f"{scope}/")]
    return list(scopes[max(above, key=len)]) if above else []
