"""Images as other projects write them: archives member by member, layouts file by file.

Made here after the projects' public sources and descriptions; none of their files is copied, and
none of the programs was run. Each function says what is particular to the project's form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from builders.archives import config_of
from builders.images import Layer, everything, image, index
from homeport.content.digest import Digest
from homeport.images.image import Image, Index
from homeport.images.storage.layout import blob_name

Members = dict[str, bytes | str]
NAME = "registry.example/team/app:1.0"


def _hex(data: bytes) -> str:
    return Digest.of(data).hex


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def ggcr_tarball(value: Image, layers: list[Layer]) -> Members:
    """kaniko, ko, apko, crane (go-containerregistry's "tarball").

    The config is named by its digest with ``sha256:``, layers stay gzip, manifest.json is last.
    """
    config = config_of(value)
    members: Members = {f"sha256:{_hex(config)}": config}
    names = [f"{_hex(one.data)}.tar.gz" for one in layers]
    members |= dict(zip(names, (one.data for one in layers), strict=True))
    entry = {"Config": f"sha256:{_hex(config)}", "RepoTags": [NAME], "Layers": names}
    members["manifest.json"] = _json([entry])
    return members


def jib_docker(value: Image, layers: list[Layer]) -> Members:
    """jib's docker archive: ``config.json`` for any digest, and manifest.json in the middle."""
    names = [f"{_hex(one.data)}.tar.gz" for one in layers]
    return {
        **dict(zip(names, (one.data for one in layers), strict=True)),
        "manifest.json": _json([{"Config": "config.json", "RepoTags": [NAME], "Layers": names}]),
        "config.json": config_of(value),
    }


def pack_docker(value: Image, layers: list[Layer]) -> Members:
    """pack and imgutil (buildpacks): every name begins with a slash, layers are plain."""
    config = config_of(value)
    names = [f"/{_hex(one.plain)}.tar" for one in layers]
    return {
        f"/{_hex(config)}.json": config,
        **dict(zip(names, (one.plain for one in layers), strict=True)),
        "/manifest.json": _json(
            [{"Config": f"/{_hex(config)}.json", "RepoTags": [NAME], "Layers": names}]
        ),
    }


def nix_docker(value: Image, layers: list[Layer]) -> Members:
    """nixpkgs' dockerTools: ``./`` in front of names in the tar, not in manifest.json."""
    config = config_of(value)
    names = [f"{_hex(one.plain)}/layer.tar" for one in layers]
    members: Members = {f"./{_hex(config)}.json": config}
    members |= {f"./{name}": one.plain for name, one in zip(names, layers, strict=True)}
    entry = {"Config": f"{_hex(config)}.json", "RepoTags": ["app:1.0"], "Layers": names}
    members["./manifest.json"] = _json([entry])
    return members


def rules_docker(value: Image, layers: list[Layer]) -> Members:
    """Bazel's rules_docker: ``HEX/layer.tar``, ``repositories`` beside it, tag of the target."""
    config = config_of(value)
    names = [f"{n:064x}/layer.tar" for n in range(len(layers))]
    entry = {
        "Config": f"{_hex(config)}.json", "RepoTags": ["bazel/app:image"], "Layers": names,
        "LayerSources": {},
    }  # fmt: skip
    return {
        f"{_hex(config)}.json": config,
        **dict(zip(names, (one.plain for one in layers), strict=True)),
        "manifest.json": _json([entry]),
        "repositories": _json({"bazel/app": {"image": "f" * 64}}),
    }


def rules_oci(value: Image, layers: list[Layer]) -> Members:
    """Bazel's rules_oci: docker's manifest.json over a layout's paths, without the layout."""
    config = config_of(value)
    names = [f"blobs/sha256/{_hex(one.data)}.tar.gz" for one in layers]
    entry = {"Config": f"blobs/sha256/{_hex(config)}", "RepoTags": [NAME], "Layers": names}
    return {
        f"blobs/sha256/{_hex(config)}": config,
        **dict(zip(names, (one.data for one in layers), strict=True)),
        "manifest.json": _json([entry]),
    }


def podman_docker(value: Image, layers: list[Layer]) -> Members:
    """podman, buildah and skopeo: ``HEX.tar`` and links to it where old dockers look."""
    config = config_of(value)
    names = [f"{_hex(one.plain)}.tar" for one in layers]
    members: Members = dict(zip(names, (one.plain for one in layers), strict=True))
    for number, name in enumerate(names):
        members[f"{number:064x}/layer.tar"] = f"../{name}"
        members[f"{number:064x}/VERSION"] = b"1.0"
        members[f"{number:064x}/json"] = b"{}"
    members[f"{_hex(config)}.json"] = config
    members["repositories"] = b"{}"
    entry = {"Config": f"{_hex(config)}.json", "RepoTags": [NAME], "Layers": names}
    members["manifest.json"] = _json([entry])
    return members


def layout(value: Image | Index, lines: list[dict[str, object]], **more: object) -> Members:
    """The files of a layout with these lines in its index."""
    members: Members = {
        blob_name(Digest.parse(digest)): data for digest, data in everything(value).items()
    }
    members["index.json"] = _json({"schemaVersion": 2, "manifests": lines, **more})
    members["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return members


def _line(value: Image | Index, **more: object) -> dict[str, object]:
    document = value.document
    return {
        "mediaType": document.media_type, "digest": str(value.digest), "size": document.size, **more
    }  # fmt: skip


def ggcr_layout(value: Image | Index) -> Members:
    """kaniko's ``--oci-layout-path``, ko, crane: one line without annotations."""
    return layout(value, [_line(value)])


def apko_layout(value: Index) -> Members:
    """apko: index.json itself lists the platforms, and has a media type."""
    lines = [
        _line(
            child.open(), platform=json.loads(value.document.raw)["manifests"][number]["platform"]
        )
        for number, child in enumerate(value.children)
    ]
    return layout(value, lines, mediaType="application/vnd.oci.image.index.v1+json")


def rules_oci_layout(value: Image) -> Members:
    """Bazel's rules_oci: one line, with its platform."""
    platform = {"os": "linux", "architecture": "amd64"}
    return layout(value, [_line(value, platform=platform)])


def jib_layout(value: Image) -> Members:
    """jib's OCI archive: the whole reference as ref.name."""
    return layout(value, [_line(value, annotations={"org.opencontainers.image.ref.name": NAME})])


def umoci_layout(value: Image) -> Members:
    """umoci and skopeo: a tag as ref.name, and ``null`` where there is nothing."""
    line = _line(value, annotations={"org.opencontainers.image.ref.name": "1.0"}, urls=None)
    return layout(value, [line], annotations=None)


def buildkit_layout(value: Index) -> Members:
    """BuildKit's ``type=oci``: creation time, full name, an attestation beside the platforms."""
    annotations = {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        "org.opencontainers.image.ref.name": "1.0",
    }
    return layout(value, [_line(value, annotations=annotations)])


#: Archives with the image of ``an_image``, by the project that writes them.
ARCHIVES: Mapping[str, Callable[[Image, list[Layer]], Members]] = {
    "kaniko, ko, apko, crane": ggcr_tarball,
    "jib": jib_docker,
    "pack": pack_docker,
    "nix dockerTools": nix_docker,
    "bazel rules_docker": rules_docker,
    "bazel rules_oci": rules_oci,
    "podman, skopeo": podman_docker,
}
#: Layouts, and the value that is in them.
LAYOUTS: Mapping[str, tuple[Callable[..., Members], Callable[[], Image | Index]]] = {
    "kaniko, ko": (ggcr_layout, image),
    "ko, several platforms": (ggcr_layout, index),
    "apko": (apko_layout, index),
    "bazel rules_oci": (rules_oci_layout, image),
    "jib": (jib_layout, image),
    "umoci, skopeo": (umoci_layout, image),
    "BuildKit": (buildkit_layout, index),
}


def folder(root: Path, members: Members) -> Path:
    """The members as files of a directory."""
    for name, content in members.items():
        assert isinstance(content, bytes)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
