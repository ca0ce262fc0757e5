"""A layer listed by a separate process, so that several are listed in parallel.

Parsing headers needs the interpreter's lock, for which threads would wait. A process takes 0.1 s
to start, so only large layers get one.

Errors of the process are not reported: the result is ``None``, and the caller lists the layer
itself and gets the error.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.reading import Slice
from homeport.inspection.layers.examine_layer import LayerMetadata, examine_layer
from homeport.layers.listing import Listing
from homeport.progress import CancelToken

WORTH_IT = 16 << 20  # bytes of a compressed layer
#: Without these, glibc returns the memory of every chunk to the system and requests it again.
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
_POLL = 0.1  # seconds between two checks of the cancel token
_ANSWER_DECODER = msgspec.msgpack.Decoder(tuple[Listing, LayerMetadata])


class Task(msgspec.Struct, frozen=True, array_like=True):
    """The argument of the process: which part of its standard input the layer is."""

    digest: str
    size: int
    start: int


_TASK_DECODER = msgspec.json.Decoder(Task)


def examine_in_process(blob: Blob, cancel: CancelToken) -> tuple[Listing, LayerMetadata] | None:
    """The result of a separate process for the layer ``blob``; ``None`` if it failed.

    Raises ``Interrupted``.
    """
    with blob.open() as stream:
        try:
            place, start = stream.fileno(), stream.tell()
        except io.UnsupportedOperation:  # it is in memory
            return None
        task = Task(str(blob.digest), blob.size, start)
        answer = _answer(place, task, cancel)
    if answer is None:
        return None
    try:
        return _ANSWER_DECODER.decode(answer)
    except msgspec.DecodeError:
        return None


def _answer(place: int, task: Task, cancel: CancelToken) -> bytes | None:
    """Run the process; it has ended when this returns or raises."""

    command = [sys.executable, "-P", "-m", __name__, msgspec.json.encode(task).decode()]
    # The same modules as in this process.
    environment = {
        **os.environ, **_MEMORY, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }  # fmt: skip
    try:
        process = subprocess.Popen(
            command, env=environment, stdin=place, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    with process:
        try:
            while True:
                try:
                    answer, _ = process.communicate(timeout=_POLL)
                    break
                except subprocess.TimeoutExpired:
                    cancel.check()
        except BaseException:
            process.kill()
            raise
    return answer if process.returncode == 0 else None


class _GivenBlob(msgspec.Struct, frozen=True):
    """The layer in the file that is this process's standard input."""

    digest: Digest
    size: int
    start: int

    def open(self, offset: int = 0) -> BinaryIO:
        given = Slice(sys.stdin.fileno(), self.start + offset, self.size - offset)
        return cast("BinaryIO", given)

    def local_path(self) -> Path | None:
        return None


def main() -> None:
    """List the layer that the argument describes, to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a terminal interrupts this process as well
    task = _TASK_DECODER.decode(sys.argv[1])
    blob = _GivenBlob(Digest.parse(task.digest), task.size, task.start)
    found = examine_layer(blob, None, CancelToken())
    sys.stdout.buffer.write(msgspec.msgpack.encode(found))
    sys.stdout.flush()
    os._exit(0)  # freeing a hundred thousand entries one by one takes time


if __name__ == "__main__":
    main()
