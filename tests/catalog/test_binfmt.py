"""The program of the recipe ``binfmt``: words, JSON, entries and exit codes, on a real kernel.

Its contract is that of tonistiigi/binfmt, which setup-qemu-action and buildx call. Emulators
here only exit with 0, as the programs do that binfmt probes with; real ones run in tests/peers.
"""

from __future__ import annotations

import platform
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from catalog.binfmt_namespace import MOUNT, Done, need_namespace, run, shipped_installer

#: Machine code of exit(0), by ``uname -m``: machine number, instructions.
_EXIT = {
    "x86_64": (62, bytes.fromhex("6a3c5831ff0f05")),
    "aarch64": (183, struct.pack("<3I", 0xD2800000, 0xD2800BA8, 0xD4000001)),
}
FOREIGN = {
    "arm64": "aarch64", "arm": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le",
    "s390x": "s390x", "mips64le": "mips64el", "mips64": "mips64", "loong64": "loongarch64",
    "amd64": "x86_64", "386": "i386",
}  # fmt: skip
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")

Call = Callable[..., Done]


def _exits_with_zero() -> bytes:
    machine, code = _EXIT[platform.machine()]
    size, address = 120 + len(code), 0x400000
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, address + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 4096) + code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installer, and emulators for everything that this machine does not run."""
    if not NATIVE:
        pytest.skip(f"no emulator of the tests runs on {platform.machine()}")
    need_namespace()
    home = tmp_path_factory.mktemp("binfmt")
    shipped_installer(home)
    (home / "emulators").mkdir()
    for name, emulator in FOREIGN.items():
        if name not in (NATIVE, "386"):
            path = home / "emulators" / f"qemu-{emulator}"
            path.write_bytes(_exits_with_zero())
            path.chmod(0o755)
    return home


@pytest.fixture
def call(folder: Path) -> Call:
    """Run commands; ``binfmt`` is the program, and ``ls`` shows the entries."""

    def commands(
        script: str, variables: Mapping[str, str] | None = None, *, mounted: bool = True
    ) -> Done:
        prelude = f'binfmt() {{ "{folder}/binfmt" "$@"; }}; '
        environment = {"QEMU_BINARY_PATH": str(folder / "emulators"), **(variables or {})}
        return run(prelude + script, environment, mounted=mounted)

    return commands


def test_without_arguments_only_json_is_printed_and_it_begins_with_this_machine(
    call: Call,
) -> None:
    done = call("binfmt")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith('{\n  "supported": [\n    "linux/' + NATIVE + '"')
    assert done.document["emulators"] is None
    assert done.out.endswith('  "emulators": null\n}\n')


def test_all_installs_every_emulator_for_what_the_kernel_does_not_run(call: Call) -> None:
    done = call("binfmt --install all")
    assert done.code == 0, done.err
    installed = re.findall(r"installing: (\S+) OK\n", done.err)
    assert sorted(installed) == sorted({*FOREIGN} - {NATIVE, "386"})
    assert done.document["emulators"] == sorted(f"qemu-{FOREIGN[name]}" for name in installed)
    supported = done.document["supported"]
    assert supported[-2:] == ["linux/arm/v7", "linux/arm/v6"]
    order = [
        "linux/amd64", "linux/arm64", "linux/riscv64", "linux/ppc64le", "linux/s390x",
        "linux/mips64le", "linux/mips64", "linux/loong64", "linux/arm/v7",
    ]  # fmt: skip
    assert [name for name in supported[1:] if name in order] == [
        name for name in order if name != f"linux/{NATIVE}"
    ]


def test_setup_qemu_actions_calls_give_what_it_reads(call: Call) -> None:
    """Its steps: version, reset, install, and the platforms for its output."""
    done = call(
        "binfmt --version && binfmt --uninstall 'qemu-*' >&2 && binfmt --install all >&2 && binfmt"
    )
    assert done.code == 0
    assert re.match(r"binfmt/homeport qemu/v\S+\n", done.err)
    assert "uninstalling: qemu-* not found\n" in done.err
    assert "linux/s390x" in done.document["supported"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("s390x", "s390x"), ("linux/s390x", "s390x"), ("armhf", "arm"), ("linux/arm/v7", "arm"),
        ("linux/arm/v9", "arm"), ("RISCV64", "riscv64"), ("linux/mips64le", "mips64le"),
    ],
)  # fmt: skip
def test_a_platform_is_read_as_containerd_reads_it(call: Call, word: str, name: str) -> None:
    done = call(f"binfmt -install={word}")
    assert (done.code, done.err) == (0, f"installing: {name} OK\n")
    assert done.document["emulators"] == [f"qemu-{FOREIGN[name]}"]


@pytest.mark.parametrize("word", ["armv7", "riscv", "foo", ""])
def test_an_unknown_architecture_is_an_error_and_the_others_are_installed(
    call: Call, word: str
) -> None:
    done = call(f"binfmt --install s390x,{word}")
    assert done.code == 1
    assert done.err == (
        f"installing: s390x OK\ninstalling: {word} unsupported architecture: {word}\n"
    )
    assert done.document["emulators"] == ["qemu-s390x"]


@pytest.mark.parametrize("word", [NATIVE, f"linux/{NATIVE}", "linux"])
def test_the_machines_own_architecture_is_never_registered(call: Call, word: str) -> None:
    """It would run every program of the machine, the emulator included."""
    done = call(f"binfmt --install {word}")
    assert (done.code, done.err) == (
        0, f"installing: {NATIVE} not registered: this machine runs it natively\n",
    )  # fmt: skip
    assert done.document["emulators"] is None


def test_a_second_installation_says_so_and_succeeds(call: Call) -> None:
    done = call("binfmt --install arm,s390x >/dev/null && binfmt --install arm,s390x")
    assert done.code == 0
    assert done.err.splitlines()[2:] == [
        "installing: arm qemu-arm already registered",
        "installing: s390x qemu-s390x already registered",
    ]


@pytest.mark.parametrize(
    ("variables", "entry", "flags"),
    [
        ({}, "qemu-s390x", "F"),
        ({"QEMU_PRESERVE_ARGV0": "1"}, "qemu-s390x", "PF"),
        ({"QEMU_CREDENTIALS": "1"}, "qemu-s390x", "OCF"),
        ({"QEMU_PRESERVE_ARGV0": "1", "QEMU_CREDENTIALS": "1"}, "qemu-s390x", "POCF"),
    ],
)
def test_the_flags_of_an_entry(
    call: Call, variables: Mapping[str, str], entry: str, flags: str
) -> None:
    done = call(f"binfmt --install s390x >/dev/null; cat {MOUNT}/{entry}", variables)
    assert f"flags: {flags}\n" in done.out


def test_set_uid_rights_can_also_be_asked_for_by_an_option(call: Call) -> None:
    done = call(f"binfmt --credentials --install s390x >/dev/null; cat {MOUNT}/qemu-s390x")
    assert "flags: OCF\n" in done.out


def test_a_prefix_is_part_of_file_and_entry(call: Call, folder: Path) -> None:
    done = call(
        'mkdir /tmp/$$ && cp "$QEMU_BINARY_PATH/qemu-s390x" /tmp/$$/my-qemu-s390x &&'
        " QEMU_BINARY_PATH=/tmp/$$ QEMU_BINARY_PREFIX=my- binfmt --install s390x;"
        " binfmt --uninstall s390x; rm -r /tmp/$$"
    )
    assert "installing: s390x OK\n" in done.err
    assert "uninstalling: my-qemu-s390x OK\n" in done.err
    done = call("QEMU_BINARY_PREFIX=a/b binfmt --install s390x")
    assert done.code == 1
    assert "binary prefix must not contain path separator" in done.err


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ("qemu-*", ["qemu-arm", "qemu-ppc64le", "qemu-s390x"]),
        ("s390x", ["qemu-s390x"]),
        ("linux/s390x", ["qemu-s390x"]),
        ("arm,s390x", ["qemu-arm", "qemu-s390x"]),
        ("qemu-arm", ["qemu-arm"]),
        ("other", []),
    ],
)
def test_entries_are_removed_by_platform_name_or_pattern(
    call: Call, words: str, gone: list[str]
) -> None:
    there = ["qemu-arm", "qemu-ppc64le", "qemu-s390x"]
    done = call(f"binfmt --install arm,ppc64le,s390x >/dev/null; binfmt --uninstall '{words}'")
    assert done.code == 0
    removed = re.findall(r"uninstalling: (\S+) OK", done.err)
    assert removed == gone
    left = [name for name in there if name not in gone]
    assert done.document["emulators"] == (left or None)
    assert gone or "uninstalling: other not found\n" in done.err


def test_entries_of_others_survive(call: Call) -> None:
    others = (
        f"echo ':python3.11:M::magic-of-python::/bin/true:' > {MOUNT}/register;"
        f"echo ':WSLInterop:M::MZ::/bin/true:' > {MOUNT}/register;"
    )
    done = call(f"{others} binfmt --install s390x >/dev/null; binfmt --uninstall 'qemu-*'")
    assert done.document["emulators"] == ["WSLInterop", "python3.11"]
    done = call(f"{others} binfmt --uninstall '*'")
    assert done.document["emulators"] == ["WSLInterop"]


def test_an_emulator_that_is_missing_is_an_error_and_nothing_is_registered(call: Call) -> None:
    done = call("binfmt --install s390x", {"QEMU_BINARY_PATH": "/nowhere"})
    assert done.code == 1
    assert done.err == (
        f'installing: s390x cannot register "/nowhere/qemu-s390x" to {MOUNT}/register: '
        "No such file or directory\n"
    )
    assert done.document["emulators"] is None
    done = call("binfmt --install all", {"QEMU_BINARY_PATH": "/nowhere"})
    assert (done.code, done.err) == (1, "error: no emulator in /nowhere\n")


def test_an_emulator_that_does_not_run_programs_is_an_error(call: Call) -> None:
    done = call(
        "mkdir /tmp/$$; printf '#!/bin/false\\n' > /tmp/$$/qemu-s390x; chmod +x /tmp/$$/*;"
        "QEMU_BINARY_PATH=/tmp/$$ binfmt --install s390x; code=$?; rm -r /tmp/$$; exit $code"
    )
    assert done.code == 1
    assert "error: s390x is registered, but its programs do not run\n" in done.err


def test_entries_that_vanish_with_the_mount_are_noticed(call: Call) -> None:
    """Upstream reports success, and nothing is there afterwards (tonistiigi/binfmt#360)."""
    done = call(f"binfmt --install s390x; code=$?; ls {MOUNT}; exit $code", mounted=False)
    assert done.code == 1
    assert "error: the kernel dropped the entries with the last mount" in done.err
    assert "--pid=host" in done.err
    assert "qemu-s390x" in done.out  # the JSON says what was there; no entry follows it
    assert done.out.rstrip().endswith("}")


def test_a_mount_that_was_missing_is_no_fault_when_nothing_is_installed(call: Call) -> None:
    done = call("binfmt --uninstall 'qemu-*'", mounted=False)
    assert (done.code, done.err) == (0, "uninstalling: qemu-* not found\n")


def test_with_the_machines_processes_in_sight_it_mounts_there(call: Call) -> None:
    """As with ``--pid=host``: process 1 is of another mount namespace, and keeps the mount."""
    done = call(
        f"unshare --fork --pid --mount-proc --mount sh -c '"
        # Process 1 of this namespace; the child has a mount namespace of its own.
        f"unshare --mount {{0}} --install s390x >/dev/null; cat {MOUNT}/qemu-s390x'".replace(
            "{0}", '"$0"'
        )
        + ' "$PROGRAM"',
        {"PROGRAM": str(_program(call))},
        mounted=False,
    )
    assert done.err == "installing: s390x OK\n"
    assert done.out.startswith("enabled\n")


def _program(call: Call) -> str:
    return call('echo "$QEMU_BINARY_PATH"').out.strip().replace("/emulators", "/binfmt")


def test_another_mount_point(call: Call) -> None:
    done = call(
        "d=$(mktemp -d); mount -t binfmt_misc binfmt_misc $d;"
        f"binfmt --mount $d --install s390x; ls {MOUNT}; umount $d; rmdir $d"
    )
    assert "qemu-s390x" in done.out.split("}")[1]  # one filesystem, seen at both places
    done = call("binfmt --mount /nowhere", mounted=False)
    assert done.code == 1
    assert done.out == ""
    assert "cannot mount binfmt_misc filesystem at /nowhere\nhint: the directory is missing" in (
        done.err
    )


def test_without_rights_nothing_is_printed_on_standard_output(folder: Path) -> None:
    """setup-qemu-action shows standard error if the program fails."""
    done = run(
        f"exec setpriv --bounding-set -all --inh-caps -all {folder}/binfmt --install all",
        mounted=False,
    )
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"error: Operation not permitted\ncannot mount binfmt_misc filesystem at {MOUNT}\n"
        "hint: run the container with --privileged\n"
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("-debug", 2, "flag provided but not defined: -debug\nUsage of "),
        ("--install", 2, "flag needs an argument: -install\nUsage of "),
        ("--version=maybe", 2, "invalid boolean value for: -version\n"),
        ("--help", 0, "Usage of "),
        ("--version=false install", 0, ""),
    ],
)
def test_options_are_read_as_gos_flags(call: Call, words: str, code: int, says: str) -> None:
    done = call(f"binfmt {words}")
    assert done.code == code
    assert done.err.startswith(says)
