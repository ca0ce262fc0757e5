"""A root that rpm filled: packages and changed files are those that rpm names."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from builders.images import Layer
from builders.inspection import made
from builders.runtime import runtime
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.verification import verify_files

SPEC = """
Name: {name}
Version: {version}
Release: 3
Epoch: {epoch}
Summary: a package
License: MIT
Vendor: Example
BuildArch: noarch
%description
A package.
%install
mkdir -p %{{buildroot}}/usr/share/{name} %{{buildroot}}/etc
echo one > %{{buildroot}}/usr/share/{name}/one
echo two > %{{buildroot}}/usr/share/{name}/two
echo set > %{{buildroot}}/etc/{name}.conf
ln -s one %{{buildroot}}/usr/share/{name}/link
%files
/usr/share/{name}
%config /etc/{name}.conf
"""
PACKAGES = [("plain", "1.2", "0"), ("second", "4~rc1", "2")]

pytestmark = [pytest.mark.root, pytest.mark.peer("rpm", "rpmbuild", "tar")]


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled_root(tmp_path_factory.mktemp("rpm"))


def filled_root(top: Path) -> Path:
    """A root that rpm made, with ``PACKAGES``."""
    root = top / "root"
    root.mkdir()
    run("rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "--initdb")
    for name, version, epoch in PACKAGES:
        spec = top / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, version=version, epoch=epoch))
        run("rpmbuild", "--quiet", "-bb", f"--define=_topdir {top}", str(spec))
    built = sorted(map(str, top.glob("RPMS/noarch/*.rpm")))
    run("rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "--nodeps", "-i", *built)
    return root


def looked_into(root: Path) -> OpenedImage:
    tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True)
    return open_layers(made(Layer(gzip.compress(tar.stdout, 1), tar.stdout)), runtime())


def test_packages_are_those_that_rpm_lists(root: Path) -> None:
    asked = "%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} %{LICENSE} %{VENDOR} %{SIZE}\n"
    said = run("rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "-qa", "--qf", asked)
    packages, problems = find_packages(looked_into(root))
    assert problems == []
    assert sorted(
        f"{one.name} {one.version} {one.architecture} {one.license} {one.origin} {one.size}"
        for one in packages
    ) == sorted(said.splitlines())
    assert len(packages) == len(PACKAGES)


def test_changed_and_missing_files_are_those_that_rpm_finds(root: Path) -> None:
    (root / "usr/share/plain/one").write_text("ONE\n")
    (root / "usr/share/second/two").unlink()
    (root / "etc/second.conf").write_text("SET\n")
    said = subprocess.run(
        ["rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "-Va", "--nomtime"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    expected = {
        (line.split()[-1], "missing" if line.startswith("missing") else "changed")
        for line in said.splitlines()
    }
    assert expected == {
        ("/usr/share/plain/one", "changed"), ("/usr/share/second/two", "missing"),
        ("/etc/second.conf", "changed"),
    }  # fmt: skip
    found = verify_files(looked_into(root)).findings
    assert {(one.path, one.status) for one in found if one.status != "unowned"} == expected
