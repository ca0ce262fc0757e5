"""Settings of engines that send a pull elsewhere, as text to be put into their files."""

from __future__ import annotations

import json

from homeport.audit.planfile import Instead
from homeport.oci.reference import DEFAULT_REGISTRY, Reference


def instead_of(reference: Reference, home: str) -> tuple[Instead, ...]:
    """Ways to pull ``reference`` from below ``home`` without editing what names it."""
    host = reference.registry
    mirror = f"{home}/{host.replace(':', '_').lower()}"
    registry, _, path = mirror.partition("/")
    server = "https://registry-1.docker.io" if host == DEFAULT_REGISTRY else f"https://{host}"
    policy = {
        "rules": [
            {
                "action": "CONVERT",
                "selector": {"identifier": f"docker-image://{reference}"},
                "updates": {"identifier": f"docker-image://{mirror}/{_rest(reference)}"},
            }
        ]
    }
    return (
        Instead(
            engine="buildkit", file="buildkitd.toml",
            text=f'[registry."{host}"]\n  mirrors = ["{mirror}"]\n',
        ),
        Instead(
            engine="podman", file="/etc/containers/registries.conf",
            text=f'[[registry]]\nprefix = "{host}"\nlocation = "{host}"\n'
            f'[[registry.mirror]]\nlocation = "{mirror}"\n',
        ),
        Instead(
            engine="containerd", file=f"/etc/containerd/certs.d/{host}/hosts.toml",
            text=f'server = "{server}"\n[host."https://{registry}/v2/{path}"]\n'
            '  capabilities = ["pull", "resolve"]\n  override_path = true\n',
        ),
        Instead(
            engine="buildx", file="EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
            text=json.dumps(policy, indent=2) + "\n",
        ),
    )  # fmt: skip


def _rest(reference: Reference) -> str:
    return str(reference).removeprefix(f"{reference.registry}/")
