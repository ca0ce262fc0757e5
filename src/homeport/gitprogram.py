"""Runs the ``git`` program, whose credentials, certificates and settings are the user's.

A repository and an address may be a stranger's: then no hook, monitor, diff program or helper that
they name is run. Git asks for nothing on the terminal and says everything in English.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from homeport.errors import HomeportError
from homeport.printable import printable
from homeport.quantities import human_size

_PATIENCE = 600.0  # seconds
_LONGEST = 256 << 20  # bytes of output
_WORDS = 4096  # bytes of what git says of an error
#: Of other schemes only with a password: ``ssh://git@host`` says nothing secret.
_LOGIN = re.compile(r"(https?://)[^/@\s]+@|([a-z][a-z0-9+.-]*://)[^/@\s:]*:[^/@\s]*@")
#: What git says where the program that writes the pack was stopped, by its bound or by a fault.
_TOO_LARGE = b"invalid index-pack output"
#: Nothing that a repository configures is run.
_NOTHING_OF_THEIRS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "diff.external=",
    "fetch.recurseSubmodules=false",
)  # fmt: skip
#: Forms of address that a stranger may name; never ``ext::``, which runs a command.
_PROTOCOLS = "https:http:ssh:git"
#: Of another repository, where a hook of it runs us.
_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class GitFailed(HomeportError):
    """Git could not do it; its own words are in the message and in ``words``."""

    id = "git"

    def __init__(
        self, what: str, *, words: str = "", hint: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(what, hint=hint, where=where)
        self.words = words


class GitTooLarge(GitFailed):
    """What git was asked for is larger than it may be."""


def run_git(
    folder: Path, *arguments: str, strangers: bool, data: bytes | None = None,
    env: Mapping[str, str] | None = None, settings: Sequence[str] = (),
    seconds: float = _PATIENCE, limit: int = _LONGEST, largest: int | None = None,
) -> bytes:  # fmt: skip
    """Standard output of ``git -C FOLDER ARGUMENTS``. Raises ``GitFailed``.

    strangers: whether the repository or an address in the arguments is somebody else's
    data:      standard input
    settings:  ``NAME=VALUE`` of git's configuration, for this command
    limit:     bytes of output at most
    largest:   bytes of a file at most that git writes; a pack is one file
    """
    every = (*(_NOTHING_OF_THEIRS if strangers else ()), *settings)
    given = [word for setting in every for word in ("-c", setting)]
    command = ["git", "--no-pager", "-C", str(folder), *given, *arguments]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if strangers:
        environment |= {"GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_OPTIONAL_LOCKS": "0"}
        environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in _OF_ANOTHER:
            environment.pop(name, None)
    with tempfile.TemporaryFile() as given_input, tempfile.TemporaryFile() as said:
        given_input.write(data or b"")
        given_input.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=given_input, stdout=subprocess.PIPE, stderr=said,
                env={**environment, **(env or {})},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitFailed("git is not installed", hint="apt install git") from error
        if largest is not None:
            with contextlib.suppress(ProcessLookupError):  # it has failed already
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, largest))
        output, code = _finish(process, seconds, limit)
        if code:
            said.seek(0)
            if largest is not None and _TOO_LARGE in said.read(_WORDS):
                raise GitTooLarge(
                    f"git {arguments[0]}: the pack is damaged or larger than {human_size(largest)}"
                )
            said.seek(0)
            raise _failure(folder, arguments[0], said.read(_WORDS), strangers=strangers)
    return output


def _finish(process: subprocess.Popen[bytes], seconds: float, limit: int) -> tuple[bytes, int]:
    """Standard output, never more than ``limit`` bytes of it, and the exit code."""
    with process:
        late = threading.Timer(seconds, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            output = process.stdout.read(limit + 1)
            if len(output) > limit:
                process.kill()
                raise GitFailed(f"git gave more than {human_size(limit)}")
            code = process.wait()
        finally:
            late.cancel()
    if code < 0:
        raise GitFailed(f"git received no answer within {seconds:.0f} s")
    return output, code


def without_login(text: str) -> str:
    """``text`` whose URLs have lost their passwords, and those of web servers the user, too."""
    return _LOGIN.sub(r"\1\2", text)


def _failure(folder: Path, command: str, data: bytes, *, strangers: bool) -> GitFailed:
    lines = without_login(data.decode("utf-8", "replace")).strip().splitlines()
    words = printable(" ".join(" ".join(lines[-4:]).split()))[:400]
    place = {} if strangers else {"directory": str(folder)}
    return GitFailed(
        f"git {command} failed: {words or 'it gave no reason'}", words=words, where=place
    )
