"""What is registered with binfmt_misc, read from folders that look like one."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from homeport.binfmt.machine_programs import MACHINES, machine
from homeport.binfmt.status import MOUNT, Emulation, EmulationStatus, read_status
from homeport.cli.main import run
from homeport.errors import HomeportError

#: As Debian registers them: the bytes of the class, the machine and the type count.
_MASK = "ffffffffffff00fffffffffffffffffffeffffff"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A binfmt_misc that is mounted and empty."""
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "register").write_text("")
    return tmp_path


def entry(
    folder: Path, name: str, architecture: str, *, flags: str = "POF", state: str = "enabled",
    emulator: str = "/usr/bin/qemu", mask: str = "",
) -> None:  # fmt: skip
    """An entry as ``entry_status`` of the kernel's fs/binfmt_misc.c prints it."""
    found = machine(architecture)
    assert found is not None
    mask = mask or ("fffffffffffffffcfffffffffffffffffffeffff" if found.big_endian else _MASK)
    (folder / name).write_text(
        f"{state}\ninterpreter {emulator}\nflags: {flags}\noffset 0\n"
        f"magic {found.program[:20].hex()}\nmask {mask}\n"
    )


def platform(found: EmulationStatus, architecture: str) -> Emulation:
    return next(each for each in found.platforms if each.architecture == architecture)


def test_an_entry_is_for_what_its_magic_matches_whatever_its_name_is(folder: Path) -> None:
    entry(folder, "anything", "arm64", emulator="/usr/libexec/qemu-binfmt/aarch64-binfmt-P")
    found = read_status("amd64", folder)
    assert (found.mounted, found.enabled, found.others) == (True, True, ())
    assert platform(found, "arm64") == Emulation(
        architecture="arm64", state="emulated", entry="anything", flags="POF", in_containers=True,
        emulator="/usr/libexec/qemu-binfmt/aarch64-binfmt-P",
    )  # fmt: skip
    assert [each.architecture for each in found.platforms if each.runs] == [
        "amd64", "arm64", "386",
    ]  # fmt: skip


@pytest.mark.parametrize("architecture", [each.name for each in MACHINES])
def test_no_architecture_is_taken_for_another(folder: Path, architecture: str) -> None:
    host = "riscv64" if architecture != "riscv64" else "amd64"
    entry(folder, "one", architecture)
    found = read_status(host, folder)
    assert [each.architecture for each in found.platforms if each.entry] == [architecture]


def test_without_flag_f_containers_need_the_emulator_and_are_told(folder: Path) -> None:
    emulator = folder / "emulator"
    emulator.touch(mode=0o755)
    entry(folder, "qemu-arm", "arm", flags="PO", emulator=str(emulator))
    found = read_status("amd64", folder)
    arm = platform(found, "arm")
    assert (arm.state, arm.in_containers) == ("emulated", False)
    assert any("qemu-arm has no flag F" in line for line in found.advice)


def test_an_emulator_that_is_not_there_is_broken_unless_the_kernel_holds_it(folder: Path) -> None:
    entry(folder, "qemu-arm", "arm", flags="", emulator="/nonexistent/qemu-arm")
    entry(folder, "qemu-s390x", "s390x", flags="F", emulator="/nonexistent/qemu-s390x")
    found = read_status("amd64", folder)
    assert platform(found, "arm").state == "broken"
    assert platform(found, "s390x").state == "emulated"
    assert any("/nonexistent/qemu-arm does not run" in line for line in found.advice)


def test_entries_and_all_of_binfmt_misc_may_be_turned_off(folder: Path) -> None:
    entry(folder, "qemu-arm", "arm", state="disabled")
    entry(folder, "qemu-s390x", "s390x")
    found = read_status("amd64", folder)
    assert platform(found, "arm").state == "disabled"
    assert platform(found, "s390x").runs
    assert any(line.endswith("echo 1 > /proc/sys/fs/binfmt_misc/qemu-arm") for line in found.advice)
    (folder / "status").write_text("disabled\n")
    found = read_status("amd64", folder)
    assert platform(found, "s390x").state == "disabled"
    assert [line for line in found.advice if "status" in line] == [
        "binfmt_misc is turned off; as root: echo 1 > /proc/sys/fs/binfmt_misc/status"
    ]


def test_of_two_entries_the_one_that_is_on_and_held_open_is_shown(folder: Path) -> None:
    entry(folder, "a", "arm", state="disabled")
    entry(folder, "b", "arm", flags="OC")
    entry(folder, "c", "arm", flags="F")
    assert platform(read_status("amd64", folder), "arm").entry == "c"


def test_flag_c_is_said(folder: Path) -> None:
    entry(folder, "qemu-arm", "arm", flags="OCF")
    found = read_status("amd64", folder)
    assert platform(found, "arm").set_uid
    assert any(line.startswith("with flag C") and "qemu-arm" in line for line in found.advice)


def test_a_machine_that_runs_everything_has_nothing_to_do(folder: Path) -> None:
    for each in MACHINES:
        if each.name not in ("arm64", "arm"):
            entry(folder, f"qemu-{each.emulator}", each.name)
    found = read_status("arm64", folder)
    assert {each.state for each in found.platforms} == {"native", "emulated"}
    assert found.advice == ()


@pytest.mark.parametrize(
    "text",
    [
        "", "enabled\n", "enabled\nextension .exe\ninterpreter /usr/bin/wine\nflags: \n",
        "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic zz\n",
        "enabled\ninterpreter /x\nflags: F\noffset -4\nmagic 7f45\n",
        "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 7f45\nmask ff\n",
        "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic \n",
        "enabled\ninterpreter /x\nflags: F\noffset 99999999999999\nmagic 7f45\n",
    ],
)  # fmt: skip
def test_what_is_for_no_architecture_is_listed_by_its_name(folder: Path, text: str) -> None:
    (folder / "other").write_text(text)
    found = read_status("amd64", folder)
    assert found.others == ("other",)
    assert not any(each.entry for each in found.platforms)


def test_entries_that_are_no_files_are_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("/dev/zero")
    assert read_status("amd64", folder).others == ("folder", "link", "pipe")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HomeportError, match="no such directory"):
        read_status("amd64", tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(HomeportError, match="Not a directory"):
        read_status("amd64", tmp_path / "file")


def test_an_empty_folder_is_not_mounted_and_the_way_is_told(tmp_path: Path) -> None:
    found = read_status("amd64", tmp_path)
    assert not found.mounted
    assert "mount -t binfmt_misc" in found.advice[0]
    assert any("homeport binfmt install --rootless" in line for line in found.advice)


def test_the_command_prints_a_table_and_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry(folder, "qemu-s390x", "s390x", flags="F")
    (folder / "wine\x1b[2J").write_text("enabled\n")
    assert run(["binfmt", "status", "--root", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "linux/s390x" in out
    assert "to do:" in out
    assert "\x1b" not in out


def test_a_platform_that_is_named_and_does_not_run_is_an_answer_of_no(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry(folder, "qemu-s390x", "s390x", flags="F")
    assert run(["binfmt", "status", "linux/s390x", "--root", str(folder), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["platform"] for each in document["platforms"]] == ["linux/s390x"]
    assert document["platforms"][0]["runs"] is True
    assert run(["binfmt", "status", "linux/mips64", "--root", str(folder)]) == 3
    assert "does not run linux/mips64" in capsys.readouterr().err
    assert run(["binfmt", "status", "linux/sparc64", "--root", str(folder)]) == 2
    assert "known: linux/amd64" in capsys.readouterr().err


def test_the_kernels_own_is_read_by_running_programs() -> None:
    """Whatever this machine has, it runs its own programs."""
    host = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    if host is None:
        pytest.skip(f"written for amd64 and arm64, not {os.uname().machine}")
    own = platform(read_status(host), host)
    assert (own.state, own.ran) == ("native", True)


@pytest.mark.parametrize("name", ["x; touch owned", "$(id)", "a b", "x\n::error::y", "'", "-n"])
def test_the_name_of_an_entry_is_one_word_of_the_command_that_is_printed(
    folder: Path, name: str
) -> None:
    """Containers of a user register in namespaces of their own, under any name."""
    entry(folder, name, "arm64", state="disabled")
    (advice,) = [each for each in read_status("amd64", folder).advice if "echo 1" in each]
    words = shlex.split(advice.partition("as root: ")[2])
    assert words == ["echo", "1", ">", f"{MOUNT}/{name}"]


@pytest.mark.parametrize(
    "fields",
    [
        "", "magic 7f\nmask 7\ninterpreter x\n", "magic 7f\noffset " + "9" * 8000, "\x00" * 8192,
        "magic 7f\noffset 99999999999999999999\ninterpreter x\n", "enabled\n" * 1000,
        "magic 7f\noffset -1\ninterpreter x\n", "magic \ninterpreter x\n",
    ],
    ids=range(8),
)  # fmt: skip
def test_an_entry_of_any_form_is_another_entry(folder: Path, fields: str) -> None:
    (folder / "odd").write_text(f"enabled\n{fields}")
    found = read_status("amd64", folder)
    assert found.others == ("odd",)
    assert not platform(found, "arm64").runs


def test_links_devices_and_large_files_are_no_entries(folder: Path) -> None:
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "self").symlink_to("self")
    with open(folder / "sparse", "wb") as stream:
        stream.truncate(1 << 40)
    found = read_status("amd64", folder)
    assert found.others == ("self", "sparse", "zero")
