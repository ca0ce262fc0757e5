"""Decompressors from the interpreter's own modules, and libzstd by ctypes, for the image.

Each takes a stream of compressed bytes and gives one of plain bytes; a module is imported
when its compression is met. Outside the image a caller may hand in others.
"""

from homeport.copying.errors import CopyError

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from homeport.copying.tarstream import Stream

    class Decompressor(Protocol):
        """As of bz2 and lzma: one compressed stream of possibly several."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


CHUNK = 1 << 17
MAX_XZ_MEMORY = 1 << 30
MAX_ZSTD_WINDOW = 27  # bits: 128 MiB, what zstd itself allows without asking


class Gzip:
    """The members of a gzip file, one after the other."""

    __slots__ = ("_error", "_input", "_member", "_new", "_started")

    def __init__(self, stream: "Stream") -> None:
        import zlib

        self._input = Input(stream)
        self._new: Callable[[], Any] = lambda: zlib.decompressobj(31)
        self._error = zlib.error
        self._member = self._new()
        self._started = False

    def read(self, size: int, /) -> bytes:
        while True:
            member = self._member
            if member.eof and not self._next(member.unused_data):
                return b""
            member = self._member
            data = member.unconsumed_tail or self._input.take()
            if not data:
                raise CopyError("gzip data are truncated", {"compressed": self._input.position})
            try:
                out: bytes = member.decompress(data, size)
            except self._error as error:
                raise CopyError(
                    f"gzip data are corrupt: {error}", {"compressed": self._input.position}
                ) from error
            if out:
                return out

    def _next(self, rest: bytes) -> bool:
        """Begin the next member; what is none (padding, garbage) ends the file, as in gzip."""
        if len(rest) < 2:
            rest += self._input.take()
        if not rest.startswith(b"\x1f\x8b"):
            return False
        self._input.give_back(rest)
        self._member = self._new()
        return True


class Streams:
    """The streams of a bzip2 or xz file, one after the other."""

    __slots__ = ("_errors", "_input", "_name", "_new", "_now")

    def __init__(
        self,
        stream: "Stream",
        name: str,
        new: "Callable[[], Decompressor]",
        errors: "tuple[type[Exception], ...]",
    ) -> None:
        self._input = Input(stream)
        self._name = name
        self._new = new
        self._errors = errors
        self._now = new()

    def read(self, size: int, /) -> bytes:
        while True:
            now = self._now
            if now.eof:
                rest = now.unused_data or self._input.take()
                if not rest.strip(b"\0"):  # padding between and after streams
                    if not rest:
                        return b""
                    rest = self._input.take()
                    if not rest:
                        return b""
                self._input.give_back(rest.lstrip(b"\0") if self._name == "xz" else rest)
                now = self._now = self._new()
            data = self._input.take() if now.needs_input else b""
            if now.needs_input and not data:
                raise CopyError(
                    f"{self._name} data are truncated", {"compressed": self._input.position}
                )
            try:
                out = now.decompress(data, size)
            except self._errors as error:
                raise CopyError(
                    f"{self._name} data are corrupt: {error}",
                    {"compressed": self._input.position},
                ) from error
            if out:
                return out


class Zstd:
    """The frames of a zstd file, by the library's own streaming call."""

    __slots__ = ("_end", "_in", "_input", "_library", "_out", "_output", "_reference", "_state")

    def __init__(self, stream: "Stream") -> None:
        import ctypes

        class Buffer(ctypes.Structure):
            _fields_ = (
                ("data", ctypes.c_void_p),
                ("size", ctypes.c_size_t),
                ("at", ctypes.c_size_t),
            )

        library = self._library = ctypes.CDLL("libzstd.so.1")
        library.ZSTD_createDStream.restype = ctypes.c_void_p
        library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
        library.ZSTD_DCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        library.ZSTD_decompressStream.restype = ctypes.c_size_t
        library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p] * 3
        library.ZSTD_isError.argtypes = [ctypes.c_size_t]
        library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
        library.ZSTD_getErrorName.restype = ctypes.c_char_p
        self._state = library.ZSTD_createDStream()
        library.ZSTD_DCtx_setParameter(self._state, 100, MAX_ZSTD_WINDOW)
        self._input = Input(stream)
        self._output = ctypes.create_string_buffer(CHUNK)
        self._in: Any = Buffer(None, 0, 0)
        self._out: Any = Buffer(ctypes.addressof(self._output), CHUNK, 0)
        self._reference: Any = (ctypes.byref(self._out), ctypes.byref(self._in), ctypes.c_char_p)
        self._end = True  # between two frames

    def read(self, size: int, /) -> bytes:
        out, given, library = self._out, self._in, self._library
        out.size, out.at = min(size, CHUNK), 0
        while True:
            if given.at == given.size:
                data = self._input.take()
                if not data:
                    if self._end:
                        return b""
                    raise CopyError("zstd data are truncated", {"compressed": self._input.position})
                pointer = self._reference[2](data)
                self._hold(data, pointer)
            result = library.ZSTD_decompressStream(
                self._state, self._reference[0], self._reference[1]
            )
            if library.ZSTD_isError(result):
                name = library.ZSTD_getErrorName(result).decode()
                raise CopyError(
                    f"zstd data are corrupt: {name}", {"compressed": self._input.position}
                )
            self._end = result == 0
            if out.at:
                return self._output.raw[: out.at]

    def _hold(self, data: bytes, pointer: "Any") -> None:
        import ctypes

        self._in.data = ctypes.cast(pointer, ctypes.c_void_p)
        self._in.size, self._in.at = len(data), 0
        self._input.held = data  # the library reads from it until it is used up

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state:
            self._library.ZSTD_freeDStream(state)


class Input:
    """Compressed bytes, some of which can be given back."""

    __slots__ = ("_back", "_stream", "held", "position")

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._back = b""
        self.held = b""
        self.position = 0

    def take(self) -> bytes:
        if self._back:
            data, self._back = self._back, b""
            return data
        data = self._stream.read(CHUNK)
        self.position += len(data)
        return data

    def give_back(self, data: bytes) -> None:
        self._back = data + self._back


def _bzip2(stream: "Stream") -> Streams:
    from _bz2 import BZ2Decompressor

    return Streams(stream, "bzip2", BZ2Decompressor, (OSError, ValueError))


def _xz(stream: "Stream") -> Streams:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    return Streams(
        stream, "xz", lambda: LZMADecompressor(FORMAT_XZ, MAX_XZ_MEMORY), (LZMAError, EOFError)
    )


#: What the image can read; each imports its library when it is called.
OPENERS: "dict[str, Callable[[Stream], Stream]]" = {
    "gzip": Gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstd": Zstd,
}
