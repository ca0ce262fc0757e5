"""Defaults of a recipe."""

from __future__ import annotations

from homeport.recipe.entries import Archive
from homeport.yamlfile.position import FilePosition

#: The name of a recipe's file in a folder of its own.
FILE_NAME = "homeport.yaml"

#: Archives for which Homeport has certificates and knows mirrors.
KNOWN_ARCHIVES = ("debian", "debian-security", "ubuntu")

_PLACE = FilePosition(file="(default)", line=1, field="archives")


def archives() -> tuple[Archive, ...]:
    """Debian trixie with its updates and its security suite."""
    return (
        Archive(name="debian", suites=("trixie", "trixie-updates"), place=_PLACE),
        Archive(name="debian-security", suites=("trixie-security",), place=_PLACE),
    )
