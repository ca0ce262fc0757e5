"""Settings of engines and runners: images they use, and mirrors that redirect pulls."""

from __future__ import annotations

from homeport.audit.formats import json, toml
from homeport.audit.formats.yaml import Node, entries, get, items, text_of, walk, written
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source, Written


def read_toml(source: Source, found: Collector, context: Context) -> None:
    """buildkitd.toml, registries.conf, containers.conf, containerd, hosts.toml, runners."""
    root = toml.document(source, found)
    if root is None:
        return
    _buildkitd(source, found, root)
    _registries(source, found, root)
    _hosts(source, found, root)
    _runners(source, found, root)
    infra = get(root, "engine", "infra_image") or get(root, "containers", "infra_image")
    if infra is not None and text_of(infra):
        found.image(written(source, infra), "engine.infra_image")
    pause = get(root, "crio", "image", "pause_image")
    if pause is not None and text_of(pause):
        found.image(written(source, pause), "crio.image.pause_image")
        found.cause("setting", "crio-pause", written(source, pause), key="crio.image.pause_image")
    for path, node, _ in walk(root):
        if path.endswith((".sandbox_image", ".pinned_images.sandbox")) and text_of(node):
            value = written(source, node)
            found.image(value, path)
            found.cause("setting", "containerd-sandbox", value, key=path)


def _mirror(found: Collector, registry: str, to: Written, engine: str, key: str) -> None:
    found.cause("mirror", registry, to, key=key, attributes={"to": to.text, "engine": engine})


def _buildkitd(source: Source, found: Collector, root: Node) -> None:
    for registry, node in entries(get(root, "registry")):
        for mirror in items(get(node, "mirrors")):
            key = f'registry."{registry}".mirrors'
            _mirror(found, registry, written(source, mirror), "buildkit", key)
    allowed = get(root, "frontend", "gateway.v0", "allowedRepositories")
    for number, node in enumerate(items(allowed)):
        key = f'frontend."gateway.v0".allowedRepositories[{number}]'
        found.image(
            written(source, node), key, confidence="low", note="a frontend that may be used"
        )


def _registries(source: Source, found: Collector, root: Node) -> None:
    for node in items(get(root, "registry")):
        prefix = text_of(get(node, "prefix")) or text_of(get(node, "location")) or ""
        location = get(node, "location")
        if location is not None and text_of(location) not in (None, prefix):
            _mirror(found, prefix, written(source, location), "podman", "registry.location")
        for mirror in items(get(node, "mirror")):
            to = get(mirror, "location")
            if to is not None and text_of(to):
                _mirror(found, prefix, written(source, to), "podman", "registry.mirror.location")
    for name, node in entries(get(root, "aliases")):
        if text_of(node):
            found.image(written(source, node), f'aliases."{name}"', confidence="low",
                        note="a short name that may be used")  # fmt: skip
    for node in items(get(root, "unqualified-search-registries")):
        _mirror(found, "", written(source, node), "podman", "unqualified-search-registries")


def _hosts(source: Source, found: Collector, root: Node) -> None:
    server = text_of(get(root, "server")) or ""
    registry = server.partition("://")[2].partition("/")[0]
    registry = {"registry-1.docker.io": "docker.io"}.get(registry, registry)
    hosts = get(root, "host")
    for key, _ in getattr(hosts, "value", ()) if source.name == "hosts.toml" else ():
        _mirror(found, registry, written(source, key), "containerd", "host")


def _runners(source: Source, found: Collector, root: Node) -> None:
    for number, runner in enumerate(items(get(root, "runners"))):
        executor = text_of(get(runner, "executor")) or ""
        for what in ("docker", "kubernetes", "machine"):
            settings = get(runner, what)
            for name in ("image", "helper_image"):
                node = get(settings, name)
                if node is not None and text_of(node):
                    found.image(written(source, node), f"runners[{number}].{what}.{name}")
            for position, service in enumerate(items(get(settings, "services"))):
                node = get(service, "name")
                if node is not None and text_of(node):
                    key = f"runners[{number}].{what}.services[{position}].name"
                    found.image(written(source, node), key)
        node = get(runner, "executor")
        if node is not None and executor:
            helper = text_of(get(runner, executor, "helper_image")) or ""
            scaler = get(runner, executor, "autoscaler")
            pause = text_of(get(scaler, "pause_pod_image")) or ""
            found.cause("gitlab-runner", executor, written(source, node),
                        key=f"runners[{number}].executor",
                        attributes={"helper_image": helper, "pause_pod_image": pause,
                                    "autoscaler": "yes" if scaler is not None else ""})  # fmt: skip


def read_daemon(source: Source, found: Collector, context: Context) -> None:
    """Docker's daemon.json: mirrors of Docker Hub."""
    root = json.document(source, found)
    for node in items(get(root, "registry-mirrors")):
        if text_of(node):
            _mirror(found, "docker.io", written(source, node), "docker", "registry-mirrors")
