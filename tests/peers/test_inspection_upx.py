"""Programs packed by Debian's UPX of two ages, for the machines that both Go and UPX know."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.inspection.binaries import upx
from homeport.inspection.binaries.facts import examine
from peers.test_inspection_debian import go, module  # noqa: F401  a fixture

#: UPX 3.96 and 4.2.4.
SUITES = ["bullseye", "trixie"]
PACKAGES = ["upx-ucl", "libucl1", "libc6", "libstdc++6", "libgcc-s1", "zlib1g"]
#: Both byte orders, 32 and 64 bits.
MACHINES = ["amd64", "386", "arm", "arm64", "mips", "mipsle", "ppc64", "ppc64le"]
OPTIONS = ["", "--lzma", "--nrv2b", "--nrv2d"]

Packer = Callable[[str, Path, Path], None]

pytestmark = [
    pytest.mark.full, pytest.mark.network, pytest.mark.peer("apt-get", "dpkg-deb", "go"),
]  # fmt: skip


@pytest.fixture(scope="module", params=SUITES)
def packer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Packer:
    """UPX of a suite, started by the suite's own loader, for it may need a newer libc."""
    top = tmp_path_factory.mktemp("upx")
    for name in ("lists/partial", "cache/archives/partial", "root"):
        (top / name).mkdir(parents=True)
    sources = top / "sources.list"
    sources.write_text(f"deb http://deb.debian.org/debian {request.param} main\n")
    apt = [
        "apt-get", f"-oDir::Etc::SourceList={sources}", "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={top}/lists", f"-oDir::Cache={top}/cache",
        "-oAcquire::Languages=none", "-oAcquire::Check-Valid-Until=false",
        "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]  # fmt: skip
    subprocess.run([*apt, "update", "-qq"], check=True, capture_output=True, timeout=300)
    wanted = [f"{name}/{request.param}" for name in PACKAGES]
    subprocess.run([*apt, "download", *wanted], cwd=top, check=True, capture_output=True,
                   timeout=300)  # fmt: skip
    for deb in top.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(top / "root")], check=True)
    loader = min((top / "root").rglob("ld-linux-x86-64.so.2"))
    folders = {str(each.parent) for each in (top / "root").rglob("lib*.so.*")}
    program = [str(loader), "--library-path", ":".join(sorted(folders)),
               str(top / "root/usr/bin/upx-ucl")]  # fmt: skip

    def pack(options: str, source: Path, target: Path) -> None:
        argv = [*program, "-q", *options.split(), "-o", str(target), str(source)]
        subprocess.run(argv, capture_output=True, timeout=300, check=True)

    return pack


@pytest.mark.parametrize("machine", MACHINES)
def test_what_upx_packed_comes_out_byte_for_byte(
    module: Path,  # noqa: F811
    packer: Packer,
    machine: str,
    tmp_path: Path,
) -> None:
    plain = tmp_path / "plain"
    go(module, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", str(plain), "./cmd/tool",
       GOARCH=machine)  # fmt: skip
    for options in OPTIONS:
        target = tmp_path / f"packed{options}"
        packer(options, plain, target)
        data = target.read_bytes()
        assert upx.unpack(data) == plain.read_bytes()
        facts = examine(data)
        assert facts.packer is not None
        assert facts.packer.name == "UPX"
        assert facts.go is not None
        assert facts.go.main == "example.org/tool/cmd/tool"
