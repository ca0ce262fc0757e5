"""Which architectures' programs this machine runs: itself, by an emulator, or not.

Entries of binfmt_misc are read as the kernel writes them (Linux, admin-guide/binfmt-misc.rst and
``entry_status`` of fs/binfmt_misc.c). An entry is for an architecture if its magic and mask match
a program of that architecture, whatever its name is.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from homeport.binfmt.machine_programs import MACHINES, Machine, runs_itself
from homeport.errors import HomeportError

MOUNT = Path("/proc/sys/fs/binfmt_misc")
_ENTRY_SIZE = 8 * 1024  # the kernel writes one page at most
_ENTRIES = 4096
_PATIENCE = 20.0

State = Literal["native", "emulated", "disabled", "broken", "missing"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of binfmt_misc that recognises files by their first bytes.

    flags: ``P`` keeps the program's name, ``O`` opens the program for the emulator, ``C`` gives
           the emulator the rights of set-uid programs, ``F`` holds the emulator open
    """

    name: str
    enabled: bool
    emulator: str
    flags: str
    offset: int
    magic: bytes
    mask: bytes

    def matches(self, program: bytes) -> bool:
        found = program[self.offset : self.offset + len(self.magic)]
        return bool(self.magic) and len(found) == len(self.magic) and all(
            a & m == b & m for a, b, m in zip(found, self.magic, self.mask, strict=True)
        )  # fmt: skip


class Emulation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this machine runs the programs of one architecture.

    state:         ``native``; ``emulated``; ``disabled``, registered and turned off; ``broken``,
                   registered, but its programs do not run; ``missing``
    entry:         name of the entry; empty: none is visible here
    emulator:      its path on the machine
    in_containers: programs run in a container that does not have the emulator (flag ``F``)
    set_uid:       set-uid programs get their owner's rights (flag ``C``)
    ran:           a program of the architecture was run: whether it did; ``None``: not tried
    """

    architecture: str
    state: State
    entry: str = ""
    emulator: str = ""
    flags: str = ""
    in_containers: bool = False
    set_uid: bool = False
    ran: bool | None = None

    @property
    def platform(self) -> str:
        return f"linux/{self.architecture}"

    @property
    def runs(self) -> bool:
        return self.state in ("native", "emulated")


class EmulationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is registered.

    mounted: binfmt_misc is mounted at ``directory``; a container usually has no mount, and the
             kernel still runs what is registered on its machine
    enabled: the kernel uses entries at all
    others:  names of entries that are for none of the architectures
    advice:  what to do next, one command or phrase each
    """

    directory: str
    mounted: bool
    enabled: bool
    platforms: tuple[Emulation, ...]
    others: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def read_status(host: str, directory: Path | None = None) -> EmulationStatus:
    """What this machine runs.

    host:      the machine's architecture by OCI's name
    directory: a binfmt_misc elsewhere, or a copy of one; nothing is run then. By default the
               kernel's own, and the smallest program of each architecture is run
    """
    place = directory or MOUNT
    entries = tuple(_entries(place))
    state = _read(place / "status")
    enabled = state != "disabled\n"
    found = tuple(
        _emulation(each, host, entries, enabled=enabled, run=directory is None) for each in MACHINES
    )
    used = {each.name for each in entries if any(each.matches(m.program) for m in MACHINES)}
    others = tuple(sorted({*_names(place)} - used))
    mounted = bool(state)
    return EmulationStatus(
        directory=str(place), mounted=mounted, enabled=enabled, platforms=found, others=others,
        advice=tuple(_advice(found, mounted=mounted, enabled=enabled)),
    )  # fmt: skip


def _names(place: Path) -> list[str]:
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError as error:
        if place == MOUNT:
            return []  # a kernel without the module
        raise HomeportError(f"no such directory: {place}") from error
    except OSError as error:
        raise HomeportError(f"cannot list {place}: {error.strerror}") from error
    if len(names) > _ENTRIES:
        raise HomeportError(f"{place} has {len(names)} entries, more than {_ENTRIES}")
    return [name for name in names if name not in ("register", "status")]


def _read(path: Path) -> str:
    """The text of a small file; empty where there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _ENTRY_SIZE).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _entries(place: Path) -> Iterator[Entry]:
    for name in _names(place):
        if (entry := _parse(name, _read(place / name))) is not None:
            yield entry


def _parse(name: str, text: str) -> Entry | None:
    """``None``: it recognises files by their extension, or is no entry."""
    lines = text.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines[1:])
    try:
        magic = bytes.fromhex(fields["magic"])
        mask = bytes.fromhex(fields["mask"]) if "mask" in fields else b"\xff" * len(magic)
        offset = int(fields.get("offset", "0"))
        emulator = fields["interpreter"]
    except (KeyError, ValueError):
        return None
    if len(mask) != len(magic) or offset < 0:
        return None
    return Entry(
        name=name, enabled=lines[0] == "enabled", emulator=emulator,
        flags=fields.get("flags:", ""), offset=offset, magic=magic, mask=mask,
    )  # fmt: skip


def _emulation(
    machine: Machine, host: str, entries: tuple[Entry, ...], *, enabled: bool, run: bool
) -> Emulation:
    fitting = [each for each in entries if each.matches(machine.program)]
    # Which of several the kernel takes (the last one registered) cannot be read.
    entry = min(
        fitting, key=lambda each: (not each.enabled, "F" not in each.flags, each.name), default=None
    )
    ran = _runs(machine) if run else None
    # An arm64 machine may lack 32-bit programs, and a kernel for amd64 may be built without them.
    if machine.name == host or (
        entry is None and runs_itself(host, machine.name) and ran in (None, True)
    ):
        return Emulation(architecture=machine.name, state="native", ran=ran)
    if entry is None:
        # In a container without the mount the machine's entries work and are not visible.
        state: State = "emulated" if ran else "missing"
        return Emulation(architecture=machine.name, state=state, in_containers=bool(ran), ran=ran)
    held = "F" in entry.flags
    if not (enabled and entry.enabled):
        state = "emulated" if ran else "disabled"
    elif ran is None:
        state = "emulated" if held or os.access(entry.emulator, os.X_OK) else "broken"
    else:
        state = "emulated" if ran else "broken"
    return Emulation(
        architecture=machine.name, state=state, entry=entry.name, emulator=entry.emulator,
        flags=entry.flags, in_containers=state == "emulated" and held, set_uid="C" in entry.flags,
        ran=ran,
    )  # fmt: skip


def _runs(machine: Machine) -> bool | None:
    """Run a program that only exits; ``None``: no program of ours can be run here."""
    try:
        with tempfile.TemporaryDirectory(prefix="homeport-binfmt-") as folder:
            path = Path(folder) / "program"
            path.write_bytes(machine.program)
            path.chmod(0o700)
            done = subprocess.run(
                [path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, timeout=_PATIENCE, check=False, env={},
            )  # fmt: skip
    except PermissionError:
        return None  # programs in temporary directories are forbidden (noexec)
    except (OSError, subprocess.TimeoutExpired):
        return False  # ENOEXEC; ENOENT: the emulator is missing
    return done.returncode == 0


def _entry_path(each: Emulation) -> str:
    """Where the kernel has an entry, ready for a shell: whoever registered it chose its name."""
    return shlex.quote(f"{MOUNT}/{each.entry}")


def _advice(found: tuple[Emulation, ...], *, mounted: bool, enabled: bool) -> Iterator[str]:
    named = {state: [each for each in found if each.state == state] for state in
             ("disabled", "broken", "missing")}  # fmt: skip
    if not mounted and any(not each.runs for each in found):
        yield (
            f"nothing is mounted at {MOUNT}; as root on the machine itself, not in a container:"
            f" mount -t binfmt_misc binfmt_misc {MOUNT}"
        )
    if not enabled:
        yield f"binfmt_misc is turned off; as root: echo 1 > {MOUNT}/status"
    elif named["disabled"]:
        for each in named["disabled"]:
            yield f"{each.entry} is turned off; as root: echo 1 > {_entry_path(each)}"
    for each in named["broken"]:
        yield (
            f"{each.entry}: {each.emulator} does not run programs of {each.platform}; as root:"
            f" echo -1 > {_entry_path(each)}, then register it again"
        )
    if named["missing"]:
        yield (
            "register emulators for the whole machine, as root: apt install qemu-user-binfmt"
            " (qemu-user-static on Debian 12), or the image of the recipe binfmt:"
            " docker run --privileged --rm IMAGE --install all"
        )
        yield (
            "without root, in a user namespace (Linux 6.7): homeport build binfmt -o oci:binfmt.oci"
            " && homeport binfmt install --rootless oci:binfmt.oci"
        )
    for each in found:
        if each.state == "emulated" and each.entry and not each.in_containers:
            yield (
                f"{each.entry} has no flag F: containers need {each.emulator} in their image;"
                " register it again with the flag"
            )
    if set_uid := [each.entry for each in found if each.set_uid]:
        yield (
            f"with flag C, set-uid programs of other architectures run the emulator as their"
            f" owner: {', '.join(set_uid)}; keep it only where emulated builds call sudo"
        )
