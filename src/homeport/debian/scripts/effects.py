"""What a maintainer script would do to an image, as data; nothing of it is done here.

``scripts.interpreter`` finds these in scripts, ``scripts.declarations`` in sysusers.d and
tmpfiles.d. The steps of ``homeport.assemble`` make them.
"""

from __future__ import annotations

import msgspec


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all effects.

    package: whose script or declaration it is
    """

    package: str


class AddUser(Effect, frozen=True, kw_only=True):
    """An account. ``uid``: ``None`` if Debian chooses a number.

    group: name or number of its primary group; "": one of its own name
    """

    name: str
    uid: int | None = None
    group: str = ""
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    comment: str = ""
    make_home: bool = False


class AddGroup(Effect, frozen=True, kw_only=True):
    name: str
    gid: int | None = None


class AddMember(Effect, frozen=True, kw_only=True):
    """``user`` belongs to ``group`` too.

    only_known: only if something else of the image makes the group
    """

    user: str
    group: str
    only_known: bool = False


class MakeDirectory(Effect, frozen=True, kw_only=True):
    """A directory; ``None``: as it is there, else root's with mode 0755."""

    path: str
    mode: int | None = None
    user: str | None = None
    group: str | None = None


class MakeLink(Effect, frozen=True, kw_only=True):
    path: str
    target: str


class MakeFile(Effect, frozen=True, kw_only=True):
    """A file with ``text``, or the content of the file ``source`` of the image."""

    path: str
    text: str = ""
    source: str = ""
    mode: int | None = None


class CopyTree(Effect, frozen=True, kw_only=True):
    """A folder of the image with all below it, once more at ``path``."""

    path: str
    source: str


class SetAttributes(Effect, frozen=True, kw_only=True):
    """Owner and mode of something that is there; ``recursive``: of all below it too.

    mode: as chmod(1) takes it; "": as it is
    override: recorded as by ``dpkg-statoverride``, which upgrades keep
    """

    path: str
    mode: str = ""
    user: str | None = None
    group: str | None = None
    recursive: bool = False
    override: bool = False


class SetCapabilities(Effect, frozen=True, kw_only=True):
    """File capabilities, as the attribute ``security.capability`` has them."""

    path: str
    attribute: bytes


class AddCatalogEntry(Effect, frozen=True, kw_only=True):
    """A line of a catalog of XML in /etc/xml, as ``update-xmlcatalog --add`` registers it.

    catalog: name of the file
    key:     element and attribute that say which names are meant
    target:  the catalog that knows them
    """

    catalog: str
    key: str
    target: str


class AddAlternative(Effect, frozen=True, kw_only=True):
    """A program for a generic name, as ``update-alternatives --install`` registers it.

    slaves: (link, name, path) that follow the choice
    """

    link: str
    name: str
    path: str
    priority: int
    slaves: tuple[tuple[str, str, str], ...] = ()


class Divert(Effect, frozen=True, kw_only=True):
    """Files of other packages at ``path`` lie at ``to``, as ``dpkg-divert --add`` registers it.

    owner: the package whose own file stays at ``path``; ``:``: every package's is diverted
    """

    path: str
    to: str
    owner: str


class EndDiversion(Effect, frozen=True, kw_only=True):
    """The diversion of ``path`` is removed again (``dpkg-divert --remove``)."""

    path: str


class NotUnderstood(Effect, frozen=True, kw_only=True):
    """A command whose effect Homeport does not know.

    script, line: where it stands
    """

    script: str
    line: int
    text: str
