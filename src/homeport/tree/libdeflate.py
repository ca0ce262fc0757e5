"""libdeflate, the one encoder that decides digests, from either of two places.

The Python package ``deflate`` has it inside, for x86-64 and 64-bit ARM; a distribution has it
as ``libdeflate.so.0``, on every architecture. Versions may differ: whether one writes the bytes
that Homeport stands for is measured (``homeport.tree.compression``), never concluded from its
number (docs/decisions/compression.md).
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any, Protocol


class DamagedMember(Exception):
    """A gzip member does not stand for what it should."""


class Libdeflate(Protocol):
    """What compression needs of the library."""

    @property
    def name(self) -> str:
        """Which one this is, for messages."""

    def compress(self, data: bytes, level: int) -> bytes:
        """Raw deflate."""

    def crc32(self, data: bytes) -> int:
        """As in gzip's trailer."""

    def decompress(self, member: bytes, size: int) -> bytes:
        """The content of a gzip member. Raises ``DamagedMember``."""


def libraries() -> list[Libdeflate]:
    """Those that are installed: the package first, whose pinned version is known best."""
    return [found for found in (_package(), _shared_library()) if found is not None]


class _Package:
    """The Python package ``deflate``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.name = f"the Python package deflate {module.__version__}"

    def compress(self, data: bytes, level: int) -> bytes:
        return bytes(self._module.deflate_compress(data, level))

    def crc32(self, data: bytes) -> int:
        return int(self._module.crc32(data))

    def decompress(self, member: bytes, size: int) -> bytes:
        try:
            content = bytes(self._module.gzip_decompress(member, size))
        except self._module.DeflateError as error:
            raise DamagedMember(str(error)) from error
        if len(content) != size:
            raise DamagedMember(f"{len(content)} of {size} bytes")
        return content


class _SharedLibrary:
    """``libdeflate.so.0``, by ctypes; calls release the GIL."""

    name = "libdeflate.so.0"

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        for function, result, arguments in (
            ("alloc_compressor", pointer, [ctypes.c_int]),
            ("free_compressor", None, [pointer]),
            ("deflate_compress_bound", size, [pointer, size]),
            ("deflate_compress", size, [pointer, ctypes.c_char_p, size, pointer, size]),
            ("alloc_decompressor", pointer, []),
            ("free_decompressor", None, [pointer]),
            (
                "gzip_decompress",
                ctypes.c_int,
                [pointer, ctypes.c_char_p, size, pointer, size, ctypes.POINTER(size)],
            ),
            ("crc32", ctypes.c_uint32, [ctypes.c_uint32, ctypes.c_char_p, size]),
        ):
            found = getattr(library, f"libdeflate_{function}")
            found.restype = result
            found.argtypes = arguments

    def compress(self, data: bytes, level: int) -> bytes:
        compressor = self._library.libdeflate_alloc_compressor(level)
        if not compressor:
            raise MemoryError(f"{self.name} made no compressor")
        try:
            bound = self._library.libdeflate_deflate_compress_bound(compressor, len(data))
            output = ctypes.create_string_buffer(bound)
            size = self._library.libdeflate_deflate_compress(
                compressor, data, len(data), output, bound
            )
            assert size, "deflate fits into its own bound"
            return ctypes.string_at(output, size)
        finally:
            self._library.libdeflate_free_compressor(compressor)

    def crc32(self, data: bytes) -> int:
        return int(self._library.libdeflate_crc32(0, data, len(data)))

    def decompress(self, member: bytes, size: int) -> bytes:
        decompressor = self._library.libdeflate_alloc_decompressor()
        if not decompressor:
            raise MemoryError(f"{self.name} made no decompressor")
        try:
            output, got = ctypes.create_string_buffer(max(size, 1)), ctypes.c_size_t()
            code = self._library.libdeflate_gzip_decompress(
                decompressor, member, len(member), output, size, ctypes.byref(got)
            )
            if code or got.value != size:
                raise DamagedMember(f"libdeflate's result {code}, {got.value} of {size} bytes")
            return ctypes.string_at(output, size)
        finally:
            self._library.libdeflate_free_decompressor(decompressor)


def _package() -> Libdeflate | None:
    try:
        return _Package(importlib.import_module("deflate"))
    except ImportError:
        return None


def _shared_library() -> Libdeflate | None:
    try:
        return _SharedLibrary(ctypes.CDLL("libdeflate.so.0"))
    except (OSError, AttributeError):
        return None
