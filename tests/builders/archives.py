"""Image archives as the versions of docker have written them, made member by member."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from builders.images import Layer, everything
from homeport.content.digest import Digest
from homeport.images.image import Image, Index
from homeport.images.storage.layout import blob_name


def tar(path: Path, members: Mapping[str, bytes | str], mode: str = "w") -> Path:
    """A tar: bytes are files, text is the target of a symbolic link, ``=x`` of a hard link."""
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                continue
            member.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
            member.linkname = content.removeprefix("=")
            archive.addfile(member)
    return path


def config_of(value: Image) -> bytes:
    with value.blobs[Digest.parse(value.document.parsed.config.digest)].open() as stream:
        return stream.read()


def docker_1_10(
    value: Image, layers: list[Layer], names: list[str] | None
) -> dict[str, bytes | str]:
    """docker 1.10 to 24: ``HEX.json`` and ``HEX/layer.tar``; a repeated layer is a link."""
    config = config_of(value)
    members: dict[str, bytes | str] = {}
    paths, seen = [], {}
    for n, layer in enumerate(layers):
        folder = Digest.of(b"%d" % n + layer.plain).hex
        members[f"{folder}/VERSION"] = b"1.0"
        members[f"{folder}/json"] = b"{}"
        same = seen.setdefault(layer.diff_id, folder)
        members[f"{folder}/layer.tar"] = layer.plain if same == folder else f"../{same}/layer.tar"
        paths.append(f"{folder}/layer.tar")
    name = Digest.of(config).hex + ".json"
    members[name] = config
    members["manifest.json"] = json.dumps(
        [{"Config": name, "RepoTags": names, "Layers": paths}]
    ).encode()
    members["repositories"] = b"{}"
    return members


def docker_25(value: Image, layers: list[Layer], names: list[str] | None) -> dict[str, bytes | str]:
    """docker 25 and later with its classic store: an OCI layout of plain layers beside it."""
    from builders.images import image

    plain = image(
        str(value.platform), [Layer(one.plain, one.plain, one.media_type[:-5]) for one in layers]
    )
    config = config_of(value)
    assert config == config_of(plain)
    return containerd(plain, names)


def containerd(
    value: Image | Index, names: list[str] | None, without: frozenset[str] = frozenset()
) -> dict[str, bytes | str]:
    """docker with containerd's store, and BuildKit: the layout as it is, but for ``without``."""
    members: dict[str, bytes | str] = {
        blob_name(Digest.parse(digest)): data
        for digest, data in everything(value).items()
        if digest not in without
    }
    image = value.children[0].open() if isinstance(value, Index) else value
    assert isinstance(image, Image)
    names = names or []
    line = {
        "mediaType": value.document.media_type, "digest": str(value.digest),
        "size": value.document.size,
        "annotations": {
            "io.containerd.image.name": f"docker.io/library/{names[0]}" if names else "",
            "org.opencontainers.image.ref.name": names[0].partition(":")[2] if names else "",
        },
    }  # fmt: skip
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [line]}).encode()
    members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    members["manifest.json"] = json.dumps(
        [
            {
                "Config": blob_name(Digest.parse(image.document.parsed.config.digest)),
                "RepoTags": names or None,
                "Layers": [
                    blob_name(Digest.parse(layer.digest)) for layer in image.document.parsed.layers
                ],
            }
        ]
    ).encode()
    return members


def before_1_10(layers: list[Layer], name: str, tag: str) -> dict[str, bytes | str]:
    """docker before 1.10: a folder per layer that names its parent, and ``repositories``."""
    members: dict[str, bytes | str] = {}
    parent = ""
    for n, layer in enumerate(layers):
        id = Digest.of(b"id %d" % n).hex
        old = {
            "id": id, "created": f"2015-01-0{n + 1}T00:00:00Z", "architecture": "amd64",
            "os": "linux", "config": {"Cmd": ["/hello"], "Env": None},
            "container_config": {"Cmd": ["/bin/sh", "-c", f"#(nop) layer {n}"]},
        } | ({"parent": parent} if parent else {})  # fmt: skip
        members[f"{id}/VERSION"] = b"1.0"
        members[f"{id}/json"] = json.dumps(old).encode()
        members[f"{id}/layer.tar"] = layer.plain
        parent = id
    members["repositories"] = json.dumps({name: {tag: parent}}).encode()
    return members
