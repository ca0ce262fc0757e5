"""What steps make in place of maintainer scripts is what the image's own programs make or read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builders.gvdb import read_gvdb
from builders.mime_cache import read_mime_cache
from homeport.oci.platform import native_platform
from peers.unpacked_image import run_inside, unpacked

pytestmark = [
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.peer("chroot", "unshare"),
]

RECIPE = f"""\
homeport: 1
name: caches
archives: [{{name: debian, suites: [trixie]}}]
platforms: [{native_platform()}]
essential: minimal
"""


def links(folder: Path) -> dict[str, str]:
    return {each.name: str(each.readlink()) for each in folder.iterdir() if each.is_symlink()}


def test_certificates_are_linked_as_debian_does_and_read_by_java(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        RECIPE + "steps: {ca_hashes: true}\n"
        "packages: [default-jre-headless, ca-certificates, openssl, findutils, sed, dpkg]\n",
    )
    keytool = run_inside(root, "keytool", "-list", "-cacerts", "-storepass", "changeit")
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").iterdir())
    assert keytool.count("trustedCertEntry") == len(certificates) > 100
    folder = root / "etc/ssl/certs"
    ours, bundle = links(folder), (folder / "ca-certificates.crt").read_bytes()
    for name in ours:
        (folder / name).unlink()
    chosen = "".join(f"mozilla/{each.name}\n" for each in certificates)
    (root / "etc/ca-certificates.conf").write_text(chosen)
    for hook in (root / "etc/ca-certificates/update.d").iterdir():
        hook.unlink()  # Java's, which makes the keystore anew
    run_inside(root, "/bin/sh", "/usr/sbin/update-ca-certificates", "--fresh")
    assert ours == links(folder)
    assert bundle == (folder / "ca-certificates.crt").read_bytes()


def compiled(root: Path) -> dict[str, Any]:
    return read_gvdb((root / "usr/share/glib-2.0/schemas/gschemas.compiled").read_bytes())


def test_settings_are_compiled_as_glib_does(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        RECIPE + "packages: [libglib2.0-bin, gsettings-desktop-schemas, mutter-common,"
        " gnome-settings-daemon-common, totem-common, libgtk-3-common, libgtk-4-common]\n",
    )
    ours = compiled(root)
    listed = run_inside(root, "gsettings", "list-recursively")
    assert "org.gnome.desktop.interface enable-animations true" in listed
    run_inside(root, "glib-compile-schemas", "/usr/share/glib-2.0/schemas")
    assert ours == compiled(root)
    assert listed == run_inside(root, "gsettings", "list-recursively")


def test_glibc_finds_the_locales(tmp_path: Path) -> None:
    root = unpacked(tmp_path, RECIPE + "locales: [de_DE.UTF-8, fr_FR.UTF-8, vi_VN.UTF-8]\n")
    assert run_inside(root, "locale", "-a").split() == [
        "C", "C.utf8", "POSIX", "de_DE.utf8", "fr_FR.utf8", "vi_VN",
    ]  # fmt: skip
    for language, day in (("de_DE", "Sonntag"), ("fr_FR", "dimanche"), ("vi_VN", "Chủ nhật")):
        shown = run_inside(root, "env", f"LC_ALL={language}.UTF-8", "locale", "charmap", "day")
        assert shown.splitlines()[0] == "UTF-8"
        assert shown.splitlines()[1].startswith(day)
    size = sum(each.lstat().st_size for each in (root / "usr/lib/locale").rglob("*"))
    assert size < 8_000_000


COMPARE = """
import marshal, pathlib, sys
count = 0
for ours in pathlib.Path("/usr/lib").rglob("__pycache__/*.pyc"):
    theirs = pathlib.Path("/tmp/theirs") / ours.relative_to("/")
    a, b = ours.read_bytes(), theirs.read_bytes()
    assert a[:16] == b[:16], ours
    assert marshal.loads(a[16:]) == marshal.loads(b[16:]), ours
    count += 1
print(count)
"""


def test_byte_code_is_what_the_images_python_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE + "packages: [python3, python3-yaml, python3-six]\n"
    for name in ("plain", "compiled", "bin"):
        (tmp_path / name).mkdir()
    plain = unpacked(tmp_path / "plain", recipe)
    # The image's Python is the one on this machine that surely has its version.
    for program in ("python3", "python3.13"):
        wrapper = tmp_path / "bin" / program
        wrapper.write_text(f'#!/bin/sh\nexec chroot {plain} /usr/bin/{program} "$@"\n')
        wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    root = unpacked(tmp_path / "compiled", recipe + "steps: {python_bytecode: true}\n")
    shutil.copytree(plain / "usr/lib", root / "tmp/theirs/usr/lib", symlinks=True)
    run_inside(
        root, "python3", "-B", "-m", "compileall", "-q", "-f",
        "--invalidation-mode", "unchecked-hash",
        "-s", "/tmp/theirs", "-p", "/", "/tmp/theirs/usr/lib",
    )  # fmt: skip
    assert int(run_inside(root, "python3", "-B", "-c", COMPARE)) > 300
    shown = run_inside(
        root, "python3", "-B", "-c", "import yaml; print(yaml.__cached__, yaml.safe_load('a'))"
    )
    assert shown.startswith(
        "/usr/lib/python3/dist-packages/yaml/__pycache__/__init__.cpython-313.pyc"
    )


def test_types_of_files_are_known_as_by_shared_mime_info(tmp_path: Path) -> None:
    root = unpacked(tmp_path, RECIPE + "packages: [shared-mime-info, libglib2.0-bin]\n")
    folder = root / "usr/share/mime"
    ours = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (root / "tmp/x.svgz").write_bytes(b"x")
    shown = run_inside(root, "gio", "info", "-a", "standard::content-type", "/tmp/x.svgz")
    assert "standard::content-type: image/svg+xml-compressed" in shown
    run_inside(root, "update-mime-database", "/usr/share/mime")
    assert set(ours) == {path for path in folder.rglob("*") if path.is_file()}
    for path, data in ours.items():
        theirs = path.read_bytes()
        if path.name == "mime.cache":
            assert read_mime_cache(data) == read_mime_cache(theirs)
        else:  # globs2 and others have lines in the order of a hash
            assert sorted(data.splitlines()) == sorted(theirs.splitlines()), path
    assert len(ours) > 900


def test_pictures_are_read_by_gdk_pixbufs_loaders(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        RECIPE + "packages: [libgdk-pixbuf2.0-bin, librsvg2-common, webp-pixbuf-loader,"
        " libavif-gdk-pixbuf, libjxl-gdk-pixbuf, heif-gdk-pixbuf]\n",
    )
    (folder,) = (root / "usr/lib").glob("*/gdk-pixbuf-2.0")
    loaders = sorted(f"/{each.relative_to(root)}" for each in folder.glob("2.10.0/loaders/*.so"))
    program = f"/{folder.relative_to(root)}/gdk-pixbuf-query-loaders"
    assert (folder / "2.10.0/loaders.cache").read_text() == run_inside(root, program, *loaders)
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    (root / "tmp/a.svg").write_text(picture)
    run_inside(root, "gdk-pixbuf-thumbnailer", "/tmp/a.svg", "/tmp/a.png")
    assert (root / "tmp/a.png").read_bytes().startswith(b"\x89PNG")


def test_xml_catalogs_are_those_of_update_xmlcatalog(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path, RECIPE + "packages: [docbook-xml, docbook-xsl, xsltproc, libxml2-utils, dpkg]\n"
        "steps: {dpkg_database: true}\n"
    )  # fmt: skip
    folder = root / "etc/xml"
    ours = {each.name: each.read_text() for each in folder.iterdir()}
    for name in ours:
        (folder / name).unlink()
    for script in sorted((root / "var/lib/dpkg/info").glob("*.postinst")):
        lines = [line for line in script.read_text().splitlines() if "update-xmlcatalog" in line]
        if lines:
            run_inside(root, "/bin/sh", "-ec", "\n".join(lines))
    theirs = {each.name: each.read_text() for each in folder.glob("*") if each.suffix != ".old"}
    assert ours == theirs
    assert "docbook-xml.xml" in ours
    dtd = "http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd"
    found = run_inside(root, "xmlcatalog", "/etc/xml/catalog", dtd)
    assert found.strip() == "file:///usr/share/xml/docbook/schema/dtd/4.5/docbookx.dtd"
