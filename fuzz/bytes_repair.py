"""Checksums put right, so that changed bytes get past them to the code behind."""

from __future__ import annotations

_BLOCK = 512


def with_tar_checksums(data: bytes) -> bytes:
    """The archive with the checksum of everything that looks like a header."""
    found = bytearray(data)
    for at in range(0, len(found) - _BLOCK + 1, _BLOCK):
        if found[at + 257 : at + 262] == b"ustar":
            found[at + 148 : at + 156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(found[at : at + _BLOCK])
    return bytes(found)


def with_upx_checksum(data: bytes) -> bytes:
    """The packed file with the checksum of the packer's last header."""
    at = data.rfind(b"UPX!", max(0, len(data) - (1 << 16)))
    if at < 0 or at + 36 > len(data):
        return data
    return data[: at + 31] + bytes([sum(data[at + 4 : at + 31]) % 251]) + data[at + 32 :]
