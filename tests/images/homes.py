"""The places of images that the one suite runs over. A new transport adds a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homeport.images.address import ArchiveAddress, DirAddress, LayoutAddress
from homeport.images.transports.base import Transport
from homeport.images.transports.docker_archive import DockerArchive
from homeport.images.transports.oci_archive import OciArchive
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.skopeo_dir import SkopeoDir


@dataclass(frozen=True)
class Home:
    """A transport, and what it can hold.

    make: the transport in a folder, with a tag
    """

    name: str
    make: Callable[[Path, str], Transport]
    indexes: bool = True
    artifacts: bool = True
    tags: bool = True

    def __str__(self) -> str:
        return self.name


def _layout(folder: Path, tag: str) -> Transport:
    return OciLayout(LayoutAddress(path=folder / "layout", tag=tag))


def _dir(folder: Path, tag: str) -> Transport:
    return SkopeoDir(DirAddress(path=folder / f"dir-{tag}"))


def _oci_archive(folder: Path, tag: str) -> Transport:
    return OciArchive(ArchiveAddress(format="oci-archive", path=folder / "o.tar", tag=tag))


def _docker_archive(folder: Path, tag: str) -> Transport:
    name = f"registry.example/copy:{tag}"
    return DockerArchive(ArchiveAddress(format="docker-archive", path=folder / "d.tar", tag=name))


HOMES = [
    Home("oci", _layout),
    Home("dir", _dir, tags=False),
    Home("oci-archive", _oci_archive),
    Home("docker-archive", _docker_archive, indexes=False, artifacts=False),
]
