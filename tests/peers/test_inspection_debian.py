"""Packages and binaries of Debian: against dpkg and Go's own tools."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from builders.deb import deb
from builders.images import Layer
from builders.inspection import made
from builders.runtime import runtime
from homeport.elf import read_elf
from homeport.inspection.binaries.facts import examine
from homeport.inspection.binaries.golang import read_go
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.verification import verify_files

PROGRAM = """package main

import (
	"fmt"

	"example.org/tool/internal/rules"
)

func main() { fmt.Println(rules.Apply(1)) }
"""
PACKAGE = """package rules

//go:noinline
func Apply(n int) int { return 2 * n }
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    (folder / "cmd/tool").mkdir(parents=True)
    (folder / "internal/rules").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.org/tool\n\ngo 1.18\n")
    (folder / "cmd/tool/main.go").write_text(PROGRAM)
    (folder / "internal/rules/rules.go").write_text(PACKAGE)
    return folder


def go(module: Path, *arguments: str, **environ: str) -> str:
    settings = {
        "PATH": "/usr/local/go/bin:/usr/lib/go/bin:/usr/bin:/bin", "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod", "GOENV": "off", "HOME": str(module), "CGO_ENABLED": "0",
        "GOPROXY": "off",
    }  # fmt: skip
    done = subprocess.run(
        ["go", *arguments], cwd=module, env={**settings, **environ}, capture_output=True,
        text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout


@pytest.mark.full
@pytest.mark.peer("go")
@pytest.mark.parametrize("machine", ["amd64", "s390x"])
@pytest.mark.parametrize("flags", ["-ldflags=", "-ldflags=-s -w"])
def test_what_go_says_of_its_own_binaries(module: Path, machine: str, flags: str) -> None:
    out = module / f"tool-{machine}"
    go(module, "build", "-buildvcs=false", flags, "-o", str(out), "./cmd/tool", GOARCH=machine)
    said = go(module, "version", "-m", str(out))
    facts = examine(out.read_bytes()).go
    assert facts is not None
    assert facts.version == said.split()[1]
    assert facts.main == re.search(r"\tpath\t(\S+)", said)[1]  # type: ignore[index]
    assert facts.module is not None
    assert facts.module.path == "example.org/tool"
    assert facts.settings["GOARCH"] == machine
    assert "example.org/tool/internal/rules" in facts.packages
    assert f"{facts.source}".endswith("/cmd/tool/main.go")


@pytest.mark.network
@pytest.mark.peer("apt-get", "dpkg-deb")
def test_a_go_program_of_debian(tmp_path: Path) -> None:
    """gosu: built by Debian without modules, stripped of nothing that we need."""
    subprocess.run(["apt-get", "download", "gosu"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "-x", *map(str, tmp_path.glob("*.deb")), str(tmp_path / "x")],
                   check=True)  # fmt: skip
    facts = read_go(read_elf((tmp_path / "x/usr/sbin/gosu").read_bytes()))
    assert facts is not None
    assert facts.main == "github.com/tianon/gosu"
    assert facts.version.startswith("go1.")
    assert "golang.org/x/sys/unix" in facts.packages


@pytest.mark.root
@pytest.mark.peer("dpkg", "tar")
def test_verifying_finds_what_dpkg_finds(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("updates", "info"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    made_here = {
        "tool": {"usr/bin/tool": b"1", "usr/bin/other": b"2", "etc/tool.conf": b"3", "usr/x": b"4"},
        "plain": {"usr/share/plain/a": b"5", "usr/share/plain/b": b"6"},
    }
    for name, files in made_here.items():
        conffiles = [f"/{path}" for path in files if path.startswith("etc/")]
        path = tmp_path / f"{name}.deb"
        path.write_bytes(deb(name, "1.0", files=files, conffiles=conffiles))
        subprocess.run(
            ["dpkg", f"--root={root}", "--force-all", "--install", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip
    (root / "usr/bin/tool").write_bytes(b"changed")
    (root / "etc/tool.conf").write_bytes(b"edited")
    (root / "usr/share/plain/b").unlink()
    expected = dpkg_verify(root)
    assert expected == {
        ("/usr/bin/tool", "changed"), ("/etc/tool.conf", "changed"),
        ("/usr/share/plain/b", "missing"),
    }  # fmt: skip
    found = verify_files(looked_into(root))
    assert {(one.path, one.status) for one in found.findings if one.status != "unowned"} == expected


@pytest.mark.full
@pytest.mark.root
@pytest.mark.network
@pytest.mark.peer("mmdebstrap", "dpkg", "tar")
def test_a_whole_debian_is_what_dpkg_says(tmp_path: Path) -> None:
    root = tmp_path / "root"
    subprocess.run(
        ["mmdebstrap", "--variant=essential", "--mode=root", "bookworm", str(root)],
        check=True, capture_output=True, timeout=900,
    )  # fmt: skip
    (root / "bin/hostname").write_bytes((root / "bin/hostname").read_bytes() + b"!")
    opened = looked_into(root)
    # dpkg writes a path as the package has it, we as the image has it (usrmerge).
    real = {
        ("/usr" + path if path.startswith(("/bin/", "/lib/", "/sbin/")) else path, did)
        for path, did in dpkg_verify(root)
    }
    found = verify_files(opened)
    assert {(one.path, one.status) for one in found.findings if one.status == "changed"} == {
        each for each in real if each[1] == "changed"
    }
    packages, problems = find_packages(opened)
    listed = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    assert problems == []
    assert {f"{one.name} {one.version}" for one in packages if one.manager == "dpkg"} == {
        line for line in listed if line
    }


def dpkg_verify(root: Path) -> set[tuple[str, str]]:
    said = subprocess.run(
        ["dpkg", f"--root={root}", "--verify"], capture_output=True, text=True, check=False
    ).stdout
    found = set()
    for line in said.splitlines():
        word, path = line.split(maxsplit=1)
        found.add((path.removeprefix("c "), "missing" if word == "missing" else "changed"))
    return found


def looked_into(root: Path) -> OpenedImage:
    tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True)
    layer = Layer(gzip.compress(tar.stdout, 1), tar.stdout)
    return open_layers(made(layer), runtime())
