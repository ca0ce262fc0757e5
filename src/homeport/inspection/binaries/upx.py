"""Reading ELF files packed by UPX, without running them.

Written from the format as measured on real files: NRV2B, NRV2D, NRV2E in words of 8, 16
and 32 bits, LZMA, deflate; the filters that UPX uses on ELF. What comes out is checked
against the packer's own adler32. Blocks are independent: a reader that needs the first
program header inflates the first block alone. Not for shared libraries, whose layout is
another: those are reported as packed only.
"""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator

import msgspec

from homeport.elf import LOAD, BadElf, Segment, read_elf
from homeport.errors import TooLarge
from homeport.quantities import apart, human_size

MAX_OUTPUT = 512 << 20
MAX_RATIO = 273  # an LZMA match is at most 273 bytes long
_TAIL = 36
_SEARCH = 1 << 16
_SLACK = 1 << 16
_VERSION = re.compile(rb"\$Id: UPX ([0-9.]+) Copyright")
METHODS = {
    2: "NRV2B", 3: "NRV2B", 4: "NRV2B", 5: "NRV2D", 6: "NRV2D", 7: "NRV2D", 8: "NRV2E",
    9: "NRV2E", 10: "NRV2E", 14: "LZMA", 15: "deflate",
}  # fmt: skip
_BIG_ENDIAN_FORMATS = 128


class CannotUnpack(ValueError):
    """A packed file that is damaged or of an unsupported kind; the message names which."""


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """The packer's header."""

    version: str
    format: int
    method: int
    original_size: int
    overlay: int
    little: bool
    output_sum: int


class _Block(msgspec.Struct, frozen=True):
    size: int
    packed: int
    method: int
    filter: int
    parameter: int
    start: int


def find_header(data: bytes) -> Packed | None:
    """The header that UPX leaves at the end of a file; ``None`` if it was not packed by it."""
    low = max(0, len(data) - _SEARCH)
    at = data.rfind(b"UPX!", low)
    while at >= 0:
        head = data[at : at + _TAIL]
        if len(head) == _TAIL and sum(head[4:31]) % 251 == head[31]:
            return _header(data, head)
        at = data.rfind(b"UPX!", low, at)
    return None


def _header(data: bytes, head: bytes) -> Packed:
    format, method = head[5], head[6]
    little = format < _BIG_ENDIAN_FORMATS
    order = "<" if little else ">"
    sum_at = 8 if little else 16
    found = _VERSION.search(data)
    version = found[1].decode() if found else f"format version {head[4]}"
    return Packed(
        version=version,
        format=format,
        method=method,
        original_size=struct.unpack_from(order + "I", head, 24)[0],
        overlay=struct.unpack_from(order + "I", head, 32)[0],
        little=little,
        output_sum=struct.unpack_from(order + "I", head, sum_at)[0],
    )


def unpack(data: bytes, check: Callable[[], None] = lambda: None) -> bytes:
    """The original file. Raises ``CannotUnpack`` or ``TooLarge``.

    check: called between pieces of work; stops it by raising
    """
    header = find_header(data)
    if header is None:
        raise CannotUnpack("no UPX header")
    return _Unpacking(data, header, check).run()


class _Unpacking:
    def __init__(self, data: bytes, header: Packed, check: Callable[[], None]) -> None:
        self._data = data
        self._header = header
        self._check = check
        self._order = "<" if header.little else ">"
        self._sum = 1
        self._left = 0  # bytes that may still be unpacked

    def run(self) -> bytes:
        data, at = self._data, self._header.overlay
        if at + 12 > len(data):
            raise CannotUnpack("the UPX header points outside the file")
        _, size = struct.unpack_from(self._order + "II", data, at)
        size = size or self._header.original_size
        if size > min(MAX_OUTPUT, len(data) * MAX_RATIO):
            raise TooLarge(f"the header promises {human_size(size)}, too many for its length")
        # The first block is unpacked twice, the last may be longer than what is left.
        self._left = 2 * size + _SLACK
        first, _ = self._block(at + 12)
        head = self._inflate(first)
        try:
            elf = read_elf(head.ljust(64, b"\0"))
        except BadElf as error:
            raise CannotUnpack(f"the first block is not an ELF header: {error}") from error
        loads = [one for one in elf.segments if one.type == LOAD and one.size]
        if not loads:
            raise CannotUnpack("the original has no segments (a shared library?)")
        out = bytearray(size)
        out[: len(head)] = head
        self._sum = 1
        end = self._loads(out, loads, at + 12, size)
        self._gaps(out, loads, end, size)
        if self._sum != self._header.output_sum:
            raise CannotUnpack("the unpacked content does not match the packer's checksum")
        return bytes(out)

    def _loads(self, out: bytearray, loads: list[Segment], at: int, size: int) -> int:
        """Fill every segment in order; the first begins with the header's own block."""
        for number, load in enumerate(loads):
            place, end = load.offset, min(load.offset + load.size, size)
            while place < end:
                block, at = self._block(at)
                if block.size > end - place and not (number == 0 and place == 0):
                    raise CannotUnpack("a block is larger than its segment")
                piece = self._inflate(block)
                self._sum = zlib.adler32(piece, self._sum)
                out[place : place + len(piece)] = piece[: size - place]
                place += len(piece)
        return at

    def _gaps(self, out: bytearray, loads: list[Segment], at: int, size: int) -> None:
        """Restore the bytes between and after the segments, which follow the loader's stub."""
        for start, length in _gaps(loads, size):
            place = start
            found = self._find_block(at, length)
            if found is None:
                raise CannotUnpack("the data after the segments was not found")
            at = found
            while place < start + length:
                block, at = self._block(at)
                piece = self._inflate(block)
                self._sum = zlib.adler32(piece, self._sum)
                out[place : place + len(piece)] = piece[: size - place]
                place += len(piece)

    def _find_block(self, at: int, length: int) -> int | None:
        """The next offset with a plausible header of a block of ``length`` bytes."""
        wanted = struct.pack(self._order + "I", length)
        stop = min(len(self._data), at + (1 << 20))
        while (at := self._data.find(wanted, at, stop)) >= 0:
            try:
                block, end = self._block(at)
            except CannotUnpack:
                at += 1
                continue
            same = block.method in (0, self._header.method) or METHODS.get(
                block.method
            ) == METHODS.get(self._header.method)
            if same and block.packed <= block.size and not block.filter and end <= len(self._data):
                return at
            at += 1
        return None

    def _block(self, at: int) -> tuple[_Block, int]:
        """A block's header at ``at``, and where the next one begins."""
        self._check()
        if at + 12 > len(self._data):
            raise CannotUnpack("truncated file")
        size, packed = struct.unpack_from(self._order + "II", self._data, at)
        method, filter, parameter, _ = self._data[at + 8 : at + 12]
        if not 0 < packed <= size or at + 12 + packed > len(self._data) or size > MAX_OUTPUT:
            raise CannotUnpack("invalid block lengths")
        if size == packed:
            method = 0
        return _Block(size, packed, method, filter, parameter, at + 12), at + 12 + packed

    def _inflate(self, block: _Block) -> bytes:
        self._left -= block.size
        if self._left < 0:
            raise CannotUnpack("the blocks unpack to more than the file claims")
        raw = self._data[block.start : block.start + block.packed]
        if block.method == 0:
            return raw
        out = inflate(raw, block.method, block.size, self._check)
        return unfilter(out, block.filter, block.parameter) if block.filter else out


def _gaps(loads: list[Segment], size: int) -> Iterator[tuple[int, int]]:
    place = 0
    for load in sorted(loads, key=lambda load: load.offset):
        if load.offset > place:
            yield place, min(load.offset, size) - place
        place = max(place, load.offset + load.size)
        if place >= size:
            return
    if place < size:
        yield place, size - place


def inflate(raw: bytes, method: int, size: int, check: Callable[[], None]) -> bytes:
    """One block's output, ``size`` bytes. Raises ``CannotUnpack``."""
    if method == 14:
        out = _lzma(raw, size)
    elif method == 15:
        try:
            out = zlib.decompressobj(-15).decompress(raw, size)
        except zlib.error as error:
            raise CannotUnpack(f"damaged block: {error}") from error
    elif method in METHODS:
        word = (32, 8, 16)[(method - 2) % 3]
        out = _nrv(raw, METHODS[method], word, size, check)
    else:
        raise CannotUnpack(f"unknown compression method {method}")
    if len(out) != size:
        found, wanted = apart(len(out), size)
        raise CannotUnpack(f"a block unpacks to {found} instead of {wanted}")
    return out


def _lzma(raw: bytes, size: int) -> bytes:

    if len(raw) < 3:
        raise CannotUnpack("truncated block")
    pb, lp, lc = raw[0] & 7, raw[1] >> 4, raw[1] & 15
    settings = {
        "id": lzma.FILTER_LZMA1, "dict_size": max(4096, size), "lc": lc, "lp": lp, "pb": pb,
    }  # fmt: skip
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])
        return decoder.decompress(raw[2:], size)
    except (lzma.LZMAError, ValueError) as error:
        raise CannotUnpack(f"damaged block: {error}") from error


def _nrv(raw: bytes, variant: str, word: int, size: int, check: Callable[[], None]) -> bytes:  # noqa: PLR0915, PLR0912  one loop, unrolled for speed
    """NRV2B, 2D and 2E: bits from little-endian words, literals from between the words."""
    out = bytearray()
    step = word // 8
    top = 1 << (word - 1)
    bits = left = at = 0
    last = 1
    two_b, two_e = variant == "NRV2B", variant == "NRV2E"
    far = 0xD00 if two_b else 0x500
    from_bytes = int.from_bytes
    work = 0

    def bit() -> int:
        nonlocal bits, left, at
        if not left:
            bits = from_bytes(raw[at : at + step], "little")
            at += step
            left = word
            if at > len(raw) + 16:
                raise CannotUnpack("truncated block")
        left -= 1
        found = 1 if bits & top else 0
        bits <<= 1
        return found

    try:
        while True:
            work += 1
            if not work & 0xFFFF:
                check()
            # literals: most of the time is spent in this loop, so bit() is inlined
            while True:
                if not left:
                    bits = from_bytes(raw[at : at + step], "little")
                    at += step
                    left = word
                left -= 1
                one = bits & top
                bits <<= 1
                if not one:
                    break
                out.append(raw[at])
                at += 1
            offset = 1
            while True:
                offset = offset * 2 + bit()
                if offset > 0x1FFFFFF + 2:
                    raise CannotUnpack("damaged block: invalid offset")
                if bit():
                    break
                if not two_b:
                    offset = (offset - 1) * 2 + bit()
            if offset == 2:
                offset = last
                length = 0 if two_b else bit()
            else:
                offset = (offset - 3) * 256 + raw[at]
                at += 1
                if offset & 0xFFFFFFFF == 0xFFFFFFFF:
                    return bytes(out)
                length = 0
                if not two_b:
                    length = (offset ^ 1) & 1
                    offset >>= 1
                offset += 1
                last = offset
            if two_e:
                if length:
                    length = 1 + bit()
                elif bit():
                    length = 3 + bit()
                else:
                    length = 1
                    while True:
                        length = length * 2 + bit()
                        if bit():
                            break
                    length += 3
            else:
                if two_b:
                    length = bit()
                length = length * 2 + bit()
                if not length:
                    length = 1
                    while True:
                        length = length * 2 + bit()
                        if bit():
                            break
                    length += 2
            length += (offset > far) + 1
            start = len(out) - offset
            if start < 0 or len(out) + length > size:
                raise CannotUnpack("damaged block: a match points outside")
            if offset >= length:
                out += out[start : start + length]
            else:
                piece = out[start:]
                out += (piece * (length // offset + 1))[:length]
    except IndexError as error:
        raise CannotUnpack("truncated block") from error


def unfilter(data: bytes, filter: int, parameter: int) -> bytes:
    """Undo what made the code more alike before it was compressed."""
    if filter in (0x46, 0x49):
        return _calls(data, parameter, jumps=filter == 0x49)
    if filter == 0x50:
        return _words(data, "<", 0x0F000000, 0x0B000000, 0x00FFFFFF)
    if filter == 0x51:
        return _words(data, ">", 0x0F000000, 0x0B000000, 0x00FFFFFF)
    if filter == 0x52:
        return _words(data, "<", 0x7C000000, 0x14000000, 0x03FFFFFF)
    if filter == 0xD0:
        return _branches(data, parameter)
    raise CannotUnpack(f"filter {filter:#x} is not supported")


_CALL = re.compile(rb"[\xe8\xe9]")
_CALL_OR_JUMP = re.compile(rb"[\xe8\xe9]|\x0f[\x80-\x8f]")


def _calls(data: bytes, parameter: int, *, jumps: bool) -> bytes:
    """x86: targets of calls were made absolute, big-endian, marked by their first byte."""
    out = bytearray(data)
    marker = parameter << 24
    end = len(out) - 5
    at, last = 0, -1
    pattern = _CALL_OR_JUMP if jumps else _CALL
    while found := pattern.search(out, at):
        place = found.end() - 1
        if place >= end:
            break
        hit = out[place + 1] == parameter
        if jumps and found.end() - found.start() == 2 and found.start() + 1 == last:
            hit = False  # the 0F belongs to the operand just written
        if not hit:
            at = place if found.end() - found.start() == 1 else place + 1
            at = max(at, found.start() + 1)
            continue
        value = int.from_bytes(out[place + 1 : place + 5], "big")
        value = (value - (place + 1) - marker) & 0xFFFFFFFF
        out[place + 1 : place + 5] = value.to_bytes(4, "little")
        at = last = place + 5
    return bytes(out)


def _words(data: bytes, order: str, mask: int, wanted: int, field: int) -> bytes:
    """arm and arm64: targets of branches were made absolute, in words."""
    count = len(data) // 4
    words = list(struct.unpack_from(f"{order}{count}I", data))
    for number, word in enumerate(words):
        if word & mask == wanted:
            words[number] = word & ~field & 0xFFFFFFFF | (word - number) & field
    return struct.pack(f"{order}{count}I", *words) + data[count * 4 :]


def _branches(data: bytes, parameter: int) -> bytes:
    """ppc: relative branches, with a link or without, marked by four bits."""
    count = len(data) // 4
    words = list(struct.unpack_from(f">{count}I", data))
    for number, word in enumerate(words):
        if word & 0xFC000002 == 0x48000000 and word >> 22 & 0xF == parameter:
            place = (word & 0x003FFFFC) - number * 4
            words[number] = word & 0xFC000003 | place & 0x03FFFFFC
    return struct.pack(f">{count}I", *words) + data[count * 4 :]
