"""The image that the recipe ``binfmt`` gives, with QEMU's emulators and Debian's programs.

Everything runs in user namespaces with a binfmt_misc of their own; nothing of this machine changes.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from catalog.binfmt_namespace import MOUNT, need_namespace, run
from homeport.cli.main import run as homeport
from homeport.oci.platform import native_platform
from peers.engines import Podman, podman_limits, wait_until

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        str(native_platform()) != "linux/amd64", reason="names the emulators of an x86-64 machine"
    ),
]

#: Names of an x86-64 machine's emulators, in the order of entries.
EMULATORS = [
    "qemu-aarch64", "qemu-arm", "qemu-loongarch64", "qemu-mips64", "qemu-mips64el",
    "qemu-ppc64le", "qemu-riscv64", "qemu-s390x",
]  # fmt: skip
GUESTS = {
    "arm64": "aarch64", "arm/v7": "armv7l", "ppc64le": "ppc64le", "riscv64": "riscv64",
    "s390x": "s390x",
}  # fmt: skip


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of this machine, built from the shipped lockfile without an engine."""
    folder = tmp_path_factory.mktemp("image") / "binfmt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        patch.delenv("BUILDKIT_HOST", raising=False)
        assert homeport(
            ["build", "binfmt", "--locked", "--platform", "native", "-o", f"oci:{folder}"]
        ) == 0  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def image(layout: Path) -> Path:
    """Its files."""
    need_namespace()
    root = layout.parent / "root"
    assert homeport(["extract", f"oci:{layout}", "/usr/bin", "-o", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's static busybox for other architectures."""
    folder = tmp_path_factory.mktemp("guests")
    platforms = ", ".join(f"linux/{name}" for name in GUESTS)
    recipe = folder / "guests.yaml"
    recipe.write_text(
        f"homeport: 1\nname: guests\nplatforms: [{platforms}]\n"
        "packages: [busybox-static]\nsteps: {os_release: false}\n"
    )
    build = ["build", str(recipe), "--as-of", "2026-10-30", "-o", f"oci:{folder}/image"]
    assert homeport([*build, "--platform", "all"]) == 0
    for name in GUESTS:
        target = folder / name.replace("/", "")
        assert homeport(
            ["extract", f"oci:{folder}/image", "/usr/bin/busybox", "--platform", f"linux/{name}",
             "-o", str(target)]
        ) == 0  # fmt: skip
    return folder


def _binfmt(image: Path) -> dict[str, str]:
    return {"BINFMT": str(image / "usr/bin/binfmt"), "QEMU_BINARY_PATH": str(image / "usr/bin")}


def test_it_holds_emulators_of_other_machines_and_the_program_alone(image: Path) -> None:
    assert sorted(os.listdir(image / "usr/bin")) == ["binfmt", *EMULATORS]


def test_programs_of_five_architectures_run_after_install_all(image: Path, guests: Path) -> None:
    calls = " && ".join(
        f"{guests}/{name.replace('/', '')}/usr/bin/busybox uname -m" for name in GUESTS
    )
    done = run(f'"$BINFMT" --install all && {calls}', _binfmt(image))
    assert done.code == 0, done.err
    document, _, machines = done.out.partition("\n}\n")
    assert json.loads(document + "\n}")["emulators"] == EMULATORS
    assert machines.split() == list(GUESTS.values())


def test_without_root_a_command_of_another_architecture_runs(
    layout: Path, guests: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """``binfmt install --rootless``: the command has the emulators that are named alone."""
    need_namespace()
    program = f"{guests}/s390x/usr/bin/busybox"
    call = ["binfmt", "install", "--rootless", f"oci:{layout}", "--platform", "linux/s390x"]
    assert homeport([*call, "--", "sh", "-c", f"{program} uname -m; exit 5"]) == 5
    assert capfd.readouterr().out == "s390x\n"
    assert homeport([*call, "--", f"{guests}/arm64/usr/bin/busybox", "true"]) != 0


def test_without_root_a_running_namespace_gets_emulators(
    layout: Path, guests: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    need_namespace()
    program = f"{guests}/s390x/usr/bin/busybox"
    script = f"echo ready; read line; {program} uname -m"
    with subprocess.Popen(
        ["unshare", "-Urm", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        call = ["binfmt", "install", "--rootless", f"oci:{layout}", "--pid", str(process.pid)]
        assert homeport([*call, "--format", "json"]) == 0
        document = json.loads(capfd.readouterr().out)
        assert document["namespace"] == f"process {process.pid}"
        assert document["emulators"] == EMULATORS
        assert process.communicate("go\n", timeout=60)[0] == "s390x\n"


def test_the_name_that_a_program_is_called_by_is_kept_with_p(image: Path, guests: Path) -> None:
    """busybox chooses its applet by it."""
    call = f"exec -a expr {guests}/s390x/usr/bin/busybox 20 + 22"
    install = '"$BINFMT" --install s390x >/dev/null && exec bash -c '
    kept = run(f"{install} '{call}'", {**_binfmt(image), "QEMU_PRESERVE_ARGV0": "1"})
    assert (kept.code, kept.out) == (0, "42\n"), kept.err
    lost = run(f"{install} '{call}'", _binfmt(image))
    assert "20: applet not found" in lost.err


def _exits_with_effective_uid() -> bytes:
    """For 64-bit ARM: geteuid, then exit with its low byte."""
    code = struct.pack("<4I", 0xD28015E8, 0xD4000001, 0xD2800BA8, 0xD4000001)
    size, address = 120 + len(code), 0x400000
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, address + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 65536) + code


@pytest.mark.root
@pytest.mark.parametrize(("option", "effective"), [("", 1000 & 0xFF), ("--credentials", 0)])
def test_set_uid_programs_get_rights_only_when_they_are_asked_for(
    image: Path, tmp_path: Path, option: str, effective: int
) -> None:
    """Debian took the flag C away by a security update: any such file runs QEMU as root."""
    program = tmp_path / "program"
    program.write_bytes(_exits_with_effective_uid())
    script = (
        f'"$BINFMT" {option} --install arm64 >/dev/null &&'
        f" cp {program} /mnt/program && chmod 4755 /mnt/program &&"
        " exec setpriv --reuid 1000 --regid 1000 --clear-groups /mnt/program"
    )
    # A file system of the namespace: others are nosuid there.
    command = f"mount -t tmpfs none /mnt && mount -t binfmt_misc binfmt_misc {MOUNT} && {script}"
    done = _run_with_all_users(command, _binfmt(image))
    assert done.returncode == effective, done.stderr


def _run_with_all_users(
    command: str, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """In a user namespace that has more users than one. Needs root, without a helper program."""
    argv = ["unshare", "-Um", "sh", "-c", 'read _; exec sh -c "$0"', command]
    process = subprocess.Popen(
        argv, env={"PATH": os.environ["PATH"], **variables}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    own = os.readlink("/proc/self/ns/user")
    wait_until(lambda: os.readlink(f"/proc/{process.pid}/ns/user") != own)
    for kind in ("uid", "gid"):
        Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 65536\n")
    out, err = process.communicate("\n", timeout=60)
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def test_entries_are_those_of_debians_own_configuration(image: Path, tmp_path: Path) -> None:
    """/usr/share/qemu/binfmt.d of the very package that the emulators are of."""
    recipe = tmp_path / "qemu.yaml"
    recipe.write_text(
        "homeport: 1\nname: qemu\nplatforms: [linux/amd64]\npackages: [qemu-user_binfmt]\n"
        "steps: {os_release: false}\n"
    )
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices/qemu-user.yaml").write_text(
        "homeport: 1\npackage: qemu-user\nslices:\n"
        "  binfmt: {paths: ['/usr/share/qemu/binfmt.d/*.conf']}\n"
    )
    folder = tmp_path / "conf"
    build = ["build", str(recipe), "--as-of", "2026-10-30", "-o", f"oci:{tmp_path}/image"]
    assert homeport(build) == 0
    assert homeport(
        ["extract", f"oci:{tmp_path}/image", "/usr/share/qemu/binfmt.d", "-o", str(folder)]
    ) == 0  # fmt: skip
    shown = "; ".join(f"echo; cat {MOUNT}/{name}" for name in EMULATORS)
    done = run(f'"$BINFMT" --install all >/dev/null; {shown}', _binfmt(image))
    ours = re.findall(r"interpreter \S+/(\S+)\n.*\n.*\nmagic (\w+)\nmask (\w+)\n", done.out)
    assert [name for name, _, _ in ours] == EMULATORS
    for name, magic, mask in ours:
        text = (folder / f"usr/share/qemu/binfmt.d/{name}.conf").read_text()
        _, entry, kind, _, theirs, their_mask, *_ = text.strip().split(":")
        assert (entry, kind) == (name, "M")
        assert _bytes(theirs).hex() == magic
        assert _bytes(their_mask).hex() == mask


def _bytes(text: str) -> bytes:
    return bytes(int(pair, 16) for pair in text.split("\\x")[1:])


@pytest.mark.root
@pytest.mark.peer("podman")
def test_an_unprivileged_container_of_podman_says_what_it_needs(
    layout: Path, podman: Podman
) -> None:
    name = podman.run("pull", "-q", f"oci:{layout}").strip()
    version = _run(podman, name, "--version")
    assert (version.returncode, version.stdout) == (0, "")
    assert "binfmt/homeport qemu/v10." in version.stderr
    unprivileged = _run(podman, name, "--install", "all")
    assert (unprivileged.returncode, unprivileged.stdout) == (1, "")
    assert "hint: run the container with --privileged" in unprivileged.stderr


def _run(podman: Podman, image: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*podman.argv, "run", "--rm", "--network", "none", *podman_limits(), image, *words],
        env={**os.environ, **podman.environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
