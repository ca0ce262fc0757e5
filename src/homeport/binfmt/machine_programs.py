"""The smallest programs of each architecture: one header, one segment, and exit(0).

What an emulator must run, and what a step of a Dockerfile runs in an image without a shell.
The machine code is that of the probes of the recipe ``binfmt`` (``architectures.h`` there; a
test compares), so nothing is compiled here.
"""

from __future__ import annotations

import struct

import msgspec

_ADDRESS = 0x400000
_ET_EXEC, _PT_LOAD, _READ_EXECUTE = 2, 1, 5


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """An architecture by OCI's name, with QEMU's, and its ``exit(0)``."""

    name: str
    emulator: str
    bits: int
    machine: int
    code: str
    flags: int = 0
    big_endian: bool = False

    @property
    def program(self) -> bytes:
        """An executable file."""
        order = ">" if self.big_endian else "<"
        code = bytes.fromhex(self.code)
        header, segment, word = (64, 56, "Q") if self.bits == 64 else (52, 32, "I")
        size = header + segment + len(code)
        ident = b"\x7fELF" + bytes((self.bits // 32, 1 + self.big_endian, 1)) + bytes(9)
        head = struct.pack(
            f"{order}HHI{word * 3}I6H", _ET_EXEC, self.machine, 1,
            _ADDRESS + header + segment, header, 0, self.flags, header, segment, 1, 0, 0, 0,
        )  # fmt: skip
        place = (0, _ADDRESS, _ADDRESS, size, size)
        if self.bits == 64:
            load = struct.pack(f"{order}II6Q", _PT_LOAD, _READ_EXECUTE, *place, 0x10000)
        else:
            load = struct.pack(f"{order}8I", _PT_LOAD, *place, _READ_EXECUTE, 0x10000)
        return ident + head + load + code


MACHINES: tuple[Machine, ...] = (
    Machine(name="amd64", emulator="x86_64", bits=64, machine=62, code="6a3c5831ff0f05"),
    Machine(name="arm64", emulator="aarch64", bits=64, machine=183,
            code="000080d2a80b80d2010000d4"),
    Machine(name="riscv64", emulator="riscv64", bits=64, machine=243, flags=5,
            code="130500009308d00573000000"),
    Machine(name="ppc64le", emulator="ppc64le", bits=64, machine=21, flags=2,
            code="000060380100003802000044"),
    Machine(name="s390x", emulator="s390x", bits=64, machine=22, big_endian=True,
            code="a72900000a01"),
    Machine(name="386", emulator="i386", bits=32, machine=3, code="6a015831dbcd80"),
    Machine(name="mips64le", emulator="mips64el", bits=64, machine=8, flags=0x60000007,
            code="00000424c21302240c000000"),
    Machine(name="mips64", emulator="mips64", bits=64, machine=8, flags=0x60000007,
            big_endian=True, code="24040000240213c20000000c"),
    Machine(name="loong64", emulator="loongarch64", bits=64, machine=258, flags=0x43,
            code="0400c0020b74c10200002b00"),
    Machine(name="arm", emulator="arm", bits=32, machine=40, flags=0x05000000,
            code="0000a0e30170a0e3000000ef"),
)  # fmt: skip


def machine(architecture: str) -> Machine | None:
    """The one of that name, if it is known."""
    return next((each for each in MACHINES if each.name == architecture), None)


def runs_itself(host: str, guest: str) -> bool:
    """Whether processors of ``host`` run programs of ``guest`` without an emulator."""
    return host == guest or (host, guest) in {("amd64", "386"), ("arm64", "arm")}
