"""Running the program ``podman``: images out of its storage, and into it.

``CONTAINERS_STORAGE_CONF`` and podman's own settings decide which storage that is. Not for
running containers.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from homeport.images.transports.docker_api import EngineError
from homeport.progress import CancelToken

_ERROR_LIMIT = 1 << 16
_POLL = 0.05  # seconds between looks at a running program


@contextlib.contextmanager
def podman_output(arguments: Sequence[str]) -> Iterator[BinaryIO]:
    """The standard output of ``podman``; its failure is raised when the block has read it."""
    with tempfile.TemporaryFile() as errors:
        process = _start(arguments, subprocess.PIPE, cast("BinaryIO", errors))
        assert process.stdout is not None
        try:
            yield cast("BinaryIO", process.stdout)
        finally:
            process.stdout.close()
            process.wait()
        _require_success(process, arguments, cast("BinaryIO", errors))


def run_podman(arguments: Sequence[str], cancel: CancelToken) -> str:
    """What ``podman`` printed. Raises ``EngineError``, ``Interrupted``."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = _start(arguments, output.fileno(), cast("BinaryIO", errors))
        try:
            while process.poll() is None:
                cancel.wait(_POLL)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        _require_success(process, arguments, cast("BinaryIO", errors))
        output.seek(0)
        return output.read(_ERROR_LIMIT).decode("utf-8", "replace")


def _start(arguments: Sequence[str], output: int, errors: BinaryIO) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["podman", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
    except OSError as error:
        raise EngineError(
            f"cannot run podman: {error.strerror}",
            hint="install it, for example: apt install podman",
        ) from error


def _require_success(
    process: subprocess.Popen[bytes], arguments: Sequence[str], errors: BinaryIO
) -> None:
    if process.returncode == 0:
        return
    errors.seek(0)
    text = errors.read(_ERROR_LIMIT).decode("utf-8", "replace").strip()
    last = text.splitlines()[-1] if text else f"exit code {process.returncode}"
    raise EngineError(f"podman {arguments[0]}: {last}", where={"engine": "podman"})


def is_installed() -> bool:
    """Whether there is a podman to run."""
    return shutil.which("podman") is not None
