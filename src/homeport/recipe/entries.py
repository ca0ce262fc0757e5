"""What a recipe consists of: archives, packages, files, accounts, config, steps.

Each with every default filled in and with the position where it was written, for messages.
``recipe.model`` puts them together; build parts are ``recipe.parts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.content.digest import Digest
from homeport.oci.platform import Platform
from homeport.recipe.boundary import Boundary
from homeport.yamlfile.position import FilePosition


class _ForPlatforms(msgspec.Struct, frozen=True, kw_only=True):
    """A part that belongs to some platforms only; ``platforms`` empty means to all."""

    platforms: tuple[Platform, ...] = ()

    def applies_to(self, platform: Platform) -> bool:
        return not self.platforms or platform.normalized() in self.platforms


class _PutFiles(_ForPlatforms, frozen=True, kw_only=True):
    """What puts files or links at paths. ``replace``: packages may have files there, too."""

    replace: bool = False


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates trusted for an archive: one that ships with Homeport, or a file.

    name: as written: ``debian-archive-trixie-automatic``, ``./vendor.asc``
    path: the file, for one of the recipe's own; ``None`` for one that ships with Homeport
    """

    name: str
    path: Path | None = None


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """A Debian-style archive and the suites wanted from it, in order of preference.

    mirrors: base URLs or directories; empty: Homeport's order of sources decides
    keys:    who may sign; empty: what ships with Homeport for each suite of ``debian``
             and ``debian-security``
    packages: names that come from here although an earlier archive has them
    """

    name: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    mirrors: tuple[str, ...] = ()
    keys: tuple[Keyring, ...] = ()
    packages: tuple[str, ...] = ()
    place: FilePosition


class PackageChoice(_ForPlatforms, frozen=True, kw_only=True):
    """A package of the image: whole, or some of its slices.

    slices:  empty: the whole package with what it depends on
    version: exactly this one
    suite:   only from this suite
    exclude: globs of files that are left out of a whole package
    """

    name: str
    slices: tuple[str, ...] = ()
    version: str | None = None
    suite: str | None = None
    exclude: tuple[str, ...] = ()
    place: FilePosition

    @property
    def whole(self) -> bool:
        return not self.slices


class Pin(_ForPlatforms, frozen=True, kw_only=True):
    """A rule for a package wherever it is chosen, as a dependency too.

    version: an exact version, or a pattern that ends in ``*``
    """

    name: str
    version: str | None = None
    suite: str | None = None
    place: FilePosition


class LocalFiles(_PutFiles, frozen=True, kw_only=True):
    """A file or a directory of this machine.

    written: as the recipe says it, for reports (a path of this machine must not get into
             an image's metadata)
    to:      absolute path in the image. It ends in ``/``: a file keeps its name below it;
             a directory's content always goes into it
    mode:    of every file; ``None``: 0755 if its owner may execute it, else 0644
    exclude: patterns of ``.dockerignore`` kind, relative to ``source``
    boundary: directories that ``source`` must lie in
    """

    source: Path
    written: str
    boundary: Boundary
    to: str
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    exclude: tuple[str, ...] = ()
    place: FilePosition


class InlineFile(_PutFiles, frozen=True, kw_only=True):
    """A file whose text is written in the recipe."""

    text: str
    to: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    place: FilePosition


class ImageFiles(_PutFiles, frozen=True, kw_only=True):
    """A file or a tree taken out of another image, named by digest, with its own metadata.

    image: an address with a digest (docs/formats/addresses.md); of an index, the manifest
           for the platform being built is taken
    path:  absolute path in that image
    mode, uid, gid: ``None``: as they are there
    """

    image: str
    digest: Digest
    path: str
    to: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    place: FilePosition


class PartFiles(_PutFiles, frozen=True, kw_only=True):
    """A file or a tree out of the result of one of the recipe's ``parts``.

    path: absolute path in the result; what lies there has modes and owners as local files have
    """

    part: str
    path: str
    to: str
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    place: FilePosition


Files = LocalFiles | InlineFile | ImageFiles | PartFiles


class Link(_PutFiles, frozen=True, kw_only=True):
    """A symbolic link: ``path`` in the image says ``target``."""

    path: str
    target: str
    place: FilePosition


class Directory(_ForPlatforms, frozen=True, kw_only=True):
    """A directory that exists in the image, empty unless something else fills it."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    place: FilePosition


class VexStatement(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a vulnerability. It changes nothing of what is built.

    packages: that it is about; empty: the image as a whole
    by, date: author and day of the statement
    """

    vulnerability: str
    packages: tuple[str, ...] = ()
    status: str
    justification: str = ""
    reason: str
    by: str
    date: str


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``/etc/passwd``."""

    name: str
    uid: int
    gid: int
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    comment: str = ""
    place: FilePosition


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``/etc/group``."""

    name: str
    gid: int
    members: tuple[str, ...] = ()
    place: FilePosition


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How a container of the image starts, and the image's labels and annotations.

    user: ``name``, ``uid`` or either with ``:group``, as the image specification has it
    """

    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


#: Of one image, however it is split: engines mount each one, and 12 already give most of the gain.
MOST_LAYERS = 12


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """How an image is cut into layers.

    strategy: ``one``; ``auto``, by source package and how often Debian updates it; ``split``
    split:    for ``split``: names of packages, with ``*``, of each layer above the first
    """

    strategy: Literal["one", "auto", "split"] = "one"
    split: tuple[tuple[str, ...], ...] = ()


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What an image of Debian packages needs beyond their files.

    On unless switched off; ``ca_hashes`` and ``python_bytecode`` only where they are switched on,
    the last two in a recipe with a ``variant``.

    usrmerge:        /bin, /sbin, /lib… are links into /usr; packages' files follow
    diversions:      files that a script diverts (dpkg-divert) lie at their other name
    layout:          folders of an installed system, if a whole package has scripts
    accounts:        /etc/passwd and /etc/group: root, nobody and the recipe's accounts; with a
                     whole package that has scripts, Debian's and the packages' too
    alternatives:    links that update-alternatives would make
    packaged_state:  directories, files, links and owners of tmpfiles.d and scripts
    ld_cache:        /etc/ld.so.cache, if libraries lie outside the loader's own folders
    os_release:      the slice ``base-files_os-release`` belongs to the image
    ca_bundle:       /etc/ssl/certs/ca-certificates.crt, when ca-certificates is chosen
    ca_hashes:       /etc/ssl/certs/*.pem with hashed links, when ca-certificates is chosen
    java_keystore:   /etc/ssl/certs/java/cacerts, when ca-certificates-java is chosen
    gsettings_schemas: gschemas.compiled of GLib, if an image has schemas
    mime_database:   /usr/share/mime, if shared-mime-info is in the image
    pixbuf_loaders:  loaders.cache of gdk-pixbuf, if that is in the image
    xml_catalogs:    /etc/xml/*, if packages register DTDs and schemas
    python_bytecode: __pycache__ of the image's Python
    status_database: /var/lib/dpkg/status.d, so that scanners see the packages
    copyright:       the copyright file of every package
    tmp:             /tmp with mode 1777
    dpkg_database:   /var/lib/dpkg/status and info in place of status.d: dpkg and apt work inside
    apt_sources:     /etc/apt/sources.list.d names the recipe's archives
    """

    usrmerge: bool = True
    diversions: bool = True
    layout: bool = True
    accounts: bool = True
    alternatives: bool = True
    packaged_state: bool = True
    ld_cache: bool = True
    os_release: bool = True
    ca_bundle: bool = True
    ca_hashes: bool = False
    java_keystore: bool = True
    gsettings_schemas: bool = True
    mime_database: bool = True
    pixbuf_loaders: bool = True
    xml_catalogs: bool = True
    python_bytecode: bool = False
    status_database: bool = True
    copyright: bool = True
    tmp: bool = True
    dpkg_database: bool = False
    apt_sources: bool = False


def join_configs(base: Config, other: Config) -> Config:
    """``other`` on top of ``base``: maps are joined key by key, any other field replaces."""
    return Config(
        env={**base.env, **other.env},
        entrypoint=other.entrypoint or base.entrypoint,
        # A new entrypoint means another program: the arguments of the old one do not fit.
        cmd=other.cmd or (() if other.entrypoint else base.cmd),
        workdir=other.workdir or base.workdir,
        user=other.user or base.user,
        stop_signal=other.stop_signal or base.stop_signal,
        volumes=other.volumes or base.volumes,
        exposed_ports=other.exposed_ports or base.exposed_ports,
        labels={**base.labels, **other.labels},
        annotations={**base.annotations, **other.annotations},
    )
