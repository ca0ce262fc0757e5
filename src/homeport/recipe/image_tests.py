"""Tests of an image as data: what a recipe's ``tests`` say, and other files of tests.

How they are carried out is ``homeport.imagetests``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from homeport.oci.platform import Platform
from homeport.yamlfile.position import FilePosition

ImageTestKind = Literal["file", "absent", "package", "elf", "config", "run"]
TEST_KINDS: tuple[ImageTestKind, ...] = get_args(ImageTestKind)


class ImageTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test. Fields that are ``None`` or empty are not checked.

    path:      of the file that is looked for; absolute
    contains, excludes: of the file, or of what the command prints
    patterns:  whether these are regular expressions, as container-structure-test has them
    permissions: as ``ls`` writes them: ``-rwxr-xr-x``
    config:    field of the config → its value as JSON; text that is no JSON is itself
    exit:      the code that the command must end with
    platforms: only on these; empty: on all
    """

    name: str
    kind: ImageTestKind
    path: str = ""
    package: str = ""
    version: str = ""
    mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None
    target: str | None = None
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    patterns: bool = False
    config: Mapping[str, str] = msgspec.field(default_factory=dict)
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    exit: int = 0
    platforms: tuple[Platform, ...] = ()
    place: FilePosition

    def applies_to(self, platform: Platform) -> bool:
        return not self.platforms or platform.normalized() in self.platforms
