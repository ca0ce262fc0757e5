"""Reading packages against ``dpkg-deb``: what it writes, and what it lists of ours."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from builders.deb import control_text, deb, directory, file, hardlink, link
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.path_globs import EVERYTHING

pytestmark = pytest.mark.peer("dpkg-deb")


def read(data: bytes, store: Path) -> PackageContents:
    return read_contents(BytesBlob(data), EVERYTHING, Store(store))


def listed(contents: PackageContents) -> list[tuple[object, ...]]:
    """Our entries in the terms of tarfile."""
    kinds = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}
    return [
        (
            path.decode("utf-8", "surrogateescape"),
            kinds[entry.type],
            entry.mode,
            (entry.uid, entry.gid),
            entry.mtime // 10**9,
            contents.blobs[path].open().read() if entry.type == "file" else b"",
            entry.target.decode(),
        )
        for path, entry in contents.entries.items()
    ]


def theirs(package: Path) -> list[tuple[object, ...]]:
    """The same from ``dpkg-deb --fsys-tarfile``, read by Python's tarfile."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    rows: list[tuple[object, ...]] = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in (".", ""):
                continue
            content = archive.extractfile(member) if member.isreg() else None
            target = member.linkname if member.issym() else member.linkname.removeprefix("./")
            rows.append(
                (
                    name,
                    member.type,
                    member.mode,
                    (member.uid, member.gid),
                    int(member.mtime),
                    content.read() if content else b"",
                    target,
                )
            )
    return rows


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package as a directory, for ``dpkg-deb --build``."""
    root = tmp_path / "tree"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(control_text("hello", "1:2.0~rc1-3", "all"))
    (root / "DEBIAN/postinst").write_text("#!/bin/sh\nexit 0\n")
    (root / "DEBIAN/postinst").chmod(0o755)
    (root / "usr/share" / ("long" * 40)).mkdir(parents=True)
    (root / "usr/share" / ("long" * 40) / "file").write_bytes(os.urandom(100_000))
    (root / "usr/bin").mkdir()
    (root / "usr/bin/hello").write_text("#!/bin/sh\n")
    (root / "usr/bin/hello").chmod(0o4755)
    os.link(root / "usr/bin/hello", root / "usr/bin/hey")
    (root / "usr/bin/hi").symlink_to("hello")
    (root / "usr/share/caf\udce9 x").write_bytes(b"")
    return root


@pytest.mark.parametrize("compression", ["none", "gzip", "xz"])
def test_what_dpkg_deb_builds_is_read_path_by_path(
    tree: Path, tmp_path: Path, compression: str
) -> None:
    package = tmp_path / "hello.deb"
    command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", tree, package]
    subprocess.run(command, check=True, capture_output=True)
    contents = read(package.read_bytes(), tmp_path / "store")
    assert listed(contents) == theirs(package)
    assert str(contents.id) == "hello 1:2.0~rc1-3 all"
    assert contents.scripts == {"postinst": "#!/bin/sh\nexit 0\n"}


@pytest.mark.parametrize("compression", ["", "gz", "xz", "zst", "bz2"])
def test_what_the_tests_build_is_a_package_to_dpkg_deb_too(
    tmp_path: Path, compression: str
) -> None:
    data = deb(
        "hello",
        "2.0-1",
        files={
            "usr/bin/hello": file(b"x" * 5000, mode=0o755),
            "usr/bin/hey": hardlink("usr/bin/hello"),
            "usr/bin/hi": link("hello"),
            "var/tmp/": directory(mode=0o1777),
        },
        compression=compression,
        depends="libc6 (>= 2)",
    )
    package = tmp_path / "hello.deb"
    package.write_bytes(data)
    fields = subprocess.run(
        ["dpkg-deb", "-f", package, "Package", "Version", "Depends"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert fields == "Package: hello\nVersion: 2.0-1\nDepends: libc6 (>= 2)\n"
    assert listed(read(data, tmp_path / "store")) == theirs(package)
