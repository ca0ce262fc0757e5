"""Images of two hostile layers, from the list of their entries to files on a disk."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import msgspec
from fuzz.bytes_repair import with_tar_checksums

from builders.images import Layer
from builders.inspection import (
    directory,
    file,
    hardlink,
    made,
    opaque,
    symlink,
    tar,
    whiteout,
)
from builders.runtime import runtime
from homeport.budget import limits_set
from homeport.cli.inspect_text import files_text, report_text
from homeport.errors import HomeportError
from homeport.inspection.image.extraction import extract, select_paths
from homeport.inspection.image.file_listing import final_rows, list_files, path_rows
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.inspection.packages.verification import verify_files
from homeport.inspection.report.diffing import diff_images
from homeport.inspection.report.inspect_image import inspect
from homeport.oci import media_types
from homeport.printable import output_text
from homeport.runtime import Runtime

EXPECTED = (HomeportError,)
MAX_LENGTH = 32 << 10
_LIMITS = ("bytes=4194304", "entries=20000", "memory=33554432", "steps=300000")


def fuzz_one(data: bytes) -> None:
    """One archive as the lower layer and reversed halves of it as the upper one."""
    half = len(data) // 1024 * 512
    upper = with_tar_checksums(data[half:] + data[:half])
    layers = [Layer(one, one, media_types.OCI_LAYER) for one in (with_tar_checksums(data), upper)]
    image = made(*layers)
    with limits_set(_LIMITS):
        found = open_layers(image, _runtime(), "oci:x")
        report = inspect(image, "oci:x", _runtime())
        _visible(report_text(report, verbose=True))
        msgspec.json.encode([report, list_files(found), verify_files(found)])
        for row in files_text((*final_rows(found.history, None), *path_rows(found.history, b"*"))):
            _visible(row)
        assert diff_images(found, found).same
        _extracted(found)


@cache
def _runtime() -> Runtime:
    """One for all inputs: its threads stay."""
    return runtime()


def _extracted(found: OpenedImage) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "canary").write_text("not touched")
        extract(found, select_paths(found, ["/"]), folder / "out")
        assert sorted(os.listdir(folder)) == ["canary", "out"]
        assert (folder / "canary").read_text() == "not touched"


def _visible(text: str) -> None:
    assert output_text(text) == text or "::" in text or "##" in text


def seeds() -> list[bytes]:
    """Every kind of member, links out of the root, a package database and a program."""
    members = (
        directory("d"), file("d/f", b"x" * 600), hardlink("d/h", "d/f"), symlink("l", "../../d"),
        file("l/g"), whiteout("d/f"), opaque("d"), symlink("etc", "/e"),
        file("etc/os-release", b"ID=debian\n"), file("p", b"\x7fELF" + bytes(60), mode=0o4755),
        file("var/lib/dpkg/status", b"Package: a\nStatus: install ok installed\nVersion: 1\n"),
        file("var/lib/dpkg/info/a.md5sums", b"0" * 32 + b"  d/f\n"),
    )  # fmt: skip
    return [tar(*members), tar(*members[:5]), tar(*members[5:])]
