"""What ``homeport build dockerfile-copy`` writes is taken and run by others, on every platform.

The image is built once from Debian's archive, as an ordinary build does. Foreign platforms run
in a chroot with ``qemu-ARCH-static`` in front of the interpreter that the helper's own first
line names, so no binfmt_misc is needed; what runs is shown by its ELF header.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from elftools.elf.elffile import ELFFile

from builders.runtime import runtime
from homeport.content.blob import verified
from homeport.images.address import EngineAddress, LayoutAddress
from homeport.images.copy import copy
from homeport.images.image import Image
from homeport.images.platforms import platforms_of, select
from homeport.images.transports.docker_daemon import DockerDaemon
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import native_platform, parse_platform
from peers.engines import Podman, Program, RegistryServer

pytestmark = [pytest.mark.network, pytest.mark.root]

SEVEN = ["386", "amd64", "arm/v7", "arm64", "ppc64le", "riscv64", "s390x"]
#: What runs in every test run; the others with HOMEPORT_FULL (.ci/run --full).
RUN = SEVEN if os.environ.get("HOMEPORT_FULL") else ["arm64", "s390x"]
QEMU = {
    "386": "i386", "amd64": "x86_64", "arm/v7": "arm", "arm64": "aarch64",
    "ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
}  # fmt: skip
MACHINE = {
    "386": ("EM_386", 32, "<"), "amd64": ("EM_X86_64", 64, "<"), "arm/v7": ("EM_ARM", 32, "<"),
    "arm64": ("EM_AARCH64", 64, "<"), "ppc64le": ("EM_PPC64", 64, "<"),
    "riscv64": ("EM_RISCV", 64, "<"), "s390x": ("EM_S390", 64, ">"),
}  # fmt: skip
each_platform = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.peer("chroot", f"qemu-{QEMU[name]}-static"))
        for name in RUN
    ],
)
UNPACKERS = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def homeport(*arguments: str, cwd: Path) -> str:
    """The command line, as a user starts it."""
    program = Path(sys.executable).with_name("homeport")
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of all seven platforms that the main command writes."""
    folder = tmp_path_factory.mktemp("built")
    homeport("build", "dockerfile-copy", "--no-progress", cwd=folder)
    return folder / "dockerfile-copy.oci"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The docker archive of the native platform."""
    folder = tmp_path_factory.mktemp("saved")
    homeport(
        "build", "dockerfile-copy", "--no-progress",
        "-o", "docker-archive:copy.tar:localhost/dockerfile-copy:test", cwd=folder,
    )  # fmt: skip
    return folder / "copy.tar"


@pytest.mark.peer("skopeo")
def test_skopeo_lists_seven_platforms_and_an_attestation_of_each(
    built: Path, skopeo: Program
) -> None:
    raw = json.loads(skopeo.run("inspect", "--raw", f"oci:{built}:latest"))
    found = [
        "/".join(filter(None, [line["platform"]["architecture"], line["platform"].get("variant")]))
        for line in raw["manifests"]
    ]
    assert sorted(found) == [*SEVEN, *["unknown"] * 7]


@pytest.mark.peer("skopeo", "docker-registry")
def test_it_goes_through_a_registry_and_back_with_unchanged_digests(
    built: Path, skopeo: Program, registry: RegistryServer, tmp_path: Path
) -> None:
    remote = f"docker://{registry.repository('dockerfile-copy')}:1"
    skopeo.run("copy", "--all", "--dest-tls-verify=false", f"oci:{built}:latest", remote)
    skopeo.run("copy", "--all", "--src-tls-verify=false", remote, f"oci:{tmp_path}/back:1")
    raw = skopeo.run("inspect", "--raw", f"oci:{tmp_path}/back:1").encode()
    blob = built / "blobs" / "sha256" / hashlib.sha256(raw).hexdigest()
    assert blob.read_bytes() == raw
    names = {path.name for path in (built / "blobs" / "sha256").iterdir()}
    assert {path.name for path in (tmp_path / "back/blobs/sha256").iterdir()} == names


@pytest.mark.peer("umoci")
def test_umoci_unpacks_the_native_image(built: Path, umoci: Program, tmp_path: Path) -> None:
    source = OciLayout(LayoutAddress(path=built))
    native = OciLayout(LayoutAddress(path=tmp_path / "native", tag="native"))
    copy(source, native, runtime(), platforms=[native_platform()])  # umoci takes no index
    assert umoci.run("ls", "--layout", str(tmp_path / "native")).split() == ["native"]
    umoci.run("unpack", "--rootless", "--image", f"{tmp_path}/native:native", f"{tmp_path}/u")
    assert (tmp_path / "u/rootfs/usr/bin/copy").stat().st_mode & 0o111


@pytest.mark.peer("podman", "runc")
def test_podman_loads_the_archive_and_runs_copy_on_a_real_directory(
    saved: Path, podman: Podman, tmp_path: Path
) -> None:
    assert "localhost/dockerfile-copy:test" in podman.run("load", "--input", str(saved))
    source, target = sample(tmp_path)
    podman.run_image(
        "--read-only", "-v", f"{source}:/src-0:ro", "-v", f"{target}:/dest", "-w", "/dest",
        "--entrypoint", "copy", "localhost/dockerfile-copy:test",
        "--chown=7:8", "/src-0", "into/",
    )  # fmt: skip
    assert (target / "into/file").read_bytes() == b"content"
    assert (target / "into/dir/deep").read_bytes() == b"deep"
    assert os.readlink(target / "into/link") == "file"
    status = (target / "into/file").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 7, 8)


@pytest.mark.peer("podman", "runc")
def test_homeport_loads_into_podman(
    podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    for variable, text in podman.environ.items():
        monkeypatch.setenv(variable, text)
    homeport("build", "dockerfile-copy", "--no-progress", "--load", cwd=tmp_path)
    assert "dockerfile-copy" in podman.run("images", "--format", "{{.Repository}}")


@pytest.mark.peer("dockerd")
def test_homeport_loads_into_docker(
    dockerd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dockerd)
    printed = homeport(
        "build", "dockerfile-copy", "--no-progress", "--load", "--format", "json", cwd=tmp_path
    )
    loaded = json.loads(printed)["loaded"]
    assert loaded["engine"] == "docker"
    address = EngineAddress(engine="docker-daemon", name=loaded["name"])
    with DockerDaemon(address).open(runtime()) as value:
        assert platforms_of(value) == [native_platform()]


@dataclass(frozen=True)
class Machine:
    """A platform's image in a folder, and the emulator that runs it there."""

    name: str
    root: Path

    def shebang(self) -> list[str]:
        """What the kernel would start for ``copy``: the words of its first line."""
        first = (self.root / "usr/bin/copy").read_bytes().partition(b"\n")[0].decode()
        assert first.startswith("#!")
        return first.removeprefix("#!").split()

    def copy(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [
                shutil.which("chroot"),
                self.root,
                "/qemu",
                *self.shebang(),
                "/usr/bin/copy",
                *arguments,
            ],
            env={"PATH": "/usr/bin:/bin", "HOME": "/"},
            capture_output=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def machine(name: str, built: Path, tmp_path: Path) -> Machine:
    root = tmp_path / "root"
    with OciLayout(LayoutAddress(path=built)).open(runtime()) as value:
        assert len(platforms_of(value)) == 7
        image = select(value, [parse_platform(f"linux/{name}")])
        assert isinstance(image, Image)
        for part in image.document.parsed.layers:
            root.mkdir(exist_ok=True)
            with verified(image.blobs[part.parsed_digest]) as stream:
                unpack = ["tar", "--numeric-owner", "-xzf", "-", "-C", str(root)]
                subprocess.run(unpack, input=stream.readall(), check=True)
    emulator = shutil.which(f"qemu-{QEMU[name]}-static")
    assert emulator is not None
    shutil.copy(emulator, root / "qemu")
    return Machine(name, root)


def sample(folder: Path) -> tuple[Path, Path]:
    """A source with a file, a folder and a link; and an empty target."""
    source, target = folder / "src-0", folder / "dest"
    (source / "dir").mkdir(parents=True)
    (source / "file").write_bytes(b"content")
    (source / "file").chmod(0o640)
    (source / "dir/deep").write_bytes(b"deep")
    (source / "link").symlink_to("file")
    target.mkdir()
    return source, target


@each_platform
def test_the_helper_is_started_by_the_interpreter_of_its_platform(machine: Machine) -> None:
    interpreter, *flags = machine.shebang()
    assert (interpreter, flags) == ("/usr/bin/python3.13", ["-ISB"])
    with (machine.root / interpreter.lstrip("/")).open("rb") as stream:
        elf = ELFFile(stream)
        order = "<" if elf.little_endian else ">"
        found = (elf.header["e_machine"], elf.elfclass, order)
        loader = next(
            part.get_interp_name() for part in elf.iter_segments() if part["p_type"] == "PT_INTERP"
        )
    assert found == MACHINE[machine.name]
    assert (machine.root / os.path.realpath(machine.root / loader.lstrip("/"))).is_file()


@each_platform
def test_the_helper_copies_files_folders_and_links(machine: Machine) -> None:
    sample(machine.root)
    done = machine.copy("/src-0/file", "/dest/one")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (machine.root / "dest/one").read_bytes() == b"content"
    done = machine.copy("--chown=7:8", "/src-0", "/dest/into/")
    assert (done.returncode, done.stderr) == (0, b"")
    status = (machine.root / "dest/into/file").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 7, 8)
    assert (machine.root / "dest/into/dir/deep").read_bytes() == b"deep"
    assert os.readlink(machine.root / "dest/into/link") == "file"


@each_platform
@pytest.mark.parametrize("codec", UNPACKERS)
def test_the_helper_unpacks_every_codec(machine: Machine, codec: str) -> None:
    source, target = sample(machine.root)
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(20_000))
    (source / f"x.{codec}").write_bytes(UNPACKERS[codec](archive_of({"a/b": noise, "c": b"c"})))
    # The tool that the helper stands in for knew no zstd, so that needs today's rules.
    rules = ["--rules=current"] if codec == "tar.zst" else []
    done = machine.copy("--unpack", *rules, f"/src-0/x.{codec}", "/dest/")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (target / "a/b").read_bytes() == noise
    assert (target / "c").read_bytes() == b"c"


@each_platform
def test_a_failure_of_the_helper_is_exit_code_2_and_a_message(machine: Machine) -> None:
    done = machine.copy("/src-0/absent", "/dest/one")
    assert done.returncode == 2
    assert b"absent" in done.stderr


def archive_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
