"""The report of ``homeport inspect`` as one value: ``homeport-inspect/v1``.

Specified in docs/formats/inspect.md; the text on a terminal and the page in a browser show
the same value. Paths are absolute; bytes that are not UTF-8 are written ``\\xNN``. Values
only, so that a report from the cache loads little else; ``report.builder`` makes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

SCHEMA = "homeport-inspect/v1"


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """An installed package.

    manager: dpkg, apk, rpm, opkg, pacman, python, npm; go and rust for modules in binaries
    source:  the source package, if its name differs
    recorded_in: the file that records it
    """

    manager: str
    name: str
    version: str
    architecture: str = ""
    source: str = ""
    source_version: str = ""
    license: str = ""
    origin: str = ""
    size: int = 0
    recorded_in: str = ""


class Attached(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An artifact attached to an image. kind: as ``kind_of`` says.

    verdict: of its signature in words; empty if it has none, or none was looked at
    """

    kind: str
    type: str
    digest: str
    size: int
    found_as: str
    verdict: str = ""


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an image comes from.

    distribution, version, codename, pretty_name: from os-release
    image, image_digest: the base image
    evidence: where each of these was read
    layers:   how many of the lowest layers are the base image's, if known
    """

    distribution: str = ""
    version: str = ""
    codename: str = ""
    pretty_name: str = ""
    libc: str = ""
    image: str = ""
    image_digest: str = ""
    layers: int | None = None
    evidence: tuple[str, ...] = ()


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kind of anomaly: how many there are, and examples as ``path`` or ``path: detail``."""

    kind: str
    count: int
    examples: tuple[str, ...]


class WastedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path whose bytes are shipped but not used.

    cause:      changed, metadata, rewritten, removed, removed with directory, hidden, replaced
    compressed: the share of the layer's compressed size, by the file's share of its tar
    shipped_in, unused_since: layers
    """

    path: str
    cause: str
    size: int
    compressed: int
    shipped_in: int
    unused_since: int


class Efficiency(msgspec.Struct, frozen=True, kw_only=True):
    """dive's figures, by dive's rules.

    user_wasted: wasted bytes by the size of all layers but the lowest; may pass 1
    """

    score: float
    wasted_bytes: int
    user_wasted: float


class Waste(msgspec.Struct, frozen=True, kw_only=True):
    """All waste of an image. ``paths`` are the largest first."""

    size: int
    compressed: int
    by_cause: dict[str, int]
    by_layer: tuple[int, ...]
    paths: tuple[WastedPath, ...]
    dive: Efficiency


class PlatformRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image of an index; ``differs``: how its config differs from the shown one."""

    platform: str
    digest: str
    size: int
    layers: int
    shown: bool = False
    differs: tuple[str, ...] = ()


class LayerRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A layer: ``size`` compressed, ``tar_size`` unpacked, and its changes of paths."""

    number: int
    digest: str
    diff_id: str
    media_type: str
    codec: str
    size: int
    tar_size: int
    entries: int
    changes: dict[str, int]
    wasted: int
    wasted_compressed: int
    command: str = ""
    created: str = ""
    anomalies: tuple[str, ...] = ()


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of the image's history; ``layer``: the one it made, ``None`` if it made none."""

    command: str
    created: str = ""
    comment: str = ""
    author: str = ""
    layer: int | None = None
    size: int = 0


class Age(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the image was made, according to each timestamp.

    created_is_fixed: whether ``created`` is a constant such as 1970-01-01
    notes:            timestamps that carry no information
    """

    created: str = ""
    created_is_fixed: bool = False
    newest_file: str = ""
    newest_file_path: str = ""
    newest_history: str = ""
    newest_package: str = ""
    notes: tuple[str, ...] = ()


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the compressed layers, of their tars, and of the final files."""

    compressed: int
    tar: int
    files: int
    paths: int


class ImageReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The report of one image of one platform."""

    platform: str
    digest: str
    media_type: str
    config: dict[str, Any]
    annotations: dict[str, str]
    base: Base
    sizes: Sizes
    age: Age
    history: tuple[HistoryRow, ...]
    layers: tuple[LayerRow, ...]
    packages: tuple[Package, ...]
    waste: Waste
    anomalies: tuple[Anomaly, ...]
    problems: tuple[str, ...] = ()
    attached: tuple[Attached, ...] = ()


class InspectReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The report of an address: its platforms, and the complete report of one image."""

    schema: str
    address: str
    digest: str
    media_type: str
    platforms: tuple[PlatformRow, ...]
    image: ImageReport


def time_text(nanoseconds: int) -> str:
    """An RFC 3339 time in UTC; the number of seconds for a time outside of the calendar."""
    try:
        moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds // 10**9} s"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
