"""Reads all scripts of a package that run when it is installed for the first time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from homeport.debian.deb.contents import PackageContents
from homeport.debian.scripts.debconf import default_answers
from homeport.debian.scripts.effects import Effect
from homeport.debian.scripts.interpreter import World, read_script
from homeport.debian.scripts.machine import Files

#: Those that run when a package is installed for the first time.
SCRIPTS = ("preinst", "postinst")


class ScriptReader(Protocol):
    def __call__(
        self,
        contents: PackageContents,
        scripts: Sequence[str] = SCRIPTS,
        prints: Mapping[str, str] = ...,
        declared: frozenset[str] = ...,
    ) -> list[Effect]: ...


def make_reader(
    architecture: str, files: Files, account: Callable[[str, str], bool]
) -> ScriptReader:
    """A reader of packages' scripts; it raises what ``parse_shell`` raises."""
    world = World(architecture=architecture, account=account, files=files)

    def read(
        contents: PackageContents,
        scripts: Sequence[str] = SCRIPTS,
        prints: Mapping[str, str] = MappingProxyType({}),
        declared: frozenset[str] = frozenset(),
    ) -> list[Effect]:
        control = contents.control_files
        answers = default_answers(control.get("templates", b"").decode("utf-8", "replace"))
        found: list[Effect] = []
        for script in ("config", *scripts):
            text = contents.scripts.get(script)
            if text is not None:
                effects = read_script(
                    contents.id.name, script, text, world, answers, prints=prints,
                    declared=declared,
                )  # fmt: skip
                found += effects if script != "config" else ()  # which only asks
        return found

    return read
