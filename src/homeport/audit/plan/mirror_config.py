"""Configuration files that redirect pulls to a mirror."""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from homeport.audit.model import Use
from homeport.audit.plan.editing import values_at_home
from homeport.audit.plan.planfile import ConfigFile, Plan
from homeport.content.files import write_file
from homeport.oci.reference import DEFAULT_REGISTRY, Reference


def engine_configs(
    references: Iterable[Reference], home: str, frontends: Iterable[Reference] = ()
) -> tuple[ConfigFile, ...]:
    """Ways to pull all of them from below ``home`` without editing what names them.

    frontends: those among them that BuildKit runs to read a file (``# syntax=``)
    """
    every = sorted(set(references), key=str)
    mirrors = {r.registry: f"{home}/{r.registry.replace(':', '_').lower()}" for r in every}
    if not mirrors:
        return ()
    return (
        ConfigFile(
            engine="buildkit", file="buildkitd.toml",
            text="".join(
                f'[registry."{host}"]\n  mirrors = ["{to}"]\n' for host, to in mirrors.items()
            )
            + _allowed(frontends, mirrors),
        ),
        ConfigFile(
            engine="podman", file="/etc/containers/registries.conf",
            text="".join(
                f'[[registry]]\nprefix = "{host}"\nlocation = "{host}"\n'
                f'[[registry.mirror]]\nlocation = "{to}"\n' for host, to in mirrors.items()
            ),
        ),
        *(_containerd(host, to) for host, to in mirrors.items()),
        ConfigFile(
            engine="buildx", file="EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
            text=json.dumps({"rules": [_rule(r, mirrors) for r in every]}, indent=1) + "\n",
        ),
    )  # fmt: skip


def _allowed(frontends: Iterable[Reference], mirrors: Mapping[str, str]) -> str:
    """What restricts an engine to these frontends: to uncomment, as it stops all others."""
    names = sorted({
        name for r in frontends for name in (r.name, f"{mirrors[r.registry]}/{r.repository}")
    })  # fmt: skip
    if not names:
        return ""
    listed = ", ".join(f'"{name}"' for name in names)
    return (
        "# The frontends (# syntax=) of these builds; uncommented, no build may use another.\n"
        f'# [frontend."gateway.v0"]\n#   allowedRepositories = [{listed}]\n'
    )


def _containerd(host: str, mirror: str) -> ConfigFile:
    registry, _, path = mirror.partition("/")
    server = "https://registry-1.docker.io" if host == DEFAULT_REGISTRY else f"https://{host}"
    return ConfigFile(
        engine="containerd", file=f"/etc/containerd/certs.d/{host}/hosts.toml",
        text=f'server = "{server}"\n[host."https://{registry}/v2/{path}"]\n'
        '  capabilities = ["pull", "resolve"]\n  override_path = true\n',
    )  # fmt: skip


def _rule(reference: Reference, mirrors: Mapping[str, str]) -> dict[str, Any]:
    """One rule of a BuildKit source policy."""
    rest = str(reference).removeprefix(f"{reference.registry}/")
    to = f"docker-image://{mirrors[reference.registry]}/{rest}"
    return {
        "action": "CONVERT",
        "selector": {"identifier": f"docker-image://{reference}"},
        "updates": {"identifier": to},
    }


def helm_values(uses: Iterable[Use], home: Reference) -> tuple[ConfigFile, ...]:
    """Values of one's own that make charts use ``home``, a file for each chart."""
    charts: dict[str, dict[str, Any]] = defaultdict(dict)
    for use in uses:
        for file, key, text in values_at_home(use, home):
            _put(charts[posixpath.dirname(file)], key, text)
    return tuple(
        ConfigFile(
            engine="helm", file=f"a values file for {folder or 'the chart'} (helm -f)",
            text=yaml.safe_dump(values, sort_keys=False, width=1 << 30),
        ) for folder, values in sorted(charts.items()) if values
    )  # fmt: skip


def write_config_files(plan: Plan, folder: Path) -> Plan:
    """Write every configuration of a plan below ``folder``; the plan without their text."""
    every = [*plan.config_files, *(each for image in plan.images for each in image.config_files)]
    names: dict[str, int] = {}
    for each in every:
        name = _file_name(each)
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            stem, dot, ending = name.rpartition(".")
            name = f"{stem}-{names[name]}{dot}{ending}"
        write_file(folder / name, each.text.encode())
    images = tuple(msgspec.structs.replace(image, config_files=()) for image in plan.images)
    return msgspec.structs.replace(plan, config_files=(), images=images)


def _file_name(config: ConfigFile) -> str:
    """A path below a folder of ours: hosts come from audited files."""
    if config.engine == "signatures":
        return config.file.removeprefix("/etc/containers/")
    if config.engine == "containerd":
        host = re.sub(r"[^A-Za-z0-9.:_-]", "_", config.file.split("/")[-2])
        return f"certs.d/{host.strip('.') or '_'}/hosts.toml"
    return {
        "buildkit": "buildkitd.toml", "podman": "registries.conf",
        "buildx": "source-policy.json", "helm": "helm-values.yaml",
    }[config.engine]  # fmt: skip


def _put(values: dict[str, Any], key: str, text: str) -> None:
    if "[" in key:  # a list is replaced as a whole; that is for a person
        return
    name, dot, rest = key.partition(".")
    if not dot:
        values[name] = text
        return
    inner = values.setdefault(name, {})
    if isinstance(inner, dict):
        _put(inner, rest, text)
